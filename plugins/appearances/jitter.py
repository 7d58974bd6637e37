# SPDX-License-Identifier: GPL-3.0-or-later
"""The light of chosen frames, varied a little."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...engine.errors import DataError
from ...engine.goals import Goals
from ...engine.plugin import param, plugin
from ...engine.recipe.exemplars import in_ball, recorded_light, source_of
from ...engine.recipe.settings import absolute
from ...engine.stage import Stage


@plugin("appearance", formerly="around")
class Jitter:
    """Light the scene, and show the background, as in frames that `twinset augment` chose, varied at random."""

    frames: str = param(path=True, doc="File of the frames, as `twinset augment` writes it")
    power: float = param(0.15, min=0.0, soft_max=1.0, doc="Largest share by which the power of each light changes")
    rotation: float = param(
        10.0, min=0.0, max=180.0, unit="deg", doc="Farthest that an HDRI is turned about the vertical", formerly="turn"
    )
    distance: float = param(0.2, min=0.0, soft_max=2.0, unit="m", doc="Farthest that an added light is moved")

    recipe_example = 'frames = "best.frames.json"'
    uses_goals = True
    """It needs the frame's index to choose the same source as placement and camera."""

    @property
    def lights_scene(self) -> bool:
        """Whether its frames were lit by their recipe."""
        return recorded_light(self.frames)

    def vary(self, stage: Stage, rng: np.random.Generator, goals: Goals) -> None:
        """Repeat what was done to the stage in this frame's source."""
        again: dict[str, Callable[[Stage, Mapping[str, Any], np.random.Generator], None]] = {
            "set_world": self._set_world,
            "scale_lights": self._scale_lights,
            "add_light": self._add_light,
            "set_background": self._set_background,
        }
        for call in source_of(self.frames, goals).appearance:
            name = call.get("call")
            if name not in again:
                raise DataError(f"'{self.frames}' asks for '{name}', which no stage knows. Make it again.")
            try:
                again[name](stage, call, rng)
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(f"What '{self.frames}' says of '{name}' is damaged. Make it again.") from error

    def _set_world(self, stage: Stage, call: Mapping[str, Any], rng: np.random.Generator) -> None:
        stage.set_world(
            hdri=_file(stage, call["hdri"]),
            color=call["color"],
            strength=call["strength"] * self._factor(rng),
            rotation=call["rotation"] + self.rotation * rng.uniform(-1, 1),
            max_radiance=call["max_radiance"],
        )

    def _scale_lights(self, stage: Stage, call: Mapping[str, Any], rng: np.random.Generator) -> None:
        stage.scale_lights(call["factor"] * self._factor(rng), call["tint"])

    def _add_light(self, stage: Stage, call: Mapping[str, Any], rng: np.random.Generator) -> None:
        recorded, away = np.array(call["position"], dtype=float), self.distance * in_ball(rng, 3)
        # A light must not go through a wall or a ceiling; its own size counts as well.
        length = float(np.linalg.norm(away))
        if length > 0:
            free = float(stage.cast(recorded[None], away[None] / length).distance[0]) - call["radius"]
            away *= min(1.0, max(free, 0.0) / length)
        power = call["power"] * self._factor(rng)
        stage.add_light((recorded + away).tolist(), power=power, color=call["color"], radius=call["radius"])

    def _set_background(self, stage: Stage, call: Mapping[str, Any], rng: np.random.Generator) -> None:
        stage.set_background(_file(stage, call["image"]))

    def _factor(self, rng: np.random.Generator) -> float:
        return float((1 + self.power) ** rng.uniform(-1, 1))


def _file(stage: Stage, name: str | None) -> Path | None:
    return None if name is None else absolute(stage.folder, name)
