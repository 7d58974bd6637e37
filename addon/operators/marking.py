# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that mark the selected objects as a class, as distractors or as surfaces."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

import bpy

from ..settings.presets import set_up
from ..settings.properties import list_attribute, parameters_of
from ..settings.references import escape_pattern, text_of
from ..settings.suggestions import search_classes
from .entries import add_names, keep
from .feedback import is_editable
from .membership import link_all, unlink_all

_GEOMETRY_TYPES = ("MESH", "CURVE", "SURFACE", "FONT", "META", "EMPTY")
_MOST_SUGGESTIONS = 6
_COLORS = {"class": "COLOR_04", "distractor": "COLOR_06"}


class _MarkOperator:
    """Base of the operators that mark the selected objects; they need Object Mode."""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls: Any, context: Any) -> bool:
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first: whole objects are marked")
            return False
        if not context.selected_objects:
            cls.poll_message_set("Select objects first")
            return False
        return is_editable(cls, context)


class TWINSET_OT_mark_class(_MarkOperator, bpy.types.Operator):
    """Mark the selected objects as a class, to be placed and annotated"""

    bl_idname = "twinset.mark_class"
    bl_label = "Mark as Class"

    name: bpy.props.StringProperty(
        name="Class",
        description="Name of the class, as in the real annotations",
    )
    whole: bpy.props.BoolProperty(
        name="Whole Hierarchies", description="Mark the topmost parents of the selected objects", default=True
    )

    def invoke(self, context: Any, event: Any) -> set[str]:
        return self.execute(context) if self.name else context.window_manager.invoke_props_dialog(self, width=260)

    def draw(self, context: Any) -> None:
        layout = self.layout
        row = layout.row()
        row.activate_init = True  # keyboard focus on the name, in which Enter confirms
        row.prop(self, "name")
        layout.prop(self, "whole")
        # No search in the field: its list would open over the buttons of the dialog.
        taken = {entry.name for entry in context.scene.twinset.classes}
        names = [name for name in search_classes(context.scene.twinset.real, context, "") if name not in taken]
        if names:
            column = layout.column(align=True)
            column.label(text="In the Real Annotations:")
            for name in names[:_MOST_SUGGESTIONS]:
                column.operator("twinset.mark_class", text=name, icon="ADD").name = name

    def execute(self, context: Any) -> set[str]:
        name = self.name.strip()
        if not name:
            self.report({"INFO"}, "Enter a name for the class")
            return {"CANCELLED"}
        return mark(self, context, "class", name)


class TWINSET_OT_mark_distractor(_MarkOperator, bpy.types.Operator):
    """Mark the selected objects as distractors, to be placed and rendered, but not annotated"""

    bl_idname = "twinset.mark_distractor"
    bl_label = "Mark as Distractor"
    whole: bpy.props.BoolProperty(
        name="Whole Hierarchies", description="Mark the topmost parents of the selected objects", default=True
    )

    def execute(self, context: Any) -> set[str]:
        return mark(self, context, "distractor", "Distractors")


class TWINSET_OT_mark_surface(_MarkOperator, bpy.types.Operator):
    """Mark the selected objects as surfaces, on which assets are placed"""

    bl_idname = "twinset.mark_surface"
    bl_label = "Mark as Surface"

    def execute(self, context: Any) -> set[str]:
        selected = [o for o in context.selected_objects if o.type in _GEOMETRY_TYPES]
        if not any(o.type != "EMPTY" or o.children for o in selected):
            self.report({"INFO"}, "The selected objects have no faces")
            return {"CANCELLED"}
        set_up(context.scene)
        names = surfaces_of(context.scene)
        if names is None:
            use = context.scene.twinset.placements.add()
            use.plugin = "on_surface"
            names = parameters_of(use).surfaces
        new = add_names(names, selected)
        self.report({"INFO"}, f"Added {_count(new, 'surface')}" if new else "The objects are surfaces already")
        return {"FINISHED"}


class TWINSET_OT_unmark(_MarkOperator, bpy.types.Operator):
    """Remove the selected objects from all classes, distractors and surfaces"""

    bl_idname = "twinset.unmark"
    bl_label = "Unmark"

    def execute(self, context: Any) -> set[str]:
        scene = context.scene
        selected = dict.fromkeys([*context.selected_objects, *_topmost_parents(context.selected_objects)])
        changed = set()
        for entry in _entries(scene):
            if entry.collection is not None and entry.collection.library is None:
                changed |= unlink_all(selected, entry.collection, scene)
        _remove_empty_classes(scene)
        by_text = {text: o for o in selected for text in (o.name, escape_pattern(o.name))}
        for names in _surface_lists(scene):
            texts = [text_of(entry) for entry in names]
            gone = [text for text in texts if text in by_text]
            if gone:
                changed |= {by_text[text] for text in gone}
                keep(names, [text not in by_text for text in texts])
        self.report({"INFO"}, f"Unmarked {_count(len(changed), 'object')}")
        return {"FINISHED"}


class TWINSET_OT_select_marked(bpy.types.Operator):
    """Select the objects with this mark"""

    bl_idname = "twinset.select_marked"
    bl_label = "Select"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}
    collection: bpy.props.StringProperty(options={"HIDDEN"})

    @classmethod
    def poll(cls, context: Any) -> bool:
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        collection = bpy.data.collections.get(self.collection)
        # Not all_objects, which takes a time that grows with the square of their number.
        parts = [collection, *collection.children_recursive] if collection else []
        objects = {o for part in parts for o in part.objects}
        shown = [o for o in context.view_layer.objects if o in objects and o.visible_get()]
        for o in context.selected_objects:
            o.select_set(False)
        for o in shown:
            o.select_set(True)
        if len(shown) < len(objects):
            self.report({"INFO"}, f"{_count(len(objects) - len(shown), 'object')} hidden in this view layer")
        return {"FINISHED"}


def mark(operator: Any, context: Any, key: str, name: str) -> set[str]:
    """Link the selected objects to the collection of a class or of the distractors, which is created if missing."""
    scene = context.scene
    selected = _topmost_parents(context.selected_objects) if operator.whole else list(context.selected_objects)
    selected = [o for o in selected if o.type in _GEOMETRY_TYPES]
    if not selected:
        operator.report({"INFO"}, "Select objects with geometry: lights and cameras cannot be marked")
        return {"CANCELLED"}
    set_up(scene)
    entry = entry_of(scene, key, name)
    is_new = entry.collection is None or entry.collection.library is not None
    if is_new:
        entry.collection = bpy.data.collections.new(name)
        entry.collection.color_tag = _COLORS[key]
    for other in _entries(scene):
        if other.collection is not None and other.collection != entry.collection and other.collection.library is None:
            unlink_all(selected, other.collection, scene)
    new = link_all(selected, entry.collection)
    if is_new:  # after linking the objects: each object linked in a scene makes Blender iterate over all objects
        scene.collection.children.link(entry.collection)
    what = f"'{name}'" if key == "class" else "distractors"
    operator.report({"INFO"}, f"{what}: {_count(new, 'object')} added, {len(entry.collection.objects)} in total")
    return {"FINISHED"}


def roles_of(scene: bpy.types.Scene, o: bpy.types.Object) -> list[str]:
    """The marks of an object, including those of its parents."""
    family, roles = [o], []
    while family[-1].parent is not None:
        family.append(family[-1].parent)
    collections = {collection for member in family for collection in member.users_collection}
    for entry in scene.twinset.classes:
        if entry.collection in collections:
            roles.append(f"class {entry.name}")
    if any(entry.collection in collections for entry in scene.twinset.distractors):
        roles.append("distractor")
    surfaces = [entry for names in _surface_lists(scene) for entry in names]
    if {entry.object for entry in surfaces} & set(family) or any(
        fnmatchcase(member.name, entry.value) for entry in surfaces if entry.object is None for member in family
    ):
        roles.append("surface")
    return roles


def surfaces_of(scene: bpy.types.Scene) -> Any:
    """The list of surfaces that marking adds to: of the selected placement, else of the first one with surfaces."""
    settings = scene.twinset
    uses = [use for use in settings.placements if hasattr(parameters_of(use), "surfaces")]
    selected_use = [use for n, use in enumerate(settings.placements) if n == settings.placement_index and use in uses]
    return parameters_of((selected_use or uses)[0]).surfaces if uses else None


def _surface_lists(scene: bpy.types.Scene) -> list[Any]:
    groups = [parameters_of(use) for use in scene.twinset.placements]
    return [group.surfaces for group in groups if hasattr(group, "surfaces")]


def _entries(scene: bpy.types.Scene) -> list[Any]:
    return [*scene.twinset.classes, *scene.twinset.distractors]


def entry_of(scene: bpy.types.Scene, key: str, name: str) -> Any:
    """The class, or the distractors, of this name; added if missing."""
    entries = scene.twinset.classes if key == "class" else scene.twinset.distractors
    for entry in entries:
        if entry.name == name:
            return entry
    entry = entries.add()
    entry.name = name
    setattr(scene.twinset, f"{key}_index", len(entries) - 1)
    return entry


def _topmost_parents(objects: Iterable[bpy.types.Object]) -> list[bpy.types.Object]:
    topmost: dict[bpy.types.Object, None] = {}
    for o in objects:
        while o.parent is not None:
            o = o.parent
        topmost[o] = None
    return list(topmost)


def _remove_empty_classes(scene: bpy.types.Scene) -> None:
    """Remove the classes and distractors whose last object was unmarked, unless they have assets from elsewhere."""
    for key in ("class", "distractor"):
        entries = getattr(scene.twinset, list_attribute(key))
        for index in reversed(range(len(entries))):
            entry, collection = entries[index], entries[index].collection
            others = (len(entry.objects), len(entry.models), entry.builtin, entry.blenderproc)
            if collection is None or collection.library is not None or any(others):
                continue
            if not len(collection.objects) and not len(collection.children):
                entries.remove(index)
                bpy.data.collections.remove(collection)
        selected = getattr(scene.twinset, f"{key}_index")
        setattr(scene.twinset, f"{key}_index", max(0, min(selected, len(entries) - 1)))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


_CLASSES = (
    TWINSET_OT_mark_class,
    TWINSET_OT_mark_distractor,
    TWINSET_OT_mark_surface,
    TWINSET_OT_unmark,
    TWINSET_OT_select_marked,
)

register, unregister = bpy.utils.register_classes_factory(_CLASSES)
