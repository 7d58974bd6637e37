# SPDX-License-Identifier: GPL-3.0-or-later
"""One try at a frame: placed, varied, posed and probed; then rendered, measured and judged where the probe will do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import attrs

from ..block import Block
from ..geometry.reachability import run_placements
from ..geometry.support import CONTACT_GAP, Site
from ..goals import Goals
from ..instance_row import InstanceRow
from ..plugin.contract import attribute_errors_to
from ..plugin.hooks import defines
from ..plugin.results import Rejected, Verdict
from ..recipe.settings import PluginUse, Recipe
from ..rng import stream
from ..sequences.groups import FrameRole
from ..sequences.take import Take
from ..stage import CameraPose, Shot, Stage
from .effects import AttemptEffects
from .evaluation import (
    EMPTY_SHOT,
    add_columns,
    annotated_rows,
    basic_row,
    early_verdict,
    exclusion_reason,
    goals_of,
    judge,
    main_of,
    measure,
)
from .gates import Gates, OpenGates, is_gate, paint_black, render_draft
from .recorded_draws import DrawRecorder


@attrs.frozen(eq=False)
class Attempt:
    """One try at a frame, its ``number`` counted from 0.

    ``reason`` says why it was rejected, ``gate`` at which stage a gate did so, "" otherwise. ``removed`` says by id why
    instances were taken out of the picture. ``appearance`` is what was done to the stage, ``of_layout`` that part of it
    which does not follow the camera.
    """

    shot: Shot
    rows: list[InstanceRow]
    columns: Mapping[str, Any] = attrs.field(factory=dict)
    appearance: tuple[dict[str, Any], ...] = ()
    of_layout: tuple[dict[str, Any], ...] = ()
    verdict: Verdict = Verdict(True)
    reason: str = ""
    gate: str = ""
    traits: tuple[Any, ...] = ()
    number: int = 0
    effects: AttemptEffects = attrs.field(factory=AttemptEffects)
    removed: Mapping[int, str] = attrs.field(factory=dict)


class Trial:
    """Makes attempts by the plugins of one recipe, which has no variants.

    Parameters
    ----------
    recipe : Recipe
    stage : Stage
    gates : OpenGates
        The gates of the recipe, or of the one that it is a variant of.
    """

    def __init__(self, recipe: Recipe, stage: Stage, gates: OpenGates) -> None:
        self.recipe = recipe
        self.stage = stage
        uses = recipe.plugins
        # Whatever the recipe's order, so that the others place around these.
        self.placements = sorted(_named(uses.get("placement", ())), key=lambda p: not p[1].runs_first)
        self.appearances = _named(uses.get("appearance", ()))
        self.effects = _named(uses.get("effect", ()))
        self.metrics = _named(uses.get("metric", ()))
        self.filters = [u.plugin for u in uses.get("filter", ()) if not is_gate(u.plugin)]
        self._gates = gates
        self._offers: list[tuple[Any, Site]] | None = None

    @property
    def gates(self) -> Gates:
        return self._gates.of(self.recipe)

    def probe(self, seed: int, index: int, attempt: int, use: PluginUse, goals: Goals) -> Attempt:
        """One try as far as its probe."""
        stage = self.stage
        recorder = DrawRecorder(stage, self.recipe)
        stage.clear()
        sites = self.sites(use.plugin, goals)
        offering = [plugin for plugin, _ in self._offers or ()] if sites else []
        placing = [p for p in self.placements if not any(p[1] is plugin for plugin in offering)]
        try:
            run_placements(stage, placing, goals, seed, index, attempt)
            self._vary("before_camera", recorder, seed, index, attempt, goals)
            with attribute_errors_to(use.plugin):
                rng = stream(seed, index, attempt, use.stream)
                if sites:
                    pose = use.plugin.place_and_pose(stage, goals, sites, rng)
                else:
                    pose = use.plugin.pose(stage, goals, rng)
        except Rejected as rejection:
            return Attempt(EMPTY_SHOT, [], reason=rejection.reason)
        stage.pose_camera(pose)
        self._vary("after_camera", recorder, seed, index, attempt, goals)
        return self._probed(pose, recorder, seed, index, attempt, goals)

    def view(self, index: int, attempt: int, layout: Attempt, use: PluginUse, goals: Goals) -> Attempt:
        """One try at another view of the layout that is on the stage, as far as its probe."""
        stage, seed = self.stage, self.recipe.seed
        recorder = DrawRecorder(stage, self.recipe)
        recorder.calls += layout.of_layout
        recorder.of_layout += layout.of_layout
        stage.begin_view()
        try:
            with attribute_errors_to(use.plugin):
                pose = use.plugin.pose(stage, goals, stream(seed, index, attempt, use.stream))
        except Rejected as rejection:
            return Attempt(EMPTY_SHOT, [], reason=rejection.reason)
        stage.pose_camera(pose)
        self._vary("after_camera", recorder, seed, index, attempt, goals, of_view=True)
        return self._probed(pose, recorder, seed, index, attempt, goals)

    def _probed(
        self, pose: CameraPose, recorder: DrawRecorder, seed: int, index: int, attempt: int, goals: Goals
    ) -> Attempt:
        """An attempt whose camera has been posed, with its probe and the verdict on it."""
        stage = self.stage
        pose = stage.camera or pose  # with the optics of the recipe's camera
        effects = AttemptEffects(self.effects, seed, index, attempt)
        calls, of_layout = tuple(recorder.calls), tuple(recorder.of_layout)
        made = Attempt(EMPTY_SHOT, [], {}, calls, of_layout, number=attempt, effects=effects)
        made = self._judge_probe(made, pose, goals)
        # What the removed instances have hidden may be too small in its turn.
        while not made.reason and (removed := made.verdict.removed - made.removed.keys()):
            stage.hide(removed)
            reasons = {**made.removed, **dict.fromkeys(removed, made.verdict.reason)}
            made = self._judge_probe(attrs.evolve(made, removed=reasons), pose, goals)
        return made

    def _judge_probe(self, made: Attempt, pose: CameraPose, goals: Goals) -> Attempt:
        """The attempt with its probe, and the verdict on it."""
        stage = self.stage
        annotatable = tuple(i for i in stage.instances if i.asset.class_name)
        probed = made.effects.of_probe(Shot(EMPTY_SHOT.image, stage.probe(1.0), annotatable, {}, pose))
        if any(each.probes_amodal for each in self.filters):
            probed = attrs.evolve(probed, amodal=made.effects.of_amodal(stage.amodal()))
        labels = probed.labels
        matched = goals_of(annotatable, labels, goals)
        main = main_of(annotatable, labels, goals, matched)
        rows = [basic_row(i, labels, main) for i in annotatable]
        for row in rows if goals.boxes else ():
            row["goal"] = matched.get(row["id"])
        verdict = early_verdict(self.filters, probed, rows, goals)
        reason = "" if verdict.accepted else verdict.reason
        return attrs.evolve(made, shot=attrs.evolve(probed, amodal={}), rows=rows, verdict=verdict, reason=reason)

    def _vary(
        self,
        time: str,
        recorder: DrawRecorder,
        seed: int,
        index: int,
        attempt: int,
        goals: Goals,
        of_view: bool | None = None,
    ) -> None:
        """Run the appearances whose time it is; ``of_view`` chooses those that follow the camera, or the others."""
        for name, appearance in self.appearances:
            if appearance.runs == time and of_view in (None, appearance.follows_camera):
                before = len(recorder.calls)
                with attribute_errors_to(appearance):
                    own_goals = (goals,) if appearance.uses_goals else ()
                    appearance.vary(cast(Stage, recorder), stream(seed, index, attempt, name), *own_goals)
                if not appearance.follows_camera:
                    recorder.of_layout += recorder.calls[before:]

    def dress(
        self, index: int, made: Attempt, goals: Goals, seed: int | None = None, of_view: bool | None = None
    ) -> Attempt:
        """Finish the look of an attempt whose probe will do, which is on the stage: materials, light by drafts.

        ``of_view`` leaves out what all views of the layout share, or for False the rest.
        """
        recorder = DrawRecorder(self.stage, self.recipe)
        for time in ("before_render", "last"):
            self._vary(time, recorder, self.recipe.seed if seed is None else seed, index, made.number, goals, of_view)
        appearance, of_layout = (*made.appearance, *recorder.calls), (*made.of_layout, *recorder.of_layout)
        return attrs.evolve(made, appearance=appearance, of_layout=of_layout)

    def without_annotatable(self, made: Attempt) -> Attempt:
        """The view of an attempt that is on the stage, without the instances that would be annotated, and without what
        stands on them."""
        stage = self.stage
        instances = stage.instances
        distractors = [i for i in instances if not i.asset.class_name]
        others = {i.id for i in distractors}
        left = [i for i in distractors if not stage.collides(i.asset, i.matrix, gap=2 * CONTACT_GAP, ignore=others)]
        stage.take_back(len(instances))
        for instance in left:
            stage.place(instance.asset, instance.matrix)
        probed = Shot(made.shot.image, stage.probe(1.0), (), {}, made.shot.camera)
        return attrs.evolve(made, shot=made.effects.of_probe(probed), rows=[], verdict=Verdict(True))

    def sites(self, camera: Any, goals: Goals) -> list[Site]:
        """Sites where the camera may put this frame's instances; empty where it only poses itself."""
        if not defines(camera, "place_and_pose"):
            return []
        if self._offers is None:
            self._offers = []
            for _, placement in self.placements:
                with attribute_errors_to(placement):
                    site = placement.offer_site(self.stage)
                if site is not None:
                    self._offers.append((placement, site))
        sites = [site for _, site in self._offers]
        served = {name for site in sites for name in site.classes}
        return sites if served and (goals.main is None or goals.main.class_name in served) else []

    def later(self, index: int, made: Attempt, take: Take, role: FrameRole, *, render: bool = True) -> Attempt:
        """Another moment or camera of an attempt that is on the stage, measured.

        Filters only say what is not annotated: a sequence has all its frames.
        """
        stage = self.stage
        pose = take.show(stage, role)
        annotatable = tuple(i for i in stage.instances if i.asset.class_name)
        effects = AttemptEffects(self.effects, self.recipe.seed, index, made.number, draws=role.key)
        shot = effects.of_probe(Shot(EMPTY_SHOT.image, stage.probe(1.0), annotatable, {}, pose))
        if render:
            take.open_shutter(stage, role)
            shot = effects.of_shot(stage.shoot(self.noise(index)))
        rows = [basic_row(i, shot.labels, 0) for i in annotatable]
        columns = measure(self.metrics, shot, rows) if render else {}
        verdict = judge([each for each in self.filters if render or each.judges_probes], shot, rows)
        if not verdict.accepted:
            verdict = Verdict(True, verdict.reason)
        verdict = attrs.evolve(verdict, unannotated=verdict.unannotated | verdict.removed)
        made = attrs.evolve(made, shot=shot, rows=rows, columns=columns, verdict=verdict, effects=effects)
        return self.with_moments(made, take, role)

    def with_moments(self, made: Attempt, take: Take | None, role: FrameRole) -> Attempt:
        """The attempt whose shot knows the moments beside its own, and the other camera of its rig."""
        if take is None:
            return made
        shot = made.shot
        if take.settings.length > 1:
            shot = attrs.evolve(shot, following=take.moment(role, 1), preceding=take.moment(role, -1))
        if len(take.rig) > 1:
            shot = attrs.evolve(shot, partner=take.camera(role.step, 0 if role.view else 1))
        return attrs.evolve(made, shot=shot)

    def render(
        self, index: int, made: Attempt, block: Block, take: Take | None = None, role: FrameRole | None = None
    ) -> Attempt:
        """The attempt with its render, measured and judged; drafts are judged before."""
        if take is not None and role is not None:
            take.open_shutter(self.stage, role)
        rows, noise = made.rows, self.noise(index)
        if self.gates.drafts and rows:
            left = [row for row in rows if row["area"] > 0 and row["id"] not in made.verdict.unannotated]
            verdict = self.gates.judge_draft(self.stage, noise, left, made.effects.of_draft)
            if not verdict.accepted:
                return attrs.evolve(made, verdict=verdict, reason=f"{DRAFT}{verdict.reason}", gate="draft")
        shot = made.effects.of_shot(self.stage.shoot(noise))
        columns = measure(self.metrics, shot, rows)
        verdict = judge(self.filters, shot, rows) if rows else made.verdict
        made = attrs.evolve(made, shot=shot, columns=columns, verdict=verdict)
        if not verdict.accepted or verdict.removed:
            return attrs.evolve(made, reason=f"{AFTER_RENDER}{verdict.reason}")
        return self._pass_gates(made, block) if len(self.gates) and rows else made

    def _pass_gates(self, made: Attempt, block: Block) -> Attempt:
        shot, rows, min_visible_share = made.shot, made.rows, self.recipe.output.min_visible_share
        verdict, traits = self.gates.judge(
            shot, annotated_rows(shot, rows, made.verdict, min_visible_share), block.traits
        )
        whole = attrs.evolve(
            verdict,
            reason=made.verdict.reason or verdict.reason,
            unannotated=made.verdict.unannotated | verdict.unannotated,
            ignored=made.verdict.ignored,
        )
        left = annotated_rows(shot, rows, whole, min_visible_share)
        if not verdict.accepted or (verdict.unannotated and not left):
            return attrs.evolve(made, verdict=verdict, reason=f"{AFTER_RENDER}{verdict.reason}", gate="render")
        add_columns(rows, verdict.columns)
        made = attrs.evolve(made, verdict=whole, traits=tuple(traits))
        if verdict.painted:
            shot = paint_black(shot, rows, verdict.painted, {row["id"] for row in left})
            # The surroundings of instances beside a black box have changed.
            made = attrs.evolve(made, shot=shot, columns=measure(self.metrics, shot, rows))
        return made

    def warm_up(self, seed: int, index: int, use: PluginUse, goals: Goals) -> list[InstanceRow]:
        """Show the gates the first attempt at a frame that reaches them; returns its annotated rows."""
        for attempt in range(self.recipe.render.max_attempts):
            made = self.probe(seed, index, attempt, use, goals)
            if made.reason:
                continue
            self.dress(index, made, goals, seed)
            noise = self.noise(index)
            drafts = {
                draft: made.effects.of_draft(render_draft(self.stage, draft, noise)) for draft in self.gates.drafts
            }
            shot = made.effects.of_shot(self.stage.shoot(noise))
            verdict = judge(self.filters, shot, made.rows)
            if verdict.accepted:
                left = annotated_rows(shot, made.rows, verdict, self.recipe.output.min_visible_share)
                self.gates.add_warm_up_frame(shot, left, drafts)
                return left
        return []

    def noise(self, index: int) -> int:
        """The renderer's own seed."""
        return int(stream(self.recipe.seed, index, "render").integers(2**31))

    def annotate(self, made: Attempt) -> None:
        """Say in each row whether its instance is annotated, and if not, why."""
        for row in made.rows:
            removed = made.removed.get(row["id"])
            reason = exclusion_reason(made.shot, row, made.verdict, self.recipe.output.min_visible_share)
            row["reason"] = f"removed: {removed}" if removed else reason
            row["annotated"] = not reason
            if row["area"] > 0 and row["id"] in made.verdict.ignored:
                row["ignored"] = True


DRAFT = "draft: "
"""Prefix of reasons given after a draft."""

AFTER_RENDER = "render: "
"""Prefix of reasons given after the full render was paid for."""


def _named(uses: Sequence[PluginUse]) -> list[tuple[str, Any]]:
    """Plugins with the names of their random streams, which stay apart when one plugin is used twice."""
    return [(f"{use.stream}.{number}", use.plugin) for number, use in enumerate(uses)]
