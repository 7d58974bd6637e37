# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes one frame: draws its goals and makes attempts until one is accepted; variants and cameras share the frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from ..block import Block
from ..errors import StageError
from ..geometry.classes_in_reach import fit_in_reach
from ..geometry.reachability import solves_for_goals, union_of_reaches
from ..goals import Boxes, Goals, Reach
from ..instance_row import InstanceRow
from ..plugin.contract import attribute_errors_to
from ..plugin.hooks import attempts_per_draw
from ..plugin.kinds import FittedTarget
from ..plugin.params import unknown
from ..plugin.results import Rejected
from ..recipe.settings import Recipe
from ..recipe.variants import variants_of
from ..rng import stream
from ..sequences.groups import FrameRole, groups_of
from ..sequences.take import make_take
from ..stage import Stage
from .attempt import Trial
from .column_goals import ColumnGoalScorer
from .frame import Frame, accepted_frame
from .gates import OpenGates, Refusal, refusal
from .kept_surveys import kept_survey
from .layouts import LayoutKeeper, ProbedAttempt, SharedLayout, shares_layout, view_attempts
from .schedule import Assignment, EmptyFrames, FramePlan, Schedule, Share, plan_of
from .splits import Parts, with_parts


@attrs.frozen(eq=False)
class _Fit:
    """A target fitted for each part, and what it was fitted for; variants with the same key share its draws."""

    key: tuple[Any, ...]
    targets: tuple[FittedTarget, ...]
    reach: dict[str, Reach]


Survey = tuple[tuple[Any, ...], dict[str, Reach]]
"""The arguments of a survey of reach, and its result."""


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
        Surveys of reach by earlier samplers of this stage, which are not repeated; grows.
    plan : FramePlan, optional
        Rooms and parts of frames, for the sampler of one room of several.
    scorer : ColumnGoalScorer, optional
        Of the recipe's goals for columns; left out, there are none.
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
        plan: FramePlan | None = None,
        scorer: ColumnGoalScorer | None = None,
    ) -> None:
        self.recipe = recipe
        self.stage = stage = with_parts(stage, recipe)
        self._cameras = recipe.plugins["camera"]
        self.gates = OpenGates() if gates is None else gates
        self.scorer = ColumnGoalScorer((), (), recipe.seed) if scorer is None else scorer
        self._trial = Trial(recipe, stage, self.gates)
        self._fits: list[_Fit] = [] if fits is None else fits
        self._surveys: list[Survey] = [] if surveys is None else surveys
        self._fit = -1
        self.variants: tuple[Sampler, ...] = ()
        if recipe.variants:
            self.variants = tuple(
                Sampler(one, stage, real, self.gates, fits=self._fits, surveys=self._surveys, scorer=self.scorer)
                for one in variants_of(recipe)
            )
        elif recipe.plugins.get("target"):
            self._fit = self._fitted(recipe.plugins["target"][0].plugin, real)
        weights = [v.weight for v in recipe.variants] or [1.0]
        shares = [s._share(weight) for s, weight in zip(self.variants or [self], weights, strict=True)]
        self._schedule = Schedule(recipe.seed, shares)
        self._plan = plan_of(recipe) if plan is None else plan
        self._empty_frames = EmptyFrames(recipe.seed, recipe.empty_share)
        self._groups = groups_of(recipe)
        self._layouts = LayoutKeeper(stage, self._trial, self._probe)

    @property
    def targets(self) -> tuple[FittedTarget, ...]:
        """All fitted targets: one, or none, without variants."""
        return tuple(fit.targets[0] for fit in self._fits)

    @property
    def target(self) -> FittedTarget | None:
        """The fitted target, that of the first variant that has one; None without any."""
        fit = self._fits[self._fit] if self._fit >= 0 else next(iter(self._fits), None)
        return fit.targets[0] if fit else None

    @property
    def reach(self) -> dict[str, Reach]:
        """What boxes the scene can show of each class of the target; in any of the variants."""
        fits = [self._fits[self._fit]] if self._fit >= 0 else self._fits
        return union_of_reaches(fit.reach for fit in fits)

    def frame(
        self,
        index: int,
        block: Block,
        *,
        attempts: range | None = None,
        render: bool = True,
    ) -> Frame:
        """Sample one frame.

        Parameters
        ----------
        index : int
            Frame index.
        block : Block
            What earlier accepted frames of its block have shown; not changed.
        attempts : range, optional
            The attempts to make; default is all that the recipe allows. A replay makes the accepted one only.
        render : bool
            Without a render the frame ends with its probe: labels and boxes are those of the frame, picture, amodal
            masks and metrics are left out.
        """
        assignment = self._assignment_of(index)
        part = self._show(assignment)
        if not self.variants:
            return attrs.evolve(self._frame_of_group(index, assignment, block, attempts, render), part=part)
        made = self.variants[assignment.variant]._frame_of_group(index, assignment, block, attempts, render)
        return attrs.evolve(
            made, part=part, variant=self.recipe.variants[assignment.variant].name or str(assignment.variant + 1)
        )

    def prepare(self, index: int) -> Iterator[str]:
        """Prepare for a frame; yields a caption before each step that takes time."""
        return iter(())

    def report(self) -> dict[str, Any]:
        """Stage, reach and targets as JSON values."""
        reports = [target.report() for target in self.targets]
        parts: dict[str, list[str]] = {}
        part_of = self.stage.part_of if isinstance(self.stage, Parts) else {}
        for name, part in sorted(part_of.items()):
            parts.setdefault(part, []).append(name)
        return {
            "stage": self.stage.info(),
            "reach": {name: reach.to_json() for name, reach in self.reach.items()},
            "target": reports[0] if reports else None,
            **({"targets": reports} if len(reports) > 1 else {}),
            **({"goals": self.scorer.report()} if len(self.scorer) else {}),
            **({"parts": parts} if parts else {}),
        }

    def warm_up(self) -> Iterator[int]:
        """Render the warm-up frames of gates, and let them learn; yields how many are done.

        They are frames like the job's, drawn with a seed of their own: none of them is one of the job's, and every
        machine has the same ones.
        """
        self.gates.open(self.recipe)
        for done, _ in enumerate(self.rehearse(range(self.gates.warm_up)), 1):
            yield done
        for gates in self.gates:
            gates.learn()

    def rehearse(self, indices: Iterable[int]) -> Iterator[int]:
        """Show gates the warm-up frames of these indices; yields each when it is done."""
        block = Block()
        for done, index in enumerate(indices):
            if done % self.recipe.render.block_size == 0:
                block = Block()
            assignment = self._assignment_of(index)
            self._show(assignment)
            rows = (self.variants[assignment.variant] if self.variants else self)._warm_up(index, assignment, block)
            if rows:
                block.add(((row["class"], row["bbox"]) for row in rows if row["bbox"]), self.stage.resolution)
            yield index

    def _assignment_of(self, index: int) -> Assignment:
        place = self._plan(index)
        # Counted apart, so that empty frames take no draws of the target from the others.
        is_empty, number = self._empty_frames(place.number)
        assigned, views = self._schedule(number), self._groups.views
        draw = assigned.draw * views + index % views
        return attrs.evolve(assigned, draw=draw, part=place.part, is_empty=is_empty)

    def _show(self, assignment: Assignment) -> str:
        """Let the stage show the frame's part of the dataset; returns its name."""
        if not isinstance(self.stage, Parts):
            return ""
        self.stage.part = list(self.recipe.split.shares)[assignment.part]
        return self.stage.part

    def _warm_up(self, index: int, assignment: Assignment, block: Block) -> list[InstanceRow]:
        if index >= self._trial.gates.warm_up:
            return []
        seed = int(stream(self.recipe.seed, "warm-up").integers(2**31))
        return self._trial.warm_up(seed, index, self._cameras[assignment.camera], self._goals(index, assignment, block))

    def _frame_of_group(
        self, index: int, assignment: Assignment, block: Block, attempts: range | None, render: bool
    ) -> Frame:
        """A frame, or in a sequence or rig a later moment or another camera of the frame that has its layout."""
        role = self._groups.role(index)
        if role.is_key or self._groups.views > 1:
            made = self._frame(index, assignment, block, attempts, render)
        else:
            made = self._later_frame(index, role, assignment, block, attempts, render)
        return attrs.evolve(made, sequence=self._groups.record(role))

    def _later_frame(
        self, index: int, role: FrameRole, assignment: Assignment, block: Block, attempts: range | None, render: bool
    ) -> Frame:
        camera = self._cameras[assignment.camera].id
        attempt = block.attempt if attempts is None else attempts.start
        layout = self._layouts.restored(role.key, assignment, block, attempt)
        take = None if layout is None else layout.take
        if layout is None or take is None:
            return Frame(index, 1, ("sequence: no layout for its first frame",), camera, Goals(frame=index))
        layout = self._layouts.dressed(layout)
        made = self._trial.later(index, layout.made, take, role, render=render)
        self._layouts.keep(layout)
        self._trial.annotate(made)
        return accepted_frame(index, camera, Goals(frame=index), made, (), self.stage)

    def _frame(self, index: int, assignment: Assignment, block: Block, attempts: range | None, render: bool) -> Frame:
        use = self._cameras[assignment.camera]
        rejected: list[str] = []
        refused: list[Refusal] = []
        for probed in self._probed(index, assignment, block, attempts, rejected):
            made, goals, goal_values = probed.made, probed.goals, probed.goal_values
            if assignment.is_empty:
                made, goals, goal_values = self._trial.without_annotatable(made), Goals(frame=index), ()
            layout, dressed = probed.layout, made
            if render:
                dressed, layout = self._layouts.dress(index, made, goals, layout)
                made = self._trial.render(index, dressed, block, probed.take, self._groups.role(index))
            if made.gate:
                camera = made.shot.camera
                refused.append(refusal(probed.attempt, made.gate, made.verdict, made.rows, camera, made.appearance))
            if made.reason:
                rejected.append(made.reason)
                continue
            self._trial.annotate(made)
            if probed.take is not None:
                made = self._trial.with_moments(made, probed.take, self._groups.role(index))
            if self._groups.size > 1:
                self._layouts.keep(layout := layout or SharedLayout(index, dressed, goals, probed.take, render))
            return attrs.evolve(
                accepted_frame(index, use.id, goals, made, tuple(rejected), self.stage),
                refused=tuple(refused),
                goal_values=goal_values,
                compared=probed.compared,
                layout=layout.key if layout and self._groups.views > 1 else None,
            )
        goals = self._goals(index, assignment, block, (attempts or range(self.recipe.render.max_attempts))[-1])
        made_for = index if self._groups.views > 1 else None
        return Frame(index, len(rejected), tuple(rejected), use.id, goals, refused=tuple(refused), layout=made_for)

    def _probed(
        self, index: int, assignment: Assignment, block: Block, attempts: range | None, rejected: list[str]
    ) -> Iterator[ProbedAttempt]:
        """Yield probed attempts, the best of several first, each while it is on the stage; collects rejections."""
        tried = range(self.recipe.render.max_attempts) if attempts is None else attempts
        # A replay knows which attempt it was; no others are compared with it.
        candidates = self.scorer.candidates if attempts is None else 1
        kept: list[ProbedAttempt] = []
        for attempt in tried:
            probed = self._probe(index, assignment, block, attempt)
            if probed.made.reason:
                rejected.append(probed.made.reason)
            else:
                kept.append(probed)
            on_stage = attempt
            while kept and (len(kept) >= candidates or attempt == tried[-1]):
                best = min(kept, key=lambda p: (p.cost, p.attempt))
                if best.attempt != on_stage:
                    again = self._probe(index, assignment, block, best.attempt)
                    on_stage = best.attempt
                    yield attrs.evolve(again, compared=len(kept))
                else:
                    yield attrs.evolve(best, compared=len(kept))
                kept.remove(best)

    def _probe(self, index: int, assignment: Assignment, block: Block, attempt: int) -> ProbedAttempt:
        goals, use = self._goals(index, assignment, block, attempt), self._cameras[assignment.camera]
        layout = self._shared(index, assignment, block, attempt)
        if layout is None:
            made = self._trial.probe(self.recipe.seed, index, attempt, use, goals)
        else:
            made = self._trial.view(index, attempt, layout.made, use, goals)
            self._layouts.keep(layout)
        take = None
        if self._groups.has_takes and not made.reason:
            try:
                rng = stream(self.recipe.seed, index, attempt, "sequence")
                settings, still = self.recipe.sequence, made.removed.keys()
                take = make_take(self.stage, made.shot.camera, settings, self.recipe.rig, rng, still)
                if assignment.is_empty:  # what is left then has other ids
                    take = attrs.evolve(take, things={})
            except Rejected as rejection:
                made = attrs.evolve(made, reason=rejection.reason)
        if made.reason or not len(self.scorer):
            return ProbedAttempt(attempt, goals, made, take=take, layout=layout)
        shown = self.scorer.measure(self._trial, index, made)
        first = index - index % self.recipe.render.block_size
        cost = self.scorer.cost(shown, block, range(first, index + 1))
        return ProbedAttempt(attempt, goals, made, shown, cost, take=take, layout=layout)

    def _shared(self, index: int, assignment: Assignment, block: Block, attempt: int) -> SharedLayout | None:
        """The layout of an earlier frame, on the stage, that an attempt shows; None where it makes its own."""
        limit = view_attempts(self.recipe.render.max_attempts, self.scorer.candidates)
        if not shares_layout(self._groups.role(index), assignment, block) or attempt >= limit:
            return None
        key = block.layout if block.layout is not None else index
        of_key = attrs.evolve(assignment, draw=assignment.draw - index + key)
        return self._layouts.restored(key, of_key, block, block.attempt)

    def _goals(self, index: int, assignment: Assignment, block: Block, attempt: int = 0) -> Goals:
        if self._fit < 0 or not solves_for_goals(self._cameras[assignment.camera].plugin):
            return Goals(frame=index)
        plugin, target = self.recipe.plugins["target"][0].plugin, self._fits[self._fit].targets[assignment.part]
        with attribute_errors_to(plugin):
            # Goals that failed so many attempts give way to another draw; which one follows from the attempt alone.
            attempts = attempts_per_draw(plugin, target)
            redraw = (attempt // max(attempts, self.scorer.candidates),) if attempts else ()
            goals = target.draw(assignment.draw, block, *redraw)
        return attrs.evolve(goals, frame=index)

    def _share(self, weight: float) -> Share:
        """This variant as the schedule sees it."""
        return Share(
            weight, [u.weight for u in self._cameras], [solves_for_goals(u.plugin) for u in self._cameras], self._fit
        )

    def _fitted(self, target: Any, real: Mapping[str, Boxes]) -> int:
        """Index among all fits of the target fitted for these placements and this camera; fits it if it is new."""
        camera = next((u.plugin for u in self._cameras if solves_for_goals(u.plugin)), None)
        key = (target, camera, *(p for _, p in self._trial.placements))
        for index, fit in enumerate(self._fits):
            if fit.key == key:
                return index
        reach: dict[str, Reach] = {}
        if camera is not None:
            names = target.handled_classes(list(real))
            for name in names:
                if name not in self.stage.assets:
                    raise StageError(
                        unknown("[target] the recipe has no class", name, [n for n in self.stage.assets if n])
                    )
            arguments = (self.recipe.seed, list(names), camera, *(p for _, p in self._trial.placements))
            known = next((result for key, result in self._surveys if key == arguments), None)
            reach = known or kept_survey(
                self.recipe,
                self.stage,
                self._trial.placements,
                camera,
                names,
                lambda goals: self._trial.sites(camera, goals),
            )
            if known is None:
                self._surveys.append((arguments, reach))
        output = self.recipe.output
        with attribute_errors_to(target):
            # Each part has draws of its own, else frames of two parts would be made for the same goals.
            seeds = [
                int(stream(self.recipe.seed, "part", number).integers(2**31)) if number else self.recipe.seed
                for number in range(max(1, len(self.recipe.split.shares)))
            ]
            fitted = fit_in_reach(
                target,
                real,
                reach,
                lambda one, boxes: tuple(one.fit(boxes, reach, seed, output.width / output.height) for seed in seeds),
            )
        self._fits.append(_Fit(key, fitted, {name: each for name, each in reach.items() if not each.reason}))
        return len(self._fits) - 1
