# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps of texture coordinates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from ...engine.output.label_pass import LabelPass, RenderPass
from ...engine.stage import Shot
from ..formats.encoders import write_exr


class Uv(LabelPass):
    """Coordinates of the active UV map of what each pixel shows; 0 where there is none.

    The third channel is 1 where something is hit. EXR files have the channels ``U``, ``V`` and ``A``.
    """

    key = "uv"
    doc = "Texture coordinates as EXR: U, V, and A = 1 where something is hit"
    formats = ("exr",)
    folder = "uv"
    dtype = "float32"
    channels = 3
    bytes_per_pixel: ClassVar = {"exr": 5.0}
    renders = (RenderPass("uv", "use_pass_uv", (("UV.U", "UV.X"), ("UV.V", "UV.Y"), ("UV.A", "UV.Z"))),)

    def array(self, shot: Shot, categories: Mapping[str, int]) -> np.ndarray:
        return shot.rendered["uv"]

    def save(self, array: np.ndarray, suffix: str, path: Path) -> None:
        write_exr(path, {name: array[..., k] for k, name in enumerate("UVA")}, f"set {self.key} = false")
