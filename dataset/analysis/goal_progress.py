# SPDX-License-Identifier: GPL-3.0-or-later
"""Goals for metadata columns: the target values of a recipe, and how close the frames of a job come to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ...alignment.distances.binning import column_binning
from ...alignment.distances.histograms import bhattacharyya, bhattacharyya_floor
from ...engine.errors import DataError
from ...engine.geometry.reachability import solves_for_goals
from ...engine.recipe.settings import GoalSettings, Recipe
from ...engine.rng import stream
from ...engine.sampling.column_goals import IMAGE, ColumnGoalScorer
from ..formats.metadata_table import TableColumns
from ..store.frame_record import ACCEPTED, FrameRecord
from .real_boxes import real_columns

AREA_TOLERANCE = 0.05
"""Largest relative error of area with which a box counts as matching its goal."""

_QUANTILE_STEPS = 256  # samples that represent quantiles


def read_goal_scorer(recipe: Recipe) -> ColumnGoalScorer:
    """The goals of a recipe with their wanted values; DataError where a file does not hold them."""
    return ColumnGoalScorer(recipe.goals, [wanted_values(recipe, goal) for goal in recipe.goals], recipe.seed)


def wanted_values(recipe: Recipe, goal: GoalSettings) -> np.ndarray:
    """The finite values (N,) whose distribution a goal follows."""
    if goal.quantiles:
        return np.interp(
            (np.arange(_QUANTILE_STEPS) + 0.5) / _QUANTILE_STEPS, np.linspace(0, 1, len(goal.quantiles)), goal.quantiles
        )
    assert recipe.real is not None or goal.real, "checked with the recipe"
    path = recipe.path(goal.real or recipe.real.annotations)  # type: ignore[union-attr]
    measured = real_columns(path)
    if goal.column not in measured:
        raise DataError(
            f"'{path}' has no column '{goal.column}', which a [[goal]] needs. Its columns: "
            f"{', '.join(sorted(measured))}. Create a table with `twinset measure`, or with `twinset infer` for "
            "columns that only a renderer knows, and name it as 'real'; or set 'quantiles'."
        )
    values = _class_values(measured, goal)
    if not len(values):
        of = f" for the class '{goal.class_name}'" if goal.class_name else ""
        raise DataError(f"'{path}' has no value of '{goal.column}'{of}. Name another class, or set 'quantiles'.")
    return values


def _class_values(measured: TableColumns, goal: GoalSettings) -> np.ndarray:
    values = np.array([np.nan if v is None else v for v in measured[goal.column]], dtype=float)
    if goal.class_name:
        values = values[np.array([str(name) for name in measured["class"]]) == goal.class_name]
    elif goal.column.startswith(IMAGE) and "image_id" in measured:
        values = values[np.unique(np.asarray(measured["image_id"]), return_index=True)[1]]
    return values[np.isfinite(values)]


class GoalTally:
    """Collects, record by record, the values that frames show for each goal."""

    def __init__(self) -> None:
        self._values: list[list[float]] = []
        self._ways: list[str] = []
        self._compared: list[int] = []
        self._asked: Counter[str] = Counter()
        self._shown: Counter[str] = Counter()
        self._near = 0

    def add(self, record: FrameRecord) -> None:
        """Add an accepted frame; others are ignored."""
        if record["verdict"] != ACCEPTED:
            return
        self._add_boxes(record)
        aims = record.get("aims")
        if aims is None:
            return
        self._compared.append(aims["compared"])
        if not self._values:
            self._values, self._ways = [[] for _ in aims["shown"]], [""] * len(aims["shown"])
        for k, shown in enumerate(aims["shown"]):
            self._values[k] += shown["values"]
            self._ways[k] = shown["way"] if shown["values"] else self._ways[k]

    def _add_boxes(self, record: FrameRecord) -> None:
        """Count the boxes of a layout that became annotations, and those of about the right area."""
        boxes = record.get("goals", {}).get("boxes")
        if not boxes:
            return
        pixels = record["image"]["width"] * record["image"]["height"]
        self._asked.update(box["class_name"] for box in boxes)
        for row in record["instances"]:
            goal, bbox = row.get("goal"), row["bbox"]
            if row["annotated"] and goal is not None and bbox:
                self._shown[row["class"]] += 1
                area = bbox[2] * bbox[3] / pixels
                self._near += abs(area / boxes[goal]["area"] - 1) <= AREA_TOLERANCE

    def summary(self, recipe: Recipe) -> list[dict[str, Any]]:
        """Summaries of goals: how each is reached, attempts compared per frame, distance to the target values, and
        the distance expected by chance (``floor``)."""
        out: list[dict[str, Any]] = []
        for use in recipe.plugins.get("target", ()):
            cameras = " and ".join(
                dict.fromkeys(f"'{u.id}'" for u in recipe.plugins["camera"] if solves_for_goals(u.plugin))
            )
            entry: dict[str, Any] = {
                "column": "bbox",
                "class": "",
                "way": f"target '{use.id}', solved by camera {cameras}",
            }
            if self._asked:
                entry |= {"asked": dict(self._asked), "shown": dict(self._shown)}
                entry["near"] = self._near / max(self._shown.total(), 1)
            out.append(entry)
        for goal, values, way in zip(recipe.goals, self._values, self._ways, strict=False):
            entry = {"column": goal.column, "class": goal.class_name, "way": way, "values": len(values)}
            entry["compared"] = float(np.mean(self._compared))
            try:
                wanted = wanted_values(recipe, goal)
            except DataError:  # a machine with the records may not have the real data
                wanted = np.empty(0)
            if len(wanted) > 1 and values:
                binning = column_binning(goal.column, wanted)
                span = (binning.low, binning.high)
                rng = stream(recipe.seed, "goal floor")
                entry["distance"] = bhattacharyya(wanted, np.array(values), range=span)
                entry["floor"] = bhattacharyya_floor(wanted, len(wanted), len(values), rng=rng, range=span)
            out.append(entry)
        return out


def goal_sentences(goals: Iterable[Mapping[str, Any]]) -> list[str]:
    """One sentence per goal."""
    out = []
    for goal in goals:
        if "compared" not in goal:
            shown = ", ".join(
                f"{goal['shown'].get(name, 0)} of {n} {name} boxes" for name, n in goal.get("asked", {}).items()
            )
            result = f": {shown} are visible" if shown else ""
            result += f", {goal['near']:.0%} of them within {AREA_TOLERANCE:.0%} of their goal's area" if shown else ""
            out.append(f"Boxes by {goal['way']}{result}.")
            continue
        of = f" of '{goal['class']}'" if goal["class"] else ""
        result = f": distance {goal['distance']:.3f}, floor {goal['floor']:.3f}" if "distance" in goal else ""
        way = f" by {goal['way']}" if goal["way"] else ""
        out.append(f"Goal '{goal['column']}'{of}{way}, {goal['compared']:.1f} attempts compared per frame{result}.")
    return out
