# SPDX-License-Identifier: GPL-3.0-or-later
"""Small random changes to the light of recorded frames, whose materials are repeated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...engine.errors import DataError
from ...engine.goals import Goals
from ...engine.plugin import param, plugin
from ...engine.recipe.paths import absolute_path
from ...engine.recipe.recorded_frames import draw_in_ball, nearest_instance, recorded_frame, recorded_light
from ...engine.scene.material import Material
from ...engine.stage import Instance, Stage


@plugin("appearance", formerly="around")
class Jitter:
    """Repeat light, background and materials of frames chosen by `twinset augment`, with small random changes of the
    light."""

    frames: str = param(path=True, doc="File of recorded frames, written by `twinset augment`")
    power: float = param(0.15, min=0.0, soft_max=1.0, doc="Largest relative change of the power of each light")
    rotation: float = param(
        10.0, min=0.0, max=180.0, unit="deg", doc="Largest rotation of an HDRI about the vertical axis", formerly="turn"
    )
    distance: float = param(0.2, min=0.0, soft_max=2.0, unit="m", doc="Largest displacement of an added light")

    recipe_example = 'frames = "best.frames.json"'
    uses_goals = True
    """It needs the frame's index to choose the same source as placement and camera."""

    @property
    def lights_scene(self) -> bool:
        """Whether its frames were lit by their recipe."""
        return recorded_light(self.frames)

    def vary(self, stage: Stage, rng: np.random.Generator, goals: Goals) -> None:
        """Repeat the recorded changes to the stage of this frame's source."""
        replay: dict[str, Callable[[Stage, Mapping[str, Any], np.random.Generator], None]] = {
            "set_world": self._set_world,
            "scale_lights": self._scale_lights,
            "add_light": self._add_light,
            "set_background": self._set_background,
            "set_sky": self._set_sky,
            "add_lamp": self._add_lamp,
            "set_exposure": self._set_exposure,
            "set_material": self._set_material,
            "set_focus": self._set_focus,
            "set_motion": self._set_motion,
        }
        for call in recorded_frame(self.frames, goals).appearance:
            name = call.get("call")
            if name not in replay:
                raise DataError(
                    f"'{self.frames}' has an unknown change '{name}'. Write it again with `twinset augment`."
                )
            try:
                replay[name](stage, call, rng)
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(
                    f"The change '{name}' in '{self.frames}' is damaged. Write the file again with `twinset augment`."
                ) from error

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
        position = self._moved(stage, call["position"], call["radius"], rng)
        stage.add_light(position, power=call["power"] * self._factor(rng), **_rest(call, "position", "power"))

    def _add_lamp(self, stage: Stage, call: Mapping[str, Any], rng: np.random.Generator) -> None:
        position = self._moved(stage, call["position"], call["size"], rng)
        rest = _rest(call, "position", "power", "ies")
        power, ies = call["power"] * self._factor(rng), _file(stage, call["ies"])
        stage.add_lamp(rest.pop("kind"), position=position, power=power, ies=ies, **rest)

    def _set_sky(self, stage: Stage, call: Mapping[str, Any], rng: np.random.Generator) -> None:
        azimuth = call["sun_azimuth"] + self.rotation * rng.uniform(-1, 1)
        strength = call["strength"] * self._factor(rng)
        stage.set_sky(sun_azimuth=azimuth, strength=strength, **_rest(call, "sun_azimuth", "strength"))

    def _set_exposure(self, stage: Stage, call: Mapping[str, Any], rng: np.random.Generator) -> None:
        stage.set_exposure(call["stops"])

    def _set_focus(self, stage: Stage, call: Mapping[str, Any], rng: np.random.Generator) -> None:
        stage.set_focus(call["distance"], f_number=call["f_number"])

    def _set_motion(self, stage: Stage, call: Mapping[str, Any], rng: np.random.Generator) -> None:
        target = call["target"]
        if target is None or (target := _instance(stage, target)) is not None:
            stage.set_motion(target, **_rest(call, "target"))

    def _moved(self, stage: Stage, position: Sequence[float], radius: float, rng: np.random.Generator) -> list[float]:
        recorded, offset = np.array(position, dtype=float), self.distance * draw_in_ball(rng, 3)
        # A light must not go through a wall or a ceiling; its own size counts as well.
        length = float(np.linalg.norm(offset))
        if length > 0:
            hits = stage.cast(recorded[None], offset[None] / length, within=length + radius)
            free = float(hits.distance[0]) - radius
            offset *= min(1.0, max(free, 0.0) / length)
        return [float(x) for x in recorded + offset]

    def _set_background(self, stage: Stage, call: Mapping[str, Any], rng: np.random.Generator) -> None:
        stage.set_background(_file(stage, call["image"]))

    def _set_material(self, stage: Stage, call: Mapping[str, Any], rng: np.random.Generator) -> None:
        values = dict(call["material"])
        if "textures" in values:
            values["textures"] = {role: absolute_path(stage.folder, name) for role, name in values["textures"].items()}
        target = call["target"]
        if not isinstance(target, str):
            target = _instance(stage, target)
        if target is not None:
            stage.set_material(target, call["slot"], Material(**values))

    def _factor(self, rng: np.random.Generator) -> float:
        return float((1 + self.power) ** rng.uniform(-1, 1))


def _instance(stage: Stage, target: Mapping[str, Any]) -> Instance | None:
    """The instance that a record names by its asset and where it stood."""
    return nearest_instance(stage, target["shape"], np.array(target["position"], dtype=float))


def _rest(call: Mapping[str, Any], *changed: str) -> dict[str, Any]:
    """The arguments of a recorded call that stay as they are."""
    return {name: value for name, value in call.items() if name not in ("call", *changed)}


def _file(stage: Stage, name: str | None) -> Path | None:
    return None if name is None else absolute_path(stage.folder, name)
