# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that add, remove and move entries of lists: classes, models, goals, plugins and names."""

from collections.abc import Iterable
from itertools import chain, count
from typing import Any

import bpy

from ..settings.display_names import plugin_summary
from ..settings.plugins import registry
from ..settings.properties import list_attribute
from ..settings.references import escape_pattern, set_object


class _ListOperator:
    """Base of the operators on lists; ``key`` is that of the list's tables in a recipe."""

    bl_options = {"REGISTER", "UNDO", "INTERNAL"}
    key: bpy.props.StringProperty(options={"HIDDEN"})

    def entries(self, context: Any) -> tuple[Any, int]:
        settings = context.scene.twinset
        return getattr(settings, list_attribute(self.key)), getattr(settings, f"{self.key}_index")

    def select(self, context: Any, index: int) -> None:
        setattr(context.scene.twinset, f"{self.key}_index", max(index, 0))


class TWINSET_OT_entry_add(_ListOperator, bpy.types.Operator):
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


class TWINSET_OT_entry_remove(_ListOperator, bpy.types.Operator):
    """Remove the selected entry"""

    bl_idname = "twinset.entry_remove"
    bl_label = "Remove"

    def execute(self, context: Any) -> set[str]:
        entries, index = self.entries(context)
        if not 0 <= index < len(entries):
            self.report({"INFO"}, "The list is empty")
            return {"CANCELLED"}
        entries.remove(index)
        self.select(context, min(index, len(entries) - 1))
        return {"FINISHED"}


class TWINSET_OT_entry_move(_ListOperator, bpy.types.Operator):
    """Move the selected entry. Plugins run from top to bottom"""

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


class TWINSET_OT_stack_add(_ListOperator, bpy.types.Operator):
    """Add a plugin to the stack"""

    bl_idname = "twinset.stack_add"
    bl_label = "Add Plugin"
    plugin: bpy.props.StringProperty(options={"HIDDEN"})

    @classmethod
    def description(cls, context: Any, properties: Any) -> str:
        if properties.plugin not in registry().ids(properties.key):
            return cls.__doc__ or ""
        return plugin_summary(registry().find(properties.key, properties.plugin)).rstrip(".")

    def execute(self, context: Any) -> set[str]:
        uses, _ = self.entries(context)
        if self.key == "target":
            uses.clear()  # a recipe has one at most
        uses.add().plugin = self.plugin
        self.select(context, len(uses) - 1)
        return {"FINISHED"}


class _NamesOperator:
    """Base of the operators on lists of names; ``path`` is the list's RNA path from the scene."""

    bl_options = {"REGISTER", "UNDO", "INTERNAL"}
    path: bpy.props.StringProperty(options={"HIDDEN"})

    def names(self, context: Any) -> Any:
        return context.scene.path_resolve(self.path)


class TWINSET_OT_name_add(_NamesOperator, bpy.types.Operator):
    """Add an empty entry"""

    bl_idname = "twinset.name_add"
    bl_label = "Add Name"

    def execute(self, context: Any) -> set[str]:
        self.names(context).add()
        return {"FINISHED"}


class TWINSET_OT_name_remove(_NamesOperator, bpy.types.Operator):
    """Remove this entry"""

    bl_idname = "twinset.name_remove"
    bl_label = "Remove Name"
    index: bpy.props.IntProperty(options={"HIDDEN"})

    def execute(self, context: Any) -> set[str]:
        self.names(context).remove(self.index)
        return {"FINISHED"}


class TWINSET_OT_name_add_selected(_NamesOperator, bpy.types.Operator):
    """Add the names of the selected objects"""

    bl_idname = "twinset.name_add_selected"
    bl_label = "Add Selected Objects"

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not context.selected_objects:
            cls.poll_message_set("Select objects in the 3D Viewport first")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        add_names(self.names(context), context.selected_objects)
        return {"FINISHED"}


def add_names(names: Any, objects: Iterable[bpy.types.Object]) -> int:
    """Add objects to a list of names, each once; returns the number of new ones."""
    present = [(entry.value, getattr(entry, "object", None)) for entry in names]
    texts, known = {text for text, _ in present}, {o for _, o in present}
    new = [o for o in dict.fromkeys(objects) if o not in known and escape_pattern(o.name) not in texts]
    if any(not text for text, _ in present):
        keep(names, [bool(text) for text, _ in present])
    for o in new:
        entry = names.add()
        if hasattr(entry, "object"):
            set_object(entry, o)
        else:
            entry.value = escape_pattern(o.name)
    return len(new)


def keep(names: Any, is_kept: Iterable[bool]) -> None:
    """Remove all entries of a list of names but those that are kept: at once, since each removal moves all others."""
    kept = [(entry.value, getattr(entry, "object", None)) for entry, own in zip(names, is_kept, strict=True) if own]
    names.clear()
    for text, o in kept:
        entry = names.add()
        if o is not None:
            set_object(entry, o)
        else:
            entry.value = text


_CLASSES = (
    TWINSET_OT_entry_add,
    TWINSET_OT_entry_remove,
    TWINSET_OT_entry_move,
    TWINSET_OT_stack_add,
    TWINSET_OT_name_add,
    TWINSET_OT_name_remove,
    TWINSET_OT_name_add_selected,
)

register, unregister = bpy.utils.register_classes_factory(_CLASSES)
