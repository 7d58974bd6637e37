# SPDX-License-Identifier: GPL-3.0-or-later
"""The real annotations for the panels: read once, and again only if the file has changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import bpy

if TYPE_CHECKING:
    from ...dataset.formats.coco import CocoFile

_cache: dict[tuple[str, int, int], CocoFile] = {}
_centers: dict[tuple[int, str], tuple[tuple[float, float], ...]] = {}


def path_of(text: str) -> Path:
    """The path in a text field: relative to the .blend file if it begins with ``//``, with variables expanded."""
    from ...engine.recipe.paths import absolute_path

    return absolute_path(Path(bpy.path.abspath("//") or "."), bpy.path.abspath(text))


def read_annotations(text: str) -> CocoFile:
    """The COCO file of a text field; DataError if it cannot be read."""
    from ...dataset.formats.dataset_folder import read_dataset

    path = path_of(text)
    try:
        status = path.stat()
        key = (str(path), status.st_mtime_ns, status.st_size)
    except OSError:
        key = (str(path), 0, 0)
    if key not in _cache:
        file = read_dataset(path)
        _cache.clear()  # keep one file only, since they can be large
        _cache[key] = file
    return _cache[key]


def real_centers(text: str, class_name: str) -> tuple[tuple[float, float], ...]:
    """Centres of a class's real boxes as shares of the image; none if the file cannot be read."""
    from ...engine.errors import TwinsetError

    if not text:
        return ()
    try:
        file = read_annotations(text)
        key = (id(file), class_name)
        if key not in _centers:
            _centers.clear()
            has_boxes = bool(file.classes().get(class_name))
            points = file.boxes(class_name).center.tolist() if has_boxes else []
            _centers[key] = tuple((x, y) for x, y in points)
        return _centers[key]
    except (TwinsetError, OSError):
        return ()


def categories(text: str) -> list[str]:
    """Names of the categories that have boxes, most frequent first; empty if the file cannot be read."""
    from ...engine.errors import TwinsetError

    if not text:
        return []
    try:
        counts = read_annotations(text).classes()
    except (TwinsetError, OSError):
        return []
    return sorted((name for name, count in counts.items() if count), key=lambda name: (-counts[name], name))
