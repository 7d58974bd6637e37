# SPDX-License-Identifier: GPL-3.0-or-later
"""Label Studio's own JSON: a list of tasks, each with an image and regions in percent of its size."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...engine.errors import DataError
from ..atomic_files import is_number
from ..image_header import MAX_PIXELS
from .brush_masks import decode_brush
from .shapes import polygon_area, uncompressed_rle

_LABELS = ("rectanglelabels", "polygonlabels", "brushlabels", "labels")


def is_label_studio(data: Any) -> bool:
    """Whether parsed JSON is a list of Label Studio's tasks, in full or as "JSON-MIN"."""
    return (
        isinstance(data, list)
        and bool(data)
        and all(isinstance(task, Mapping) for task in data)
        and any("annotations" in task or "completions" in task or _minimal(task) for task in data)
    )


def as_coco(
    path: Path, tasks: list[Mapping[str, Any]], size_of: Callable[[str], tuple[int, int] | None]
) -> tuple[dict[str, Any], list[str]]:
    """The tasks as COCO, and clauses on what was left out.

    Of each task the first annotation that was not cancelled counts. Rotated rectangles become the box around them.

    Parameters
    ----------
    path : Path
        For messages.
    tasks : list of mappings
    size_of : callable
        Takes an image's name and gives its width and height; None if it is not found.

    Raises
    ------
    DataError
        If no task names an image.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories: dict[str, int] = {}
    left_out = 0
    for task in tasks:
        name = _image_name(task)
        if not name:
            continue
        regions = list(_regions(task))
        size = next((s for region in regions if (s := _size(region)) is not None), None) or size_of(name)
        image_id = len(images) + 1
        images.append({"id": image_id, "file_name": name})
        if size is not None:
            images[-1] |= {"width": size[0], "height": size[1]}
        for region in regions:
            label, mask = _label(region), _brush(region, size)
            box = _box(region, size) if mask is None else _extent(mask)
            if box is None or label is None:
                left_out += 1
                continue
            category = categories.setdefault(label, len(categories) + 1)
            annotation = {"id": len(annotations) + 1, "image_id": image_id, "category_id": category, "bbox": box}
            known: dict[str, Any] = {"area": box[2] * box[3], "iscrowd": 0}
            if mask is not None:
                known |= {"area": int(mask.sum()), "segmentation": uncompressed_rle(mask)}
            annotations.append({**annotation, **known, **_polygon(region, size)})
    if not images:
        raise DataError(f"'{path}' is a list of Label Studio's tasks, but none names an image. Export it again.")
    listed = [{"id": id, "name": label} for label, id in categories.items()]
    notes = [f"{left_out} regions that are no boxes or polygons were left out"] if left_out else []
    return {"images": images, "annotations": annotations, "categories": listed}, notes


def _minimal(task: Mapping[str, Any]) -> bool:
    """Whether a task is one of JSON-MIN, whose regions are values of its own keys."""
    return any(
        isinstance(value, list) and value and isinstance(value[0], Mapping) and "original_width" in value[0]
        for value in task.values()
    )


def _image_name(task: Mapping[str, Any]) -> str:
    data = task.get("data")
    values = data if isinstance(data, Mapping) else task
    named = values.get("image")
    if isinstance(named, str):
        return named
    texts = (value for value in values.values() if isinstance(value, str))
    return next((t for t in texts if t.lower().split("?")[0].endswith((".jpg", ".jpeg", ".png", ".webp", ".bmp"))), "")


def _regions(task: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    for annotation in task.get("annotations") or task.get("completions") or ():
        if isinstance(annotation, Mapping) and not annotation.get("was_cancelled"):
            results = annotation.get("result") or ()
            # Choices and texts about the whole image are no regions.
            return [r for r in results if isinstance(r, Mapping) and r.get("type", "").endswith("labels")]
    return [
        region
        for value in task.values()
        if isinstance(value, list)
        for region in value
        if isinstance(region, Mapping) and "original_width" in region
    ]


def _size(region: Mapping[str, Any]) -> tuple[int, int] | None:
    width, height = region.get("original_width"), region.get("original_height")
    if not (is_number(width) and is_number(height)):
        return None
    return int(width), int(height)  # type: ignore[arg-type]


def _label(region: Mapping[str, Any]) -> str | None:
    values = region.get("value") if isinstance(region.get("value"), Mapping) else region
    assert isinstance(values, Mapping)
    found = next((values[key] for key in _LABELS if isinstance(values.get(key), list) and values[key]), None)
    return found[0] if found and isinstance(found[0], str) and found[0] else None


def _brush(region: Mapping[str, Any], size: tuple[int, int] | None) -> np.ndarray | None:
    """The mask (H, W) bool of a brush region; None for other regions."""
    values = region.get("value") if isinstance(region.get("value"), Mapping) else region
    assert isinstance(values, Mapping)
    data = values.get("rle")
    if not isinstance(data, list) or size is None or not 0 < size[0] * size[1] <= MAX_PIXELS:
        return None
    return decode_brush(data, size[1], size[0])


def _extent(mask: np.ndarray) -> list[float] | None:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    left, top = int(columns[0]), int(rows[0])
    return [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top]


def _polygon(region: Mapping[str, Any], size: tuple[int, int] | None) -> dict[str, Any]:
    """The segmentation of a polygon region, and its area; nothing for other regions."""
    values = region.get("value") if isinstance(region.get("value"), Mapping) else region
    assert isinstance(values, Mapping)
    points = values.get("points")
    if not isinstance(points, list) or size is None:
        return {}
    flat = [round(value * size[k] / 100, 6) for point in points for k, value in enumerate(point)]
    return {"segmentation": [flat], "area": polygon_area(flat)}


def _box(region: Mapping[str, Any], size: tuple[int, int] | None) -> list[float] | None:
    """The box ``[x, y, w, h]`` in pixels around a region; None if it has none."""
    values = region.get("value") if isinstance(region.get("value"), Mapping) else region
    assert isinstance(values, Mapping)
    if size is None:
        return None
    width, height = size
    points = values.get("points")
    if isinstance(points, list) and len(points) >= 3:
        if not all(isinstance(p, list) and len(p) == 2 and all(map(is_number, p)) for p in points):
            return None
        corners = [(x * width / 100, y * height / 100) for x, y in points]
    else:
        numbers = [values.get(key) for key in ("x", "y", "width", "height")]
        if not all(map(is_number, numbers)):
            return None
        x, y, w, h = (float(n) for n in numbers)  # type: ignore[arg-type]
        turn = math.radians(float(values.get("rotation") or 0))
        left, top, across, down = x * width / 100, y * height / 100, w * width / 100, h * height / 100
        # Turned clockwise about the upper left corner.
        corners = [
            (left + u * math.cos(turn) - v * math.sin(turn), top + u * math.sin(turn) + v * math.cos(turn))
            for u, v in ((0.0, 0.0), (across, 0.0), (0.0, down), (across, down))
        ]
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    # Rounded to a thousandth of a pixel, so that whole pixels come back as they went out.
    return [round(v, 3) for v in (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))]
