# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras around an instance from which its box matches a goal: solved, checked for clearance and sight, refined."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import attrs
import numpy as np

from ..goals import Goal
from ..plugin.results import Rejected
from ..rng import log_uniform
from ..stage import CameraPose, Instance, Stage
from . import framing, line_of_sight
from .projection import lens_range
from .reachability import Reached

_AREAS_AT_ONCE = 25
"""Areas whose cameras are solved together: NumPy's calls cost more than their work on the cameras of one."""


@attrs.frozen(eq=False)
class View:
    """One usable candidate for one instance, and its unclipped box [x0, y0, x1, y1] in image units."""

    main: Instance
    candidate: framing.Candidates
    pose: CameraPose
    box: np.ndarray
    order: int


@attrs.frozen
class ViewpointSearch:
    """Limits of the search for viewpoints; the parameters of cameras that search have the same names."""

    lens: tuple[float, float]
    height: tuple[float, float]
    above_surfaces: tuple[str, ...]
    pitch: tuple[float, float]
    roll: tuple[float, float]
    clearance: float
    min_visible_share: float
    tolerance: float
    candidates: int
    corrections: int

    @classmethod
    def of(cls, plugin: Any) -> ViewpointSearch:
        """From the parameters of a camera plugin."""
        values = {f.name: getattr(plugin, f.name) for f in attrs.fields(cls)}
        return cls(**values | {"above_surfaces": tuple(plugin.above_surfaces)})

    @property
    def _near(self) -> float:
        return framing.near_clip(self.clearance)

    def reach(self, stage: Stage, instance: Instance, areas: np.ndarray, rng: np.random.Generator) -> Reached:
        """Which relative areas (N,) an instance's box can have at the image centre from somewhere in this scene, and
        the aspect ratios of its uncut boxes."""
        quick = attrs.evolve(self, candidates=min(self.candidates, 32))
        # Undistorting converges for all cameras at once, and its last bit would depend on how many there are.
        together = 1 if stage.intrinsics is not None else _AREAS_AT_ONCE
        is_reached, boxes = np.zeros(len(areas), bool), [np.empty((0, 4))]
        for start in range(0, len(areas), together):
            part = areas[start : start + together]
            _, solution, owner = quick._solved_views(stage, instance, part, (0.5, 0.5), rng)
            is_reached[start + owner] = True
            boxes.append(solution.box)
        return Reached(is_reached, framing.uncut_aspects(np.concatenate(boxes), stage.resolution))

    def find_views(
        self, stage: Stage, main: Instance, area: float, center: tuple[float, float], rng: np.random.Generator
    ) -> list[View]:
        """Usable views of an instance in which its box has this area and centre."""
        candidates, solution, _ = self._solved_views(stage, main, np.array([area]), center, rng)
        return [
            View(
                main,
                candidates.take(np.array([i])),
                solution.pose(i, stage.resolution, self._near),
                solution.box[i],
                i,
            )
            for i in range(len(solution.box))
        ]

    def _solved_views(
        self, stage: Stage, main: Instance, areas: np.ndarray, center: tuple[float, float], rng: np.random.Generator
    ) -> tuple[framing.Candidates, framing.Solution, np.ndarray]:
        """Usable views in which an instance's box has one of these areas (N,): candidates, their solutions, and which
        area each is for."""
        n = self.candidates
        points = main.outline
        center_point = (points.min(0) + points.max(0)) / 2
        drawn = np.empty((4, len(areas), n))
        for k in range(len(areas)):
            # Shuffled, since the first of equally good views is taken.
            drawn[0, k] = rng.permutation((np.arange(n) + rng.uniform(0, 1, n)) * (2 * math.pi / n))
            drawn[1, k] = rng.uniform(*self.height, n)
            drawn[2, k] = log_uniform(rng, lens_range(stage, self.lens), n)
            drawn[3, k] = np.radians(rng.uniform(*self.roll, n))
        azimuth, height, lens, roll = drawn.reshape(4, -1)
        z = self._ground(stage, points, azimuth) + height
        candidates, owner = framing.Candidates(azimuth, z, lens, roll), np.repeat(np.arange(len(areas)), n)

        def solve(chosen: np.ndarray) -> framing.Solution:
            nonlocal candidates, owner
            candidates, owner = candidates.take(chosen), owner[chosen]
            box_goal = _box_goal(areas[owner], center)
            return framing.solve(points, box_goal, candidates, stage.resolution, intrinsics=stage.intrinsics)

        solution = solve(np.flatnonzero(np.isfinite(z)))
        candidates, chosen = self._fit_lens(stage, center_point, solution, candidates)
        solution = solve(chosen)
        good = np.flatnonzero(self._usable(stage, main, solution))
        return candidates.take(good), solution.take(good), owner[good]

    def _ground(self, stage: Stage, points: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
        """Ground heights (C,) beside the instance, in the direction of each candidate."""
        low, high = points.min(0), points.max(0)
        away = np.linalg.norm((high - low)[:2]) / 2 + 0.5
        start = np.empty((len(azimuth), 3))
        start[:, 0] = (low[0] + high[0]) / 2 + away * np.cos(azimuth)
        start[:, 1] = (low[1] + high[1]) / 2 + away * np.sin(azimuth)
        start[:, 2] = high[2] + 0.1
        return line_of_sight.ground_below(stage, start)

    def _fit_lens(
        self, stage: Stage, center_point: np.ndarray, solution: framing.Solution, candidates: framing.Candidates
    ) -> tuple[framing.Candidates, np.ndarray]:
        """Shorten the focal length of candidates behind a wall so that they move in front of it; also the indices of
        those that can."""
        offsets = solution.position - center_point
        distances = np.linalg.norm(offsets, axis=1)
        free = (
            line_of_sight.free_distance(
                stage, center_point, center_point + offsets * (1 + self.clearance / distances)[:, None]
            )
            - self.clearance
        )
        factor = np.minimum(1.0, np.maximum(free, 0.0) / distances * 0.98)
        lens = candidates.lens * np.where(factor < 0.98, factor, 1.0)
        shortest = lens_range(stage, self.lens)[0]
        # A camera of fixed focal length may miss it by a rounding.
        keep = np.flatnonzero(lens >= shortest * (1 - 1e-9) if stage.intrinsics is not None else lens >= shortest)
        return attrs.evolve(candidates, lens=lens), keep

    def _usable(self, stage: Stage, main: Instance, solution: framing.Solution) -> np.ndarray:
        pitch = np.degrees(solution.pitch)
        usable = (solution.error < 0.1) & (pitch >= self.pitch[0]) & (pitch <= self.pitch[1])
        index = np.flatnonzero(usable)
        if len(index):
            height = solution.position[index, 2] - line_of_sight.ground_below(stage, solution.position[index])
            usable[index] &= (height >= self.height[0] - 0.05) & (height <= self.height[1] + 0.05)
            usable[index] &= line_of_sight.are_above_surfaces(stage, solution.position[index], self.above_surfaces)
        index = np.flatnonzero(usable)
        if len(index):
            position = solution.position[index]
            usable[index] &= line_of_sight.free_and_visible(
                stage, position, main, clearance=self.clearance, min_visible_share=self.min_visible_share
            )
        return usable

    def _solve(self, stage: Stage, view: View, area: float, center: tuple[float, float]) -> framing.Solution:
        return framing.solve(
            view.main.outline,
            _box_goal(area, center),
            view.candidate,
            stage.resolution,
            iterations=20,
            intrinsics=stage.intrinsics,
        )

    def refine(self, stage: Stage, view: View, goal: Goal) -> tuple[CameraPose | None, str]:
        """Repeatedly probe, compare the visible box with the goal, and correct the solver's goal by the difference."""
        size = np.array(stage.resolution)
        area, center = goal.area, np.array(goal.center)
        best: tuple[float, CameraPose | None] = (np.inf, None)
        reason = "camera: main instance hidden"
        for k in range(self.corrections):
            solution = self._solve(stage, view, area, (center[0], center[1]))
            pose = solution.pose(0, stage.resolution, self._near)
            stage.pose_camera(pose)
            box = stage.probe(1.0, _probe_region(view.main, pose)).bbox(view.main.id)
            if box is None:
                break
            seen_area = box[2] * box[3] / size.prod()
            center_error = (np.array(box[:2]) + np.array(box[2:]) / 2) / size - goal.center
            error = abs(seen_area / goal.area - 1)
            reason = "camera: box off its goal"
            if np.abs(center_error).max() <= max(0.02, 1.0 / size[1]) and error < best[0]:
                # Corrections move the camera, so clearance is checked again.
                if self._usable(stage, view.main, solution)[0]:
                    best = error, pose
                else:
                    reason = "camera: no free viewpoint reaches the goal"
            if best[0] <= self.tolerance * 0.9:
                break
            area = float(np.clip(area * np.clip(goal.area / seen_area, 0.5, 2.0), 1e-7, 1.0))
            # Small boxes move by whole pixels: another subpixel position may round to the goal.
            subpixel_shift = (np.array([0.37, 0.71]) * k % 1 - 0.5) / size
            center = np.clip(center - center_error + subpixel_shift, 0.005, 0.995)
        if best[1] is None or best[0] > goal.slack(int(size.prod()), self.tolerance):
            return None, reason
        stage.pose_camera(best[1])
        return best[1], ""


def draw_goal(names: Iterable[str], area: tuple[float, float], rng: np.random.Generator) -> Goal:
    """A goal near the image centre for one of these classes, where no target draws any."""
    known = sorted(set(names) - {""})
    if not known:
        raise Rejected("camera: nothing to look at")
    size = float(log_uniform(rng, area, 1)[0])
    return Goal(str(rng.choice(known)), size, tuple(rng.uniform(0.35, 0.65, 2)))


def _box_goal(area: float | np.ndarray, center: tuple[float, float]) -> framing.BoxGoal:
    return lambda ratio: framing.unclipped_goal(area, np.asarray(center), ratio)


def _probe_region(main: Instance, pose: CameraPose) -> tuple[int, int, int, int]:
    """The region of the image that can show the instance, in pixels."""
    pixels, depth = pose.project(main.points)
    if (depth <= pose.near).any():
        return 0, 0, pose.width, pose.height
    low, high = pixels.min(0) - 4, pixels.max(0) + 4
    x0, x1 = np.clip([low[0], high[0]], 0, pose.width).astype(int)
    y0, y1 = np.clip([low[1], high[1]], 0, pose.height).astype(int)
    return int(x0), int(y0), int(x1), int(y1)
