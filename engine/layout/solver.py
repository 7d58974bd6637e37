# SPDX-License-Identifier: GPL-3.0-or-later
"""Solves a layout in a room: searches cameras and options, places the best ones in the scene, and verifies by
probes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

import attrs
import numpy as np

from ..geometry.support import Site
from ..goals import Goal
from ..plugin.results import Rejected
from ..stage import CameraPose, Instance, Labels, Stage
from .asset_options import Option, draw_options
from .asset_placement import PlacedOption, place_option, visible_box_share
from .camera_placement import LayoutView, VisibilityLimits, place_cameras
from .cameras import CameraLimits, draw_cameras, refine_cameras
from .fit import (
    CENTER_SCALE,
    DUPLICATE_COST,
    OCCLUSION_COST,
    Assignment,
    Cameras,
    Fits,
    Footprints,
    GoalArrays,
    assign_options,
    fit,
    occlusion_of,
    pseudo_huber,
    similarity,
)
from .height_maps import camera_map, site_map

log = logging.getLogger(__name__)

OFF_GOAL = "camera: box off its goal"
_MAX_OPTIONS = 8
"""Options that are placed for a box before it is left out."""
_SIDE_SHIFTS = (-0.04, 0.04, -0.08, 0.08, -0.14, 0.14, -0.22, 0.22)
"""How far from its goal, in image widths, a box may lie instead of being left out."""
_MIN_SHOWN = 0.85
"""Visible share of a box that is enough for a first try; a probe then measures it."""
_OMISSION_COST = 10.0
"""Cost of leaving out a box."""
_GOOD_MARGIN = 0.7
"""The search ends at a view whose cost after placement exceeds the estimate by no more than this."""
NO_VIEW = "camera: no free viewpoint for the layout"


@attrs.frozen
class SearchBudget:
    """Limits of the search: cameras per attempt, options per goal, views whose assets are placed, layouts that are
    probed, and corrections of each."""

    cameras: int
    options: int
    views: int
    probes: int
    corrections: int


@attrs.define(eq=False)
class _PlacedBox:
    """An asset placed for a goal. ``shifted_goal`` is the goal, perhaps moved sideways; ``solver_goal`` is what is
    solved for so that the visible box matches ``shifted_goal``."""

    goal: int
    option: int
    placed: PlacedOption
    shifted_goal: Goal
    solver_goal: Goal
    tried: set[int]


@attrs.define(eq=False)
class Solver:
    """Solves the boxes of one frame on a stage.

    Parameters
    ----------
    stage : Stage
        With all instances on it that do not belong to the layout.
    sites : sequence of Site
        Where assets may be placed.
    goals : sequence of Goal
        The main one first, which must be shown; others are left out where they cannot be placed.
    limits, visibility, budget
        What the camera may do, must see, and how much is tried.
    tolerance : float
        Largest relative error of a visible box's area.
    rng : numpy.random.Generator
    """

    stage: Stage
    sites: Sequence[Site]
    goals: Sequence[Goal]
    limits: CameraLimits
    visibility: VisibilityLimits
    budget: SearchBudget
    tolerance: float
    rng: np.random.Generator
    rejection_counts: Counter[str] = attrs.field(factory=Counter)
    """Why assets could not be placed."""
    _first_instance: int = attrs.field(default=0, init=False)
    _goals: list[Goal] = attrs.field(factory=list, init=False)
    _options: list[Option] = attrs.field(factory=list, init=False)
    _owner: np.ndarray = attrs.field(factory=lambda: np.zeros(0, int), init=False)
    _cameras: Cameras = attrs.field(default=None, init=False)
    _footprints: Footprints = attrs.field(default=None, init=False)
    _fits: Fits = attrs.field(default=None, init=False)

    def solve(self) -> CameraPose:
        """Put the layout on the stage and return its camera.

        Raises
        ------
        Rejected
            Where the main box cannot be shown.
        """
        self._first_instance = len(self.stage.instances)
        # The main one first, then by size: small boxes fit among large ones more easily than the reverse.
        goals = [self.goals[0], *sorted(self.goals[1:], key=lambda g: -g.area)]
        number = max(3, min(self.budget.options, 96 // len(goals)))
        self._options = []
        owner: list[int] = []
        for k, goal in enumerate(goals):
            drawn = draw_options(self.stage, self.sites, goal, number, self.rng)
            self._options += drawn
            owner += [k] * len(drawn)
        self._owner = np.array(owner, dtype=int)
        self._footprints = Footprints.of(self._options)
        self._goals = goals
        if not (self._owner == 0).any():
            raise Rejected(f"camera: no {goals[0].class_name} on the stage")
        views = self._search_views()
        if not views:
            raise Rejected(NO_VIEW)
        reason = OFF_GOAL
        for view, items in self._placed_views(views)[: self.budget.probes]:
            self._set_stage(items)
            self.stage.pose_camera(view.pose)
            reason = self._verify(view, items)
            if not reason:
                return view.pose
        self._set_stage([])
        raise Rejected(reason if self.rejection_counts.total() == 0 else reason or OFF_GOAL)

    def _search_views(self) -> list[LayoutView]:
        stage, options, owner = self.stage, self._options, self._owner
        levels = [o.level for o in options]
        eye = float(np.median(levels)) + sum(self.limits.height) / 2
        height_map = camera_map(stage, eye, self.visibility.clearance, self.visibility.above_surfaces)
        if not len(height_map.levels):
            return []
        goal_arrays = GoalArrays.of([self._goals[k] for k in owner], stage.resolution)
        count = self.budget.cameras
        cameras = draw_cameras(self.limits, height_map, self._goals, options, owner, count, stage.resolution, self.rng)
        fits = fit(options, goal_arrays, cameras, stage.resolution)
        assignment = self._choose(fits)
        best = np.argsort(assignment.total, kind="stable")[: max(1, count // 4)]
        polished = refine_cameras(
            options, goal_arrays, assignment.option[best], cameras.take(best), self.limits, stage.resolution
        )
        more = fit(options, goal_arrays, polished, stage.resolution)
        self._fits, self._cameras = Fits.join([fits, more]), Cameras.join([cameras, polished])
        assignment = self._choose(self._fits)
        return place_cameras(
            stage, height_map, options, self._fits, assignment, self._cameras, self.limits, self.visibility, self.rng,
            max_views=self.budget.views,
        )  # fmt: skip

    def _choose(self, fits: Fits) -> Assignment:
        return assign_options(self._options, self._owner, len(self._goals), fits, self.rng, random=0.15)

    def _placed_views(self, views: Sequence[LayoutView]) -> list[tuple[LayoutView, list[_PlacedBox]]]:
        """Views whose assets could be placed, the best first."""
        result: list[tuple[float, LayoutView, list[_PlacedBox]]] = []
        for view in views:
            # The second best is kept, too, in case the best one fails its probe.
            limit = sorted(f[0] for f in result)[1] if len(result) > 1 else np.inf
            cost, items = self._place_all(view, limit)
            if items:
                result.append((cost, view, items))
            if cost <= view.cost + _GOOD_MARGIN:
                break
        self._set_stage([])
        return [(view, items) for _, view, items in sorted(result, key=lambda f: f[0])]

    def _extra_cost(self, view: LayoutView, item: _PlacedBox) -> float:
        """How much more the option placed for a goal costs than the one assigned to it."""
        cost = self._fits.cost[view.camera]
        chosen = int(view.options[item.goal])
        side_shift = float(
            pseudo_huber(np.array((item.shifted_goal.center[0] - self._goals[item.goal].center[0]) / CENTER_SCALE))
        )
        return float(cost[item.option] - (cost[chosen] if chosen >= 0 else 0.0)) + side_shift

    def _place_all(self, view: LayoutView, limit: float) -> tuple[float, list[_PlacedBox]]:
        """Place one asset after the other in front of a camera.

        Returns the cost and the placed boxes; no boxes where the main one cannot be placed or the cost exceeds
        ``limit``.
        """
        self._set_stage([])
        items: list[_PlacedBox] = []
        cost = view.cost
        for k in range(len(self._goals)):
            item = self._place_one(view, k, self._goals[k], set(), items)
            if item is not None:
                items.append(item)
                self.stage.place(item.placed.option.asset, item.placed.matrix)
            cost += _OMISSION_COST if item is None else self._extra_cost(view, item)
            if not items or cost > limit:
                return cost, []
        return cost, items

    def _place_one(
        self,
        view: LayoutView,
        k: int,
        goal: Goal,
        tried: set[int],
        placed_items: Sequence[_PlacedBox],
        ignore: tuple[int, ...] = (),
    ) -> _PlacedBox | None:
        """Place the option assigned to a goal, or the next best one."""
        own_options = np.flatnonzero(self._owner == k)
        cost = self._fits.cost[view.camera, own_options] - 1.0 * (own_options == view.options[k])
        positions = view.position_xy + self._fits.offset_xy[view.camera, own_options]
        for item in placed_items:
            cost = cost + self._footprints.cost(own_options, positions, np.array(item.option), item.placed.position_xy)
            cost = cost + DUPLICATE_COST * np.array(
                [similarity(self._options[m], item.placed.option) for m in own_options]
            )
            cost = cost + OCCLUSION_COST * occlusion_of(
                self._fits.box[view.camera, own_options],
                self._fits.distance[view.camera, own_options],
                item.placed.box,
                float(np.linalg.norm(item.placed.position_xy - view.position_xy)),
            )
        best: tuple[float, _PlacedBox | None] = (0.2, None)
        order = [int(o) for o in own_options[np.argsort(cost, kind="stable")]]
        untried = [o for o in order if o not in tried][:_MAX_OPTIONS]
        tried.update(untried)
        # Where there is no room, try beside it: area and number of boxes matter more than their positions.
        for option, side_shift in [(o, 0.0) for o in untried] + [(o, x) for x in _SIDE_SHIFTS for o in order[:2]]:
            candidate = self._options[option]
            position = view.position_xy + self._fits.offset_xy[view.camera, option]
            z = float(site_map(self.stage, candidate.site).height_at(position))
            if not np.isfinite(z):
                z = candidate.level
            x = float(np.clip(goal.center[0] + side_shift, 0.0, 1.0))
            shifted_goal = attrs.evolve(goal, center=(x, goal.center[1])) if side_shift else goal
            result = place_option(
                self.stage, candidate, shifted_goal, view.pose, np.array([*position, z]), ignore=ignore
            )
            if isinstance(result, str):
                self.rejection_counts[result.split(" '")[0]] += 1
                continue
            item = _PlacedBox(k, option, result, shifted_goal, shifted_goal, tried)
            shown_share = self._min_shown_share(view, item, placed_items, ignore)
            if shown_share >= _MIN_SHOWN:
                return item
            if shown_share > best[0]:
                best = shown_share, item
        return best[1]

    def _min_shown_share(
        self, view: LayoutView, item: _PlacedBox, placed_items: Sequence[_PlacedBox], ignore: tuple[int, ...]
    ) -> float:
        """The smallest visible share of a box: of the asset's own where others hide it, or of those that it hides."""
        low, high = item.placed.box[:2], item.placed.box[2:]
        others = [o for o in placed_items if (o.placed.box[:2] < high).all() and (o.placed.box[2:] > low).all()]
        eye = view.pose.position
        own_instance = self.stage.place(item.placed.option.asset, item.placed.matrix)
        ids = {o.goal: self._first_instance + 1 + n for n, o in enumerate(placed_items)} | {item.goal: own_instance.id}
        shares = []
        for candidate in (item, *others):
            placed = candidate.placed
            distance = float(np.linalg.norm(placed.position_xy - eye[:2]))
            if candidate is not item and distance < float(np.linalg.norm(item.placed.position_xy - eye[:2])):
                continue  # it is nearer to the camera, so the new asset cannot hide it
            shares.append(visible_box_share(self.stage, placed, view.pose, (ids[candidate.goal], *ignore)))
        self.stage.take_back(1)
        return min(shares)

    def _set_stage(self, items: Sequence[_PlacedBox]) -> list[Instance]:
        """Replace the layout on the stage by these boxes."""
        self.stage.take_back(len(self.stage.instances) - self._first_instance)
        return [self.stage.place(item.placed.option.asset, item.placed.matrix) for item in items]

    def _verify(self, view: LayoutView, items: list[_PlacedBox]) -> str:
        """Probe, correct boxes that are off their goals, and leave out those that stay off.

        Returns why the main box cannot be shown; "" where it is.
        """
        for corrections_left in range(self.budget.corrections, -1, -1):
            labels = self.stage.probe(1.0)
            instances = self.stage.instances[self._first_instance :]
            off_goal = [n for n, i in enumerate(instances) if not self._is_on_goal(items[n], labels.bbox(i.id), labels)]
            if not off_goal:
                return ""
            omitted = [
                n
                for n in off_goal
                if corrections_left == 0 or not self._correct(view, items, items[n], instances[n], labels)
            ]
            if 0 in omitted:
                return OFF_GOAL
            if omitted:
                items[:] = [item for n, item in enumerate(items) if n not in omitted]
            self._set_stage(items)
        # Leaving out the last boxes uncovers what they hid, so one more probe is needed.
        labels = self.stage.probe(1.0)
        instances = self.stage.instances[self._first_instance :]
        all_on_goal = all(self._is_on_goal(items[n], labels.bbox(i.id), labels) for n, i in enumerate(instances))
        return "" if all_on_goal else OFF_GOAL

    def _is_on_goal(self, item: _PlacedBox, box: tuple[int, int, int, int] | None, labels: Labels) -> bool:
        goal = self._goals[item.goal]
        if box is None:
            return False
        return abs(box[2] * box[3] / labels.ids.size / goal.area - 1) <= goal.slack(labels.ids.size, self.tolerance)

    def _correct(
        self, view: LayoutView, items: Sequence[_PlacedBox], item: _PlacedBox, instance: Instance, labels: Labels
    ) -> bool:
        """Move an asset so that its visible box comes nearer to its goal, or replace it by another option."""
        goal, box = self._goals[item.goal], labels.bbox(instance.id)
        result: PlacedOption | str = "hidden"
        if box is not None:
            ratio = np.clip(goal.area * labels.ids.size / (box[2] * box[3]), 0.6, 1.6)
            x = item.solver_goal.center[0] + item.shifted_goal.center[0] - (box[0] + box[2] / 2) / labels.ids.shape[1]
            solver_goal = attrs.evolve(
                item.solver_goal,
                area=float(np.clip(item.solver_goal.area * ratio, goal.area / 2, min(goal.area * 2, 1.0))),
                center=(float(np.clip(x, 0.0, 1.0)), goal.center[1]),
            )
            if solver_goal.area != item.solver_goal.area:
                start = np.array([*item.placed.position_xy, item.placed.matrix[2, 3]])
                result = place_option(
                    self.stage, item.placed.option, solver_goal, view.pose, start, ignore=(instance.id,)
                )
        if isinstance(result, PlacedOption):
            item.placed, item.solver_goal = result, solver_goal
            self.stage.move(instance, result.matrix)
            return True
        self.rejection_counts[result.split(" '")[0]] += 1
        placed_items = [i for i in items if i is not item]
        other = self._place_one(view, item.goal, goal, item.tried, placed_items, (instance.id,))
        if other is None:
            return False
        item.option, item.placed, item.shifted_goal, item.solver_goal = (
            other.option,
            other.placed,
            other.shifted_goal,
            other.solver_goal,
        )
        self._set_stage(items)
        return True
