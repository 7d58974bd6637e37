# SPDX-License-Identifier: GPL-3.0-or-later
"""CVAT's own XML ("CVAT for images"): boxes, polygons and masks of each image in pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ...engine.errors import DataError
from ...engine.regular_files import read_regular

MAX_BYTES = 2**30


def read_cvat(path: Path) -> tuple[dict[str, Any], list[str]]:
    """The annotations of a CVAT file as COCO, and clauses on what was left out.

    Polygons, ellipses and masks count as the box around them; rotated boxes, too.

    Raises
    ------
    DataError
        If the file is missing, no XML, or has no images.
    """
    try:
        data = read_regular(path, MAX_BYTES)
    except FileNotFoundError:
        raise DataError(f"The annotation file '{path}' does not exist. Check the path.") from None
    except OSError as error:
        raise DataError(f"The annotation file '{path}' cannot be read: {error.strerror or error}.") from error
    if b"<!DOCTYPE" in data[:4096] or b"<!ENTITY" in data:
        raise DataError(f"'{path}' declares entities, which CVAT's files do not have and which can fill the memory.")
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError) as error:
        raise DataError(f"'{path}' is not valid XML ({error}). Export it again.") from error
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
        images.append({"id": id, "file_name": image.get("name", ""), **{k: int(v) for k, v in size.items() if v}})
        for shape in image:
            if shape.tag in ("tag", "skeleton"):
                continue
            box, label = _box(shape), shape.get("label", "")
            if box is None or not label:
                left_out += 1
                continue
            category = categories.setdefault(label, len(categories) + 1)
            annotation = {"id": len(annotations) + 1, "image_id": id, "category_id": category, "bbox": box}
            annotations.append({**annotation, "area": box[2] * box[3], "iscrowd": 0})
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
