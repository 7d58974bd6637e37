# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a sample and its instances, and in which colours: over the view and on pictures alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

Color = tuple[float, float, float, float]

WHITE: Color = (1.0, 1.0, 1.0, 1.0)
GROUND: Color = (0.05, 0.05, 0.05, 0.72)
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
    """What is said of an instance: class, area against goal, visible share, and why it is not annotated."""
    image = record["image"]
    words = [row["class"]]
    if row["bbox"]:
        area = _share(row["bbox"][2] * row["bbox"][3] / (image["width"] * image["height"]))
        goal = record["goals"]
        words.append(f"{area} (goal {_share(goal['area'])})" if row["main"] and goal else area)
    if row.get("visible_share") is not None and row["visible_share"] < 0.995:
        words.append(f"{row['visible_share']:.0%} seen")
    if row["reason"]:
        words.append(row["reason"])
    return "  ".join(words)


def headline_of(message: Mapping[str, Any]) -> list[str]:
    """What is said of a sample as a whole: its number, its attempts, and why some were rejected."""
    record = message["record"]
    count = len(record["tried"])
    if record["image"] is None:
        lines = [f"Sample {message['frame']}: given up after {count} attempts"]
    else:
        seen = sum(row["annotated"] for row in record["instances"])
        which = "first attempt" if not count else f"attempt {count + 1}"
        lines = [f"Sample {message['frame']}: {seen} annotated, {which}"]
    reasons = Counter(tried["reason"] for tried in record["tried"]).most_common(4)
    return lines + [f"Rejected {n} times: {reason}" if n > 1 else f"Rejected: {reason}" for reason, n in reasons]


def color_of(row: Mapping[str, Any], record: Mapping[str, Any]) -> Color:
    """The main instance stands out, classes differ, what is not annotated is grey."""
    if not row["annotated"]:
        return _UNANNOTATED
    if row["main"]:
        return _MAIN
    names = sorted({r["class"] for r in record["instances"]})
    return _CLASSES[names.index(row["class"]) % len(_CLASSES)]


def by_size(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The instances that are in view, largest first: small boxes, and their words, stay on top."""
    rows = [row for row in record["instances"] if row["bbox"]]
    return sorted(rows, key=lambda row: -row["bbox"][2] * row["bbox"][3])


def _share(value: float) -> str:
    return f"{value:.1%}" if value >= 0.1 else f"{value:.2%}"
