# SPDX-License-Identifier: GPL-3.0-or-later
"""The gates of a job: filters that read files, look at drafts first, or learn from a warm-up; and what they refused."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
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
    """An attempt that a gate refused, as little as is needed to see later what is off.

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
        Its filters. TwinsetErrors of those that are gates come from here, before anything slow has begun.
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
        """Frames that the most curious gate wants to learn from."""
        return max((gate.warm_up for gate in self._gates), default=0)

    @property
    def floor(self) -> float:
        """Share of judged attempts that must pass."""
        return max((gate.floor for gate in self._gates), default=0.0)

    @property
    def fingerprint(self) -> list[str]:
        """Of the files of each gate."""
        return [gate.fingerprint for gate in self._gates]

    @property
    def drafts(self) -> list[Draft]:
        """The drafts that gates want to see."""
        return list(dict.fromkeys(gate.draft for gate in self._gates if gate.draft is not None))

    def take(self, shot: Shot, rows: Rows, drafts: Mapping[Draft, np.ndarray]) -> None:
        """Take in a warm-up frame: the shot, its rows still to be annotated, and the drafts that were asked for."""
        size = shot.image.shape[1], shot.image.shape[0]
        for plugin, gate, found in zip(self.plugins, self._gates, self._measured, strict=True):
            with attribute_errors_to(plugin):
                draft = None if gate.draft is None else gate.measure(drafts[gate.draft], rows, size)
                found.append((draft, gate.measure(shot.image, rows, size)))

    def conclude(self) -> None:
        """Learn from all that was taken in."""
        learned = []
        for plugin, gate, found in zip(self.plugins, self._gates, self._measured, strict=True):
            with attribute_errors_to(plugin):
                learned.append(gate.learn(found))
            found.clear()
        self.teach(learned)

    def teach(self, learned: Sequence[Mapping[str, Any]]) -> None:
        """Go by what an earlier warm-up said. DataError where that is not what they say."""
        self.learned = list(learned)
        try:
            self._gates = [gate.taught(facts) for gate, facts in zip(self._gates, learned, strict=True)]
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise DataError(
                f"What the gates have learned is damaged ({error!r}). Delete gate.json in the output folder: they "
                "learn the same once more."
            ) from error

    def judge_draft(self, stage: Stage, seed: int, rows: Rows) -> Verdict:
        """Show each gate the draft that it wants to see; the first refusal counts."""
        pictures: dict[Draft, np.ndarray] = {}
        for plugin, gate in zip(self.plugins, self._gates, strict=True):
            if gate.draft is None:
                continue
            if gate.draft not in pictures:
                pictures[gate.draft] = draft_of(stage, gate.draft, seed)
            with attribute_errors_to(plugin):
                verdict = gate.judge_draft(pictures[gate.draft], rows, stage.resolution)
            if not verdict.accepted:
                return verdict
        return Verdict(True)

    def judge(self, shot: Shot, rows: Rows, seen: Sequence[Sequence[Any]]) -> tuple[Verdict, list[Any]]:
        """The verdict of all, and the traits that each has of this frame; ``seen`` holds those of earlier frames."""
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
                lesser(whole.score, verdict.score),
            )
            if not verdict.accepted:
                break
            traits.append(verdict.traits)
            left = [row for row in left if row["id"] not in verdict.unannotated]
        return whole, traits

    def report(self) -> list[dict[str, Any]]:
        """What each gate goes by."""
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
        """The gates of a recipe without variants; they are opened where they are new."""
        filters = [use.plugin for use in recipe.plugins.get("filter", ())]
        wanted = [plugin for plugin in filters if is_gate(plugin)]
        found = next((gates for gates in self if gates.plugins == wanted), None)
        if found is None:
            found = Gates(filters)
            self.append(found)
        return found

    @property
    def warm_up(self) -> int:
        """Frames of the warm-up."""
        return max((gates.warm_up for gates in self), default=0)

    @property
    def floor(self) -> float:
        """Share of judged attempts that must pass."""
        return max((gates.floor for gates in self), default=0.0)

    def report(self) -> list[dict[str, Any]]:
        """What all gates go by."""
        return [facts for gates in self for facts in gates.report()]


def is_gate(plugin: Any) -> bool:
    """Whether a filter is one that is opened first."""
    return defines(plugin, "open_gate")


def draft_of(stage: Stage, draft: Draft, seed: int) -> np.ndarray:
    """The draft of what is on the stage."""
    return stage.draft(seed, scale=draft.scale, samples=draft.samples)


def lesser(a: float | None, b: float | None) -> float | None:
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
    """What is kept of a refused attempt."""
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


def paint(shot: Shot, rows: Rows, painted: Collection[int], kept: Collection[int]) -> Shot:
    """The shot with the boxes of ``painted`` instances black, but for the pixels of instances that are ``kept``."""
    image = shot.image.copy()
    others = np.isin(shot.labels.ids, list(kept))
    for row in rows:
        if row["id"] in painted and row["bbox"]:
            x, y, w, h = row["bbox"]
            box = np.s_[y : y + h, x : x + w]
            image[box][~others[box]] = 0
    return attrs.evolve(shot, image=image)
