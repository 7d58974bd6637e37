# SPDX-License-Identifier: GPL-3.0-or-later
"""3D View > N > Twinset: say what things are while looking at them - a class, a surface, a distractor."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

import bpy

from ..settings.fields import touched
from ..settings.properties import parameters_of
from ..settings.suggestions import search_classes
from .exchange import is_editable
from .lists import add_names
from .presets import set_up

_SOLID = ("MESH", "CURVE", "SURFACE", "FONT", "META", "EMPTY")
_COLORS = {"class": "COLOR_04", "distractor": "COLOR_06"}


class _Marking:
    """What the operators that mark share: they work on selected objects, in object mode, as one undo step."""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls: Any, context: Any) -> bool:
        if context.mode != "OBJECT":
            cls.poll_message_set("Leave the editing mode first (Tab): whole objects are marked")
            return False
        if not context.selected_objects:
            cls.poll_message_set("Select objects first")
            return False
        return is_editable(cls, context)


class TWINSET_OT_mark_class(_Marking, bpy.types.Operator):
    """Mark the selected objects as a class: they are placed and annotated"""

    bl_idname = "twinset.mark_class"
    bl_label = "Mark as Class"

    name: bpy.props.StringProperty(
        name="Class",
        description="Name of the class, as in the real annotations",
        search=lambda self, context, typed: search_classes(context.scene, context, typed),
        search_options={"SUGGESTION"},
    )
    whole: bpy.props.BoolProperty(
        name="Whole Hierarchies", description="Mark the topmost parents of the selected objects", default=True
    )

    def invoke(self, context: Any, event: Any) -> set[str]:
        return self.execute(context) if self.name else context.window_manager.invoke_props_dialog(self, width=260)

    def draw(self, context: Any) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.activate_init = True  # one types the name at once
        layout.prop(self, "name")
        layout.prop(self, "whole")

    def execute(self, context: Any) -> set[str]:
        name = self.name.strip()
        if not name:
            self.report({"INFO"}, "Give the class a name.")
            return {"CANCELLED"}
        return mark(self, context, "class", name)


class TWINSET_OT_mark_distractor(_Marking, bpy.types.Operator):
    """Mark the selected objects as distractors: they are placed and rendered, but never annotated"""

    bl_idname = "twinset.mark_distractor"
    bl_label = "Mark as Distractor"
    whole: bpy.props.BoolProperty(
        name="Whole Hierarchies", description="Mark the topmost parents of the selected objects", default=True
    )

    def execute(self, context: Any) -> set[str]:
        return mark(self, context, "distractor", "Distractors")


class TWINSET_OT_mark_surface(_Marking, bpy.types.Operator):
    """Let things stand on the selected objects"""

    bl_idname = "twinset.mark_surface"
    bl_label = "Mark as Surface"

    def execute(self, context: Any) -> set[str]:
        chosen = [o for o in context.selected_objects if o.type in _SOLID]
        if not any(o.type != "EMPTY" or o.children for o in chosen):
            self.report({"INFO"}, "Nothing selected has faces to stand on.")
            return {"CANCELLED"}
        set_up(context.scene)
        names = surfaces_of(context.scene)
        if names is None:
            use = context.scene.twinset.placements.add()
            use.plugin = "on_surface"
            names = parameters_of(use).surfaces
        fresh = add_names(names, [o.name for o in chosen])
        self.report(
            {"INFO"}, f"{_count(fresh, 'object')} more to stand on." if fresh else "These are surfaces already."
        )
        return {"FINISHED"}


class TWINSET_OT_unmark(_Marking, bpy.types.Operator):
    """Take the selected objects out of all classes, distractors and surfaces"""

    bl_idname = "twinset.unmark"
    bl_label = "Unmark"

    def execute(self, context: Any) -> set[str]:
        chosen = set(context.selected_objects) | set(_tops(context.selected_objects))
        changed = set()
        for entry in _entries(context.scene):
            if entry.collection is not None and entry.collection.library is None:
                for o in chosen & set(entry.collection.objects):
                    _take_out(o, entry.collection, context.scene)
                    changed.add(o)
        for names in _surface_lists(context.scene):
            for index in reversed(range(len(names))):
                hit = [o for o in chosen if o.name == names[index].value or _escaped(o) == names[index].value]
                if hit:
                    names.remove(index)
                    changed.update(hit)
        touched()
        self.report({"INFO"}, f"Unmarked {_count(len(changed), 'object')}.")
        return {"FINISHED"}


class TWINSET_OT_select_marked(bpy.types.Operator):
    """Select what is marked so"""

    bl_idname = "twinset.select_marked"
    bl_label = "Select"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}
    collection: bpy.props.StringProperty(options={"HIDDEN"})

    @classmethod
    def poll(cls, context: Any) -> bool:
        if context.mode != "OBJECT":
            cls.poll_message_set("Leave the editing mode first (Tab)")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        wanted = bpy.data.collections.get(self.collection)
        objects = set(wanted.all_objects) if wanted else set()
        shown = [o for o in context.view_layer.objects if o in objects and o.visible_get()]
        for o in context.selected_objects:
            o.select_set(False)
        for o in shown:
            o.select_set(True)
        if len(shown) < len(objects):
            self.report({"INFO"}, f"{_count(len(objects) - len(shown), 'object')} of it cannot be seen here.")
        return {"FINISHED"}


def mark(operator: Any, context: Any, key: str, name: str) -> set[str]:
    """Put the selected things into the collection of a class or of the distractors, which is made where missing."""
    scene = context.scene
    chosen = _tops(context.selected_objects) if operator.whole else list(context.selected_objects)
    chosen = [o for o in chosen if o.type in _SOLID]
    if not chosen:
        operator.report({"INFO"}, "Lights and cameras cannot be marked: select something with a surface.")
        return {"CANCELLED"}
    set_up(scene)
    entry = _entry(scene, key, name)
    is_new = entry.collection is None or entry.collection.library is not None
    if is_new:
        entry.collection = bpy.data.collections.new(name)
        entry.collection.color_tag = _COLORS[key]
    for other in _entries(scene):
        if other.collection is not None and other.collection != entry.collection and other.collection.library is None:
            for o in set(chosen) & set(other.collection.objects):
                _take_out(o, other.collection, scene)
    members = set(entry.collection.objects)
    fresh = [o for o in chosen if o not in members]
    for o in fresh:
        entry.collection.objects.link(o)
    if is_new:  # only now: each object linked into a scene makes Blender go through all of them
        scene.collection.children.link(entry.collection)
    touched()
    what = f"'{name}'" if key == "class" else "distractors"
    operator.report({"INFO"}, f"{what}: {_count(len(fresh), 'thing')} more, {len(members) + len(fresh)} in all.")
    return {"FINISHED"}


def roles_of(scene: bpy.types.Scene, o: bpy.types.Object) -> list[str]:
    """What an object is marked as, itself or by a parent."""
    family, roles = [o], []
    while family[-1].parent is not None:
        family.append(family[-1].parent)
    homes = {collection for member in family for collection in member.users_collection}
    for entry in scene.twinset.classes:
        if entry.collection in homes:
            roles.append(f"class {entry.name}")
    if any(entry.collection in homes for entry in scene.twinset.distractors):
        roles.append("distractor")
    patterns = [entry.value for names in _surface_lists(scene) for entry in names]
    if any(fnmatchcase(member.name, pattern) for member in family for pattern in patterns):
        roles.append("surface")
    return roles


def surfaces_of(scene: bpy.types.Scene) -> Any:
    """The names of surfaces that marking adds to: of the selected placement, else of the first that has some."""
    settings = scene.twinset
    uses = [use for use in settings.placements if hasattr(parameters_of(use), "surfaces")]
    selected = [use for n, use in enumerate(settings.placements) if n == settings.placement_index and use in uses]
    return parameters_of((selected or uses)[0]).surfaces if uses else None


def _surface_lists(scene: bpy.types.Scene) -> list[Any]:
    groups = [parameters_of(use) for use in scene.twinset.placements]
    return [group.surfaces for group in groups if hasattr(group, "surfaces")]


def _entries(scene: bpy.types.Scene) -> list[Any]:
    return [*scene.twinset.classes, *scene.twinset.distractors]


def _entry(scene: bpy.types.Scene, key: str, name: str) -> Any:
    entries = scene.twinset.classes if key == "class" else scene.twinset.distractors
    for entry in entries:
        if entry.name == name:
            return entry
    entry = entries.add()
    entry.name = name
    setattr(scene.twinset, f"{key}_index", len(entries) - 1)
    return entry


def _tops(objects: Iterable[bpy.types.Object]) -> list[bpy.types.Object]:
    tops: dict[bpy.types.Object, None] = {}
    for o in objects:
        while o.parent is not None:
            o = o.parent
        tops[o] = None
    return list(tops)


def _take_out(o: bpy.types.Object, collection: bpy.types.Collection, scene: bpy.types.Scene) -> None:
    """Unlink from a collection; an object is never left without one, which would delete it with the file."""
    if len(o.users_collection) == 1:
        scene.collection.objects.link(o)
    collection.objects.unlink(o)


def _escaped(o: bpy.types.Object) -> str:
    from ..settings.suggestions import escaped

    return escaped(o.name)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


class TWINSET_PT_mark(bpy.types.Panel):
    """Say what the selected objects are"""

    bl_label = "Mark Selection"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Twinset"

    def draw(self, context: Any) -> None:
        layout, scene = self.layout, context.scene
        active = context.active_object
        if active is not None and active.select_get():
            roles = roles_of(scene, active)
            layout.label(text=f"{active.name}: {', '.join(roles) or 'not marked'}", icon="OBJECT_DATA")
        else:
            layout.label(text="Nothing is selected", icon="OBJECT_DATA")
        column = layout.column(align=True)
        for entry in scene.twinset.classes:
            _draw_role(column, entry, entry.name, "twinset.mark_class")
        column.operator("twinset.mark_class", text="New Class...", icon="ADD").name = ""
        column = layout.column(align=True)
        names = surfaces_of(scene)
        count = f" ({len(names)})" if names is not None and len(names) else ""
        column.operator("twinset.mark_surface", text=f"Surface{count}", icon="MESH_GRID")
        distractors = [entry for entry in scene.twinset.distractors if entry.name == "Distractors"]
        if distractors:
            _draw_role(column, distractors[0], "Distractor", "twinset.mark_distractor")
        else:
            column.operator("twinset.mark_distractor", text="Distractor", icon="GHOST_DISABLED")
        column.operator("twinset.unmark", icon="X")


def _draw_role(layout: Any, entry: Any, label: str, operator: str) -> None:
    row = layout.row(align=True)
    collection = entry.collection
    count = len(collection.objects) + len(collection.children) if collection is not None else 0
    is_class = operator == "twinset.mark_class"
    icon = "COLLECTION_COLOR_04" if is_class else "COLLECTION_COLOR_06"
    mark = row.operator(operator, text=f"{label} ({count})" if count else label, icon=icon)
    if is_class:
        mark.name = entry.name
    if collection is not None:
        row.operator("twinset.select_marked", text="", icon="RESTRICT_SELECT_OFF").collection = collection.name


_CLASSES = (
    TWINSET_OT_mark_class,
    TWINSET_OT_mark_distractor,
    TWINSET_OT_mark_surface,
    TWINSET_OT_unmark,
    TWINSET_OT_select_marked,
    TWINSET_PT_mark,
)

register, unregister = bpy.utils.register_classes_factory(_CLASSES)
