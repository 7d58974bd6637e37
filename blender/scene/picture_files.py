# SPDX-License-Identifier: GPL-3.0-or-later
"""Picture files that Blender is to show: checked once, since Blender renders unreadable ones in pink."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import attrs
import bpy

from ...engine.errors import StageError
from ...engine.regular_files import open_regular


@attrs.frozen
class PictureFile:
    """A picture file that Blender can read, with its size in pixels."""

    path: Path
    width: int
    height: int


def check_picture(path: Path, what: str) -> PictureFile:
    """The picture at ``path``, called ``what`` in errors; StageError if it is missing or cannot be read."""
    path = Path(path)
    try:
        with open_regular(path) as file:
            stat = os.fstat(file.fileno())
    except OSError as error:
        raise StageError(f"The {what} {path} cannot be read: {error.strerror or error}. Correct the path.") from error
    return _read_once(path, what, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=4096)
def _read_once(path: Path, what: str, _mtime: int, _bytes: int) -> PictureFile:
    """Read each version of a file once: Blender loads images lazily and renders a damaged one in pink."""
    try:
        image = bpy.data.images.load(str(path), check_existing=False)
    except RuntimeError as error:
        raise StageError(f"Blender cannot open the {what} {path}. Replace or remove it.") from error
    try:
        width, height = image.size
    finally:
        bpy.data.images.remove(image)
    if width == 0 or height == 0:
        raise StageError(f"Blender cannot read the {what} {path}: it is damaged or no picture. Replace or remove it.")
    return PictureFile(path, width, height)
