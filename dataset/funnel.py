# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of the attempts: counted by reason, and, where a gate judged them, by shape, camera, size and draws."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from ..engine.errors import StageError
from ..engine.events import Funnel
from ..engine.gate import elevation
from ..engine.sampler import AFTER_RENDER
from .frames import ACCEPTED, FILTERED, GIVEN_UP

log = logging.getLogger(__name__)

ENOUGH = 200
"""Judged attempts before a job is ended for want of acceptance."""

SIZES = (0.0, 0.01, 0.03, 0.1, 0.3)
"""Where bins of relative box area begin."""

STEEPNESS = 15
"""Degrees of camera elevation in a bin."""

Judged = dict[str, Any]
"""An attempt that a gate judged: ``accepted``, ``stage``, ``score``, ``boxes``, ``elevation``, ``appearance``, ..."""


class Tally:
    """Counts what became of the attempts, record by record."""

    def __init__(self) -> None:
        self._rejected: Counter[str] = Counter()
        self._accepted = self._given_up = 0
        self._judged: list[Judged] = []

    def add(self, record: Mapping[str, Any]) -> None:
        """Count the attempts of one record."""
        self._rejected.update(record["rejected"])
        self._accepted += record["verdict"] == ACCEPTED
        self._given_up += record["verdict"] == GIVEN_UP
        if record["verdict"] == FILTERED:
            self._rejected[AFTER_RENDER + FILTERED] += 1
        self._judged += judged_in(record)

    def funnel(self, gates: Iterable[Mapping[str, Any]] = ()) -> Funnel:
        """The funnel of what was counted; ``gates`` are the reports of the job's gates."""
        late = sum(n for reason, n in self._rejected.items() if reason.startswith(AFTER_RENDER))
        tried = self._rejected.total() + self._accepted
        rejected = dict(sorted(self._rejected.items()))
        return Funnel(tried, rejected, self._accepted, self._given_up, late, _facts(self._judged, list(gates)))


def judged_in(record: Mapping[str, Any]) -> Iterator[Judged]:
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
                [i["class"], i["shape"], i["columns"].get(SCORE), i["bbox"][2] * i["bbox"][3] / pixels]
                for i in record["instances"]
                if i["bbox"]
            ],
            "elevation": elevation(np.reshape(record["camera"]["matrix"], (4, 4))),
            "appearance": draws.get("appearance", ()),
        }


SCORE = "feature_score"
"""The column whose means are shown."""


def nearest_miss(judged: Iterable[Judged]) -> Judged | None:
    """The refused attempt with the highest score; those of full renders before drafts."""
    missed = [j for j in judged if not j["accepted"] and j["score"] is not None]
    return max(missed, key=lambda j: (j["stage"] == "render", j["score"]), default=None)


def too_strict(judged: list[Judged], gates: list[dict[str, Any]], out: Path) -> StageError:
    """What to say where hardly anything passes: how many did, the nearest miss, and what would help."""
    passed, miss = sum(j["accepted"] for j in judged), nearest_miss(judged)
    text = f"{passed} of {len(judged)} judged attempts passed the gate"
    limit = min((g["threshold"] for g in gates if "threshold" in g), default=None)
    if miss is None or limit is None:
        return StageError(f"{text}. Loosen its filter, and render into another output folder.")
    shapes = ", ".join(
        dict.fromkeys(f"{name} '{shape}'" for name, shape, score, _ in miss["boxes"] if score is not None)
    )
    remedy = (
        f"Lower 'threshold' to {miss['score']:.3g} or less"
        if miss["score"] >= 0
        else "A score under 0 is farther from the real boxes than any of them is, so no threshold helps: bring shapes, "
        "light and camera nearer to the real pictures"
    )
    return StageError(
        f"{text}: the nearest miss, attempt {miss['attempt']} at frame {miss['frame']} with {shapes}, scored "
        f"{miss['score']:.3g} as a {miss['stage']} where {limit:.3g} is asked. {remedy}, and render into another "
        f"output folder. What is made so far is kept in {out}."
    )


def _facts(judged: list[Judged], gates: list[Mapping[str, Any]]) -> dict[str, Any]:
    if not judged:
        return {}
    miss = nearest_miss(judged)
    by = {name: rows for name, rows in _breakdown(judged).items() if len(rows) > 1}
    accepted = sum(j["accepted"] for j in judged)
    return {
        "judged": len(judged),
        "accepted": accepted,
        "refused_as_drafts": sum(j["stage"] == "draft" for j in judged),
        "gates": gates,
        "nearest_miss": miss and {k: miss[k] for k in ("frame", "attempt", "stage", "score")},
        "by": by,
        "off": _off(by, accepted / len(judged)),
    }


def _off(by: Mapping[str, list[dict[str, Any]]], share: float) -> list[dict[str, Any]]:
    """Groups that pass less often than attempts at large, by more than chance explains, the worst first."""
    from scipy import stats

    found = []
    for kind, rows in by.items():
        for row in rows:
            chance = float(stats.binom.cdf(row["accepted"], row["judged"], share))
            if chance < 0.05 / len(rows):  # a group among many may be unlucky [Bonferroni]
                found.append((row["accepted"] / row["judged"], chance, kind, {"what": kind, **row}))
    return [row for *_, row in sorted(found, key=lambda f: f[:3])]


def _breakdown(judged: list[Judged]) -> dict[str, list[dict[str, Any]]]:
    """Acceptance and mean score of the attempts that have something in common, by what that is."""
    found: dict[str, dict[Any, list[tuple[bool, float | None]]]] = {}

    def add(kind: str, value: Any, accepted: bool, score: float | None) -> None:
        found.setdefault(kind, {}).setdefault(value, []).append((accepted, score))

    numbers = {name: np.array([v for j in judged for n, v in _drawn(j) if n == name]) for name in NUMBERS}
    cuts = {name: np.quantile(v, [1 / 3, 2 / 3]) for name, v in numbers.items() if len(np.unique(v)) > 2}
    for j in judged:
        accepted, score = j["accepted"], j["score"]
        for _, shape, own, area in j["boxes"]:
            if own is not None:
                add("shape", shape, accepted, own)
                add("size", int(np.searchsorted(SIZES, area, side="right")) - 1, accepted, own)
        add("camera", j["camera"], accepted, score)
        add("elevation", int(j["elevation"] // STEEPNESS), accepted, score)
        if j["variant"]:
            add("variant", j["variant"], accepted, score)
        for name, value in dict(_drawn(j)).items():
            if isinstance(value, str):
                add(name, value, accepted, score)
            elif name in cuts:
                add(name, int(np.searchsorted(cuts[name], value, side="right")), accepted, score)
    out: dict[str, list[dict[str, Any]]] = {}
    for kind, groups in found.items():
        rows: list[dict[str, Any]] = [
            {
                "value": _label(kind, value, cuts.get(kind)),
                "judged": len(entries),
                "accepted": sum(a for a, _ in entries),
                "score": _mean([s for _, s in entries if s is not None]),
            }
            for value, entries in sorted(groups.items())
        ]
        # Names have no order of their own: what is off comes first.
        in_order = kind in ("size", "elevation") or kind in cuts
        out[kind] = rows if in_order else sorted(rows, key=lambda r: (r["accepted"] / r["judged"], r["value"]))
    return out


NUMBERS = {"strength": "set_world", "factor": "scale_lights"}
"""Drawn numbers that acceptance is shown by, and the call that they belong to."""

_NAMES = {"hdri": "set_world", "image": "set_background"}


def _drawn(judged: Judged) -> Iterator[tuple[str, Any]]:
    for call in judged["appearance"]:
        for name, method in (NUMBERS | _NAMES).items():
            if call["call"] == method and call.get(name) is not None:
                yield name, PurePath(call[name]).name if name in _NAMES else call[name]


def _label(kind: str, value: Any, cuts: np.ndarray | None) -> str:
    if kind == "size":
        low, high = (f"{share:.0%}" for share in (*SIZES, 1.0)[value : value + 2])
        return f"{low} to {high} of the image"
    if kind == "elevation":
        return f"{value * STEEPNESS} to {(value + 1) * STEEPNESS} degrees down"
    if cuts is not None:
        ends = (None, *(f"{c:.3g}" for c in cuts), None)
        low, high = ends[value], ends[value + 1]
        return f"under {high}" if low is None else f"{low} or more" if high is None else f"{low} to {high}"
    return str(value)


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
