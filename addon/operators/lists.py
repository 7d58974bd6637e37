# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of classes, models and plugins: how they look, and the buttons that add, remove and move their entries."""

from itertools import chain, count
from typing import Any

import bpy

from ...engine.plugin.contract import KINDS
from ..settings.display_names import label_of, told
from ..settings.fields import touched
from ..settings.properties import list_attribute, parameters_of, registry
from ..settings.suggestions import escaped

KIND_ICONS = {
    "placement": "OBJECT_ORIGIN",
    "appearance": "LIGHT_SUN",
    "camera": "CAMERA_DATA",
    "target": "PIVOT_CURSOR",
    "metric": "DRIVER_DISTANCE",
    "filter": "FILTER",
}


class TWINSET_UL_uses(bpy.types.UIList):
    """The plugins of a kind, in the order in which they run"""

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
            name.label(text=label_of(item.plugin), icon=KIND_ICONS.get(kind, "PLUGIN"))
        if kind == "camera" and len(data.cameras) > 1:
            row.prop(item, "weight", text="", emboss=False)


class TWINSET_UL_entries(bpy.types.UIList):
    """Classes, distractors, goals or models"""

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
        split.prop(item, "name", text="", emboss=False, icon="OBJECT_DATA")
        text, found = _source_of(item)
        split.label(text=text, icon=found)


def _source_of(entry: Any) -> tuple[str, str]:
    """Where the assets of a class come from, in a word or two, and its icon."""
    if entry.collection is not None:
        return entry.collection.name, "OUTLINER_COLLECTION"
    if len(entry.objects):
        names = [pattern.value for pattern in entry.objects]
        return names[0] if len(names) == 1 else f"{len(names)} objects", "OBJECT_DATA"
    if len(entry.models):
        return f"{len(entry.models)} model files", "FILE_3D"
    if entry.blenderproc:
        return f"Dataset: {entry.blenderproc}", "FILE_FOLDER"
    return (f"Embedded: {entry.builtin}", "MESH_MONKEY") if entry.builtin else ("No assets yet", "ERROR")


class _OnList:
    """What the operators on lists share: the list is named by the key of its tables."""

    bl_options = {"REGISTER", "UNDO", "INTERNAL"}
    key: bpy.props.StringProperty(options={"HIDDEN"})

    def entries(self, context: Any) -> tuple[Any, int]:
        settings = context.scene.twinset
        return getattr(settings, list_attribute(self.key)), getattr(settings, f"{self.key}_index")

    def select(self, context: Any, index: int) -> None:
        setattr(context.scene.twinset, f"{self.key}_index", max(index, 0))
        touched()


class TWINSET_OT_entry_add(_OnList, bpy.types.Operator):
    """Add an entry"""

    bl_idname = "twinset.entry_add"
    bl_label = "Add"

    def execute(self, context: Any) -> set[str]:
        entries, _ = self.entries(context)
        entry = entries.add()
        if self.key in ("class", "distractor"):
            taken = {other.name for other in entries}
            names = chain([self.key], (f"{self.key} {n}" for n in count(2)))
            entry.name = next(name for name in names if name not in taken)
        self.select(context, len(entries) - 1)
        return {"FINISHED"}


class TWINSET_OT_entry_remove(_OnList, bpy.types.Operator):
    """Remove the selected entry"""

    bl_idname = "twinset.entry_remove"
    bl_label = "Remove"

    def execute(self, context: Any) -> set[str]:
        entries, index = self.entries(context)
        if not 0 <= index < len(entries):
            self.report({"INFO"}, "There is nothing to remove.")
            return {"CANCELLED"}
        entries.remove(index)
        self.select(context, min(index, len(entries) - 1))
        return {"FINISHED"}


class TWINSET_OT_entry_move(_OnList, bpy.types.Operator):
    """Move the selected entry: plugins run from top to bottom"""

    bl_idname = "twinset.entry_move"
    bl_label = "Move"
    direction: bpy.props.EnumProperty(items=[("UP", "Up", ""), ("DOWN", "Down", "")], options={"HIDDEN"})

    def execute(self, context: Any) -> set[str]:
        entries, index = self.entries(context)
        other = index + (-1 if self.direction == "UP" else 1)
        if not (0 <= index < len(entries) and 0 <= other < len(entries)):
            return {"CANCELLED"}
        entries.move(index, other)
        self.select(context, other)
        return {"FINISHED"}


class TWINSET_OT_stack_add(_OnList, bpy.types.Operator):
    """Add a plugin to the stack"""

    bl_idname = "twinset.stack_add"
    bl_label = "Add Plugin"
    plugin: bpy.props.StringProperty(options={"HIDDEN"})

    @classmethod
    def description(cls, context: Any, properties: Any) -> str:
        if properties.plugin not in registry().ids(properties.key):
            return cls.__doc__ or ""
        return told(registry().find(properties.key, properties.plugin)).rstrip(".")

    def execute(self, context: Any) -> set[str]:
        uses, _ = self.entries(context)
        if self.key == "target":
            uses.clear()  # there is one at most
        uses.add().plugin = self.plugin
        self.select(context, len(uses) - 1)
        return {"FINISHED"}


class _OnNames:
    """What the operators on lists of names share: the list is found by its path from the scene."""

    bl_options = {"REGISTER", "UNDO", "INTERNAL"}
    path: bpy.props.StringProperty(options={"HIDDEN"})

    def names(self, context: Any) -> Any:
        return context.scene.path_resolve(self.path)


class TWINSET_OT_name_add(_OnNames, bpy.types.Operator):
    """Add an empty entry"""

    bl_idname = "twinset.name_add"
    bl_label = "Add Name"

    def execute(self, context: Any) -> set[str]:
        self.names(context).add()
        touched()
        return {"FINISHED"}


class TWINSET_OT_name_remove(_OnNames, bpy.types.Operator):
    """Remove this entry"""

    bl_idname = "twinset.name_remove"
    bl_label = "Remove Name"
    index: bpy.props.IntProperty(options={"HIDDEN"})

    def execute(self, context: Any) -> set[str]:
        self.names(context).remove(self.index)
        touched()
        return {"FINISHED"}


class TWINSET_OT_name_add_selected(_OnNames, bpy.types.Operator):
    """Add the names of the selected objects"""

    bl_idname = "twinset.name_add_selected"
    bl_label = "Add Selected Objects"

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not context.selected_objects:
            cls.poll_message_set("Select objects in the 3D view first")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        names = self.names(context)
        add_names(names, [o.name for o in context.selected_objects])
        return {"FINISHED"}


def add_names(names: Any, wanted: list[str]) -> int:
    """Add objects to a list of patterns, each once; returns how many were new."""
    there = {entry.value for entry in names}
    fresh = [name for name in dict.fromkeys(escaped(name) for name in wanted) if name not in there]
    for entry in [entry for entry in names if not entry.value]:
        names.remove(list(names).index(entry))
    for name in fresh:
        names.add().value = name
    touched()
    return len(fresh)


def _menu(kind: str) -> type:
    def draw(self: Any, context: Any) -> None:
        used = {use.plugin for use in getattr(context.scene.twinset, list_attribute(kind))}
        for id in registry().ids(kind):
            if kind == "metric" and id in used:
                continue
            add = self.layout.operator("twinset.stack_add", text=label_of(id), icon=KIND_ICONS[kind])
            add.key, add.plugin = kind, id

    members = {"bl_label": f"Add {label_of(kind)}", "draw": draw, "__doc__": f"Add a plugin of the kind {kind}"}
    return type(f"TWINSET_MT_add_{kind}", (bpy.types.Menu,), members)


_CLASSES = (
    TWINSET_UL_uses,
    TWINSET_UL_entries,
    TWINSET_OT_entry_add,
    TWINSET_OT_entry_remove,
    TWINSET_OT_entry_move,
    TWINSET_OT_stack_add,
    TWINSET_OT_name_add,
    TWINSET_OT_name_remove,
    TWINSET_OT_name_add_selected,
    *(_menu(kind) for kind in KINDS),
)

register, unregister = bpy.utils.register_classes_factory(_CLASSES)
