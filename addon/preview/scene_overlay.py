# SPDX-License-Identifier: GPL-3.0-or-later
"""What is drawn in the space of the 3D Viewport: masks, zones and cameras, as the user has chosen."""

from __future__ import annotations

import logging
from typing import Any

import bpy
from bpy.app.handlers import persistent

from ..settings.recipe import is_set_up
from . import frusta, live_boxes, masks

log = logging.getLogger(__name__)

_handle: Any = None


def _draw() -> None:
    context = bpy.context
    scene, space = context.scene, context.space_data
    if not is_set_up(scene) or not space.overlay.show_overlays:
        return
    live, view = context.window_manager.twinset_live, space.region_3d
    if live.show_zones:
        masks.draw_zones(scene)
    if live.show_masks and scene.twinset_preview.is_shown:
        masks.draw_masks(scene)
    if live.show_cameras and view.view_perspective != "CAMERA":
        frusta.draw_cameras(scene, live.camera_count)


@persistent
def _on_load(*_: Any) -> None:
    for module in (frusta, live_boxes, masks):
        module.forget()


def register() -> None:
    """Add the draw handler, unless Blender runs in the background, and forget drawn data with each file."""
    global _handle
    bpy.app.handlers.load_post.append(_on_load)
    if not bpy.app.background and _handle is None:
        _handle = bpy.types.SpaceView3D.draw_handler_add(_draw, (), "WINDOW", "POST_VIEW")


def unregister() -> None:
    """Remove the handlers."""
    global _handle
    bpy.app.handlers.load_post.remove(_on_load)
    _on_load()
    if _handle is not None:
        bpy.types.SpaceView3D.draw_handler_remove(_handle, "WINDOW")
        _handle = None
