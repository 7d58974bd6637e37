# SPDX-License-Identifier: GPL-3.0-or-later
"""Saves copies of the open file for background processes."""

from __future__ import annotations

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
        bpy.ops.wm.save_as_mainfile(
            filepath=str(path), copy=True, relative_remap=True, compress=False, check_existing=False
        )
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).removeprefix("Error: ").split())
        raise OutputError(f"Cannot save a copy of the scene to {path}: {reason}") from None
