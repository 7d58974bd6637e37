# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report says of a class, before any of it is written down: judgements, directions, shapes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from ...alignment.comparison import compare_measured
from ...alignment.curation import GroupScore, group_scores
from ...alignment.table import Table, measured_table
from ...alignment.verdict import Statement, Verdict, verdict
from ...engine.rng import stream
from .labels import known, order
from .material import Columns, Material, Progress

OFF, FITTING, UNKNOWN = "off", "fitting", "unknown"


@attrs.frozen(eq=False)
class ClassFacts:
    """A class: its comparison, as ``compare`` gives it, its tables, and what is to be said of its columns.

    ``statements`` are those of all boxes, by column; ``of_main`` those of main instances that are off.
    """

    name: str
    compared: Mapping[str, Any]
    real: Table
    synth: Table
    statements: Mapping[str, Statement]
    of_main: tuple[Statement, ...]

    def columns(self) -> list[str]:
        """Compared columns that have a label, in the order in which they are shown."""
        return sorted((name for name in self.compared["columns"] if known(name)), key=order)

    def verdict(self, column: str) -> str:
        """``OFF`` where a column differs by more than chance makes, ``FITTING`` where not, ``UNKNOWN`` if untold.

        Two columns that say the same have one statement.
        """
        said = self.statements.get("sqrt_area" if column == "area" else column)
        if said is None or math.isnan(said.upper_floor):
            return UNKNOWN
        return OFF if said.off else FITTING


def class_facts(
    names: Sequence[str],
    real: Columns,
    synth: Columns,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> tuple[list[ClassFacts], Verdict, dict[str, Any]]:
    """Compare classes of two datasets.

    The numbers are those of :func:`...alignment.comparison.compare_measured`, and the third of what is returned is its
    report.
    """
    classes: dict[str, Any] = {}
    for i, name in enumerate(names):
        progress(i, len(names))
        classes |= compare_measured(real, synth, name, seed)["classes"]
    report = {"classes": classes, "only_real": [], "only_synth": []}
    said = verdict(report)
    facts = []
    for name in names:
        own = [s for s in (*said.off, *said.fitting, *said.unknown) if s.class_name == name]
        facts.append(
            ClassFacts(
                name,
                classes[name],
                measured_table(real, name),
                measured_table(synth, name),
                {s.column: s for s in own if not s.main},
                tuple(s for s in own if s.main and s.off),
            )
        )
    return facts, said, report


@attrs.frozen(eq=False)
class Shape:
    """One asset of a class: how often it is there, how much of it is seen, how large, and how real it looks.

    ``best`` is the annotation that shows it best; ``score`` says how typical of real boxes its boxes are, None where
    features were not looked at.
    """

    name: str
    count: int
    visible: float
    area: float
    best: Mapping[str, Any]
    score: GroupScore | None = None


def shapes(
    material: Material, class_name: str, scores: Mapping[int, float] | None = None, seed: int = 0
) -> list[Shape]:
    """The shapes of a class, by the annotations' ``twinset.shape``; worst score first, else most frequent first.

    Parameters
    ----------
    material : Material
    class_name : str
    scores : mapping, optional
        Annotation id to the score of its box.
    seed : int
        Of the intervals of the scores.
    """
    sizes = {image["id"]: image["width"] * image["height"] for image in material.coco.images}
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for a in material.coco.annotations_of(class_name):
        shape = (a.get("twinset") or {}).get("shape")
        if isinstance(shape, str) and shape:
            grouped.setdefault(shape, []).append(a)
    scored = _scored(grouped, scores or {}, stream(seed, "shapes", class_name))
    found = []
    for name, group in grouped.items():
        areas = [a["bbox"][2] * a["bbox"][3] / sizes[a["image_id"]] for a in group]
        seen = [_share(a) for a in group]
        # Whole and neither tiny nor so close that the picture is all of it.
        best = max(range(len(group)), key=lambda i: (round(_or(seen[i], 0.5), 1), -abs(areas[i] - 0.12)))
        found.append(Shape(name, len(group), _median(seen), _median(areas), group[best], scored.get(name)))
    return sorted(found, key=lambda s: (s.score.mean if s.score else 2.0, -s.count, s.name))


def _scored(
    grouped: Mapping[str, Sequence[Mapping[str, Any]]], scores: Mapping[int, float], rng: np.random.Generator
) -> dict[str, GroupScore]:
    boxes = [(name, a) for name, group in grouped.items() for a in group if a["id"] in scores]
    values = np.array([scores[a["id"]] for _, a in boxes])
    images = np.array([a["image_id"] for _, a in boxes])
    return {g.name: g for g in group_scores(values, [name for name, _ in boxes], rng, images=images)} if boxes else {}


def _share(annotation: Mapping[str, Any]) -> float:
    value = (annotation.get("twinset") or {}).get("visible_share")
    return float(value) if isinstance(value, int | float) else math.nan


def _median(values: Sequence[float]) -> float:
    known = [v for v in values if math.isfinite(v)]
    return float(np.median(known)) if known else math.nan


def _or(value: float, other: float) -> float:
    return value if math.isfinite(value) else other
