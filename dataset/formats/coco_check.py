# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks COCO files before anything is computed from them; every problem is reported with its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...engine.errors import DataError
from ..atomic_files import is_number
from ..image_header import MAX_PIXELS
from ..imports.box_arrays import BoxArrays, box_arrays, has_types
from ..imports.repairs import ROUNDING_PX, known_sizes, problem_of_all_boxes

MAX_LISTED = 10

Entries = list[dict[str, Any]]


def check_coco(path: Path, data: Any) -> tuple[Entries, Entries, Entries]:
    """Images, annotations and categories of a parsed COCO file, boxes clipped to their images.

    Boxes of crowd annotations are not checked, as nothing uses them.

    Raises
    ------
    DataError
        Naming the first ten problems and how many there are.
    """
    if not isinstance(data, Mapping):
        raise DataError(
            f"'{path}' is not a COCO file: it holds a JSON {_json_type(data)} instead of an object with 'images', "
            "'annotations' and 'categories'."
        )
    for key in ("images", "annotations", "categories"):
        if key not in data:
            raise DataError(f"'{path}' is not a COCO file: the key '{key}' is missing.")
        if not isinstance(data[key], list) or not all(issubclass(each, Mapping) for each in set(map(type, data[key]))):
            raise DataError(f"'{path}' is not a COCO file: '{key}' must be a list of objects.")
    problems: list[str] = []
    images, annotations, categories = (_as_dicts(data[key]) for key in ("images", "annotations", "categories"))
    for kind, entries in (("image", images), ("annotation", annotations), ("category", categories)):
        _check_ids(kind, entries, problems)
    _check_images(images, problems)
    _check_categories(categories, problems)
    sizes = {i["id"]: (i["width"], i["height"]) for i in images if _is_id(i.get("id")) and _has_size(i)}
    known_images = {i["id"] for i in images if _is_id(i.get("id"))}
    known_categories = {c["id"] for c in categories if _is_id(c.get("id"))}
    found = box_arrays(annotations, known_sizes(images))
    of_all = problem_of_all_boxes(found)
    for row in _suspects(annotations, found, known_images, known_categories):
        _check_annotation(annotations[row], known_images, known_categories, sizes, problems)
    raise_problems(path, [of_all, *problems] if of_all else problems)
    return images, annotations, categories


def are_categories(entries: Any) -> bool:
    """Whether a value is a list of COCO categories with unique ids and names."""
    if not isinstance(entries, list) or not all(isinstance(e, dict) and _is_id(e.get("id")) for e in entries):
        return False
    names = [e.get("name") for e in entries]
    named = all(isinstance(name, str) and name for name in names)
    return named and len(set(names)) == len({e["id"] for e in entries}) == len(entries)


def raise_problems(path: Path, problems: list[str]) -> None:
    """Raise a DataError that lists ``problems``, sentences without a full stop, if there are any."""
    if not problems:
        return
    if len(problems) == 1:
        raise DataError(f"'{path}': {problems[0]}.")
    head = f"'{path}' has {len(problems)} problems" + (
        f", the first {MAX_LISTED}" if len(problems) > MAX_LISTED else ""
    )
    raise DataError("\n".join([head + ":", *(f"  {p}." for p in problems[:MAX_LISTED])]))


def _as_dicts(entries: Sequence[Mapping[str, Any]]) -> Entries:
    """The entries themselves, which are changed where boxes are clipped; copies of those that are no dicts."""
    return [entry if isinstance(entry, dict) else dict(entry) for entry in entries]


def _suspects(annotations: Entries, found: BoxArrays, images: set[int], categories: set[int]) -> list[int]:
    """Which annotations have something that must be looked at one by one; of most files, none."""
    good = np.zeros(len(annotations), dtype=bool)
    # Nothing uses the boxes of crowds.
    good[found.rows] = found.are_crowds | ((found.boxes[:, 2:] > 0).all(1) & ~(found.beyond > 0))
    for key, known in (("image_id", images), ("category_id", categories)):
        values = [a.get(key) for a in annotations]
        if set(map(type, values)) <= {int}:
            good &= np.array([value in known for value in values], dtype=bool)
        else:
            good &= np.array([type(value) is int and value in known for value in values], dtype=bool)
    return np.flatnonzero(~good).tolist()


def _check_ids(kind: str, entries: Entries, problems: list[str]) -> None:
    if not _has_plain_ids(entries):
        _check_each_id(kind, entries, problems)
    if has_types(entries, "twinset", {dict, type(None)}):
        return
    problems.extend(
        f"{kind} {entry.get('id')} has a 'twinset' that is not an object; remove it"
        for entry in entries
        if not isinstance(entry.get("twinset") or {}, Mapping)
    )


def _has_plain_ids(entries: Entries) -> bool:
    """Whether all ids are whole numbers, of which none is used twice."""
    ids = [entry.get("id") for entry in entries]
    if not set(map(type, ids)) <= {int}:
        return False
    try:
        numbers = np.array(ids, dtype=np.int64)
    except OverflowError:
        return False
    return len(np.unique(numbers)) == len(ids) and not (numbers == -(2**63)).any()


def _check_each_id(kind: str, entries: Entries, problems: list[str]) -> None:
    counts: Counter[int] = Counter()
    for index, entry in enumerate(entries):
        if not _is_id(entry.get("id")):
            found = repr(entry.get("id"))
            problems.append(f"{kind} number {index + 1} needs an integer 'id' of at most 64 bits; it has {found}")
        else:
            counts[entry["id"]] += 1
    problems.extend(f"{kind} id {i} is used {n} times; ids must be unique" for i, n in counts.items() if n > 1)


def _check_images(images: Entries, problems: list[str]) -> None:
    for image in images:
        if not isinstance(image.get("file_name") or "", str):
            problems.append(f"image {image.get('id')} has a 'file_name' that is not a string; correct it")
        if not _has_size(image):
            problems.append(
                f"image {image.get('id')} ('{image.get('file_name', '')}') has no valid width and height; "
                "give both in pixels"
            )


def _check_categories(categories: Entries, problems: list[str]) -> None:
    names: Counter[str] = Counter()
    for category in categories:
        name = category.get("name")
        if not isinstance(name, str) or not name:
            problems.append(f"category {category.get('id')} has no name")
        else:
            names[name] += 1
    problems.extend(f"category name '{n}' is used {c} times; names must be unique" for n, c in names.items() if c > 1)


def _check_annotation(
    annotation: dict[str, Any],
    images: set[int],
    categories: set[int],
    sizes: Mapping[int, tuple[float, float]],
    problems: list[str],
) -> None:
    image_id, category_id = annotation.get("image_id"), annotation.get("category_id")
    place = f"annotation {annotation.get('id')} (image {image_id})"
    if not _is_id(image_id) or image_id not in images:
        problems.append(f"{place} belongs to an image that is not in 'images'; remove it or add the image")
    if not _is_id(category_id) or category_id not in categories:
        problems.append(
            f"{place} has the category {category_id!r}, which is not in 'categories'; remove it or add the category"
        )
    if annotation.get("iscrowd"):
        return
    box = annotation.get("bbox")
    if not isinstance(box, list | tuple) or len(box) != 4 or not all(_is_number(v) for v in box):
        problems.append(f"{place} needs a 'bbox' of four numbers [x, y, width, height]; it has {box!r}")
        return
    if not all(map(is_number, box)):
        problems.append(f"{place} has the box {box}, which is not finite; correct or remove it")
        return
    if box[2] <= 0 or box[3] <= 0:
        problems.append(f"{place} has the box {box}, whose width or height is not positive; correct or remove it")
        return
    if isinstance(image_id, int) and image_id in sizes:
        _clip(annotation, place, sizes[image_id], problems)


def _clip(annotation: dict[str, Any], place: str, size: tuple[float, float], problems: list[str]) -> None:
    x, y, w, h = annotation["bbox"]
    width, height = size
    out = max(-x, -y, x + w - width, y + h - height)
    if out <= 0:
        return
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + w, width), min(y + h, height)
    if out > ROUNDING_PX or right <= left or bottom <= top:
        problems.append(
            f"{place} has the box {annotation['bbox']}, which extends {out:g} px beyond its image of "
            f"{width:g} by {height:g} px; correct it, remove it, or check the size of the image"
        )
        return
    annotation["bbox"] = [left, top, right - left, bottom - top]


def _has_size(image: Mapping[str, Any]) -> bool:
    width, height = image.get("width"), image.get("height")
    if not (is_number(width) and is_number(height)):
        return False
    return width > 0 and height > 0 and width * height <= MAX_PIXELS  # type: ignore[operator]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _json_type(value: Any) -> str:
    return {list: "list", str: "string", type(None): "null", bool: "boolean"}.get(type(value), "number")
