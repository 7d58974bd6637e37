# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls metrics and filters on a shot, and keeps their results in the rows of its instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..goals import Goals
from ..instance_row import InstanceRow
from ..layout.matching import match
from ..plugin.contract import attribute_errors_to
from ..plugin.results import Columns, Verdict
from ..stage import CameraPose, Instance, Labels, Shot


def basic_row(instance: Instance, labels: Labels, main: int) -> InstanceRow:
    """The row of an instance before anything is measured."""
    bbox = labels.bbox(instance.id)
    return {
        "id": instance.id,
        "class": instance.asset.class_name,
        "shape": instance.asset.name,
        "main": instance.id == main,
        "bbox": bbox,
        "area": int((labels.ids == instance.id).sum()) if bbox else 0,
        "annotated": False,
        "reason": "",
        "columns": {},
    }


def measure(metrics: Sequence[tuple[str, Any]], shot: Shot, rows: list[InstanceRow]) -> dict[str, Any]:
    """Let metrics add columns to the rows; returns the columns of the image."""
    image: dict[str, Any] = {}
    for _, metric in metrics:
        with attribute_errors_to(metric):
            columns: Columns = metric.measure(shot)
            image.update(columns.image)
            for name, value in columns.image.items():
                check_value(name, value)
            for name, values in columns.bbox.items():
                if len(values) != len(rows):
                    raise ValueError(f"{len(values)} values of '{name}' for {len(rows)} instances")
                for value in values:
                    check_value(name, value)
                for row, value in zip(rows, values, strict=True):
                    if name not in row:
                        row["columns"][name] = value
    return image


def judge(filters: Sequence[Any], shot: Shot, rows: Sequence[InstanceRow]) -> Verdict:
    """The verdict of plain filters: the first rejection, or all instances that they leave unannotated."""
    unannotated: frozenset[int] = frozenset()
    removed: frozenset[int] = frozenset()
    ignored: frozenset[int] = frozenset()
    reason = ""
    for each in filters:
        with attribute_errors_to(each):
            verdict = each.judge(shot, rows)
        if not verdict.accepted:
            return verdict
        unannotated |= verdict.unannotated | verdict.removed | verdict.ignored
        removed |= verdict.removed
        ignored |= verdict.ignored
        reason = reason or verdict.reason
    return Verdict(True, reason, unannotated, removed=removed, ignored=ignored - removed)


def early_verdict(filters: Sequence[Any], probed: Shot, rows: list[InstanceRow], goals: Goals) -> Verdict:
    """The verdict on the probe, before the render."""
    verdict = judge([f for f in filters if f.judges_probes], probed, rows)
    if not verdict.accepted:
        return Verdict(False, f"probe: {verdict.reason}")
    left = [row for row in rows if row["area"] > 0 and row["id"] not in verdict.unannotated]
    if not left:
        return Verdict(False, "probe: nothing to annotate in view")
    if goals.main is not None and not any(row["main"] for row in left):
        return Verdict(False, "probe: main instance too small")
    return verdict


def goals_of(annotatable: tuple[Instance, ...], labels: Labels, goals: Goals) -> dict[int, int]:
    """Which goal of the layout each visible instance is, by its id; those that are none are left out."""
    if not goals.boxes:
        return {}
    boxes = {i.id: labels.bbox(i.id) for i in annotatable}
    seen = [i for i in annotatable if boxes[i.id]]
    corners = np.array([boxes[i.id] for i in seen], dtype=float).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    height, width = labels.ids.shape
    found, _ = match([i.asset.class_name for i in seen], corners / (width, height, width, height), goals.boxes)
    return {i.id: int(goal) for i, goal in zip(seen, found, strict=True) if goal >= 0}


def main_of(
    annotatable: tuple[Instance, ...], labels: Labels, goals: Goals, matched: Mapping[int, int] | None = None
) -> int:
    """Id of the instance that is the main goal of ``matched``, or else nearest to it; 0 without one."""
    if goals.main is None:
        return 0
    for id, number in (matched or {}).items():
        if number == 0:
            return id
    goal, best, nearest = goals.main, 0, np.inf
    height, width = labels.ids.shape
    for instance in annotatable:
        box = labels.bbox(instance.id) if instance.asset.class_name == goal.class_name else None
        if box is None:
            continue
        center = ((box[0] + box[2] / 2) / width, (box[1] + box[3] / 2) / height)
        away = abs(np.log(box[2] * box[3] / (width * height) / goal.area)) + np.hypot(
            center[0] - goal.center[0], center[1] - goal.center[1]
        )
        if away < nearest:
            best, nearest = instance.id, away
    return best


def exclusion_reason(shot: Shot, row: InstanceRow, verdict: Verdict, min_visible_share: float) -> str:
    """Why an instance is not annotated, "" where it is."""
    alone = shot.amodal.get(row["id"])
    share = None if alone is None else alone.visible_share(row["area"])
    if row["area"] == 0:
        return "not visible"
    if row["id"] in verdict.unannotated:
        return verdict.reason or "refused by a filter"
    if share is not None and share < min_visible_share:
        return "visible share too low"
    return ""


def annotated_rows(
    shot: Shot, rows: Sequence[InstanceRow], verdict: Verdict, min_visible_share: float
) -> list[InstanceRow]:
    """The rows that stay annotated under this verdict."""
    return [row for row in rows if not exclusion_reason(shot, row, verdict, min_visible_share)]


def add_columns(rows: Sequence[InstanceRow], columns: Mapping[str, Mapping[int, Any]]) -> None:
    """Add columns that gates measured, by instance id, to the rows; None where an instance has no value."""
    for name, values in columns.items():
        for value in values.values():
            check_value(name, value)
        for row in rows:
            row["columns"][name] = values.get(row["id"])


def check_value(name: str, value: Any) -> None:
    """Records are JSON, so columns hold numbers, strings, and lists of them."""
    if not isinstance(value, str | int | float | list | tuple | np.ndarray | np.generic | None):
        raise ValueError(f"'{name}' is a {type(value).__name__}; columns hold numbers, strings, and lists of them")


EMPTY_SHOT = Shot(
    np.empty((0, 0, 3), np.uint8),
    Labels(np.empty((0, 0), np.int32), np.empty((0, 0), np.float32)),
    (),
    {},
    CameraPose(np.eye(4), 1.0, 1, 1),
)
"""The shot of attempts whose camera was never posed."""
