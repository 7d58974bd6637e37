# SPDX-License-Identifier: GPL-3.0-or-later
"""A random camera around a random instance: the usual baseline, without goals."""

from __future__ import annotations

import math

import numpy as np

from ...engine.geometry import framing, line_of_sight
from ...engine.geometry.projection import Projection, lens_range
from ...engine.goals import Goals
from ...engine.plugin import Range, Rejected, param, plugin
from ...engine.rng import log_uniform
from ...engine.stage import CameraPose, Stage


@plugin("camera")
class Orbit:
    """Look at a random instance from a random direction and distance, without goals."""

    distance: Range = param(
        (1.0, 8.0),
        min=0.0,
        min_exclusive=True,
        unit="m",
        doc="Distance to the instance's centre",
        moves={"sqrt_area": "-", "depth": "+"},
    )
    elevation: Range = param(
        (5.0, 50.0),
        min=-89.0,
        max=89.0,
        unit="deg",
        doc="Elevation of the camera as seen from the instance",
        moves={"center_y": "?", "log_aspect": "?"},
    )
    above_surfaces: list[str] = param(
        [],
        means="object",
        doc="Name patterns of objects above which the camera must be; default is anywhere",
        formerly="above",
    )
    off_axis: float = param(
        0.35,
        min=0.0,
        max=1.0,
        doc="Maximum distance of the instance from the image centre, as a share of the image",
        moves={"center_x": "?", "center_y": "?", "touches_border": "+", "truncated_share": "+"},
    )
    lens: Range = param(
        (24.0, 50.0),
        min=1.0,
        soft_max=200.0,
        unit="mm",
        doc="Focal length for a sensor 36 mm wide",
        moves={"sqrt_area": "+"},
    )
    roll: Range = param((0.0, 0.0), min=-180.0, max=180.0, unit="deg", doc="Rotation about the viewing direction")
    clearance: float = param(0.1, min=0.0, unit="m", doc="Minimum distance of the camera to any surface")
    min_visible_share: float = param(
        0.3,
        min=0.0,
        max=1.0,
        doc="Minimum share of the instance with a clear line of sight to the camera",
        formerly="seen",
    )
    tries: int = param(32, min=1, max=10_000, doc="Cameras drawn per attempt")

    used_by_default = "without target"

    def pose(self, stage: Stage, goals: Goals, rng: np.random.Generator) -> CameraPose:
        annotated = [i for i in stage.instances if i.asset.class_name]
        if not annotated:
            raise Rejected("camera: nothing to look at")
        main = annotated[rng.integers(len(annotated))]
        n, (width, height) = self.tries, stage.resolution
        azimuth, elevation = rng.uniform(0, 2 * math.pi, n), np.radians(rng.uniform(*self.elevation, n))
        distance = rng.uniform(*self.distance, n)
        outward = np.stack(
            [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], -1
        )
        points = main.points
        position = (points.min(0) + points.max(0)) / 2 + outward * distance[:, None]
        lens = log_uniform(rng, lens_range(stage, self.lens), n)
        focal = lens / 36.0
        image_offset = rng.uniform(-self.off_axis, self.off_axis, (n, 2))
        right, down = image_offset[:, 0] / focal, image_offset[:, 1] * height / width / focal
        if stage.intrinsics is not None:
            right, down = Projection(np.ones((n, 2)), stage.intrinsics).slopes(0.5 + image_offset).T
        yaw = azimuth + math.pi + np.arctan(right)
        pitch = -elevation + np.arctan(down)
        rotation = framing.look_rotation(yaw, pitch, np.radians(rng.uniform(*self.roll, n)))
        usable = np.isfinite(line_of_sight.ground_below(stage, position))
        usable[usable] &= line_of_sight.are_above_surfaces(stage, position[usable], self.above_surfaces)
        usable[usable] &= line_of_sight.free_and_visible(
            stage, position[usable], main, clearance=self.clearance, min_visible_share=self.min_visible_share
        )
        usable_indices = np.flatnonzero(usable)
        if not len(usable_indices):
            raise Rejected("camera: no free viewpoint")
        i = usable_indices[0]
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = rotation[i], position[i]
        return CameraPose(matrix, float(lens[i]), width, height).with_intrinsics(stage.intrinsics)
