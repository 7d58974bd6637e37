# SPDX-License-Identifier: GPL-3.0-or-later
"""CVAT's own XML ("CVAT for images"): boxes, polygons and masks of each image in pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ...engine.errors import DataError
from ..image_header import MAX_PIXELS
from .safe_xml import parse_xml
from .shapes import polygon_area, uncompressed_rle

MAX_BYTES = 2**30


def read_cvat(path: Path) -> tuple[dict[str, Any], list[str]]:
    """The annotations of a CVAT file as COCO, and clauses on what was left out.

    Polygons and masks become segmentations; ellipses and rotated boxes count as the box around them. A shape whose
    attribute ``is_crowd`` is true is a crowd; subsets are parts.

    Raises
    ------
    DataError
        If the file is missing, no XML, or has no images.
    """
    root = parse_xml(path, MAX_BYTES, "CVAT")
    if root.tag == "annotation":
        raise DataError(
            f"'{path}' is the annotation of one image, as Pascal VOC has it. Name the folder of the dataset."
        )
    found = root.findall("image") if root.tag == "annotations" else []
    if not found:
        raise DataError(
            f"'{path}' is not a file of CVAT with images. Export the job as 'CVAT for images' or as 'COCO'."
        )
    names = [label.text.strip() for label in root.iterfind(".//label/name") if label.text and label.text.strip()]
    categories = {name: id for id, name in enumerate(dict.fromkeys(names), 1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    left_out = 0
    for id, image in enumerate(found, 1):
        size = {key: _number(image.attrib, key) for key in ("width", "height")}
        known = {k: int(v) for k, v in size.items() if v}
        part = {"part": image.get("subset", "").lower()} if image.get("subset") else {}
        images.append({"id": id, "file_name": image.get("name", ""), **known, **part})
        for shape in image:
            if shape.tag in ("tag", "skeleton"):
                continue
            box, label = _box(shape), shape.get("label", "")
            if box is None or not label:
                left_out += 1
                continue
            category = categories.setdefault(label, len(categories) + 1)
            annotation = {"id": len(annotations) + 1, "image_id": id, "category_id": category, "bbox": box}
            is_crowd = any(a.get("name") == "is_crowd" and a.text == "true" for a in shape.iterfind("attribute"))
            crowd = {"area": box[2] * box[3], "iscrowd": int(is_crowd)}
            annotations.append({**annotation, **crowd, **_segmentation(shape, known)})
    listed = [{"id": id, "name": name} for name, id in categories.items()]
    notes = [f"{left_out} shapes without an area were left out"] if left_out else []
    return {"images": images, "annotations": annotations, "categories": listed}, notes


def _number(values: Mapping[str, str], key: str) -> float | None:
    try:
        number = float(values.get(key, ""))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _box(shape: ElementTree.Element) -> list[float] | None:
    """The box ``[x, y, w, h]`` around a shape; None if it has no area."""
    values = shape.attrib
    if shape.tag == "box":
        left, top, right, bottom = (_number(values, key) for key in ("xtl", "ytl", "xbr", "ybr"))
        if left is None or top is None or right is None or bottom is None:
            return None
        return _around(left, top, right, bottom, _number(values, "rotation") or 0.0)
    if shape.tag == "ellipse":
        x, y, rx, ry = (_number(values, key) for key in ("cx", "cy", "rx", "ry"))
        if x is None or y is None or rx is None or ry is None:
            return None
        return _around(x - rx, y - ry, x + rx, y + ry, _number(values, "rotation") or 0.0)
    if shape.tag == "mask":
        box = [_number(values, key) for key in ("left", "top", "width", "height")]
        return None if None in box or not (box[2] and box[3]) else box  # type: ignore[return-value]
    if shape.tag != "polygon":
        return None
    try:
        points = [tuple(map(float, point.split(","))) for point in values.get("points", "").split(";") if point]
        xs, ys = [x for x, _ in points], [y for _, y in points]
    except ValueError:
        return None
    if len(points) < 3 or max(xs) <= min(xs) or max(ys) <= min(ys):
        return None
    return _rounded(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))


def _segmentation(shape: ElementTree.Element, size: Mapping[str, int]) -> dict[str, Any]:
    """The segmentation of a polygon or mask, and its area; nothing for other shapes."""
    if shape.tag == "polygon":
        points = [[float(v) for v in point.split(",")] for point in shape.attrib["points"].split(";") if point]
        flat = [value for point in points for value in point]
        if all(len(point) == 2 for point in points) and all(map(math.isfinite, flat)):
            return {"segmentation": [flat], "area": polygon_area(flat)}
    if shape.tag != "mask" or not {"width", "height"} <= size.keys():
        return {}
    width, height = size["width"], size["height"]
    left, top, w, h = (int(_number(shape.attrib, key) or 0) for key in ("left", "top", "width", "height"))
    try:
        runs = np.array([int(run) for run in shape.get("rle", "").split(",")], dtype=np.int64)
    except (ValueError, OverflowError):
        return {}
    is_inside = 0 <= left <= left + w <= width and 0 <= top <= top + h <= height and 0 < width * height <= MAX_PIXELS
    if not is_inside or runs.min(initial=0) < 0 or runs.max(initial=0) > w * h or runs.sum() != w * h:
        return {}
    mask = np.zeros((height, width), bool)
    mask[top : top + h, left : left + w] = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(h, w)
    return {"segmentation": uncompressed_rle(mask), "area": int(mask.sum())}


def _around(left: float, top: float, right: float, bottom: float, degrees: float) -> list[float] | None:
    """The upright box around one that is turned about its centre."""
    width, height, turn = right - left, bottom - top, math.radians(degrees)
    if width <= 0 or height <= 0:
        return None
    across = width * abs(math.cos(turn)) + height * abs(math.sin(turn))
    down = width * abs(math.sin(turn)) + height * abs(math.cos(turn))
    return _rounded((left + right - across) / 2, (top + bottom - down) / 2, across, down)


def _rounded(*box: float) -> list[float]:
    return [round(value, 3) for value in box]
