# SPDX-License-Identifier: GPL-3.0-or-later
"""Solves a layout in a room: cameras and options are searched, the best really stood up, and proved by probes."""

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
from .cameras import Limits, draw_cameras, polish
from .fit import (
    CENTER,
    CLONE,
    HIDDEN,
    Cameras,
    Choice,
    Fits,
    Plans,
    Wanted,
    choose,
    covered,
    fit,
    likeness,
    soft,
)
from .room import Sights, View, find_views
from .settle import Standing, settle, shown_share
from .terrain import camera_terrain, terrain_of

log = logging.getLogger(__name__)

OFF = "camera: box off its goal"
_TRIES = 8
"""Options that are stood up for a box before it is left out."""
_ASIDE = (-0.04, 0.04, -0.08, 0.08, -0.14, 0.14, -0.22, 0.22)
"""How far from its goal, in image widths, a box may lie instead of being left out."""
_SHOWN = 0.85
"""Share of a box that is enough for a first try; how large it should be, a probe tells."""
_LEFT_OUT = 10.0
"""What it costs to leave out a box."""
_WELL = 0.7
"""A view that is no dearer than this, when things really stand, than it was thought to be, is not improved upon."""
NO_VIEW = "camera: no free viewpoint for the layout"


@attrs.frozen
class Effort:
    """How much is tried: cameras per attempt, options per goal, views that are really stood up, arrangements that are
    probed, and corrections of each."""

    cameras: int
    options: int
    views: int
    probes: int
    corrections: int


@attrs.define(eq=False)
class _Item:
    """A goal that something stands for. ``aim`` is the goal, or a place beside it; ``wanted`` what is solved for so
    that the visible box comes out as aimed at."""

    goal: int
    option: int
    standing: Standing
    aim: Goal
    wanted: Goal
    tried: set[int]


@attrs.define(eq=False)
class Solver:
    """Solves the boxes of one frame on a stage.

    Parameters
    ----------
    stage : Stage
        With all on it that is not the layout's.
    sites : sequence of Site
        Where things may stand.
    goals : sequence of Goal
        The main one first, which must be shown; others are left out where nothing else will do.
    limits, sights, effort
        What the camera may, must and tries.
    tolerance : float
        Largest relative error of a visible box's area.
    rng : numpy.random.Generator
    """

    stage: Stage
    sites: Sequence[Site]
    goals: Sequence[Goal]
    limits: Limits
    sights: Sights
    effort: Effort
    tolerance: float
    rng: np.random.Generator
    refused: Counter[str] = attrs.field(factory=Counter)
    """Why things found no place."""
    _base: int = attrs.field(default=0, init=False)
    _goals: list[Goal] = attrs.field(factory=list, init=False)
    _options: list[Option] = attrs.field(factory=list, init=False)
    _owner: np.ndarray = attrs.field(factory=lambda: np.zeros(0, int), init=False)
    _cameras: Cameras = attrs.field(default=None, init=False)
    _plans: Plans = attrs.field(default=None, init=False)
    _fits: Fits = attrs.field(default=None, init=False)

    def solve(self) -> CameraPose:
        """Put the layout on the stage and return its camera.

        Raises
        ------
        Rejected
            Where the main box cannot be had.
        """
        self._base = len(self.stage.instances)
        # The main one first, then the large ones: small ones find a place among them more easily than the reverse.
        goals = [self.goals[0], *sorted(self.goals[1:], key=lambda g: -g.area)]
        number = max(3, min(self.effort.options, 96 // len(goals)))
        self._options = []
        owner: list[int] = []
        for k, goal in enumerate(goals):
            drawn = draw_options(self.stage, self.sites, goal, number, self.rng)
            self._options += drawn
            owner += [k] * len(drawn)
        self._owner = np.array(owner, dtype=int)
        self._plans = Plans.of(self._options)
        self._goals = goals
        if not (self._owner == 0).any():
            raise Rejected(f"camera: no {goals[0].class_name} on the stage")
        views = self._views()
        if not views:
            raise Rejected(NO_VIEW)
        reason = OFF
        for view, items in self._stood(views)[: self.effort.probes]:
            self._put(items)
            self.stage.pose_camera(view.pose)
            reason = self._prove(view, items)
            if not reason:
                return view.pose
        self._put([])
        raise Rejected(reason if self.refused.total() == 0 else reason or OFF)

    def _views(self) -> list[View]:
        stage, options, owner = self.stage, self._options, self._owner
        levels = [o.level for o in options]
        eye = float(np.median(levels)) + sum(self.limits.height) / 2
        terrain = camera_terrain(stage, eye, self.sights.clearance, self.sights.above_surfaces)
        if not len(terrain.levels):
            return []
        wanted = Wanted.of([self._goals[k] for k in owner], stage.resolution)
        count = self.effort.cameras
        cameras = draw_cameras(self.limits, terrain, self._goals, options, owner, count, stage.resolution, self.rng)
        fits = fit(options, wanted, cameras, stage.resolution)
        choice = self._choose(fits)
        best = np.argsort(choice.total, kind="stable")[: max(1, count // 4)]
        polished = polish(options, wanted, choice.option[best], cameras.take(best), self.limits, stage.resolution)
        more = fit(options, wanted, polished, stage.resolution)
        self._fits, self._cameras = Fits.join([fits, more]), Cameras.join([cameras, polished])
        choice = self._choose(self._fits)
        return find_views(
            stage, terrain, options, self._fits, choice, self._cameras, self.limits, self.sights, self.rng,
            enough=self.effort.views,
        )  # fmt: skip

    def _choose(self, fits: Fits) -> Choice:
        return choose(self._options, self._owner, len(self._goals), fits, self.rng, random=0.15)

    def _stood(self, views: Sequence[View]) -> list[tuple[View, list[_Item]]]:
        """Views in which things really stand, the best first."""
        found: list[tuple[float, View, list[_Item]]] = []
        for view in views:
            # The second best may be wanted, too, should the best one fail its probe.
            limit = sorted(f[0] for f in found)[1] if len(found) > 1 else np.inf
            cost, items = self._stand(view, limit)
            if items:
                found.append((cost, view, items))
            if cost <= view.cost + _WELL:
                break
        self._put([])
        return [(view, items) for _, view, items in sorted(found, key=lambda f: f[0])]

    def _loss(self, view: View, item: _Item) -> float:
        """How much dearer what stands for a goal is than what was chosen for it."""
        cost = self._fits.cost[view.camera]
        chosen = int(view.options[item.goal])
        aside = float(soft(np.array((item.aim.center[0] - self._goals[item.goal].center[0]) / CENTER)))
        return float(cost[item.option] - (cost[chosen] if chosen >= 0 else 0.0)) + aside

    def _stand(self, view: View, limit: float) -> tuple[float, list[_Item]]:
        """Stand one thing after the other before a camera: what it costs, and what stands; nothing where the main one
        finds no place, or it costs more than ``limit``."""
        self._put([])
        items: list[_Item] = []
        cost = view.cost
        for k in range(len(self._goals)):
            item = self._one(view, k, self._goals[k], set(), items)
            if item is not None:
                items.append(item)
                self.stage.place(item.standing.option.asset, item.standing.matrix)
            cost += _LEFT_OUT if item is None else self._loss(view, item)
            if not items or cost > limit:
                return cost, []
        return cost, items

    def _one(
        self, view: View, k: int, goal: Goal, tried: set[int], beside: Sequence[_Item], ignore: tuple[int, ...] = ()
    ) -> _Item | None:
        """Something that stands for a goal: what was chosen for it, or the next best."""
        mine = np.flatnonzero(self._owner == k)
        cost = self._fits.cost[view.camera, mine] - 1.0 * (mine == view.options[k])
        feet = view.place + self._fits.foot[view.camera, mine]
        for item in beside:
            cost = cost + self._plans.cost(mine, feet, np.array(item.option), item.standing.foot)
            cost = cost + CLONE * np.array([likeness(self._options[m], item.standing.option) for m in mine])
            cost = cost + HIDDEN * covered(
                self._fits.box[view.camera, mine],
                self._fits.distance[view.camera, mine],
                item.standing.box,
                float(np.linalg.norm(item.standing.foot - view.place)),
            )
        best: tuple[float, _Item | None] = (0.2, None)
        order = [int(o) for o in mine[np.argsort(cost, kind="stable")]]
        fresh = [o for o in order if o not in tried][:_TRIES]
        tried.update(fresh)
        # Where there is no room, there may be some beside it: area and number of boxes count for more than their place.
        for option, aside in [(o, 0.0) for o in fresh] + [(o, x) for x in _ASIDE for o in order[:2]]:
            one = self._options[option]
            foot = view.place + self._fits.foot[view.camera, option]
            z = float(terrain_of(self.stage, one.site).at(foot))
            if not np.isfinite(z):
                z = one.level
            x = float(np.clip(goal.center[0] + aside, 0.0, 1.0))
            aim = attrs.evolve(goal, center=(x, goal.center[1])) if aside else goal
            found = settle(self.stage, one, aim, view.pose, np.array([*foot, z]), ignore=ignore)
            if isinstance(found, str):
                self.refused[found.split(" '")[0]] += 1
                continue
            item = _Item(k, option, found, aim, aim, tried)
            shown = self._shown(view, item, beside, ignore)
            if shown >= _SHOWN:
                return item
            if shown > best[0]:
                best = shown, item
        return best[1]

    def _shown(self, view: View, item: _Item, beside: Sequence[_Item], ignore: tuple[int, ...]) -> float:
        """How much is left of a thing's box where others hide it, or of theirs where it hides them: the least share."""
        low, high = item.standing.box[:2], item.standing.box[2:]
        others = [o for o in beside if (o.standing.box[:2] < high).all() and (o.standing.box[2:] > low).all()]
        eye = view.pose.position
        me = self.stage.place(item.standing.option.asset, item.standing.matrix)
        ids = {o.goal: self._base + 1 + n for n, o in enumerate(beside)} | {item.goal: me.id}
        shares = []
        for one in (item, *others):
            standing = one.standing
            away = float(np.linalg.norm(standing.foot - eye[:2]))
            if one is not item and away < float(np.linalg.norm(item.standing.foot - eye[:2])):
                continue  # it is before, and cannot be hidden by what is behind
            shares.append(shown_share(self.stage, standing, view.pose, (ids[one.goal], *ignore)))
        self.stage.take_back(1)
        return min(shares)

    def _put(self, items: Sequence[_Item]) -> list[Instance]:
        """The layout on the stage is these things, and no other."""
        self.stage.take_back(len(self.stage.instances) - self._base)
        return [self.stage.place(item.standing.option.asset, item.standing.matrix) for item in items]

    def _prove(self, view: View, items: list[_Item]) -> str:
        """Probe, correct what is off its goal, leave out what stays off it; why the main one cannot be had."""
        for left in range(self.effort.corrections, -1, -1):
            labels = self.stage.probe(1.0)
            there = self.stage.instances[self._base :]
            off = [n for n, i in enumerate(there) if not self._good(items[n], labels.bbox(i.id), labels)]
            if not off:
                return ""
            lost = [n for n in off if left == 0 or not self._correct(view, items, items[n], there[n], labels)]
            if 0 in lost:
                return OFF
            if lost:
                items[:] = [item for n, item in enumerate(items) if n not in lost]
            self._put(items)
        # The last ones were left out: what they hid is seen now, which only a last look can tell.
        labels = self.stage.probe(1.0)
        there = self.stage.instances[self._base :]
        good = all(self._good(items[n], labels.bbox(i.id), labels) for n, i in enumerate(there))
        return "" if good else OFF

    def _good(self, item: _Item, box: tuple[int, int, int, int] | None, labels: Labels) -> bool:
        goal = self._goals[item.goal]
        if box is None:
            return False
        return abs(box[2] * box[3] / labels.ids.size / goal.area - 1) <= goal.slack(labels.ids.size, self.tolerance)

    def _correct(self, view: View, items: Sequence[_Item], item: _Item, instance: Instance, labels: Labels) -> bool:
        """Move a thing so that its visible box comes nearer to its goal, or put another one in its place."""
        goal, box = self._goals[item.goal], labels.bbox(instance.id)
        found: Standing | str = "hidden"
        if box is not None:
            ratio = np.clip(goal.area * labels.ids.size / (box[2] * box[3]), 0.6, 1.6)
            x = item.wanted.center[0] + item.aim.center[0] - (box[0] + box[2] / 2) / labels.ids.shape[1]
            wanted = attrs.evolve(
                item.wanted,
                area=float(np.clip(item.wanted.area * ratio, goal.area / 2, min(goal.area * 2, 1.0))),
                center=(float(np.clip(x, 0.0, 1.0)), goal.center[1]),
            )
            if wanted.area != item.wanted.area:
                foot = np.array([*item.standing.foot, item.standing.matrix[2, 3]])
                found = settle(self.stage, item.standing.option, wanted, view.pose, foot, ignore=(instance.id,))
        if isinstance(found, Standing):
            item.standing, item.wanted = found, wanted
            self.stage.move(instance, found.matrix)
            return True
        self.refused[found.split(" '")[0]] += 1
        beside = [i for i in items if i is not item]
        other = self._one(view, item.goal, goal, item.tried, beside, (instance.id,))
        if other is None:
            return False
        item.option, item.standing, item.aim, item.wanted = other.option, other.standing, other.aim, other.wanted
        self._put(items)
        return True
