# SPDX-License-Identifier: GPL-3.0-or-later
"""3D Viewports look through the camera of a sample, and as before when it is gone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy
from bpy.app.handlers import persistent

_before: dict[int, str] = {}
"""Perspective of the viewports that were changed, by the address of their view."""


def look_through_camera(context: bpy.types.Context) -> None:
    """Set the 3D Viewports of the window to the camera view."""
    for view in _views([context.window]):
        if view.view_perspective != "CAMERA":
            _before[view.as_pointer()] = context.scene.twinset_preview.perspective_before = view.view_perspective
            view.view_perspective = "CAMERA"
        else:
            _before.setdefault(view.as_pointer(), "CAMERA")


def look_back(perspective: str) -> None:
    """Set the viewports that :func:`look_through_camera` has changed as they were.

    ``perspective`` is for those that were saved with the file in another session.
    """
    for view in _views(bpy.context.window_manager.windows):
        before = _before.pop(view.as_pointer(), perspective)
        if view.view_perspective == "CAMERA":
            view.view_perspective = before
    _before.clear()


def _views(windows: Any) -> Iterator[Any]:
    for window in windows:
        for area in window.screen.areas if window is not None else ():
            if area.type == "VIEW_3D":
                yield area.spaces.active.region_3d


@persistent
def _on_undo(*_: Any) -> None:
    """Undo of the first preview takes its camera away: viewports do not take part in undo."""
    if _before and not any(scene.twinset_preview.is_shown for scene in bpy.data.scenes):
        look_back("CAMERA")


@persistent
def _on_load(*_: Any) -> None:
    _before.clear()


def register() -> None:
    """Add the handlers."""
    bpy.app.handlers.undo_post.append(_on_undo)
    bpy.app.handlers.redo_post.append(_on_undo)
    bpy.app.handlers.load_post.append(_on_load)


def unregister() -> None:
    """Remove the handlers."""
    bpy.app.handlers.undo_post.remove(_on_undo)
    bpy.app.handlers.redo_post.remove(_on_undo)
    bpy.app.handlers.load_post.remove(_on_load)
    _before.clear()
