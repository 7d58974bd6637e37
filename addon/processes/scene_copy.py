# SPDX-License-Identifier: GPL-3.0-or-later
"""Saves copies of the open file for background processes, and tells its own changes from the user's."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from pathlib import Path

import bpy

from ...engine.errors import OutputError
from ..preview.sample import restore, show_sample, shown_sample

_ignored_until = [0.0]
"""Time (monotonic) until which changes of the scene are the add-on's own."""


def save_copy(context: bpy.types.Context, path: Path) -> None:
    """Save a copy of the open file without a shown sample; OutputError if that fails."""
    scene = context.scene
    message = shown_sample(scene)
    with own_changes(context):
        if message is not None:
            hidden = [(e.object.name, e.object.library is not None) for e in scene.twinset_preview.hidden if e.object]
            restore(scene)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            bpy.ops.wm.save_as_mainfile(
                filepath=str(path), copy=True, relative_remap=True, compress=False, check_existing=False
            )
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error).removeprefix("Error: ").split())
            raise OutputError(f"Cannot save a copy of the scene to {path}: {reason}") from None
        finally:
            if message is not None:
                show_sample(scene, context.view_layer, {**message, "hidden": hidden}, path.parent)


@contextlib.contextmanager
def own_changes(context: bpy.types.Context) -> Iterator[None]:
    """Changes in the context, and for one second after it, are the add-on's own: copies stay up to date."""
    _ignored_until[0] = math.inf
    try:
        yield
        # Evaluate the changes now: in a large scene the window might do it later than in one second.
        context.view_layer.update()
    finally:
        _ignored_until[0] = time.monotonic() + 1.0


def is_own_change() -> bool:
    """Whether a change of the scene that is noticed now is the add-on's own."""
    return time.monotonic() < _ignored_until[0]
