# SPDX-License-Identifier: GPL-3.0-or-later
"""One try at a frame: placed, varied, posed and probed; then rendered, measured and judged where the probe will do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from ..block import Block
from ..geometry.reachability import put_instances
from ..geometry.support import Site
from ..goals import Goals
from ..plugin.contract import Rejected, Verdict, naming
from ..recipe.settings import PluginUse, Recipe
from ..rng import stream
from ..stage import Shot, Stage
from .evaluation import (
    NOTHING,
    add_columns,
    basic_row,
    early_verdict,
    goals_of,
    judge,
    left_of,
    main_of,
    measure,
    why_not,
)
from .gates import Gates, OpenGates, draft_of, is_gate, paint
from .recorded_draws import DrawRecorder


@attrs.frozen(eq=False)
class Attempt:
    """One try: ``reason`` says why it was rejected, ``gate`` at which stage where a gate did that, "" otherwise."""

    shot: Shot
    rows: list[dict[str, Any]]
    columns: Mapping[str, Any] = attrs.field(factory=dict)
    appearance: tuple[dict[str, Any], ...] = ()
    verdict: Verdict = Verdict(True)
    reason: str = ""
    gate: str = ""
    traits: tuple[Any, ...] = ()


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
        # What stays where it is comes first, whatever the recipe's order, so that the rest is placed around it.
        self.placements = sorted(_named(uses.get("placement", ())), key=lambda p: not getattr(p[1], "first", False))
        self.appearances = _named(uses.get("appearance", ()))
        self.metrics = _named(uses.get("metric", ()))
        self.filters = [u.plugin for u in uses.get("filter", ()) if not is_gate(u.plugin)]
        self._gates = gates
        self._all_sites: list[Site] | None = None

    @property
    def gates(self) -> Gates:
        return self._gates.of(self.recipe)

    def probe(self, seed: int, index: int, attempt: int, use: PluginUse, goals: Goals) -> Attempt:
        """One try as far as its probe."""
        stage = self.stage
        recorder = DrawRecorder(stage, self.recipe)
        stage.clear()
        sites = self.sites(use.plugin, goals)
        left = [p for p in self.placements if not (sites and takes_part(p[1]))]
        try:
            put_instances(stage, left, goals, seed, index, attempt)
            for name, appearance in self.appearances:
                with naming(appearance):
                    of_frame = (goals,) if getattr(appearance, "by_frame", False) else ()
                    appearance.vary(recorder, stream(seed, index, attempt, name), *of_frame)
            with naming(use.plugin):
                rng = stream(seed, index, attempt, f"camera.{use.id}")
                pose = use.plugin.arrange(stage, goals, sites, rng) if sites else use.plugin.pose(stage, goals, rng)
        except Rejected as rejection:
            return Attempt(NOTHING, [], reason=rejection.reason)
        stage.pose_camera(pose)
        labels = stage.probe(1.0)
        annotatable = tuple(i for i in stage.instances if i.asset.class_name)
        matched = goals_of(annotatable, labels, goals)
        main = main_of(annotatable, labels, goals, matched)
        rows = [basic_row(i, labels, main) for i in annotatable]
        for row in rows if goals.boxes else ():
            row["goal"] = matched.get(row["id"])
        probed = Shot(np.empty((0, 0, 3), np.uint8), labels, annotatable, {}, pose)
        verdict = early_verdict(self.filters, probed, rows, goals)
        reason = "" if verdict.accepted else verdict.reason
        return Attempt(probed, rows, appearance=tuple(recorder.calls), verdict=verdict, reason=reason)

    def sites(self, camera: Any, goals: Goals) -> list[Site]:
        """Where the camera itself may put this frame's things; empty where it only looks at what others put there."""
        if not hasattr(camera, "arrange"):
            return []
        if self._all_sites is None:
            self._all_sites = []
            for _, placement in self.placements:
                if takes_part(placement):
                    with naming(placement):
                        self._all_sites.append(placement.site(self.stage))
        served = {name for site in self._all_sites for name in site.classes}
        return self._all_sites if served and (goals.main is None or goals.main.class_name in served) else []

    def render(self, index: int, made: Attempt, block: Block) -> Attempt:
        """The render and what is said of it; drafts come before."""
        rows, noise = made.rows, self.noise(index)
        if self.gates.drafts:
            left = [row for row in rows if row["area"] > 0 and row["id"] not in made.verdict.unannotated]
            verdict = self.gates.judge_draft(self.stage, noise, left)
            if not verdict.accepted:
                return attrs.evolve(made, verdict=verdict, reason=f"{DRAFT}{verdict.reason}", gate="draft")
        shot = self.stage.shoot(noise)
        columns = measure(self.metrics, shot, rows)
        verdict = judge(self.filters, shot, rows)
        made = attrs.evolve(made, shot=shot, columns=columns, verdict=verdict)
        if not verdict.accepted:
            return attrs.evolve(made, reason=f"{AFTER_RENDER}{verdict.reason}")
        return self._pass_gates(made, block) if len(self.gates) else made

    def _pass_gates(self, made: Attempt, block: Block) -> Attempt:
        shot, rows, least = made.shot, made.rows, self.recipe.output.min_visible_share
        verdict, traits = self.gates.judge(shot, left_of(shot, rows, made.verdict, least), block.traits)
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
            made = attrs.evolve(made, shot=shot, columns=measure(self.metrics, shot, rows))
        return made

    def warm_up(self, seed: int, index: int, use: PluginUse, goals: Goals) -> list[dict[str, Any]]:
        """Show the gates the first attempt at a frame that gets as far as them; returns its annotated rows."""
        for attempt in range(self.recipe.render.max_attempts):
            made = self.probe(seed, index, attempt, use, goals)
            if made.reason:
                continue
            noise = self.noise(index)
            drafts = {draft: draft_of(self.stage, draft, noise) for draft in self.gates.drafts}
            shot = self.stage.shoot(noise)
            verdict = judge(self.filters, shot, made.rows)
            if verdict.accepted:
                left = left_of(shot, made.rows, verdict, self.recipe.output.min_visible_share)
                self.gates.take(shot, left, drafts)
                return left
        return []

    def noise(self, index: int) -> int:
        """The renderer's own seed."""
        return int(stream(self.recipe.seed, index, "render").integers(2**31))

    def annotate(self, shot: Shot, rows: list[dict[str, Any]], verdict: Verdict) -> None:
        for row in rows:
            row["reason"] = why_not(shot, row, verdict, self.recipe.output.min_visible_share)
            row["annotated"] = not row["reason"]


DRAFT = "draft: "
"""Prefix of reasons given after a draft."""

AFTER_RENDER = "render: "
"""Prefix of reasons given after the full render was paid for."""


def takes_part(placement: Any) -> bool:
    """Whether a placement lets a camera find the places of its annotated things."""
    return hasattr(placement, "site") and not (getattr(placement, "distractors", False) and not placement.classes)


def _named(uses: Sequence[PluginUse]) -> list[tuple[str, Any]]:
    """Plugins with the names of their random streams, which stay apart when one plugin is used twice."""
    return [(f"{use.kind}.{use.id}.{number}", use.plugin) for number, use in enumerate(uses)]
