# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads detections in the COCO results format, and reports every problem."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...engine.errors import DataError
from ..atomic_files import is_number
from ..json_files import read_json
from .coco import CocoFile
from .coco_check import raise_problems


def read_predictions(path: Path, real: CocoFile) -> list[dict[str, Any]]:
    """The detections of a file of COCO results: ``image_id``, ``category_id``, ``bbox`` and ``score`` each.

    Parameters
    ----------
    path : Path
        A JSON list, or a COCO file whose annotations have scores.
    real : CocoFile
        The dataset whose images and categories they name.

    Raises
    ------
    DataError
        If the file is missing, not such a list, or has invalid entries (the first ten, with their places).
    """
    data = read_json(path)
    if isinstance(data, Mapping):
        data = data.get("annotations")
    if not isinstance(data, list) or not all(isinstance(entry, Mapping) for entry in data):
        raise DataError(
            f"'{path}' holds no predictions in the COCO results format: a JSON list of objects with 'image_id', "
            "'category_id', 'bbox' and 'score'."
        )
    images, categories = {i["id"] for i in real.images}, {c["id"] for c in real.categories}
    problems: list[str] = []
    for number, entry in enumerate(data, start=1):
        problem = _problem(entry, images, categories)
        if problem:
            problems.append(f"prediction number {number} {problem}")
    raise_problems(path, problems)
    return [dict(entry) for entry in data]


def _problem(entry: Mapping[str, Any], images: set[int], categories: set[int]) -> str:
    """What is wrong with a prediction; "" if nothing is."""
    missing = [key for key in ("image_id", "category_id", "bbox", "score") if key not in entry]
    if missing:
        return f"has no {', '.join(missing)}"
    for key, known in (("image_id", images), ("category_id", categories)):
        if isinstance(entry[key], bool) or not isinstance(entry[key], int) or entry[key] not in known:
            return f"has the {key} {entry[key]!r}, which is not in the real dataset"
    box = entry["bbox"]
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_number, box)) or box[2] < 0 or box[3] < 0:
        return f"needs a 'bbox' of four finite numbers [x, y, width, height]; it has {box!r}"
    if not is_number(entry["score"]):
        return f"needs a finite number as its 'score'; it has {entry['score']!r}"
    return ""
