# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion during the exposure, rendered: of the camera, and of things."""

from __future__ import annotations

import math

import numpy as np

from ...engine.plugin import Range, param, plugin
from ...engine.stage import Instance, Stage


@plugin("appearance")
class Motion:
    """Let the camera and placed things move while the shutter is open, in straight lines and at constant speed.

    Unlike the effect `motion_blur`, near things are blurred more than far ones, and each thing has its own motion.
    Labels are those of the middle of the exposure, sharp: a box surrounds where a thing is then, not its whole trail.
    """

    camera_distance: Range = param(
        (0.0, 0.01),
        min=0.0,
        soft_max=0.2,
        unit="m",
        doc="How far the camera moves, in a random direction",
        moves={"sharpness": "-", "blur": "+"},
    )
    camera_rotation: Range = param(
        (0.0, 0.5),
        min=0.0,
        max=90.0,
        soft_max=5.0,
        unit="deg",
        doc="How far the camera turns, about a random axis",
        moves={"sharpness": "-", "blur": "+"},
    )
    distance: Range = param(
        (0.0, 0.0), min=0.0, soft_max=0.5, unit="m", doc="How far things move, horizontally in a random direction"
    )
    rotation: Range = param(
        (0.0, 0.0), min=0.0, max=180.0, unit="deg", doc="How far things turn about the vertical axis, either way"
    )
    classes: list[str] = param(
        [], means="class", doc="Classes whose instances move; default is all, distractors included"
    )
    moving_share: float = param(1.0, min=0.0, max=1.0, doc="Share of these instances that move")
    probability: float = param(1.0, min=0.0, max=1.0, doc="Share of the images in which anything moves")

    runs = "before_render"
    follows_camera = True

    def vary(self, stage: Stage, rng: np.random.Generator) -> None:
        """Set the motions of this frame."""
        if rng.random() >= self.probability:
            return
        away, turn = rng.uniform(*self.camera_distance), rng.uniform(*self.camera_rotation)
        directions = _directions(rng)
        if away or turn:
            stage.set_motion(
                None, displacement=(away * directions[0]).tolist(), rotation=(turn * directions[1]).tolist()
            )
        if not (self.distance[1] or self.rotation[1]):
            return
        for instance in stage.instances:
            angle, side = rng.uniform(0, 2 * math.pi), rng.choice([-1.0, 1.0])
            away, turn = rng.uniform(*self.distance), side * rng.uniform(*self.rotation)
            if rng.random() < self.moving_share and self._may_move(instance):
                displacement = (away * math.cos(angle), away * math.sin(angle), 0.0)
                stage.set_motion(instance, displacement=displacement, rotation=(0.0, 0.0, float(turn)))

    def _may_move(self, instance: Instance) -> bool:
        return not self.classes or instance.asset.class_name in self.classes


def _directions(rng: np.random.Generator) -> np.ndarray:
    """Two random directions (2, 3)."""
    vectors = rng.standard_normal((2, 3))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
