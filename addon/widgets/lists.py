# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of classes, models, goals and plugins, and the menus that add plugins."""

from typing import Any

import bpy

from ...engine.plugin.contract import KINDS
from ..settings.display_names import label_of
from ..settings.plugins import registry
from ..settings.properties import list_attribute, parameters_of
from ..translations.catalog import worded

_KIND_ICONS = {
    "placement": "OBJECT_ORIGIN",
    "appearance": "LIGHT_SUN",
    "camera": "CAMERA_DATA",
    "effect": "SHADERFX",
    "target": "PIVOT_CURSOR",
    "metric": "DRIVER_DISTANCE",
    "filter": "FILTER",
    "writer": "EXPORT",
}


def draw_list(layout: bpy.types.UILayout, settings: Any, key: str, attribute: str, list_class: str) -> None:
    """Draw a list with the buttons that add, remove and move its entries."""
    entries = getattr(settings, attribute)
    row = layout.row()
    rows = 4 if len(entries) > 1 else 2
    row.template_list(list_class, key, settings, attribute, settings, f"{key}_index", rows=rows, maxrows=8)
    column = row.column(align=True)
    draw_add(column, key)
    remove = column.operator("twinset.entry_remove", text="", icon="REMOVE")
    remove.key = key
    if len(entries) > 1:
        column.separator()
        for direction, icon in (("UP", "TRIA_UP"), ("DOWN", "TRIA_DOWN")):
            move = column.operator("twinset.entry_move", text="", icon=icon)
            move.key, move.direction = key, direction


def draw_add(layout: bpy.types.UILayout, key: str) -> None:
    """Draw the button that adds an entry: for a stack, a menu of plugins."""
    menu = f"TWINSET_MT_add_{key}"
    if hasattr(bpy.types, menu):
        layout.menu(menu, text="", icon="ADD")
    else:
        layout.operator("twinset.entry_add", text="", icon="ADD").key = key


class TWINSET_UL_uses(bpy.types.UIList):
    """Plugins of a kind, in the order in which they run"""

    def draw_item(
        self, context: Any, layout: Any, data: Any, item: Any, icon: int, active_data: Any, active_property: str
    ) -> None:
        kind = self.list_id
        row = layout.row(align=True)
        row.prop(item, "enabled", text="", emboss=False, icon="CHECKBOX_HLT" if item.enabled else "CHECKBOX_DEHLT")
        name = row.row()
        name.active = item.enabled
        if parameters_of(item) is None:
            name.alert = True
            name.label(text=f"{label_of(item.plugin)} (not loaded)", icon="ERROR")
        else:
            name.label(text=label_of(item.plugin), icon=_KIND_ICONS.get(kind, "PLUGIN"))
        if kind == "camera" and len(data.cameras) > 1:
            row.prop(item, "weight", text="", emboss=False)


class TWINSET_UL_entries(bpy.types.UIList):
    """Classes, distractors, goals, cameras of a rig, or models"""

    def draw_item(
        self, context: Any, layout: Any, data: Any, item: Any, icon: int, active_data: Any, active_property: str
    ) -> None:
        split = layout.split(factor=0.5)
        if self.list_id == "model":
            split.label(text=item.name or bpy.path.display_name_from_filepath(item.path) or "No File", icon="FILE_3D")
            return
        if self.list_id == "goal":
            split.label(text=item.column or "No Column", icon="PIVOT_CURSOR")
            split.label(text=item.class_name or "All Classes")
            return
        if self.list_id == "rig":
            split.prop(item, "name", text="", emboss=False, icon="CAMERA_DATA")
            split.label(text=", ".join(f"{value:.3g}" for value in item.position) + " m")
            return
        split.prop(item, "name", text="", emboss=False, icon="OBJECT_DATA")
        text, source_icon = _source_of(item)
        split.label(text=text, icon=source_icon)


def _source_of(entry: Any) -> tuple[str, str]:
    """Short text and icon for the source of a class's assets."""
    if entry.collection is not None:
        return entry.collection.name, "OUTLINER_COLLECTION"
    if len(entry.objects):
        names = [pattern.value for pattern in entry.objects]
        return names[0] if len(names) == 1 else worded("{} objects", len(names)), "OBJECT_DATA"
    if len(entry.models):
        count = len(entry.models)
        return worded("{} model files", count) if count > 1 else worded("One model file"), "FILE_3D"
    if entry.blenderproc:
        return worded("Dataset: {}", entry.blenderproc), "FILE_FOLDER"
    return (worded("Built-in: {}", entry.builtin), "MESH_MONKEY") if entry.builtin else ("No Assets", "ERROR")


def _menu(kind: str) -> type:
    def draw(self: Any, context: Any) -> None:
        used = {use.plugin for use in getattr(context.scene.twinset, list_attribute(kind))}
        for id in registry().ids(kind):
            if kind == "metric" and id in used:
                continue
            add = self.layout.operator("twinset.stack_add", text=label_of(id), icon=_KIND_ICONS.get(kind, "PLUGIN"))
            add.key, add.plugin = kind, id

    members = {"bl_label": f"Add {label_of(kind)}", "draw": draw, "__doc__": f"Add a {kind} plugin"}
    return type(f"TWINSET_MT_add_{kind}", (bpy.types.Menu,), members)


_CLASSES = (TWINSET_UL_uses, TWINSET_UL_entries, *(_menu(kind) for kind in KINDS))

register, unregister = bpy.utils.register_classes_factory(_CLASSES)
