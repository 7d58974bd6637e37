# SPDX-License-Identifier: GPL-3.0-or-later
"""Repairs of COCO files as tools export them: numbers as text, sizes that photos tell, categories listed twice."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from ..atomic_files import is_number
from .box_arrays import BoxArrays, box_arrays

VARIABLE = "TWINSET_STRICT"
"""The environment variable that refuses annotations with anything to repair, as ``--strict`` does."""

ROUNDING_PX = 2.0
"""Boxes that extend so little beyond their image are rounded, not wrong."""

CLIPPED_PX = 10.0
CLIPPED_SHARE = 0.01
"""Boxes may extend so far beyond their image, in pixels or as a share of its longer side, and are clipped."""

Entry = dict[str, Any]


def is_strict() -> bool:
    """Whether annotations with anything to repair are refused."""
    return os.environ.get(VARIABLE, "") not in ("", "0")


def repair(data: Mapping[str, Any], size_of: Callable[[str], tuple[int, int] | None]) -> list[str]:
    """Repair parsed COCO data in place; what cannot be understood is left for the check.

    Parameters
    ----------
    data : mapping
        ``images``, ``annotations`` and ``categories`` as in COCO.
    size_of : callable
        Takes an image's ``file_name`` and gives the width and height of the upright image; None if it is not found.

    Returns
    -------
    list of str
        What was repaired, a clause with a count for each kind.
    """
    images, annotations, categories = (_entries(data.get(key)) for key in ("images", "annotations", "categories"))
    done = [*_numbers(images, annotations, categories), *_sizes(images, size_of)]
    done += _categories(data, annotations, categories)
    # Boxes that mean something else must not be clipped, as they would then no longer be recognised.
    size = known_sizes(images)
    found = box_arrays(annotations, size)
    return done if problem_of_all_boxes(found) else [*done, *_boxes(annotations, found, size)]


def problem_of_all_boxes(found: BoxArrays) -> str:
    """A sentence where all boxes are written in another way than COCO's; "" otherwise."""
    found = found.take(~found.are_crowds & ~np.isnan(found.sizes[:, 0]))
    boxes = found.boxes
    if not len(boxes):
        return ""
    if boxes.min() >= 0 and boxes.max() <= 1.001 and (boxes != np.round(boxes)).any():
        return (
            "all boxes lie between 0 and 1, so they are normalised; COCO's are in pixels: multiply x and width by the "
            "width of the image, y and height by its height"
        )
    first, second, largest = boxes[:, :2], boxes[:, 2:], found.sizes + CLIPPED_PX
    if not (first < second).all() or (second > largest).any():
        return ""
    with np.errstate(over="ignore"):
        outside = int((first + second > largest).any(1).sum())
    if outside >= max(1, len(boxes) // 5):
        return (
            "the boxes are [left, top, right, bottom] by all signs, and leave their images if read as COCO's "
            "[x, y, width, height]: write the differences"
        )
    return ""


def _entries(values: Any) -> list[Entry]:
    return [entry for entry in values if isinstance(entry, dict)] if isinstance(values, list) else []


def _numbers(images: list[Entry], annotations: list[Entry], categories: list[Entry]) -> Iterator[str]:
    """Whole numbers that are written as decimals or text, and boxes as text."""
    count = 0
    for entries, keys in (
        (images, ("id", "width", "height")),
        (annotations, ("id", "image_id", "category_id")),
        (categories, ("id",)),
    ):
        for key in keys:
            if {float, str}.isdisjoint(map(type, [entry.get(key) for entry in entries])):
                continue
            for entry in entries:
                number = _whole(entry.get(key))
                if number is not None:
                    entry[key] = number
                    count += 1
    if count:
        yield f"{count} ids or sizes that were text or decimal numbers became whole numbers"
    texts = 0
    lists = [box for box in [a.get("bbox") for a in annotations] if isinstance(box, list)]
    for annotation in annotations if str in set(map(type, chain.from_iterable(lists))) else ():
        box = annotation.get("bbox")
        if isinstance(box, list) and len(box) == 4 and any(isinstance(value, str) for value in box):
            numbers = [_decimal(value) for value in box]
            if None not in numbers:
                annotation["bbox"] = numbers
                texts += 1
    if texts:
        yield f"{texts} boxes of text became numbers"


def _whole(value: Any) -> int | None:
    """A whole number that is written as a decimal or text; None for whole numbers, and for anything else."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, str) and len(value) < 20:
        text = value.strip()
        if text.removeprefix("-").isascii() and text.removeprefix("-").isdigit():
            return int(text)
    return None


def _decimal(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return value if is_number(value) else None


def _sizes(images: list[Entry], size_of: Callable[[str], tuple[int, int] | None]) -> Iterator[str]:
    count = 0
    for image in images:
        valid = all(is_number(image.get(key)) and image[key] > 0 for key in ("width", "height"))
        name = image.get("file_name")
        size = size_of(name) if not valid and isinstance(name, str) and name else None
        if size is not None:
            image["width"], image["height"] = size
            count += 1
    if count:
        yield f"the sizes of {count} images were taken from their files"


def _categories(data: Mapping[str, Any], annotations: list[Entry], categories: list[Entry]) -> Iterator[str]:
    """Categories of one name, as Roboflow lists a dataset's group and class: those that nothing uses go first."""
    names = Counter(c.get("name") for c in categories if isinstance(c.get("name"), str))
    if not any(count > 1 for count in names.values()):
        return
    ids = Counter(c.get("id") for c in categories if isinstance(c.get("id"), int))
    used = Counter(a.get("category_id") for a in annotations if isinstance(a.get("category_id"), int))
    same: dict[int, int] = {}
    removed: list[str] = []
    for name, count in names.items():
        group = [c for c in categories if c.get("name") == name]
        if count == 1 or any(not isinstance(c.get("id"), int) or ids[c["id"]] > 1 for c in group):
            continue
        kept = max(group, key=lambda c: used[c["id"]])
        same |= {c["id"]: kept["id"] for c in group if c is not kept}
        removed.append(f"'{name}'")
    for annotation in annotations:
        if isinstance(annotation.get("category_id"), int):
            annotation["category_id"] = same.get(annotation["category_id"], annotation["category_id"])
    listed = data.get("categories")
    if isinstance(listed, list):
        listed[:] = [c for c in listed if not (isinstance(c, dict) and c.get("id") in same)]
    if removed:
        yield f"{len(same)} categories with the name of another one were merged with it ({', '.join(removed[:5])})"


def _boxes(annotations: list[Entry], found: BoxArrays, size: Mapping[int, tuple[float, float]]) -> Iterator[str]:
    """Boxes that extend a few pixels beyond their image."""
    count, most = 0, 0.0
    for row in found.rows[~found.are_crowds & (found.beyond > ROUNDING_PX)].tolist():
        annotation = annotations[row]
        (x, y, w, h), (width, height) = annotation["bbox"], size[annotation["image_id"]]
        beyond = max(-x, -y, x + w - width, y + h - height)
        left, top, right, bottom = max(x, 0), max(y, 0), min(x + w, width), min(y + h, height)
        inside = right > left and bottom > top and w > 0 and h > 0
        if ROUNDING_PX < beyond <= max(CLIPPED_PX, CLIPPED_SHARE * max(width, height)) and inside:
            annotation["bbox"] = [left, top, right - left, bottom - top]
            count, most = count + 1, max(most, beyond)
    if count:
        yield f"{count} boxes that extended up to {most:.3g} px beyond their images were clipped"


def known_sizes(images: Sequence[Mapping[str, Any]]) -> dict[int, tuple[float, float]]:
    """Width and height by image id, of those images that have them."""
    return {
        i["id"]: (i["width"], i["height"])
        for i in images
        if isinstance(i.get("id"), int) and is_number(i.get("width")) and is_number(i.get("height"))
    }
