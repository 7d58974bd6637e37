# SPDX-License-Identifier: GPL-3.0-or-later
"""Saves copies of the open file for background processes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import bpy

from ...engine.errors import OutputError


def save_copy(path: Path) -> None:
    """Save a copy of the open file; OutputError if that fails.

    The process that opens it removes a shown sample. Removing it here, outside the step of an operator, would let undo
    find data that it does not know.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _no_thumbnail():
            bpy.ops.wm.save_as_mainfile(
                filepath=str(path), copy=True, relative_remap=True, compress=False, check_existing=False
            )
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).removeprefix("Error: ").split())
        raise OutputError(f"Cannot save a copy of the scene to {path}: {reason}") from None


@contextlib.contextmanager
def _no_thumbnail() -> Iterator[None]:
    """Save without a thumbnail of the scene, which takes Blender longer to draw than to write the file."""
    preferences = bpy.context.preferences
    was_dirty, before = preferences.is_dirty, preferences.filepaths.file_preview_type
    preferences.filepaths.file_preview_type = "NONE"
    try:
        yield
    finally:
        preferences.filepaths.file_preview_type = before
        preferences.is_dirty = was_dirty
