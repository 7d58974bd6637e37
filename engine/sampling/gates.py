# SPDX-License-Identifier: GPL-3.0-or-later
"""The gates of a job: filters that read files, judge drafts, or learn from a warm-up; and what they rejected."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from ..errors import DataError
from ..instance_row import InstanceRow
from ..plugin.contract import attribute_errors_to
from ..plugin.gate import Draft, Gate
from ..plugin.hooks import defines
from ..plugin.results import Verdict
from ..recipe.settings import Recipe
from ..recipe.variants import variants_of
from ..stage import CameraPose, Shot, Stage

Rows = Sequence[InstanceRow]


@attrs.frozen(eq=False)
class Refusal:
    """An attempt that a gate rejected: what is needed to see later why.

    Attributes
    ----------
    attempt : int
    stage : str
        ``draft`` or ``render``.
    score : float or None
        Of the frame.
    boxes : tuple of (str, str, float or None, float)
        Class, shape, score and relative box area of each instance in view.
    elevation : float
        Degrees by which the camera looks down.
    appearance : tuple of dict
        What was drawn for world, lights and background, see :class:`.draws.DrawRecorder`.
    """

    attempt: int
    stage: str
    reason: str
    score: float | None
    boxes: tuple[tuple[str, str, float | None, float], ...]
    elevation: float
    appearance: tuple[dict[str, Any], ...] = ()


class Gates:
    """The gates of a recipe without variants, opened; none for most recipes.

    Parameters
    ----------
    filters : sequence
        Its filters. Gates are opened here, and raise their TwinsetErrors before anything slow has begun.
    """

    def __init__(self, filters: Sequence[Any]) -> None:
        self.plugins = [plugin for plugin in filters if is_gate(plugin)]
        self.learned: list[Mapping[str, Any]] = []
        self._gates: list[Gate] = []
        for plugin in self.plugins:
            with attribute_errors_to(plugin):
                self._gates.append(plugin.open_gate())
        self._measured: list[list[tuple[Any, Any]]] = [[] for _ in self._gates]

    def __len__(self) -> int:
        return len(self._gates)

    @property
    def warm_up(self) -> int:
        """Number of warm-up frames: the most that a gate wants to learn from."""
        return max((gate.warm_up for gate in self._gates), default=0)

    @property
    def floor(self) -> float:
        """Share of judged attempts that must pass."""
        return max((gate.floor for gate in self._gates), default=0.0)

    @property
    def fingerprint(self) -> list[str]:
        """The fingerprint of each gate's files."""
        return [gate.fingerprint for gate in self._gates]

    @property
    def drafts(self) -> list[Draft]:
        """The drafts that gates want to see."""
        return list(dict.fromkeys(gate.draft for gate in self._gates if gate.draft is not None))

    def add_warm_up_frame(self, shot: Shot, rows: Rows, drafts: Mapping[Draft, np.ndarray]) -> None:
        """Let gates measure a warm-up frame: the shot, its rows still to be annotated, and the drafts asked for."""
        size = shot.image.shape[1], shot.image.shape[0]
        for plugin, gate, samples in zip(self.plugins, self._gates, self._measured, strict=True):
            with attribute_errors_to(plugin):
                draft = None if gate.draft is None else gate.measure(drafts[gate.draft], rows, size)
                samples.append((draft, gate.measure(shot.image, rows, size)))

    def learn(self) -> None:
        """Let gates learn from all warm-up frames."""
        learned = []
        for plugin, gate, samples in zip(self.plugins, self._gates, self._measured, strict=True):
            with attribute_errors_to(plugin):
                learned.append(gate.learn(samples))
            samples.clear()
        self.apply_learned(learned)

    def apply_learned(self, learned: Sequence[Mapping[str, Any]]) -> None:
        """Apply what gates learned from an earlier warm-up. Raises DataError where that is damaged."""
        self.learned = list(learned)
        try:
            self._gates = [gate.taught(values) for gate, values in zip(self._gates, learned, strict=True)]
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise DataError(
                f"What the gates have learned is damaged ({error!r}). Delete gate.json in the output folder: they "
                "learn the same once more."
            ) from error

    def judge_draft(
        self, stage: Stage, seed: int, rows: Rows, finish: Callable[[np.ndarray], np.ndarray] = lambda draft: draft
    ) -> Verdict:
        """Show each gate the draft that it wants to see, after ``finish``; the first rejection counts."""
        pictures: dict[Draft, np.ndarray] = {}
        for plugin, gate in zip(self.plugins, self._gates, strict=True):
            if gate.draft is None:
                continue
            if gate.draft not in pictures:
                pictures[gate.draft] = finish(render_draft(stage, gate.draft, seed))
            with attribute_errors_to(plugin):
                verdict = gate.judge_draft(pictures[gate.draft], rows, stage.resolution)
            if not verdict.accepted:
                return verdict
        return Verdict(True)

    def judge(self, shot: Shot, rows: Rows, seen: Sequence[Sequence[Any]]) -> tuple[Verdict, list[Any]]:
        """The verdict of all gates, and each one's traits of this frame; ``seen`` holds those of earlier frames."""
        whole, traits = Verdict(True), []
        left = list(rows)
        for number, (plugin, gate) in enumerate(zip(self.plugins, self._gates, strict=True)):
            with attribute_errors_to(plugin):
                verdict = gate.judge(shot, left, [t[number] for t in seen if number < len(t)])
            columns = {k: dict(v) for k, v in whole.columns.items()}
            for name, values in verdict.columns.items():
                columns.setdefault(name, {}).update(values)
            whole = Verdict(
                verdict.accepted,
                verdict.reason or whole.reason,
                whole.unannotated | verdict.unannotated,
                whole.painted | verdict.painted,
                columns,
                lower_score(whole.score, verdict.score),
            )
            if not verdict.accepted:
                break
            traits.append(verdict.traits)
            left = [row for row in left if row["id"] not in verdict.unannotated]
        return whole, traits

    def report(self) -> list[dict[str, Any]]:
        """Thresholds and figures of each gate."""
        return [
            {"plugin": plugin.plugin_id, **gate.report()}
            for plugin, gate in zip(self.plugins, self._gates, strict=True)
        ]


class OpenGates(list[Gates]):
    """All gates of a recipe: variants with the same filters share theirs."""

    def __init__(self, recipe: Recipe | None = None) -> None:
        super().__init__()
        if recipe is not None:
            self.open(recipe)

    def open(self, recipe: Recipe) -> None:
        """Open those of all variants that are not open yet."""
        for one in variants_of(recipe):
            self.of(one)

    def of(self, recipe: Recipe) -> Gates:
        """The gates of a recipe without variants, opened if they are new."""
        filters = [use.plugin for use in recipe.plugins.get("filter", ())]
        plugins = [plugin for plugin in filters if is_gate(plugin)]
        known = next((gates for gates in self if gates.plugins == plugins), None)
        if known is None:
            known = Gates(filters)
            self.append(known)
        return known

    @property
    def warm_up(self) -> int:
        """Frames of the warm-up."""
        return max((gates.warm_up for gates in self), default=0)

    @property
    def floor(self) -> float:
        """Share of judged attempts that must pass."""
        return max((gates.floor for gates in self), default=0.0)

    def report(self) -> list[dict[str, Any]]:
        """Thresholds and figures of all gates."""
        return [report for gates in self for report in gates.report()]


def is_gate(plugin: Any) -> bool:
    """Whether a filter is one that is opened first."""
    return defines(plugin, "open_gate")


def render_draft(stage: Stage, draft: Draft, seed: int) -> np.ndarray:
    """The draft of what is on the stage."""
    return stage.draft(seed, scale=draft.scale, samples=draft.samples)


def lower_score(a: float | None, b: float | None) -> float | None:
    """The smaller of two scores, of which either may be missing."""
    return b if a is None else a if b is None else min(a, b)


def refusal(
    attempt: int,
    stage: str,
    verdict: Verdict,
    rows: Rows,
    camera: CameraPose,
    appearance: tuple[dict[str, Any], ...],
) -> Refusal:
    """The record of a rejected attempt."""
    pixels = camera.width * camera.height
    scores = next(iter(verdict.columns.values()), {})
    boxes = tuple(
        (row["class"], row["shape"], scores.get(row["id"]), row["bbox"][2] * row["bbox"][3] / pixels)
        for row in rows
        if row["bbox"]
    )
    return Refusal(attempt, stage, verdict.reason, verdict.score, boxes, elevation(camera.matrix), appearance)


def elevation(matrix: np.ndarray) -> float:
    """Degrees by which a camera with this matrix (4, 4) looks down."""
    return math.degrees(math.asin(min(1.0, max(-1.0, float(np.asarray(matrix)[2, 2])))))


def paint_black(shot: Shot, rows: Rows, painted: Collection[int], kept: Collection[int]) -> Shot:
    """The shot with the boxes of ``painted`` instances black, but for the pixels of instances that are ``kept``."""
    image = shot.image.copy()
    others = np.isin(shot.labels.ids, list(kept))
    for row in rows:
        if row["id"] in painted and row["bbox"]:
            x, y, w, h = row["bbox"]
            box = np.s_[y : y + h, x : x + w]
            image[box][~others[box]] = 0
    return attrs.evolve(shot, image=image)
