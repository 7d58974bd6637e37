# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes one frame: draws its goals and makes attempts until one is accepted; variants and cameras take turns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from ..block import Block
from ..errors import StageError
from ..geometry.reachability import solves_for_goals, survey_reach, union_of_reaches
from ..goals import Boxes, Goals, Reach
from ..instance_row import InstanceRow
from ..plugin.contract import attribute_errors_to
from ..plugin.hooks import attempts_per_draw
from ..plugin.kinds import FittedTarget
from ..plugin.params import unknown
from ..recipe.settings import Recipe
from ..recipe.variants import variants_of
from ..rng import stream
from ..stage import Instance, Shot, Stage
from .attempt import Attempt, Trial
from .column_goals import Aims, Shown
from .gates import OpenGates, Refusal, refusal
from .schedule import Plan, Schedule, Share, Turn
from .splits import Parts, in_parts


@attrs.frozen(eq=False)
class Frame:
    """One frame as the sampler leaves it. ``shot`` and ``rows`` are None and empty where it was given up.

    ``rows`` holds one dict per annotatable instance, in the order of ``shot.instances``. ``variant`` is the name of the
    variant that made it, or its number; "" where the recipe has none; so is ``room``. ``part`` is that of the dataset
    whose assets it shows; "" where it has no parts. ``appearance`` is what was done to world, lights
    and background, see :class:`.draws.DrawRecorder`. ``refused`` says what gates saw in attempts that they rejected,
    ``score`` what they gave the accepted one, ``traits`` by what they compare later frames of the block with it.
    ``aims`` is what it shows of each goal's column, ``compared`` how many probed attempts were held against each other.
    """

    index: int
    attempts: int
    rejected: tuple[str, ...]
    camera: str
    goals: Goals
    shot: Shot | None = None
    rows: tuple[InstanceRow, ...] = ()
    columns: Mapping[str, Any] = attrs.field(factory=dict)
    bystanders: tuple[Instance, ...] = ()
    appearance: tuple[dict[str, Any], ...] = ()
    variant: str = ""
    room: str = ""
    part: str = ""
    refused: tuple[Refusal, ...] = ()
    score: float | None = None
    traits: tuple[Any, ...] = ()
    aims: tuple[Shown, ...] = ()
    compared: int = 0


@attrs.frozen(eq=False)
class _Probed:
    """A probed attempt that was not rejected: its number, its goals, what it shows of the recipe's goals."""

    attempt: int
    goals: Goals
    made: Attempt
    aims: tuple[Shown, ...] = ()
    cost: float = 0.0
    compared: int = 0


@attrs.frozen(eq=False)
class _Fit:
    """A target fitted for each part, and what it was fitted for: variants that are alike in that share its draws."""

    key: tuple[Any, ...]
    targets: tuple[FittedTarget, ...]
    reach: dict[str, Reach]


Survey = tuple[tuple[Any, ...], dict[str, Reach]]
"""What a survey was asked and what it found."""


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
    plan : Plan, optional
        Where frames belong, for the sampler of one room of several.
    aims : Aims, optional
        The recipe's goals for columns, with the values wanted; left out, none is followed.
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
        plan: Plan | None = None,
        aims: Aims | None = None,
    ) -> None:
        self.recipe = recipe
        self.stage = stage = in_parts(stage, recipe)
        self._cameras = recipe.plugins["camera"]
        self.gates = OpenGates() if gates is None else gates
        self.aims = Aims((), (), recipe.seed) if aims is None else aims
        self._trial = Trial(recipe, stage, self.gates)
        self._fits: list[_Fit] = [] if fits is None else fits
        self._surveys: list[Survey] = [] if surveys is None else surveys
        self._fit = -1
        self.variants: tuple[Sampler, ...] = ()
        if recipe.variants:
            self.variants = tuple(
                Sampler(one, stage, real, self.gates, fits=self._fits, surveys=self._surveys, aims=self.aims)
                for one in variants_of(recipe)
            )
        elif recipe.plugins.get("target"):
            self._fit = self._fitted(recipe.plugins["target"][0].plugin, real)
        weights = [v.weight for v in recipe.variants] or [1.0]
        shares = [s._share(weight) for s, weight in zip(self.variants or [self], weights, strict=True)]
        self._turn = Schedule(recipe.seed, shares)
        self._plan = plan_of(recipe) if plan is None else plan

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
        turn = self._turn_of(index)
        part = self._show(turn)
        if not self.variants:
            return attrs.evolve(self._frame(index, turn, block, attempts, render), part=part)
        made = self.variants[turn.variant]._frame(index, turn, block, attempts, render)
        return attrs.evolve(made, part=part, variant=self.recipe.variants[turn.variant].name or str(turn.variant + 1))

    def prepare(self, index: int) -> Iterator[str]:
        """Make ready for a frame; says what takes time before it is done."""
        return iter(())

    def facts(self) -> dict[str, Any]:
        """What is known of stage and targets, as JSON values."""
        reports = [target.report() for target in self.targets]
        parts: dict[str, list[str]] = {}
        part_of = self.stage.part_of if isinstance(self.stage, Parts) else {}
        for name, part in sorted(part_of.items()):
            parts.setdefault(part, []).append(name)
        return {
            "stage": self.stage.info(),
            "reach": {name: reach.facts() for name, reach in self.reach.items()},
            "target": reports[0] if reports else None,
            **({"targets": reports} if len(reports) > 1 else {}),
            **({"goals": self.aims.facts()} if len(self.aims) else {}),
            **({"parts": parts} if parts else {}),
        }

    def warm_up(self) -> Iterator[int]:
        """Render the frames that gates want to learn from, and let them learn; yields how many are done.

        They are frames like the job's, drawn with a seed of their own: none of them is one of the job's, and every
        machine has the same ones.
        """
        self.gates.open(self.recipe)
        for done, _ in enumerate(self.rehearse(range(self.gates.warm_up)), 1):
            yield done
        for gates in self.gates:
            gates.conclude()

    def rehearse(self, indices: Iterable[int]) -> Iterator[int]:
        """Let gates take in the warm-up frames of these indices; yields each when it is done."""
        block = Block()
        for done, index in enumerate(indices):
            if done % self.recipe.render.block_size == 0:
                block = Block()
            turn = self._turn_of(index)
            self._show(turn)
            rows = (self.variants[turn.variant] if self.variants else self)._warm_up(index, turn, block)
            if rows:
                block.add(((row["class"], row["bbox"]) for row in rows if row["bbox"]), self.stage.resolution)
            yield index

    def _turn_of(self, index: int) -> Turn:
        place = self._plan(index)
        return attrs.evolve(self._turn(place.number), part=place.part)

    def _show(self, turn: Turn) -> str:
        """Let the stage show the part of the dataset whose turn it is; returns its name."""
        if not isinstance(self.stage, Parts):
            return ""
        self.stage.part = list(self.recipe.split.shares)[turn.part]
        return self.stage.part

    def _warm_up(self, index: int, turn: Turn, block: Block) -> list[InstanceRow]:
        if index >= self._trial.gates.warm_up:
            return []
        seed = int(stream(self.recipe.seed, "warm-up").integers(2**31))
        return self._trial.warm_up(seed, index, self._cameras[turn.camera], self._goals(index, turn, block))

    def _frame(self, index: int, turn: Turn, block: Block, attempts: range | None, render: bool) -> Frame:
        use = self._cameras[turn.camera]
        rejected: list[str] = []
        refused: list[Refusal] = []
        for probed in self._probed(index, turn, block, attempts, rejected):
            made = self._trial.render(index, probed.made, block) if render else probed.made
            if made.gate:
                camera = made.shot.camera
                refused.append(refusal(probed.attempt, made.gate, made.verdict, made.rows, camera, made.appearance))
            if made.reason:
                rejected.append(made.reason)
                continue
            self._trial.annotate(made.shot, made.rows, made.verdict)
            return Frame(
                index,
                probed.attempt + 1,
                tuple(rejected),
                use.id,
                probed.goals,
                made.shot,
                tuple(made.rows),
                made.columns,
                tuple(i for i in self.stage.instances if not i.asset.class_name),
                made.appearance,
                refused=tuple(refused),
                score=made.verdict.score,
                traits=made.traits,
                aims=probed.aims,
                compared=probed.compared,
            )
        goals = self._goals(index, turn, block, (attempts or range(self.recipe.render.max_attempts))[-1])
        return Frame(index, len(rejected), tuple(rejected), use.id, goals, refused=tuple(refused))

    def _probed(
        self, index: int, turn: Turn, block: Block, attempts: range | None, rejected: list[str]
    ) -> Iterator[_Probed]:
        """Probed attempts to render, the best of several first, each on the stage when it is given; notes reasons."""
        tried = range(self.recipe.render.max_attempts) if attempts is None else attempts
        # A replay knows which attempt it was; nothing has to be held against it.
        wanted = self.aims.candidates if attempts is None else 1
        kept: list[_Probed] = []
        for attempt in tried:
            probed = self._probe(index, turn, block, attempt)
            if probed.made.reason:
                rejected.append(probed.made.reason)
            else:
                kept.append(probed)
            on_stage = attempt
            while kept and (len(kept) >= wanted or attempt == tried[-1]):
                best = min(kept, key=lambda p: (p.cost, p.attempt))
                if best.attempt != on_stage:
                    again = self._probe(index, turn, block, best.attempt)
                    on_stage = best.attempt
                    yield attrs.evolve(again, compared=len(kept))
                else:
                    yield attrs.evolve(best, compared=len(kept))
                kept.remove(best)

    def _probe(self, index: int, turn: Turn, block: Block, attempt: int) -> _Probed:
        goals = self._goals(index, turn, block, attempt)
        made = self._trial.probe(self.recipe.seed, index, attempt, self._cameras[turn.camera], goals)
        if made.reason or not len(self.aims):
            return _Probed(attempt, goals, made)
        shown = self.aims.measure(self._trial, index, made)
        first = index - index % self.recipe.render.block_size
        cost = self.aims.cost(shown, block, range(first, index + 1))
        return _Probed(attempt, goals, made, shown, cost)

    def _goals(self, index: int, turn: Turn, block: Block, attempt: int = 0) -> Goals:
        if self._fit < 0 or not solves_for_goals(self._cameras[turn.camera].plugin):
            return Goals(frame=index)
        plugin, target = self.recipe.plugins["target"][0].plugin, self._fits[self._fit].targets[turn.part]
        with attribute_errors_to(plugin):
            # Goals that failed so many attempts give way to another draw; which one follows from the attempt alone.
            attempts = attempts_per_draw(plugin, target)
            redraw = (attempt // max(attempts, self.aims.candidates),) if attempts else ()
            goals = target.draw(turn.draw, block, *redraw)
        return attrs.evolve(goals, frame=index)

    def _share(self, weight: float) -> Share:
        """What the schedule has to know of this variant."""
        return Share(
            weight, [u.weight for u in self._cameras], [solves_for_goals(u.plugin) for u in self._cameras], self._fit
        )

    def _fitted(self, target: Any, real: Mapping[str, Boxes]) -> int:
        """Index of the target fitted for these placements and this camera among all fits; fits it where it is new."""
        camera = next((u.plugin for u in self._cameras if solves_for_goals(u.plugin)), None)
        key = (target, camera, *(p for _, p in self._trial.placements))
        for index, fit in enumerate(self._fits):
            if fit.key == key:
                return index
        reach: dict[str, Reach] = {}
        if camera is not None:
            wanted = target.handled_classes(list(real))
            for name in wanted:
                if name not in self.stage.assets:
                    raise StageError(
                        unknown("[target] the recipe has no class", name, [n for n in self.stage.assets if n])
                    )
            asked = (self.recipe.seed, list(wanted), camera, *(p for _, p in self._trial.placements))
            known = next((found for key, found in self._surveys if key == asked), None)
            reach = known or survey_reach(
                self.stage,
                self._trial.placements,
                camera,
                wanted,
                self.recipe.seed,
                sites=lambda goals: self._trial.sites(camera, goals),
            )
            if known is None:
                self._surveys.append((asked, reach))
        output = self.recipe.output
        with attribute_errors_to(target):
            # Each part has draws of its own, else frames of two parts would be made for the same goals.
            seeds = [
                int(stream(self.recipe.seed, "part", number).integers(2**31)) if number else self.recipe.seed
                for number in range(max(1, len(self.recipe.split.shares)))
            ]
            fitted = tuple(target.fit(real, reach, seed, output.width / output.height) for seed in seeds)
        self._fits.append(_Fit(key, fitted, reach))
        return len(self._fits) - 1


def plan_of(recipe: Recipe) -> Plan:
    """Where each frame of a recipe belongs."""
    rooms = [room.weight for room in recipe.rooms]
    return Plan(recipe.render.block_size, rooms, list(recipe.split.shares.values()))
