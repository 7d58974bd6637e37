# SPDX-License-Identifier: GPL-3.0-or-later
"""Notes what appearance plugins do to the stage, so that records tell it and other frames can repeat it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..recipe.settings import Recipe
from ..recipe.writing import relative
from ..stage import Stage


class DrawRecorder:
    """A stage that notes every change of world, lights and background, and passes everything on.

    Parameters
    ----------
    stage : Stage
        The stage itself.
    recipe : Recipe
        How it names files is how they are noted, see :func:`named`.

    Attributes
    ----------
    calls : list of dict
        One per change, in order: the method's name under ``call``, and its arguments as JSON values.
    """

    def __init__(self, stage: Stage, recipe: Recipe) -> None:
        self._stage = stage
        self._recipe = recipe
        self.calls: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stage, name)

    def set_world(
        self,
        *,
        hdri: Path | None,
        color: Sequence[float],
        strength: float,
        rotation: float,
        max_radiance: float | None = None,
    ) -> None:
        self._stage.set_world(hdri=hdri, color=color, strength=strength, rotation=rotation, max_radiance=max_radiance)
        self._note(
            "set_world",
            hdri=self._name(hdri),
            color=_floats(color),
            strength=float(strength),
            rotation=float(rotation),
            max_radiance=None if max_radiance is None else float(max_radiance),
        )

    def scale_lights(self, factor: float, tint: Sequence[float]) -> None:
        self._stage.scale_lights(factor, tint)
        self._note("scale_lights", factor=float(factor), tint=_floats(tint))

    def add_light(self, position: Sequence[float], *, power: float, color: Sequence[float], radius: float) -> None:
        self._stage.add_light(position, power=power, color=color, radius=radius)
        self._note(
            "add_light", position=_floats(position), power=float(power), color=_floats(color), radius=float(radius)
        )

    def set_background(self, image: Path | None) -> None:
        self._stage.set_background(image)
        self._note("set_background", image=self._name(image))

    def _name(self, path: Path | None) -> str | None:
        return None if path is None else named(self._recipe, path)

    def _note(self, call: str, **arguments: Any) -> None:
        self.calls.append({"call": call, **arguments})


def named(recipe: Recipe, path: Path) -> str:
    """A file as the recipe would name it, the same on every machine that the recipe works on.

    By an environment variable where the recipe uses one that leads there (``${DATA}/hall.hdr``), else as seen from the
    recipe's folder; with forward slashes.
    """
    path = Path(path).resolve()
    for variable in recipe.variables:
        root = Path(os.environ.get(variable) or os.devnull).expanduser().resolve()
        if path.is_relative_to(root):
            return f"${{{variable}}}/{path.relative_to(root).as_posix()}"
    return relative(str(path), recipe.folder)


def _floats(values: Sequence[float]) -> list[float]:
    return [float(v) for v in values]
