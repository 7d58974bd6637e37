# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames one instance so closely that it fills most of the image."""

from __future__ import annotations

import math

import numpy as np

from ...engine.geometry import framing, line_of_sight
from ...engine.geometry.projection import lens_range
from ...engine.goals import Goals
from ...engine.plugin import Range, Rejected, param, plugin
from ...engine.rng import log_uniform
from ...engine.stage import CameraPose, Instance, Stage


@plugin("camera")
class CloseUp:
    """Frame one instance so closely that it fills most of the image, and may be cut by its border.

    Close-ups help detectors that report one large object as several [Zhang2023, §4]. The camera keeps its distance to
    every surface and has a clear line of sight to the instance; its near clip distance is at most 1 cm.
    """

    classes: list[str] = param([], means="class", doc="Classes to look at; default is all")
    fill: Range = param(
        (0.6, 1.6),
        min=0.05,
        soft_max=3.0,
        doc="Longer side of the projected box relative to the image height",
        moves={"sqrt_area": "+", "depth": "-", "touches_border": "+", "truncated_share": "+"},
    )
    shift: Range = param(
        (0.0, 0.25),
        min=0.0,
        max=0.5,
        doc="Distance of the box centre from the image centre",
        moves={"center_x": "?", "center_y": "?"},
    )
    lens: Range = param((24.0, 50.0), min=1.0, soft_max=200.0, unit="mm", doc="Focal length for a sensor 36 mm wide")
    elevation: Range = param(
        (-5.0, 55.0), min=-89.0, max=89.0, unit="deg", doc="Elevation of the camera as seen from the instance"
    )
    roll: Range = param((-5.0, 5.0), min=-180.0, max=180.0, unit="deg", doc="Rotation about the viewing direction")
    clearance: float = param(0.05, min=0.0, unit="m", doc="Minimum distance of the camera to any surface")
    min_visible_share: float = param(
        0.7,
        min=0.0,
        max=1.0,
        doc="Minimum share of the instance with a clear line of sight to the camera",
        formerly="seen",
    )
    candidates: int = param(48, min=1, max=4096, doc="Cameras solved per attempt")

    def pose(self, stage: Stage, goals: Goals, rng: np.random.Generator) -> CameraPose:
        annotated = [i for i in stage.instances if i.asset.class_name]
        chosen = [i for i in annotated if not self.classes or i.asset.class_name in self.classes]
        if not chosen:
            raise Rejected("camera: nothing to look at")
        main = chosen[rng.integers(len(chosen))]
        points = main.outline
        box_goal = self._box_goal(stage.resolution, rng)
        candidates = self._candidates(points, lens_range(stage, self.lens), rng)
        solution = framing.solve(points, box_goal, candidates, stage.resolution, intrinsics=stage.intrinsics)
        usable = self._usable(stage, main, solution) & self._filled(solution.box, stage.resolution)
        for i in np.flatnonzero(usable):
            pose = solution.pose(int(i), stage.resolution, framing.near_clip(self.clearance))
            stage.pose_camera(pose)
            if (stage.probe(0.25).ids == main.id).any():
                return pose
        raise Rejected("camera: no free viewpoint for a close-up")

    def _box_goal(self, resolution: tuple[int, int], rng: np.random.Generator) -> framing.BoxGoal:
        width, height = resolution
        fill = rng.uniform(*self.fill)
        angle, distance = rng.uniform(0, 2 * math.pi), rng.uniform(*self.shift)
        center = np.array([0.5 + distance * math.cos(angle), 0.5 + distance * math.sin(angle)])

        def box_goal(ratio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            longer = np.maximum(ratio * width / height, 1.0)
            size_h = fill / longer
            return np.stack([size_h * ratio, size_h], -1), np.tile(center, (len(ratio), 1))

        return box_goal

    def _candidates(
        self, points: np.ndarray, lenses: tuple[float, float], rng: np.random.Generator
    ) -> framing.Candidates:
        n = self.candidates
        azimuth = rng.permutation((np.arange(n) + rng.uniform(0, 1, n)) * (2 * math.pi / n))
        lens = log_uniform(rng, lenses, n)
        elevation = np.radians(rng.uniform(*self.elevation, n))
        longest = np.ptp(points, axis=0).max()
        # Sensor 36 mm wide and, at the usual 4:3, 27 mm high: good enough to turn an elevation into a height.
        distance = longest * lens / 27.0 / np.mean(self.fill)
        z = (points[:, 2].min() + points[:, 2].max()) / 2 + distance * np.sin(elevation)
        return framing.Candidates(azimuth, z, lens, np.radians(rng.uniform(*self.roll, n)))

    def _filled(self, box: np.ndarray, resolution: tuple[int, int]) -> np.ndarray:
        """Which boxes (C, 4) are within ``fill``, with 1 % tolerance for instances larger than their outlines."""
        width, height = resolution
        longer = np.maximum((box[:, 2] - box[:, 0]) * width / height, box[:, 3] - box[:, 1])
        return (longer >= 0.99 * self.fill[0]) & (longer <= 1.01 * self.fill[1])

    def _usable(self, stage: Stage, main: Instance, solution: framing.Solution) -> np.ndarray:
        usable = solution.error < 0.25
        index = np.flatnonzero(usable)
        if len(index):
            position, clearance = solution.position[index], max(self.clearance, 1e-3)
            usable[index] &= line_of_sight.free_and_visible(
                stage, position, main, clearance=clearance, min_visible_share=self.min_visible_share
            )
        return usable
