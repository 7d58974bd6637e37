# SPDX-License-Identifier: GPL-3.0-or-later
"""Solves the camera so that the main instance's visible box hits the goal that the target drew."""

from __future__ import annotations

import math

import attrs
import numpy as np

from ...engine import framing, sight
from ...engine.goals import Goal, Goals
from ...engine.params import Range, param
from ...engine.plugin import Rejected, plugin
from ...engine.rng import log_uniform
from ...engine.stage import CameraPose, Instance, Stage


@plugin("camera")
class Framed:
    """Solve the camera so that the main instance's visible box has the goal's area and centre.

    Many candidates (azimuth, height, focal length) are solved at once on the instance's projected points. Those that
    stand free, at a plausible height and with a clear line to the instance are ranked by how well the boxes of the
    other instances fill what the block still lacks. The best are probed, and what the probe shows of occlusion and
    silhouette is fed back until the visible box is within the tolerance. Without a target, goals are drawn from
    ``area``.
    """

    lens: Range = param((24.0, 50.0), min=1.0, soft_max=200.0, unit="mm", doc="Focal lengths for a sensor 36 mm wide")
    height: Range = param((0.3, 1.8), soft_max=5.0, unit="m", doc="Camera height above the ground below it")
    above: list[str] = param(
        [], means="object", doc="Name patterns of the objects that the camera stays above; default is anywhere"
    )
    pitch: Range = param((-60.0, 20.0), min=-90.0, max=90.0, unit="deg", doc="Viewing direction, negative is down")
    roll: Range = param((-2.0, 2.0), min=-180.0, max=180.0, unit="deg", doc="Rotation about the viewing direction")
    clearance: float = param(0.2, min=0.0, unit="m", doc="Free distance kept between the camera and any surface")
    seen: float = param(0.6, min=0.0, max=1.0, doc="Least share of the main instance with a clear line to the camera")
    tolerance: float = param(0.05, min=0.001, max=1.0, doc="Largest relative error of the visible box's area")
    candidates: int = param(64, min=1, max=4096, doc="Cameras solved per instance and attempt")
    probes: int = param(4, min=1, max=100, doc="Candidates that are probed before the attempt is given up")
    corrections: int = param(10, min=1, max=100, doc="Probes of one candidate, each correcting the last one's error")
    area: Range = param((0.01, 0.4), min=0.0, max=1.0, min_exclusive=True, doc="Goal areas where there is no target")

    def pose(self, stage: Stage, goals: Goals, rng: np.random.Generator) -> CameraPose:
        goal = goals.main or self._own_goal(stage, rng)
        mains = [i for i in stage.instances if i.asset.class_name == goal.class_name]
        if not mains:
            raise Rejected(f"camera: no {goal.class_name} on the stage")
        views = [view for main in mains[:4] for view in self._views(stage, main, goal.area, goal.center, rng)]
        if not views:
            raise Rejected("camera: no free viewpoint reaches the goal")
        ranked = sorted(views, key=lambda v: (-self._value(stage, v, goals), v.order))
        reason = ""
        for view in ranked[: self.probes]:
            pose, reason = self._refine(stage, view, goal)
            if pose is not None:
                return pose
        raise Rejected(reason)

    def reach(self, stage: Stage, instance: Instance, areas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Which relative areas (N,) an instance's box can have from somewhere in this scene, bool (N,)."""
        few = attrs.evolve(self, candidates=min(self.candidates, 32))  # type: ignore[misc]  # made one by @plugin
        return np.array([bool(few._views(stage, instance, float(a), (0.5, 0.5), rng)) for a in areas])

    @property
    def _near(self) -> float:
        return framing.near_clip(self.clearance)

    def _own_goal(self, stage: Stage, rng: np.random.Generator) -> Goal:
        names = sorted({i.asset.class_name for i in stage.instances} - {""})
        if not names:
            raise Rejected("camera: nothing to look at")
        area = float(log_uniform(rng, self.area, 1)[0])
        return Goal(str(rng.choice(names)), area, tuple(rng.uniform(0.35, 0.65, 2)))

    def _views(
        self, stage: Stage, main: Instance, area: float, center: tuple[float, float], rng: np.random.Generator
    ) -> list[_View]:
        n = self.candidates
        points = main.outline
        middle = (points.min(0) + points.max(0)) / 2
        # Shuffled, since among equals the first one is taken.
        azimuth = rng.permutation((np.arange(n) + rng.uniform(0, 1, n)) * (2 * math.pi / n))
        z = self._ground(stage, points, azimuth) + rng.uniform(*self.height, n)
        lens = log_uniform(rng, self.lens, n)
        roll = np.radians(rng.uniform(*self.roll, n))
        candidates = framing.Candidates(azimuth, z, lens, roll).take(np.flatnonzero(np.isfinite(z)))
        if not len(candidates.z):
            return []
        wanted = _wanted(area, center)
        found = framing.solve(points, wanted, candidates, stage.resolution)
        candidates = self._fit_lens(stage, middle, found, candidates)
        if not len(candidates.z):
            return []
        found = framing.solve(points, wanted, candidates, stage.resolution)
        good = np.flatnonzero(self._usable(stage, main, found))
        return [
            _View(main, candidates.take(np.array([i])), found.pose(int(i), stage.resolution, self._near), k)
            for k, i in enumerate(good)
        ]

    def _ground(self, stage: Stage, points: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
        """Ground heights (C,) beside the instance, in the direction of each candidate."""
        low, high = points.min(0), points.max(0)
        away = np.linalg.norm((high - low)[:2]) / 2 + 0.5
        start = np.empty((len(azimuth), 3))
        start[:, 0] = (low[0] + high[0]) / 2 + away * np.cos(azimuth)
        start[:, 1] = (low[1] + high[1]) / 2 + away * np.sin(azimuth)
        start[:, 2] = high[2] + 0.1
        return sight.ground_below(stage, start)

    def _fit_lens(
        self, stage: Stage, middle: np.ndarray, found: framing.Solution, candidates: framing.Candidates
    ) -> framing.Candidates:
        """Shorten the lens of candidates behind a wall, so that they come to stand before it; drop the hopeless."""
        ways = found.position - middle
        needed = np.linalg.norm(ways, axis=1)
        free = sight.free_path(stage, middle, middle + ways * (1 + self.clearance / needed)[:, None]) - self.clearance
        factor = np.minimum(1.0, np.maximum(free, 0.0) / needed * 0.98)
        lens = candidates.lens * np.where(factor < 0.98, factor, 1.0)
        keep = np.flatnonzero(lens >= self.lens[0])
        return attrs.evolve(candidates, lens=lens).take(keep)

    def _usable(self, stage: Stage, main: Instance, found: framing.Solution) -> np.ndarray:
        pitch = np.degrees(found.pitch)
        ok = (found.error < 0.1) & (pitch >= self.pitch[0]) & (pitch <= self.pitch[1])
        index = np.flatnonzero(ok)
        if len(index):
            height = found.position[index, 2] - sight.ground_below(stage, found.position[index])
            ok[index] &= (height >= self.height[0] - 0.05) & (height <= self.height[1] + 0.05)
            ok[index] &= sight.over_surfaces(stage, found.position[index], self.above)
        index = np.flatnonzero(ok)
        if len(index):
            position = found.position[index]
            ok[index] &= sight.free_and_seen(stage, position, main, clearance=self.clearance, seen=self.seen)
        return ok

    def _value(self, stage: Stage, view: _View, goals: Goals) -> float:
        """How much the other instances' boxes help the block; each box as it projects, occlusion left to the probe."""
        others = [i for i in stage.instances if i.id != view.main.id and i.asset.class_name]
        if not others or not goals.open_area:
            return 0.0
        pose = view.pose
        scale = np.array([[pose.focal / pose.width, pose.focal / pose.height]])
        boxes = [
            framing.project_box(other.outline, pose.position[None], pose.matrix[None, :3, :3], scale)[0]
            for other in others
        ]
        areas = framing.box_area(framing.clip_box(np.array(boxes)))
        return float(goals.gain(np.sqrt(areas[areas > 0])).sum())

    def _solve(self, stage: Stage, view: _View, area: float, center: tuple[float, float]) -> framing.Solution:
        return framing.solve(view.main.outline, _wanted(area, center), view.candidate, stage.resolution, iterations=20)

    def _refine(self, stage: Stage, view: _View, goal: Goal) -> tuple[CameraPose | None, str]:
        """Probe, compare the visible box with the goal, correct the solver's goal by the difference, again."""
        size = np.array(stage.resolution)
        area, center = goal.area, np.array(goal.center)
        best: tuple[float, CameraPose | None] = (np.inf, None)
        reason = "camera: main instance hidden"
        for k in range(self.corrections):
            found = self._solve(stage, view, area, (center[0], center[1]))
            pose = found.pose(0, stage.resolution, self._near)
            stage.pose_camera(pose)
            box = stage.probe(1.0, _region(view.main, pose)).bbox(view.main.id)
            if box is None:
                break
            seen_area = box[2] * box[3] / size.prod()
            off = (np.array(box[:2]) + np.array(box[2:]) / 2) / size - goal.center
            error = abs(seen_area / goal.area - 1)
            reason = "camera: box off its goal"
            if np.abs(off).max() <= max(0.02, 1.0 / size[1]) and error < best[0]:
                # Corrections move the camera: what the first solution kept free of may be near by now.
                if self._usable(stage, view.main, found)[0]:
                    best = error, pose
                else:
                    reason = "camera: no free viewpoint reaches the goal"
            if best[0] <= self.tolerance * 0.9:
                break
            area = float(np.clip(area * np.clip(goal.area / seen_area, 0.5, 2.0), 1e-7, 1.0))
            # Boxes of a few pixels move in whole ones: another place between two pixels may round to the goal.
            between = (np.array([0.37, 0.71]) * k % 1 - 0.5) / size
            center = np.clip(center - off + between, 0.005, 0.995)
        # A box of whole pixels cannot always come closer than half a pixel on each side.
        slack = max(self.tolerance, 1.0 / np.sqrt(goal.area * size.prod()))
        if best[1] is None or best[0] > slack:
            return None, reason
        stage.pose_camera(best[1])
        return best[1], ""


@attrs.frozen(eq=False)
class _View:
    """One usable candidate for one instance."""

    main: Instance
    candidate: framing.Candidates
    pose: CameraPose
    order: int


def _wanted(area: float, center: tuple[float, float]) -> framing.Wanted:
    return lambda ratio: framing.unclipped_goal(area, np.asarray(center), ratio)


def _region(main: Instance, pose: CameraPose) -> tuple[int, int, int, int]:
    """Where in the image the instance can be, in pixels."""
    pixels, depth = pose.project(main.points)
    if (depth <= pose.near).any():
        return 0, 0, pose.width, pose.height
    low, high = pixels.min(0) - 4, pixels.max(0) + 4
    x0, x1 = np.clip([low[0], high[0]], 0, pose.width).astype(int)
    y0, y1 = np.clip([low[1], high[1]], 0, pose.height).astype(int)
    return int(x0), int(y0), int(x1), int(y1)
