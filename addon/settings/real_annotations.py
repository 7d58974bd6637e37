# SPDX-License-Identifier: GPL-3.0-or-later
"""The real annotations as panels need them: read once, and again only when the file has changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import bpy

if TYPE_CHECKING:
    from ...dataset.formats.coco import CocoFile

_read: dict[tuple[str, int, int], CocoFile] = {}


def path_of(text: str) -> Path:
    """A path as a panel holds it: from the .blend where it begins with ``//``, variables expanded."""
    from ...engine.recipe.settings import absolute

    return absolute(Path(bpy.path.abspath("//") or "."), bpy.path.abspath(text))


def annotated(text: str) -> CocoFile:
    """The COCO file that a panel names; DataError says what is wrong with it."""
    from ...dataset.formats.dataset_folder import read_dataset

    path = path_of(text)
    try:
        status = path.stat()
        key = (str(path), status.st_mtime_ns, status.st_size)
    except OSError:
        key = (str(path), 0, 0)
    if key not in _read:
        found = read_dataset(path)
        _read.clear()  # one at a time: such files can be large
        _read[key] = found
    return _read[key]


def categories(text: str) -> list[str]:
    """Names of the categories that have boxes, most frequent first; none where the file cannot be read."""
    from ...engine.errors import TwinsetError

    if not text:
        return []
    try:
        counts = annotated(text).classes()
    except (TwinsetError, OSError):
        return []
    return sorted((name for name, count in counts.items() if count), key=lambda name: (-counts[name], name))
