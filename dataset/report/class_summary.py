# SPDX-License-Identifier: GPL-3.0-or-later
"""Summarizes classes for a report: comparisons, verdicts on columns, and shapes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from ...alignment.columns.registry import find_column, report_order
from ...alignment.columns.table import Table, measured_table
from ...alignment.distances.comparison import compare_measured
from ...alignment.distances.verdict import Statement, Verdict, verdict
from ...alignment.features.curation import GroupScore, group_scores
from ...engine.rng import stream
from ..formats.metadata_table import TableColumns
from ..progress import Progress

_BOX_COLUMNS = (
    "class",
    "image_id",
    "image_width",
    "image_height",
    "bbox_area",
    "aspect",
    "center_x",
    "center_y",
    "main",
)

DIFFERENT, CONSISTENT, UNKNOWN = "different", "consistent", "unknown"
"""Verdicts on columns, and CSS classes of the page."""


@attrs.frozen(eq=False)
class ClassSummary:
    """A class: its comparison, as ``compare`` gives it, tables of its boxes, and the statements on its columns.

    ``statements`` are those of all boxes, by column; ``of_main`` those of main instances that are off.
    """

    name: str
    compared: Mapping[str, Any]
    real: Table
    synth: Table
    statements: Mapping[str, Statement]
    of_main: tuple[Statement, ...]

    def columns(self) -> list[str]:
        """Compared columns that are reported, in their order."""
        return sorted((c for c in self.compared["columns"] if find_column(c).reported), key=report_order)

    def verdict(self, column: str) -> str:
        """``DIFFERENT`` if a column differs significantly, ``CONSISTENT`` if not, ``UNKNOWN`` without enough data.

        ``area`` shares the statement of ``sqrt_area``.
        """
        statement = self.statements.get(find_column(column).synonym_of or column)
        if statement is None or math.isnan(statement.upper_floor):
            return UNKNOWN
        return DIFFERENT if statement.significant else CONSISTENT


def summarize_classes(
    names: Sequence[str],
    real: TableColumns,
    synth: TableColumns,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> tuple[list[ClassSummary], Verdict, dict[str, Any]]:
    """Compare classes of two datasets.

    Returns
    -------
    (list of ClassSummary, Verdict, dict)
        The last is the report of :func:`...alignment.distances.comparison.compare_measured`.
    """
    classes: dict[str, Any] = {}
    for i, name in enumerate(names):
        progress(i, len(names))
        classes |= compare_measured(real, synth, name, seed)["classes"]
    report = {"classes": classes, "only_real": [], "only_synth": []}
    overall = verdict(report)
    summaries = []
    for name in names:
        own = [s for s in (*overall.significant, *overall.consistent, *overall.undecided) if s.class_name == name]
        summaries.append(
            ClassSummary(
                name,
                classes[name],
                _box_table(real, name),
                _box_table(synth, name),
                {s.column: s for s in own if not s.main},
                tuple(s for s in own if s.main and s.significant),
            )
        )
    return summaries, overall, report


def _box_table(columns: TableColumns, name: str) -> Table:
    """The boxes of a class with the columns that charts of positions need."""
    return measured_table({key: columns[key] for key in _BOX_COLUMNS if key in columns}, name)


@attrs.frozen(eq=False)
class Shape:
    """One asset of a class: number of boxes, median visible share and relative area, and how typical it is.

    ``best`` has ``id``, ``image_id`` and ``bbox`` of the annotation that shows it best; ``score`` is how typical its
    boxes are of real ones, None without features.
    """

    name: str
    count: int
    visible: float
    area: float
    best: Mapping[str, Any]
    score: GroupScore | None = None


def shapes(
    columns: TableColumns, class_name: str, scores: Mapping[int, float] | None = None, seed: int = 0
) -> list[Shape]:
    """The shapes of a class, by the column ``shape``; worst score first, else most frequent first.

    Parameters
    ----------
    columns : mapping
        See :func:`.report_dataset.report_columns`.
    class_name : str
    scores : mapping, optional
        Annotation id to the score of its box.
    seed : int
        Of the intervals of the scores.
    """
    names = columns.get("shape")
    if names is None:
        return []
    of_class = (str(owner) == class_name for owner in columns["class"])
    grouped: dict[str, list[int]] = {}
    for i, (own, shape) in enumerate(zip(of_class, names, strict=True)):
        if own and isinstance(shape, str) and shape:
            grouped.setdefault(shape, []).append(i)
    scored = _shape_scores(columns, grouped, scores or {}, stream(seed, "shapes", class_name))
    boxes = np.column_stack([np.asarray(columns[f"bbox_{axis}"], dtype=float) for axis in "xywh"])
    pixels = np.asarray(columns["image_width"], dtype=float) * np.asarray(columns["image_height"], dtype=float)
    areas, seen = boxes[:, 2] * boxes[:, 3] / pixels, _shares(columns.get("visible_share"), len(boxes))
    ids, images = columns["id"], columns["image_id"]
    out = []
    for name, group in grouped.items():
        own_areas, own_seen = areas[group].tolist(), seen[group].tolist()
        # The best example is visible as a whole, and neither tiny nor filling the image.
        best = max(
            range(len(group)),
            key=lambda k: (round(own_seen[k] if math.isfinite(own_seen[k]) else 0.5, 1), -abs(own_areas[k] - 0.12)),
        )
        i = group[best]
        shown = {"id": int(ids[i]), "image_id": int(images[i]), "bbox": boxes[i].tolist()}
        out.append(Shape(name, len(group), _median(own_seen), _median(own_areas), shown, scored.get(name)))
    return sorted(out, key=lambda s: (s.score.mean if s.score else 2.0, -s.count, s.name))


def _shape_scores(
    columns: TableColumns, grouped: Mapping[str, Sequence[int]], scores: Mapping[int, float], rng: np.random.Generator
) -> dict[str, GroupScore]:
    if not scores:
        return {}
    ids, owners = columns["id"], columns["image_id"]
    boxes = [(name, i) for name, group in grouped.items() for i in group if ids[i] in scores]
    values = np.array([scores[ids[i]] for _, i in boxes])
    images = np.array([owners[i] for _, i in boxes])
    return {g.name: g for g in group_scores(values, [name for name, _ in boxes], rng, images=images)} if boxes else {}


def _shares(values: Sequence[Any] | np.ndarray | None, count: int) -> np.ndarray:
    """Visible shares (count,), NaN where unknown."""
    if values is None:
        return np.full(count, math.nan)
    return np.array([float(v) if isinstance(v, int | float) else math.nan for v in values])


def _median(values: Sequence[float]) -> float:
    known = [v for v in values if math.isfinite(v)]
    return float(np.median(known)) if known else math.nan
