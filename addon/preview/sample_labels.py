# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels and colours of a sample's instances, for the 3D Viewport and for pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..translations.catalog import worded

Color = tuple[float, float, float, float]

WHITE: Color = (1.0, 1.0, 1.0, 1.0)
BACKGROUND: Color = (0.05, 0.05, 0.05, 0.72)
REJECTED: Color = (1.0, 0.42, 0.38, 0.95)
_MAIN: Color = (1.0, 0.62, 0.18, 1.0)
_UNANNOTATED: Color = (0.72, 0.72, 0.72, 0.8)
_CLASSES: tuple[Color, ...] = (
    (0.36, 0.78, 1.0, 1.0),
    (0.55, 0.9, 0.45, 1.0),
    (0.93, 0.55, 0.9, 1.0),
    (0.98, 0.9, 0.4, 1.0),
)


def label_of(row: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    """The label of an instance: class, area and goal, visible share, and why it is not annotated."""
    image = record["image"]
    parts = [row["class"]]
    if row["bbox"]:
        area = _share(row["bbox"][2] * row["bbox"][3] / (image["width"] * image["height"]))
        goal = record["goals"]
        parts.append(worded("{} (goal {})", area, _share(goal["area"])) if row["main"] and goal else area)
    if row.get("visible_share") is not None and row["visible_share"] < 0.995:
        parts.append(worded("{} visible", f"{row['visible_share']:.0%}"))
    if row["reason"]:
        parts.append(row["reason"])
    return "  ".join(parts)


def headline_of(message: Mapping[str, Any]) -> list[str]:
    """The title of a sample: its number, its attempts, and the reasons for rejections."""
    record = message["record"]
    count = len(record["tried"])
    if record["image"] is None:
        lines = [worded("Sample {}: given up after {} attempts", message["frame"], count)]
    else:
        annotated = sum(row["annotated"] for row in record["instances"])
        lines = [
            worded(
                "Sample {0}: {1} annotated, attempt {2}" if count else "Sample {0}: {1} annotated, first attempt",
                *(message["frame"], annotated, count + 1),
            )
        ]
        lines[0] += worded(", edited") if message.get("is_edited") else ""
    reasons = Counter(tried["reason"] for tried in record["tried"]).most_common(4)
    return lines + [
        worded("Rejected {} times: {}", n, reason) if n > 1 else worded("Rejected: {}", reason) for reason, n in reasons
    ]


def color_of(row: Mapping[str, Any], record: Mapping[str, Any]) -> Color:
    """The colour of an instance: one for the main instance, one for each class, grey if it is not annotated."""
    if not row["annotated"]:
        return _UNANNOTATED
    if row["main"]:
        return _MAIN
    names = sorted({r["class"] for r in record["instances"]})
    return _CLASSES[names.index(row["class"]) % len(_CLASSES)]


def by_size(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The visible instances, largest first, so that small boxes and their labels are drawn on top."""
    rows = [row for row in record["instances"] if row["bbox"]]
    return sorted(rows, key=lambda row: -row["bbox"][2] * row["bbox"][3])


def _share(value: float) -> str:
    return f"{value:.1%}" if value >= 0.1 else f"{value:.2%}"
