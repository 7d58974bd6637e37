# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts the outcomes of attempts: by reason and, where gates judged them, by shape, camera, size and draws."""

from __future__ import annotations

import array
import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

import attrs
import numpy as np

from ...engine.errors import StageError
from ...engine.events import Funnel
from ...engine.sampling.attempt import AFTER_RENDER
from ...engine.sampling.gates import elevation
from ...engine.scene.extreme_exposure import EXTREMES
from .frame_record import ACCEPTED, FILTERED, GIVEN_UP, FrameRecord

log = logging.getLogger(__name__)

MIN_JUDGED = 200
"""Judged attempts from which on a job stops if too few are accepted."""

AREA_BINS = (0.0, 0.01, 0.03, 0.1, 0.3)
"""Lower edges of the bins of relative box area."""

ELEVATION_STEP = 15
"""Degrees of camera elevation in a bin."""

JudgedAttempt = dict[str, Any]
"""An attempt that a gate judged: ``accepted``, ``stage``, ``score``, ``boxes``, ``elevation``, ``appearance``, ..."""


class AttemptTally:
    """Counts the outcomes of attempts, record by record."""

    def __init__(self) -> None:
        self._rejected: Counter[str] = Counter()
        self._accepted = self._given_up = 0
        self._boxes: Counter[str] = Counter()
        self._exposure: Counter[str] = Counter()
        self._gated = GateTally()
        self._breakdown = _Breakdown()

    def add(self, record: FrameRecord) -> None:
        """Count the attempts of one record."""
        self._rejected.update(record["rejected"])
        self._accepted += record["verdict"] == ACCEPTED
        self._given_up += record["verdict"] == GIVEN_UP
        if record["verdict"] == ACCEPTED and record.get("exposure") in EXTREMES:
            self._exposure[record["exposure"]] += 1
        if record["verdict"] == FILTERED:
            self._rejected[AFTER_RENDER + FILTERED] += 1
        layout = record.get("goals", {}).get("boxes", ()) if record["verdict"] == ACCEPTED else ()
        if layout:
            goals = [row["goal"] for row in record["instances"] if row["bbox"]]
            asked, met = len(layout), sum(goal is not None for goal in goals)
            none = sum(row["annotated"] and row["goal"] is None for row in record["instances"])
            self._boxes.update(asked=asked, shown=met, left_out=asked - met, no_goal=none)
        for attempt in self._gated.add(record):
            self._breakdown.add(attempt)

    def funnel(self, gates: Iterable[Mapping[str, Any]] = ()) -> Funnel:
        """The funnel so far; ``gates`` are the reports of the job's gates."""
        late = sum(n for reason, n in self._rejected.items() if reason.startswith(AFTER_RENDER))
        tried = self._rejected.total() + self._accepted
        rejected = dict(sorted(self._rejected.items()))
        gate, boxes = self._gate_summary(list(gates)), dict(self._boxes)
        return Funnel(
            tried, rejected, self._accepted, self._given_up, late, gate, boxes=boxes, exposure=dict(self._exposure)
        )

    def _gate_summary(self, gates: list[Mapping[str, Any]]) -> dict[str, Any]:
        gated = self._gated
        if not gated.judged:
            return {}
        by = {name: rows for name, rows in self._breakdown.rows().items() if len(rows) > 1}
        miss = gated.nearest_miss
        return {
            "judged": gated.judged,
            "accepted": gated.passed,
            "refused_as_drafts": gated.drafts,
            "gates": gates,
            "nearest_miss": miss and {k: miss[k] for k in ("frame", "attempt", "stage", "score")},
            "by": by,
            "off": _worst_groups(by, gated.passed / gated.judged),
        }


class GateTally:
    """Counts attempts that gates judged, and keeps the nearest miss.

    Attributes
    ----------
    judged, passed, drafts : int
        ``drafts`` were refused as drafts, before their full render.
    nearest_miss : JudgedAttempt or None
        The refused attempt with the highest score; full renders come before drafts.
    """

    def __init__(self) -> None:
        self.judged = self.passed = self.drafts = 0
        self.nearest_miss: JudgedAttempt | None = None

    def add(self, record: FrameRecord) -> list[JudgedAttempt]:
        """Count the judged attempts of a record; returns them."""
        attempts = list(judged_attempts(record))
        for attempt in attempts:
            self.judged += 1
            self.passed += attempt["accepted"]
            self.drafts += attempt["stage"] == "draft"
            if attempt["accepted"] or attempt["score"] is None:
                continue
            if self.nearest_miss is None or _miss_rank(attempt) > _miss_rank(self.nearest_miss):
                self.nearest_miss = attempt
        return attempts


def _miss_rank(missed: JudgedAttempt) -> tuple[bool, float]:
    return missed["stage"] == "render", missed["score"]


def judged_attempts(record: FrameRecord) -> Iterator[JudgedAttempt]:
    """The attempts of a record that a gate judged, in order."""
    draws = record.get("draws", {})
    common = {"frame": record["frame"], "camera": draws.get("camera", ""), "variant": draws.get("variant", "")}
    for refused in record.get("refused", ()):
        yield {**refused, **common, "accepted": False}
    if "gate" in record and record["gate"]["score"] is not None:
        pixels = record["image"]["width"] * record["image"]["height"]
        yield {
            **common,
            "accepted": True,
            "attempt": record["attempts"] - 1,
            "stage": "render",
            "score": record["gate"]["score"],
            "boxes": [
                [i["class"], i["shape"], i["columns"].get(SCORE_COLUMN), i["bbox"][2] * i["bbox"][3] / pixels]
                for i in record["instances"]
                if i["bbox"]
            ],
            "elevation": elevation(np.reshape(record["camera"]["matrix"], (4, 4))),
            "appearance": draws.get("appearance", ()),
        }


SCORE_COLUMN = "feature_score"
"""The metadata column with the scores of boxes."""


def gate_error(gated: GateTally, gates: list[dict[str, Any]], out: Path) -> StageError:
    """The error where too few attempts pass the gate: how many did, the nearest miss, and what would help."""
    miss = gated.nearest_miss
    text = f"Only {gated.passed} of {gated.judged} judged attempts passed the gate"
    limit = min((g["threshold"] for g in gates if "threshold" in g), default=None)
    if miss is None or limit is None:
        return StageError(f"{text}. Loosen its filter and render into another output folder.")
    shapes = ", ".join(
        dict.fromkeys(f"{name} '{shape}'" for name, shape, score, _ in miss["boxes"] if score is not None)
    )
    remedy = (
        f"Lower 'threshold' to {miss['score']:.3g} or less"
        if miss["score"] >= 0
        else "A score below 0 means that the boxes are farther from the real boxes than these are from each other, so "
        "no threshold helps: make shapes, light and camera more like those in the real images"
    )
    return StageError(
        f"{text}. The nearest miss, attempt {miss['attempt']} at frame {miss['frame']} with {shapes}, scored "
        f"{miss['score']:.3g} as a {miss['stage']}; the threshold is {limit:.3g}. {remedy}, and render into another "
        f"output folder. The frames rendered so far are kept in {out}."
    )


def _worst_groups(by: Mapping[str, list[dict[str, Any]]], share: float) -> list[dict[str, Any]]:
    """Groups that pass significantly less often than all attempts (binomial test, Bonferroni), worst first."""
    from scipy import stats

    worse = []
    for kind, rows in by.items():
        for row in rows:
            chance = float(stats.binom.cdf(row["accepted"], row["judged"], share))
            if chance < 0.05 / len(rows):
                worse.append((row["accepted"] / row["judged"], chance, kind, {"what": kind, **row}))
    return [row for *_, row in sorted(worse, key=lambda entry: entry[:3])]


@attrs.define
class _Group:
    """Counts attempts, or their boxes, with one value in common."""

    judged: int = 0
    accepted: int = 0
    scored: int = 0
    total: float = 0.0

    def add(self, accepted: bool, score: float | None) -> None:
        self.judged += 1
        self.accepted += accepted
        if score is not None:
            self.scored += 1
            self.total += score

    def row(self, value: str) -> dict[str, Any]:
        mean = self.total / self.scored if self.scored else None
        return {"value": value, "judged": self.judged, "accepted": self.accepted, "score": mean}


class _Breakdown:
    """Acceptance and mean score by shape, box size, camera, elevation, variant and drawn values.

    Only drawn numbers are kept one by one, since their terciles are not known before the end.
    """

    def __init__(self) -> None:
        self._groups: dict[str, dict[Any, _Group]] = {}
        self._numbers = {name: (array.array("d"), array.array("b"), array.array("d")) for name in DRAWN_NUMBERS}

    def add(self, judged: JudgedAttempt) -> None:
        accepted, score = judged["accepted"], judged["score"]
        for _, shape, own, area in judged["boxes"]:
            if own is not None:
                self._group("shape", shape).add(accepted, own)
                self._group("size", int(np.searchsorted(AREA_BINS, area, side="right")) - 1).add(accepted, own)
        self._group("camera", judged["camera"]).add(accepted, score)
        self._group("elevation", int(judged["elevation"] // ELEVATION_STEP)).add(accepted, score)
        if judged["variant"]:
            self._group("variant", judged["variant"]).add(accepted, score)
        for name, value in dict(_drawn_values(judged)).items():
            if name in self._numbers:
                values, passed, scores = self._numbers[name]
                values.append(value)
                passed.append(accepted)
                scores.append(math.nan if score is None else score)
            else:
                self._group(name, value).add(accepted, score)

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Rows of groups, by what the group is of."""
        out = {kind: _group_rows(kind, groups) for kind, groups in self._groups.items()}
        for name, (values, accepted, scores) in self._numbers.items():
            if len(np.unique(values)) <= 2:
                continue
            cuts = np.quantile(values, [1 / 3, 2 / 3])
            groups: dict[Any, _Group] = {}
            for third, a, s in zip(np.searchsorted(cuts, values, side="right").tolist(), accepted, scores, strict=True):
                groups.setdefault(third, _Group()).add(bool(a), None if math.isnan(s) else s)
            out[name] = _group_rows(name, groups, cuts)
        return out

    def _group(self, kind: str, value: Any) -> _Group:
        return self._groups.setdefault(kind, {}).setdefault(value, _Group())


def _group_rows(kind: str, groups: Mapping[Any, _Group], cuts: np.ndarray | None = None) -> list[dict[str, Any]]:
    rows = [group.row(_label(kind, value, cuts)) for value, group in sorted(groups.items(), key=lambda item: item[0])]
    # Names have no order: the lowest acceptance comes first.
    in_order = kind in ("size", "elevation") or cuts is not None
    return rows if in_order else sorted(rows, key=lambda r: (r["accepted"] / r["judged"], r["value"]))


DRAWN_NUMBERS = {"strength": "set_world", "factor": "scale_lights"}
"""Drawn numbers by which acceptance is broken down, and the call that they belong to."""

_DRAWN_FILES = {"hdri": "set_world", "image": "set_background"}


def _drawn_values(judged: JudgedAttempt) -> Iterator[tuple[str, Any]]:
    for call in judged["appearance"]:
        for name, method in (DRAWN_NUMBERS | _DRAWN_FILES).items():
            if call["call"] == method and call.get(name) is not None:
                yield name, PurePath(call[name]).name if name in _DRAWN_FILES else call[name]


def _label(kind: str, value: Any, cuts: np.ndarray | None) -> str:
    if kind == "size":
        low, high = (f"{share:.0%}" for share in (*AREA_BINS, 1.0)[value : value + 2])
        return f"{low} to {high} of the image"
    if kind == "elevation":
        return f"{value * ELEVATION_STEP} to {(value + 1) * ELEVATION_STEP} degrees down"
    if cuts is not None:
        ends = (None, *(f"{c:.3g}" for c in cuts), None)
        low, high = ends[value], ends[value + 1]
        return f"under {high}" if low is None else f"{low} or more" if high is None else f"{low} to {high}"
    return str(value)
