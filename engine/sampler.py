# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes one frame: draws goals, places, varies, poses, probes, shoots, measures and judges, until one is accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from .draws import DrawRecorder
from .errors import StageError
from .goals import Boxes, Goals
from .params import unknown
from .plugin import Columns, FittedTarget, Rejected, Verdict, naming
from .reach import aims, put_instances, survey
from .rng import stream
from .schedule import Schedule, Share, Turn
from .settings import PluginUse, Recipe
from .stage import Instance, Labels, Shot, Stage
from .variants import variants_of


@attrs.frozen(eq=False)
class Frame:
    """One frame as the sampler leaves it. ``shot`` and ``rows`` are None and empty where it was given up.

    ``rows`` holds one dict per annotatable instance, in the order of ``shot.instances``. ``variant`` is the name of the
    variant that made it, or its number; "" where the recipe has none. ``appearance`` is what was done to world, lights
    and background, see :class:`.draws.DrawRecorder`.
    """

    index: int
    attempts: int
    rejected: tuple[str, ...]
    camera: str
    goals: Goals
    shot: Shot | None = None
    rows: tuple[dict[str, Any], ...] = ()
    columns: Mapping[str, Any] = attrs.field(factory=dict)
    bystanders: tuple[Instance, ...] = ()
    appearance: tuple[dict[str, Any], ...] = ()
    variant: str = ""


@attrs.frozen(eq=False)
class _Fit:
    """A fitted target, and what it was fitted for: variants that are alike in that share its draws."""

    key: tuple[Any, ...]
    target: FittedTarget
    reach: dict[str, tuple[float, float]]


Survey = tuple[tuple[Any, ...], dict[str, tuple[float, float]]]
"""What a survey was asked and what it found."""

_Accepted = tuple[Shot, tuple[dict[str, Any], ...], dict[str, Any], tuple[Instance, ...], tuple[dict[str, Any], ...]]


class Sampler:
    """The sampling loop of one recipe on one stage.

    Where the recipe has variants, each is sampled by a sampler of its own, of the recipe with its changes.

    Parameters
    ----------
    recipe : Recipe
    stage : Stage
    real : mapping
        Class name to real boxes; empty without a target.
    surveys : list, optional
        What earlier samplers of this stage have found out about reach, which need not be surveyed again; grows.
    """

    def __init__(
        self,
        recipe: Recipe,
        stage: Stage,
        real: Mapping[str, Boxes],
        *,
        fits: list[_Fit] | None = None,
        surveys: list[Survey] | None = None,
    ) -> None:
        self.recipe = recipe
        self.stage = stage
        uses = recipe.plugins
        # What stays where it is comes first, whatever the recipe's order, so that the rest is placed around it.
        self._placements = sorted(_named(uses.get("placement", ())), key=lambda p: not getattr(p[1], "first", False))
        self._appearances = _named(uses.get("appearance", ()))
        self._cameras = uses["camera"]
        self._metrics = _named(uses.get("metric", ()))
        self._filters = [u.plugin for u in uses.get("filter", ())]
        self._fits: list[_Fit] = [] if fits is None else fits
        self._surveys: list[Survey] = [] if surveys is None else surveys
        self._fit = -1
        self.variants: tuple[Sampler, ...] = ()
        if recipe.variants:
            self.variants = tuple(
                Sampler(one, stage, real, fits=self._fits, surveys=self._surveys) for one in variants_of(recipe)
            )
        elif uses.get("target"):
            self._fit = self._fitted(uses["target"][0].plugin, real)
        weights = [v.weight for v in recipe.variants] or [1.0]
        self._turn = Schedule(
            recipe.seed,
            [s._share(weight) for s, weight in zip(self.variants or [self], weights, strict=True)],
        )

    @property
    def targets(self) -> tuple[FittedTarget, ...]:
        """All fitted targets: one, or none, without variants."""
        return tuple(fit.target for fit in self._fits)

    @property
    def target(self) -> FittedTarget | None:
        """The fitted target, that of the first variant that has one; None without any."""
        fit = self._fits[self._fit] if self._fit >= 0 else next(iter(self._fits), None)
        return fit.target if fit else None

    @property
    def reach(self) -> dict[str, tuple[float, float]]:
        """The relative areas that each class of the target can have, (low, high); in any of the variants."""
        fits = [self._fits[self._fit]] if self._fit >= 0 else self._fits
        out: dict[str, tuple[float, float]] = {}
        for fit in fits:
            for name, (low, high) in fit.reach.items():
                known = out.get(name, (low, high))
                out[name] = min(low, known[0]), max(high, known[1])
        return out

    def frame(
        self,
        index: int,
        shown: Mapping[str, Sequence[float]],
        *,
        attempts: range | None = None,
        render: bool = True,
    ) -> Frame:
        """Sample one frame.

        Parameters
        ----------
        index : int
            Frame index.
        shown : mapping
            Class name to the relative box areas that earlier accepted frames of this block have shown.
        attempts : range, optional
            The attempts to make; default is all that the recipe allows. A replay makes the accepted one only.
        render : bool
            Without a render the frame ends with its probe: labels and boxes are those of the frame, picture, amodal
            masks and metrics are left out.
        """
        turn = self._turn(index)
        if not self.variants:
            return self._frame(index, turn, shown, attempts, render)
        made = self.variants[turn.variant]._frame(index, turn, shown, attempts, render)
        return attrs.evolve(made, variant=self.recipe.variants[turn.variant].name or str(turn.variant + 1))

    def _frame(
        self, index: int, turn: Turn, shown: Mapping[str, Sequence[float]], attempts: range | None, render: bool
    ) -> Frame:
        use = self._cameras[turn.camera]
        goals = self._goals(index, turn, shown)
        rejected: list[str] = []
        for attempt in attempts or range(self.recipe.render.max_attempts):
            result = self._attempt(index, attempt, use, goals, render)
            if isinstance(result, str):
                rejected.append(result)
                continue
            return Frame(index, attempt + 1, tuple(rejected), use.id, goals, *result)
        return Frame(index, len(rejected), tuple(rejected), use.id, goals)

    def _attempt(self, index: int, attempt: int, use: PluginUse, goals: Goals, render: bool) -> str | _Accepted:
        """One try: the shot with its rows, or the reason why it was rejected."""
        seed, stage = self.recipe.seed, self.stage
        recorder = DrawRecorder(stage, self.recipe)
        stage.clear()
        try:
            put_instances(stage, self._placements, goals, seed, index, attempt)
            for name, appearance in self._appearances:
                with naming(appearance):
                    of_frame = (goals,) if getattr(appearance, "by_frame", False) else ()
                    appearance.vary(recorder, stream(seed, index, attempt, name), *of_frame)
            with naming(use.plugin):
                pose = use.plugin.pose(stage, goals, stream(seed, index, attempt, f"camera.{use.id}"))
        except Rejected as rejection:
            return rejection.reason
        stage.pose_camera(pose)
        labels = stage.probe(1.0)
        annotatable = tuple(i for i in stage.instances if i.asset.class_name)
        main = self._main(annotatable, labels, goals)
        rows = [_basic_row(i, labels, main) for i in annotatable]
        bystanders = tuple(i for i in stage.instances if not i.asset.class_name)
        draft = Shot(np.empty((0, 0, 3), np.uint8), labels, annotatable, {}, pose)
        verdict = self._early_verdict(draft, rows, goals)
        if not verdict.accepted:
            return verdict.reason
        if not render:
            self._annotate(draft, rows, verdict)
            return draft, tuple(rows), {}, bystanders, tuple(recorder.calls)
        shot = stage.shoot(int(stream(seed, index, "render").integers(2**31)))
        columns = self._measure(shot, rows)
        verdict = _judge(self._filters, shot, rows)
        if not verdict.accepted:
            return f"{AFTER_RENDER}{verdict.reason}"
        self._annotate(shot, rows, verdict)
        return shot, tuple(rows), columns, bystanders, tuple(recorder.calls)

    def _early_verdict(self, draft: Shot, rows: list[dict[str, Any]], goals: Goals) -> Verdict:
        """All that can be said from the probe, before the render is paid for."""
        early = [f for f in self._filters if getattr(f, "early", False)]
        verdict = _judge(early, draft, rows)
        if not verdict.accepted:
            return Verdict(False, f"probe: {verdict.reason}")
        left = [row for row in rows if row["area"] > 0 and row["id"] not in verdict.unannotated]
        if not left:
            return Verdict(False, "probe: nothing to annotate in view")
        if goals.main is not None and not any(row["main"] for row in left):
            return Verdict(False, "probe: main instance too small")
        return verdict

    def _main(self, annotatable: tuple[Instance, ...], labels: Labels, goals: Goals) -> int:
        """Id of the instance whose visible box is nearest to the goal; 0 without one."""
        if goals.main is None:
            return 0
        goal, best, nearest = goals.main, 0, np.inf
        height, width = labels.ids.shape
        for instance in annotatable:
            box = labels.bbox(instance.id) if instance.asset.class_name == goal.class_name else None
            if box is None:
                continue
            center = ((box[0] + box[2] / 2) / width, (box[1] + box[3] / 2) / height)
            away = abs(np.log(box[2] * box[3] / (width * height) / goal.area)) + np.hypot(
                center[0] - goal.center[0], center[1] - goal.center[1]
            )
            if away < nearest:
                best, nearest = instance.id, away
        return best

    def _measure(self, shot: Shot, rows: list[dict[str, Any]]) -> dict[str, Any]:
        image: dict[str, Any] = {}
        for _, metric in self._metrics:
            with naming(metric):
                columns: Columns = metric.measure(shot)
                image.update(columns.image)
                for name, value in columns.image.items():
                    _check_value(name, value)
                for name, values in columns.bbox.items():
                    if len(values) != len(rows):
                        raise ValueError(f"{len(values)} values of '{name}' for {len(rows)} instances")
                    for value in values:
                        _check_value(name, value)
                    for row, value in zip(rows, values, strict=True):
                        if name not in row:
                            row["columns"][name] = value
        return image

    def _annotate(self, shot: Shot, rows: list[dict[str, Any]], verdict: Verdict) -> None:
        least = self.recipe.output.min_visible_share
        for row in rows:
            alone = shot.amodal.get(row["id"])
            share = None if alone is None else alone.visible_share(row["area"])
            if row["area"] == 0:
                row["reason"] = "not visible"
            elif row["id"] in verdict.unannotated:
                row["reason"] = verdict.reason or "filtered"
            elif share is not None and share < least:
                row["reason"] = "visible share too low"
            row["annotated"] = not row["reason"]

    def _goals(self, index: int, turn: Turn, shown: Mapping[str, Sequence[float]]) -> Goals:
        if self._fit < 0 or not aims(self._cameras[turn.camera].plugin):
            return Goals(frame=index)
        target = self._fits[self._fit].target
        with naming(self.recipe.plugins["target"][0].plugin):
            goals = target.draw(turn.draw)
            name = goals.main.class_name if goals.main else ""
            gaps = tuple(target.gaps(name, np.array(shown.get(name, ())))) if name else ()
        return attrs.evolve(goals, frame=index, open_area=gaps)

    def _share(self, weight: float) -> Share:
        """What the schedule has to know of this variant."""
        return Share(weight, [u.weight for u in self._cameras], [aims(u.plugin) for u in self._cameras], self._fit)

    def _fitted(self, target: Any, real: Mapping[str, Boxes]) -> int:
        """Index of the target fitted for these placements and this camera among all fits; fits it where it is new."""
        camera = next((u.plugin for u in self._cameras if aims(u.plugin)), None)
        key = (target, camera, *(p for _, p in self._placements))
        for index, fit in enumerate(self._fits):
            if fit.key == key:
                return index
        reach: dict[str, tuple[float, float]] = {}
        if camera is not None:
            wanted = getattr(target, "classes", None) or list(real)
            for name in wanted:
                if name not in self.stage.assets:
                    raise StageError(
                        unknown("[target] the recipe has no class", name, [n for n in self.stage.assets if n])
                    )
            asked = (self.recipe.seed, list(wanted), camera, *(p for _, p in self._placements))
            known = next((found for key, found in self._surveys if key == asked), None)
            reach = known or survey(self.stage, self._placements, camera, wanted, self.recipe.seed)
            if known is None:
                self._surveys.append((asked, reach))
        output = self.recipe.output
        with naming(target):
            fitted = target.fit(real, reach, self.recipe.seed, output.width / output.height)
        self._fits.append(_Fit(key, fitted, reach))
        return len(self._fits) - 1


AFTER_RENDER = "render: "
"""Prefix of reasons given after the full render was paid for."""


def _check_value(name: str, value: Any) -> None:
    """Records are JSON, so columns hold numbers, strings, and lists of them."""
    if not isinstance(value, str | int | float | list | tuple | np.ndarray | np.generic | None):
        raise ValueError(f"'{name}' is a {type(value).__name__}; columns hold numbers, strings, and lists of them")


def _named(uses: Sequence[PluginUse]) -> list[tuple[str, Any]]:
    """Plugins with the names of their random streams, which stay apart when one plugin is used twice."""
    return [(f"{use.kind}.{use.id}.{number}", use.plugin) for number, use in enumerate(uses)]


def _basic_row(instance: Instance, labels: Labels, main: int) -> dict[str, Any]:
    bbox = labels.bbox(instance.id)
    return {
        "id": instance.id,
        "class": instance.asset.class_name,
        "shape": instance.asset.name,
        "main": instance.id == main,
        "bbox": bbox,
        "area": int((labels.ids == instance.id).sum()) if bbox else 0,
        "annotated": False,
        "reason": "",
        "columns": {},
    }


def _judge(filters: Sequence[Any], shot: Shot, rows: Sequence[Mapping[str, Any]]) -> Verdict:
    unannotated: frozenset[int] = frozenset()
    reason = ""
    for judge in filters:
        with naming(judge):
            verdict = judge.judge(shot, rows)
        if not verdict.accepted:
            return verdict
        unannotated |= verdict.unannotated
        reason = reason or verdict.reason
    return Verdict(True, reason, unannotated)
