# SPDX-License-Identifier: GPL-3.0-or-later
"""Goals for metadata columns: the values that a recipe wants, and how near the frames of a job have come to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ...alignment.distances.binning import view_of
from ...alignment.distances.histograms import bhattacharyya, bhattacharyya_floor
from ...engine.errors import DataError
from ...engine.geometry.reachability import solves_for_goals
from ...engine.recipe.settings import GoalSettings, Recipe
from ...engine.rng import stream
from ...engine.sampling.column_goals import IMAGE, Aims
from ..store.frame_record import ACCEPTED, FrameRecord
from .real_boxes import MetadataColumns, real_columns

AREA_TOLERANCE = 0.05
"""Largest relative error of a box's area that counts as near its goal."""

_QUANTILE_STEPS = 256  # values that stand for quantiles


def read_aims(recipe: Recipe) -> Aims:
    """The goals of a recipe with their wanted values; DataError where a file does not hold them."""
    return Aims(recipe.goals, [wanted_values(recipe, goal) for goal in recipe.goals], recipe.seed)


def wanted_values(recipe: Recipe, goal: GoalSettings) -> np.ndarray:
    """The finite values (N,) that a goal is to follow."""
    if goal.quantiles:
        return np.interp(
            (np.arange(_QUANTILE_STEPS) + 0.5) / _QUANTILE_STEPS, np.linspace(0, 1, len(goal.quantiles)), goal.quantiles
        )
    assert recipe.real is not None or goal.real, "checked with the recipe"
    path = recipe.path(goal.real or recipe.real.annotations)  # type: ignore[union-attr]
    measured = real_columns(path)
    if goal.column not in measured:
        raise DataError(
            f"'{path}' has no column '{goal.column}', which a [[goal]] is to follow. Its columns: "
            f"{', '.join(sorted(measured))}. Measure the real pictures (twinset measure), infer what only renderers "
            "know (twinset infer), and name that table as 'real'; or give 'quantiles'."
        )
    values = _class_values(measured, goal)
    if not len(values):
        of = f" for the class '{goal.class_name}'" if goal.class_name else ""
        raise DataError(f"'{path}' has no value of '{goal.column}'{of}. Name another class, or give 'quantiles'.")
    return values


def _class_values(measured: MetadataColumns, goal: GoalSettings) -> np.ndarray:
    values = np.array([np.nan if v is None else v for v in measured[goal.column]], dtype=float)
    if goal.class_name:
        values = values[np.array([str(name) for name in measured["class"]]) == goal.class_name]
    elif goal.column.startswith(IMAGE) and "image_id" in measured:
        values = values[np.unique(np.asarray(measured["image_id"]), return_index=True)[1]]
    return values[np.isfinite(values)]


class GoalTally:
    """Counts, record by record, what frames show of goals and what that took."""

    def __init__(self) -> None:
        self._values: list[list[float]] = []
        self._ways: list[str] = []
        self._compared: list[int] = []
        self._asked: Counter[str] = Counter()
        self._shown: Counter[str] = Counter()
        self._near = 0

    def add(self, record: FrameRecord) -> None:
        """Take in a record; those of frames that were given up, or filtered, are none."""
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
        """How many boxes of a layout there are in the end, and how large."""
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

    def facts(self, recipe: Recipe) -> list[dict[str, Any]]:
        """How near each goal came: way, attempts compared per frame, distance, and the floor that chance makes."""
        out: list[dict[str, Any]] = []
        for use in recipe.plugins.get("target", ()):
            cameras = " and ".join(
                dict.fromkeys(f"'{u.id}'" for u in recipe.plugins["camera"] if solves_for_goals(u.plugin))
            )
            facts: dict[str, Any] = {
                "column": "bbox",
                "class": "",
                "way": f"target '{use.id}', solved by camera {cameras}",
            }
            if self._asked:
                facts |= {"asked": dict(self._asked), "shown": dict(self._shown)}
                facts["near"] = self._near / max(self._shown.total(), 1)
            out.append(facts)
        for goal, values, way in zip(recipe.goals, self._values, self._ways, strict=False):
            facts = {"column": goal.column, "class": goal.class_name, "way": way, "values": len(values)}
            facts["compared"] = float(np.mean(self._compared))
            try:
                wanted = wanted_values(recipe, goal)
            except DataError:  # a machine that has the records need not have the real data
                wanted = np.empty(0)
            if len(wanted) > 1 and values:
                view = view_of(goal.column, wanted)
                span = (view.low, view.high)
                rng = stream(recipe.seed, "goal floor")
                facts["distance"] = bhattacharyya(wanted, np.array(values), range=span)
                facts["floor"] = bhattacharyya_floor(wanted, len(wanted), len(values), rng=rng, range=span)
            out.append(facts)
        return out


def goal_sentences(goals: Iterable[Mapping[str, Any]]) -> list[str]:
    """A sentence for each goal."""
    out = []
    for goal in goals:
        if "compared" not in goal:
            shown = ", ".join(
                f"{goal['shown'].get(name, 0)} of {n} {name}" for name, n in goal.get("asked", {}).items()
            )
            near = (
                f": {shown} are there, {goal['near']:.0%} of them within {AREA_TOLERANCE:.0%} of their area"
                if shown
                else ""
            )
            out.append(f"Boxes by {goal['way']}{near}.")
            continue
        of = f" of '{goal['class']}'" if goal["class"] else ""
        near = f": distance {goal['distance']:.3f}, floor {goal['floor']:.3f}" if "distance" in goal else ""
        way = f" by {goal['way']}" if goal["way"] else ""
        out.append(f"Goal '{goal['column']}'{of}{way}, {goal['compared']:.1f} attempts compared per frame{near}.")
    return out
