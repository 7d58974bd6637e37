# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that materials write themselves: Blender's AOV outputs, by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import attrs
import numpy as np

from ...engine.output.label_pass import LabelPass, RenderPass
from ...engine.plugin.params import param
from ...engine.stage import Shot
from ..formats.encoders import write_exr


@attrs.frozen
class Aovs(LabelPass):
    """What the nodes *AOV Output* of materials write, in one EXR file per frame.

    Colours have the channels ``NAME.R``, ``NAME.G`` and ``NAME.B``, values ``NAME.V``; 0 where a material has no such
    node.
    """

    aovs: list[str] = param([], doc="Names of colours that AOV outputs of materials write, as EXR")
    value_aovs: list[str] = param([], doc="Names of values that AOV outputs of materials write, as EXR")

    formats = ("exr",)
    folder = "aovs"
    dtype = "float32"
    bytes_per_pixel: ClassVar = {"exr": 5.0}

    @classmethod
    def asked(cls, output: Any) -> tuple[Self, str] | None:
        return super().asked(output) if output.aovs or output.value_aovs else None

    @property
    def renders(self) -> tuple[RenderPass, ...]:  # type: ignore[override]
        return (
            *(_pass(name, "COLOR", "RGB") for name in self.aovs),
            *(_pass(name, "VALUE", "V") for name in self.value_aovs),
        )

    @property
    def channels(self) -> int:  # type: ignore[override]
        return len(self._names)

    def array(self, shot: Shot, categories: Mapping[str, int]) -> np.ndarray:
        return np.concatenate([shot.rendered[each.name] for each in self.renders], -1)

    def save(self, array: np.ndarray, suffix: str, path: Path) -> None:
        channels = {name: array[..., k] for k, name in enumerate(self._names)}
        write_exr(path, channels, "leave aovs and value_aovs out of [output]")

    @property
    def _names(self) -> list[str]:
        return [f"{name}.{c}" for name in self.aovs for c in "RGB"] + [f"{name}.V" for name in self.value_aovs]


def _pass(name: str, kind: str, channels: str) -> RenderPass:
    # Values are in the channel X in some versions.
    names = {"R": ("R",), "G": ("G",), "B": ("B",), "V": ("V", "X")}
    return RenderPass(
        f"aov {name}", f"{kind}:{name}", tuple(tuple(f"{name}.{c}" for c in names[each]) for each in channels), True
    )
