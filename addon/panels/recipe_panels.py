# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties > Output > Twinset: the whole recipe."""

import json
from pathlib import Path
from typing import Any

import bpy

from ...engine.errors import RecipeError
from ...engine.plugin.contract import KINDS
from ..missing import lacking_packages, missing_sentence
from ..settings.display_names import told
from ..settings.preferences import draw_broken
from ..settings.properties import list_attribute, parameters_of, registry
from ..settings.recipe import is_set_up, kept_of, recipe_of, table_of
from ..widgets.layouts import draw_fields, draw_list, draw_plugin, draw_text

_checked: dict[str, Any] = {"table": "", "problems": []}


def problems_of(scene: bpy.types.Scene) -> list[str]:
    """What is wrong with the recipe that the panels show; worked out again only when it has changed."""
    table = json.dumps([bpy.data.filepath, scene.name, table_of(scene)])
    if _checked["table"] != table:
        _checked["table"] = table
        try:
            # Panels are there before the file is saved; whoever needs the file says so.
            recipe_of(scene, blend=Path(bpy.data.filepath or "untitled.blend"))
            _checked["problems"] = []
        except RecipeError as error:
            _checked["problems"] = error.problems
    return _checked["problems"]


def advice_of(scene: bpy.types.Scene) -> list[str]:
    """What is still to be done in a scene that was just set up, in the order in which an artist does it."""
    settings = scene.twinset
    out = []
    if not len(settings.classes):
        out.append("Say what is to be found: select it in the 3D view, then N > Twinset > New Class.")
    empty = [use for use in settings.placements if use.enabled and _lacks_surfaces(parameters_of(use))]
    if empty:
        out.append("Say what things stand on: select it in the 3D view, then N > Twinset > Surface.")
    if any(use.enabled for use in settings.targets) and not settings.real.annotations:
        out.append("Choose the COCO file of your real photos under Real Dataset, or remove the target.")
    return out


def _lacks_surfaces(group: Any) -> bool:
    return hasattr(group, "surfaces") and not len(group.surfaces)


class _InOutput:
    """Where all panels of the recipe are."""

    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "output"


class TWINSET_PT_recipe(_InOutput, bpy.types.Panel):
    """A dataset for object detection whose statistics match a small real one"""

    bl_label = "Twinset"

    def draw_header_preset(self, context: Any) -> None:
        if is_set_up(context.scene):
            self.layout.popover("TWINSET_PT_presets", text="", icon="PRESET")

    def draw(self, context: Any) -> None:
        layout, scene = self.layout, context.scene
        layout.use_property_split = True
        layout.use_property_decorate = False
        if not is_set_up(scene):
            draw_text(layout, context, "Make a synthetic dataset whose boxes are like those of your real photos.")
            column = layout.column()
            column.scale_y = 1.4
            column.operator("twinset.set_up", icon="ADD")
            layout.operator("twinset.import_recipe", text="Open a Recipe", icon="FILE_FOLDER")
            return
        draw_fields(layout, scene.twinset.job, skip=("plugin_folders",))
        layout.prop(scene.twinset, "output_folder")
        row = layout.row(align=True)
        row.operator("twinset.import_recipe", text="Import", icon="IMPORT")
        row.operator("twinset.export_recipe", text="Export", icon="EXPORT")
        row.operator("twinset.copy_command", text="Farm Command", icon="COPYDOWN")
        lacking = missing_sentence(lacking_packages())
        if lacking:
            draw_text(layout.box(), context, lacking, icon="ERROR")
        advice = advice_of(scene)
        problems = advice or problems_of(scene)
        if problems:
            box = layout.box()
            draw_text(box, context, problems[0], icon="INFO" if advice else "ERROR")
            if len(problems) > 1:
                box.label(text=f"and {len(problems) - 1} more", icon="BLANK1")


class Sub(_InOutput):
    """A part of the recipe, there once the scene is set up."""

    bl_parent_id = "TWINSET_PT_recipe"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 1

    @classmethod
    def poll(cls, context: Any) -> bool:
        return is_set_up(context.scene)


class TWINSET_PT_classes(Sub, bpy.types.Panel):
    """What is placed and annotated, and where it comes from"""

    bl_label = "Classes"
    bl_options = set()

    def draw(self, context: Any) -> None:
        _draw_entries(self.layout, context, "class", "Mark what is to be found as a class: 3D View > N > Twinset.")


class TWINSET_PT_distractors(Sub, bpy.types.Panel):
    """What is placed and rendered, but never annotated"""

    bl_label = "Distractors"

    def draw(self, context: Any) -> None:
        _draw_entries(self.layout, context, "distractor", "Things that only stand in the way are distractors.")


class TWINSET_PT_goals(Sub, bpy.types.Panel):
    """Metadata columns that frames are to follow, beside the boxes of the target"""

    bl_label = "More Goals"

    def draw(self, context: Any) -> None:
        text = "Depth, visible share, brightness, ...: of several attempts at a frame, the nearest one is rendered."
        _draw_entries(self.layout, context, "goal", text)


class TWINSET_PT_room(Sub, bpy.types.Panel):
    """Where pictures are taken"""

    bl_label = "Room"

    def draw(self, context: Any) -> None:
        layout, settings = self.layout, context.scene.twinset
        layout.use_property_split = True
        layout.use_property_decorate = False
        if kept_of(context.scene, "room"):
            _draw_kept(layout, context, "room", "blocks", "The recipe has several rooms, which are kept as imported.")
            return
        layout.row().prop(settings, "room", expand=True)
        own = ("file", "scene", "builtin", "blenderproc", "dataset")
        draw_fields(layout, settings.scene, skip=own if settings.room == "THIS" else ())
        header, body = layout.panel("twinset_models", default_closed=not len(settings.models))
        header.label(text="More Models")
        if body:
            _draw_entries(body, context, "model", "Model files that become part of the room.")


class TWINSET_PT_variants(Sub, bpy.types.Panel):
    """Shares of the frames for which some parameters of plugins have other values; `twinset tune` finds them"""

    bl_label = "Variants"

    @classmethod
    def poll(cls, context: Any) -> bool:
        return is_set_up(context.scene) and bool(kept_of(context.scene, "variant"))

    def draw(self, context: Any) -> None:
        text = "They change plugins above for their share of the frames, and are kept as imported."
        _draw_kept(self.layout, context, "variant", "frames", text)


class TWINSET_PT_rendering(Sub, bpy.types.Panel):
    """How pictures are rendered"""

    bl_label = "Rendering"

    def draw(self, context: Any) -> None:
        draw_fields(self.layout, context.scene.twinset.render)


class TWINSET_PT_output(Sub, bpy.types.Panel):
    """What is written"""

    bl_label = "Images and Labels"

    def draw(self, context: Any) -> None:
        draw_fields(self.layout, context.scene.twinset.output)


class TWINSET_PT_split(Sub, bpy.types.Panel):
    """Parts of the dataset that have no shape in common"""

    bl_label = "Train, Validate, Test"

    def draw(self, context: Any) -> None:
        draw_fields(self.layout, context.scene.twinset.split)


class TWINSET_PT_plugins(Sub, bpy.types.Panel):
    """Folders that the recipe names, which headless loads plugins from"""

    bl_label = "Plugins"

    def draw(self, context: Any) -> None:
        draw_fields(self.layout, context.scene.twinset.job, only=("plugin_folders",))
        draw_text(self.layout, context, "To see plugins of your own here, name their folder in the preferences.")
        draw_broken(self.layout)


def _draw_kept(layout: Any, context: Any, key: str, what: str, text: str) -> None:
    """Variants or rooms of an imported recipe, with their shares."""
    kept = kept_of(context.scene, key)
    whole = sum(float(entry.get("weight", 1.0)) for entry in kept)
    for number, entry in enumerate(kept, 1):
        row = layout.row()
        row.label(text=str(entry.get("name") or f"{key.capitalize()} {number}"), icon="MOD_ARRAY")
        row.label(text=f"{float(entry.get('weight', 1.0)) / whole:.0%} of the {what}")
    draw_text(layout, context, text)
    layout.operator("twinset.remove_variants", text=f"Remove {key.capitalize()}s", icon="X").key = key


def _draw_entries(layout: Any, context: Any, key: str, hint: str) -> None:
    settings = context.scene.twinset
    entries = getattr(settings, list_attribute(key))
    draw_list(layout, settings, key, list_attribute(key), "TWINSET_UL_entries")
    index = getattr(settings, f"{key}_index")
    if not len(entries):
        draw_text(layout, context, hint, icon="INFO")
    elif 0 <= index < len(entries):
        draw_fields(layout, entries[index], skip=("name",) if key in ("class", "distractor") else ())


def _stack_panel(kind: str, title: str, is_open: bool) -> type:
    def draw(self: Any, context: Any) -> None:
        layout, settings = self.layout, context.scene.twinset
        uses = getattr(settings, list_attribute(kind))
        draw_list(layout, settings, kind, list_attribute(kind), "TWINSET_UL_uses")
        index = getattr(settings, f"{kind}_index")
        if not len(uses):
            draw_text(layout, context, _EMPTY[kind], icon="INFO")
        elif 0 <= index < len(uses):
            _draw_use(layout, context, kind, uses[index])

    members = {
        "bl_label": title,
        "bl_options": set() if is_open else {"DEFAULT_CLOSED"},
        "draw": draw,
        "__doc__": _STACKS[kind],
    }
    return type(f"TWINSET_PT_{kind}", (Sub, bpy.types.Panel), members)


def _draw_use(layout: Any, context: Any, kind: str, use: Any) -> None:
    group = parameters_of(use)
    if group is None:
        reasons = [b.reason for b in registry().broken if b.id == use.plugin and b.kind in ("", kind)]
        why = reasons[0] if reasons else "Name its folder in the preferences, or install it."
        draw_text(layout, context, f"The plugin '{use.plugin}' is not loaded. {why}", icon="ERROR")
        return
    draw_text(layout, context, told(registry().find(kind, use.plugin)))
    column = layout.column()
    column.active = use.enabled
    draw_plugin(column, group, f"{kind}_{use.plugin}")


_EMPTY = {
    "placement": "Nothing is placed: things stay where they are.",
    "appearance": "Light and world stay as they are.",
    "camera": "Without a camera plugin, one is chosen for you.",
    "target": "Without a target, boxes are as large as they come.",
    "metric": "Nothing is measured.",
    "filter": "Every picture is kept.",
}
_STACKS = {
    "placement": "Where things stand",
    "appearance": "How light, world and background vary",
    "camera": "Where pictures are taken from",
    "target": "What real boxes say that pictures should show",
    "metric": "What is measured of every box and picture",
    "filter": "Which pictures and boxes are good enough",
}
_TITLES = {k: k.capitalize() for k in KINDS} | {"metric": "Metrics", "filter": "Filters"}

_CLASSES = (
    TWINSET_PT_recipe,
    TWINSET_PT_classes,
    TWINSET_PT_distractors,
    *(_stack_panel(kind, _TITLES[kind], is_open=False) for kind in KINDS),
    TWINSET_PT_goals,
    TWINSET_PT_variants,
    TWINSET_PT_room,
    TWINSET_PT_output,
    TWINSET_PT_split,
    TWINSET_PT_rendering,
    TWINSET_PT_plugins,
)

register, _unregister = bpy.utils.register_classes_factory(_CLASSES)


def unregister() -> None:
    """Take them back."""
    _unregister()
    _checked.update(table="", problems=[])
