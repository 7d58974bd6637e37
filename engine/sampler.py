# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes one frame: draws goals, places, varies, poses, probes, shoots, measures and judges, until one is accepted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from .draws import DrawRecorder
from .errors import StageError
from .gate import Gates, OpenGates, Refusal, draft_of, is_gate, paint, refusal
from .goals import Boxes, Goals
from .judging import NOTHING, add_columns, basic_row, early_verdict, judge, left_of, main_of, measure, why_not
from .params import unknown
from .plugin import FittedTarget, Rejected, Verdict, naming
from .reach import aims, put_instances, survey
from .rng import stream
from .schedule import Schedule, Share, Turn
from .settings import PluginUse, Recipe
from .stage import Instance, Shot, Stage
from .variants import variants_of


@attrs.frozen(eq=False)
class Frame:
    """One frame as the sampler leaves it. ``shot`` and ``rows`` are None and empty where it was given up.

    ``rows`` holds one dict per annotatable instance, in the order of ``shot.instances``. ``variant`` is the name of the
    variant that made it, or its number; "" where the recipe has none. ``appearance`` is what was done to world, lights
    and background, see :class:`.draws.DrawRecorder`. ``refused`` says what gates saw in attempts that they rejected,
    ``score`` what they gave the accepted one, ``traits`` by what they compare later frames of the block with it.
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
    refused: tuple[Refusal, ...] = ()
    score: float | None = None
    traits: tuple[Any, ...] = ()


@attrs.frozen(eq=False)
class _Fit:
    """A fitted target, and what it was fitted for: variants that are alike in that share its draws."""

    key: tuple[Any, ...]
    target: FittedTarget
    reach: dict[str, tuple[float, float]]


Survey = tuple[tuple[Any, ...], dict[str, tuple[float, float]]]
"""What a survey was asked and what it found."""


@attrs.frozen(eq=False)
class _Try:
    """One try: ``reason`` says why it was rejected, ``gate`` at which stage where a gate did that, "" otherwise."""

    shot: Shot
    rows: list[dict[str, Any]]
    columns: Mapping[str, Any] = attrs.field(factory=dict)
    appearance: tuple[dict[str, Any], ...] = ()
    verdict: Verdict = Verdict(True)
    reason: str = ""
    gate: str = ""
    traits: tuple[Any, ...] = ()


class Sampler:
    """The sampling loop of one recipe on one stage.

    Where the recipe has variants, each is sampled by a sampler of its own, of the recipe with its changes.

    Parameters
    ----------
    recipe : Recipe
    stage : Stage
    real : mapping
        Class name to real boxes; empty without a target.
    gates : OpenGates, optional
        The recipe's gates where they are open already; probes alone open none.
    surveys : list, optional
        What earlier samplers of this stage have found out about reach, which need not be surveyed again; grows.
    """

    def __init__(
        self,
        recipe: Recipe,
        stage: Stage,
        real: Mapping[str, Boxes],
        gates: OpenGates | None = None,
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
        self._filters = [u.plugin for u in uses.get("filter", ()) if not is_gate(u.plugin)]
        self.gates = OpenGates() if gates is None else gates
        self._fits: list[_Fit] = [] if fits is None else fits
        self._surveys: list[Survey] = [] if surveys is None else surveys
        self._fit = -1
        self.variants: tuple[Sampler, ...] = ()
        if recipe.variants:
            self.variants = tuple(
                Sampler(one, stage, real, self.gates, fits=self._fits, surveys=self._surveys)
                for one in variants_of(recipe)
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
        seen: Sequence[Sequence[Any]] = (),
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
        seen : sequence, optional
            ``traits`` of earlier accepted frames of this block.
        attempts : range, optional
            The attempts to make; default is all that the recipe allows. A replay makes the accepted one only.
        render : bool
            Without a render the frame ends with its probe: labels and boxes are those of the frame, picture, amodal
            masks and metrics are left out.
        """
        turn = self._turn(index)
        if not self.variants:
            return self._frame(index, turn, shown, seen, attempts, render)
        made = self.variants[turn.variant]._frame(index, turn, shown, seen, attempts, render)
        return attrs.evolve(made, variant=self.recipe.variants[turn.variant].name or str(turn.variant + 1))

    def warm_up(self) -> Iterator[int]:
        """Render the frames that gates want to learn from, and let them learn; yields how many are done.

        They are frames like the job's, drawn with a seed of their own: none of them is one of the job's, and every
        machine has the same ones.
        """
        shown: dict[str, list[float]] = {}
        self.gates.open(self.recipe)
        for index in range(self.gates.warm_up):
            if index % self.recipe.render.block == 0:
                shown = {}
            turn = self._turn(index)
            for row in (self.variants[turn.variant] if self.variants else self)._warm_up(index, turn, shown):
                area = row["bbox"][2] * row["bbox"][3] / np.prod(self.stage.resolution)
                shown.setdefault(row["class"], []).append(float(area))
            yield index + 1
        for gates in self.gates:
            gates.conclude()

    @property
    def _gates(self) -> Gates:
        return self.gates.of(self.recipe)

    def _warm_up(self, index: int, turn: Turn, shown: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
        """Show the gates the first attempt at a frame that gets as far as them; returns its annotated rows."""
        if index >= self._gates.warm_up:
            return []
        use, goals = self._cameras[turn.camera], self._goals(index, turn, shown)
        seed = int(stream(self.recipe.seed, "warm-up").integers(2**31))
        for attempt in range(self.recipe.render.max_attempts):
            made = self._attempt(seed, index, attempt, use, goals)
            if made.reason:
                continue
            noise = self._noise(index)
            drafts = {draft: draft_of(self.stage, draft, noise) for draft in self._gates.drafts}
            shot = self.stage.shoot(noise)
            verdict = judge(self._filters, shot, made.rows)
            if verdict.accepted:
                left = left_of(shot, made.rows, verdict, self.recipe.output.min_visible_share)
                self._gates.take(shot, left, drafts)
                return left
        return []

    def _frame(
        self,
        index: int,
        turn: Turn,
        shown: Mapping[str, Sequence[float]],
        seen: Sequence[Sequence[Any]],
        attempts: range | None,
        render: bool,
    ) -> Frame:
        use = self._cameras[turn.camera]
        goals = self._goals(index, turn, shown)
        rejected: list[str] = []
        refused: list[Refusal] = []
        for attempt in attempts or range(self.recipe.render.max_attempts):
            made = self._attempt(self.recipe.seed, index, attempt, use, goals)
            if render and not made.reason:
                made = self._finish(index, made, seen)
            if made.gate:
                camera = made.shot.camera
                refused.append(refusal(attempt, made.gate, made.verdict, made.rows, camera, made.appearance))
            if made.reason:
                rejected.append(made.reason)
                continue
            self._annotate(made.shot, made.rows, made.verdict)
            return Frame(
                index,
                attempt + 1,
                tuple(rejected),
                use.id,
                goals,
                made.shot,
                tuple(made.rows),
                made.columns,
                tuple(i for i in self.stage.instances if not i.asset.class_name),
                made.appearance,
                refused=tuple(refused),
                score=made.verdict.score,
                traits=made.traits,
            )
        return Frame(index, len(rejected), tuple(rejected), use.id, goals, refused=tuple(refused))

    def _attempt(self, seed: int, index: int, attempt: int, use: PluginUse, goals: Goals) -> _Try:
        """One try as far as its probe."""
        stage = self.stage
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
            return _Try(NOTHING, [], reason=rejection.reason)
        stage.pose_camera(pose)
        labels = stage.probe(1.0)
        annotatable = tuple(i for i in stage.instances if i.asset.class_name)
        main = main_of(annotatable, labels, goals)
        rows = [basic_row(i, labels, main) for i in annotatable]
        probed = Shot(np.empty((0, 0, 3), np.uint8), labels, annotatable, {}, pose)
        verdict = early_verdict(self._filters, probed, rows, goals)
        reason = "" if verdict.accepted else verdict.reason
        return _Try(probed, rows, appearance=tuple(recorder.calls), verdict=verdict, reason=reason)

    def _finish(self, index: int, made: _Try, seen: Sequence[Sequence[Any]]) -> _Try:
        """The render and what is said of it; drafts come before."""
        rows, noise = made.rows, self._noise(index)
        if self._gates.drafts:
            left = [row for row in rows if row["area"] > 0 and row["id"] not in made.verdict.unannotated]
            verdict = self._gates.judge_draft(self.stage, noise, left)
            if not verdict.accepted:
                return attrs.evolve(made, verdict=verdict, reason=f"{DRAFT}{verdict.reason}", gate="draft")
        shot = self.stage.shoot(noise)
        columns = measure(self._metrics, shot, rows)
        verdict = judge(self._filters, shot, rows)
        made = attrs.evolve(made, shot=shot, columns=columns, verdict=verdict)
        if not verdict.accepted:
            return attrs.evolve(made, reason=f"{AFTER_RENDER}{verdict.reason}")
        return self._pass_gates(made, seen) if len(self._gates) else made

    def _pass_gates(self, made: _Try, seen: Sequence[Sequence[Any]]) -> _Try:
        shot, rows, least = made.shot, made.rows, self.recipe.output.min_visible_share
        verdict, traits = self._gates.judge(shot, left_of(shot, rows, made.verdict, least), seen)
        whole = attrs.evolve(
            verdict,
            reason=made.verdict.reason or verdict.reason,
            unannotated=made.verdict.unannotated | verdict.unannotated,
        )
        left = left_of(shot, rows, whole, least)
        if not verdict.accepted or (verdict.unannotated and not left):
            return attrs.evolve(made, verdict=verdict, reason=f"{AFTER_RENDER}{verdict.reason}", gate="render")
        add_columns(rows, verdict.columns)
        made = attrs.evolve(made, verdict=whole, traits=tuple(traits))
        if verdict.painted:
            shot = paint(shot, rows, verdict.painted, {row["id"] for row in left})
            # What stands beside a black box has other surroundings now.
            made = attrs.evolve(made, shot=shot, columns=measure(self._metrics, shot, rows))
        return made

    def _noise(self, index: int) -> int:
        """The renderer's own seed."""
        return int(stream(self.recipe.seed, index, "render").integers(2**31))

    def _annotate(self, shot: Shot, rows: list[dict[str, Any]], verdict: Verdict) -> None:
        for row in rows:
            row["reason"] = why_not(shot, row, verdict, self.recipe.output.min_visible_share)
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


DRAFT = "draft: "
"""Prefix of reasons given after a draft."""

AFTER_RENDER = "render: "
"""Prefix of reasons given after the full render was paid for."""


def _named(uses: Sequence[PluginUse]) -> list[tuple[str, Any]]:
    """Plugins with the names of their random streams, which stay apart when one plugin is used twice."""
    return [(f"{use.kind}.{use.id}.{number}", use.plugin) for number, use in enumerate(uses)]
