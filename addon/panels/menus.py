# SPDX-License-Identifier: GPL-3.0-or-later
"""Marking from the context menus of the 3D Viewport and the Outliner, and the pie menu."""

from __future__ import annotations

from typing import Any

import bpy

from ..operators.assets import assets_in
from ..operators.marking import roles_of
from ..settings.real_annotations import categories
from ..settings.recipe import is_set_up

_MOST_CLASSES = 8


class TWINSET_MT_mark(bpy.types.Menu):
    """Mark the selected objects for Twinset"""

    bl_label = "Twinset"

    def draw(self, context: Any) -> None:
        layout, scene = self.layout, context.scene
        layout.operator_context = "INVOKE_DEFAULT"
        for name in class_names(scene):
            layout.operator("twinset.mark_class", text=name, icon="COLLECTION_COLOR_04", translate=False).name = name
        layout.operator("twinset.mark_class", text="New Class...", icon="ADD").name = ""
        layout.separator()
        layout.operator("twinset.mark_surface", text="Surface", icon="MESH_GRID")
        layout.operator("twinset.mark_distractor", text="Distractor", icon="GHOST_DISABLED")
        layout.separator()
        layout.operator("twinset.unmark", icon="X")


class TWINSET_MT_pie(bpy.types.Menu):
    """Mark the selected objects, and go through samples"""

    bl_label = "Twinset"

    def draw(self, context: Any) -> None:
        pie, scene = self.layout.menu_pie(), context.scene
        is_shown = scene.twinset_preview.is_shown
        names = class_names(scene)
        # In the order west, east, south, north, north-west, north-east, south-west, south-east.
        pie.operator("twinset.preview_sample", text="Previous Sample", icon="TRIA_LEFT").step = -1 if is_shown else 0
        pie.operator("twinset.preview_sample", text="Next Sample", icon="TRIA_RIGHT").step = 1 if is_shown else 0
        if is_shown:
            pie.operator("twinset.restore_scene", icon="LOOP_BACK")
        else:
            pie.operator("twinset.unmark", icon="X")
        if names:
            pie.operator("twinset.mark_class", text=names[0], icon="COLLECTION_COLOR_04", translate=False).name = names[
                0
            ]
        else:
            pie.operator("twinset.mark_class", text="New Class...", icon="ADD").name = ""
        pie.operator("twinset.mark_surface", text="Surface", icon="MESH_GRID")
        pie.operator("twinset.mark_distractor", text="Distractor", icon="GHOST_DISABLED")
        pie.menu("TWINSET_MT_mark", text="Classes", icon="OUTLINER_COLLECTION")
        pie.operator("twinset.render_here", icon="RENDER_STILL")


def class_names(scene: bpy.types.Scene) -> list[str]:
    """The classes to mark objects as: those of the scene, then those of the real photos."""
    if not is_set_up(scene):
        return []
    own = [entry.name for entry in scene.twinset.classes]
    return list(dict.fromkeys((*own, *categories(scene.twinset.real.annotations))))[:_MOST_CLASSES]


def _draw_in_menu(menu: Any, context: Any) -> None:
    """Add the entry to a context menu, with what the object already is."""
    active = context.active_object
    roles = roles_of(context.scene, active) if active is not None and context.scene is not None else []
    menu.layout.separator()
    menu.layout.menu("TWINSET_MT_mark", text=f"Twinset: {', '.join(roles)}" if roles else "Twinset", icon="OBJECT_DATA")


class TWINSET_MT_assets(bpy.types.Menu):
    """Add the selected assets to a class"""

    bl_label = "Add to Class"

    def draw(self, context: Any) -> None:
        layout = self.layout
        layout.operator("twinset.add_assets", text="Class of the Catalog", icon="ASSET_MANAGER").name = ""
        layout.separator()
        for name in class_names(context.scene):
            layout.operator("twinset.add_assets", text=name, icon="COLLECTION_COLOR_04", translate=False).name = name


def _draw_in_asset_menu(menu: Any, context: Any) -> None:
    """Add the entry to the context menu of assets."""
    if assets_in(context):
        menu.layout.separator()
        menu.layout.menu("TWINSET_MT_assets", text="Add to Class (Twinset)", icon="COLLECTION_COLOR_04")


_MENUS = {
    "VIEW3D_MT_object_context_menu": _draw_in_menu,
    "OUTLINER_MT_object": _draw_in_menu,
    "ASSETBROWSER_MT_context_menu": _draw_in_asset_menu,
}
_CLASSES = (TWINSET_MT_mark, TWINSET_MT_pie, TWINSET_MT_assets)


def register() -> None:
    """Register the menus, and add them to Blender's."""
    for cls in _CLASSES:
        bpy.utils.register_class(cls)
    for name, draw in _MENUS.items():
        if hasattr(bpy.types, name):
            getattr(bpy.types, name).append(draw)


def unregister() -> None:
    """Remove them."""
    for name, draw in _MENUS.items():
        if hasattr(bpy.types, name):
            getattr(bpy.types, name).remove(draw)
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
