# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties > Output > Twinset: the whole recipe."""

from typing import Any

import bpy

from ...engine.plugin.contract import KINDS
from ..operators.assets import own_objects
from ..settings.display_names import plugin_summary
from ..settings.plugins import registry
from ..settings.preferences import draw_broken_plugins
from ..settings.problems import forget_problems, problems_of
from ..settings.properties import list_attribute, parameters_of
from ..settings.recipe import imported_tables, is_set_up
from ..settings.validation import clear_cache
from ..widgets.layouts import draw_fields, draw_plugin, draw_settings, draw_text
from ..widgets.lists import draw_list
from ..widgets.problems import draw_problems

_MOST_THUMBNAILS = 12


class _OutputPanel:
    """Base of all panels in Properties > Output."""

    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "output"


class TWINSET_PT_recipe(_OutputPanel, bpy.types.Panel):
    """Synthetic dataset for object detection that matches a small real dataset"""

    bl_label = "Twinset"

    def draw_header_preset(self, context: Any) -> None:
        if is_set_up(context.scene):
            self.layout.popover("TWINSET_PT_presets", text="", icon="PRESET")

    def draw(self, context: Any) -> None:
        layout, scene = self.layout, context.scene
        layout.use_property_split = True
        layout.use_property_decorate = False
        if not is_set_up(scene):
            draw_text(layout, context, "Create a synthetic dataset whose boxes match those of your real photos.")
            column = layout.column()
            column.scale_y = 1.4
            column.operator("twinset.set_up", icon="ADD")
            layout.operator("twinset.import_recipe", text="Import Recipe", icon="FILE_FOLDER")
            return
        draw_settings(layout, scene.twinset.job, "job", skip=("plugin_folders",))
        layout.prop(scene.twinset, "output_folder")
        draw_recipe_buttons(layout, scene)
        draw_problems(layout, context, problems_of(scene))


def draw_recipe_buttons(layout: Any, scene: bpy.types.Scene) -> None:
    """Draw the buttons that import and export the recipe."""
    row = layout.row(align=True)
    row.operator("twinset.import_recipe", text="Import", icon="IMPORT")
    others = row.row(align=True)
    others.enabled = not problems_of(scene)
    others.operator("twinset.export_recipe", text="Export", icon="EXPORT")
    others.operator("twinset.copy_command", text="Farm Command", icon="COPYDOWN")


class RecipePanel(_OutputPanel):
    """Base of the sub-panels with parts of the recipe, shown if the scene is set up."""

    bl_parent_id = "TWINSET_PT_recipe"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 1

    @classmethod
    def poll(cls, context: Any) -> bool:
        return is_set_up(context.scene)


class TWINSET_PT_classes(RecipePanel, bpy.types.Panel):
    """Objects to place and annotate, and their sources"""

    bl_label = "Classes"
    bl_options = set()

    def draw(self, context: Any) -> None:
        _draw_entries(
            self.layout, context, "class", "Mark the objects to detect as a class in the Sidebar of the 3D Viewport."
        )
        classes, index = context.scene.twinset.classes, context.scene.twinset.class_index
        if 0 <= index < len(classes):
            _draw_thumbnails(self.layout, classes[index])


def _draw_thumbnails(layout: Any, entry: Any) -> None:
    """Draw the thumbnails of a class's objects, and buttons for the Asset Browser."""
    objects = own_objects(entry)
    icons = [o.preview.icon_id for o in objects if o.preview is not None and tuple(o.preview.image_size) != (0, 0)]
    if icons:
        grid = layout.grid_flow(row_major=True, columns=4, even_columns=True, align=True)
        for icon in icons[:_MOST_THUMBNAILS]:
            grid.template_icon(icon_value=icon, scale=3.0)
    if objects:
        row = layout.row(align=True)
        row.operator("twinset.make_thumbnails", icon="IMAGE_DATA").name = entry.name
        row.operator("twinset.offer_assets", text="To Asset Browser", icon="ASSET_MANAGER")


class TWINSET_PT_distractors(RecipePanel, bpy.types.Panel):
    """Objects to place and render without annotating them"""

    bl_label = "Distractors"

    def draw(self, context: Any) -> None:
        _draw_entries(self.layout, context, "distractor", "Distractors are objects that are placed but not annotated.")


class TWINSET_PT_goals(RecipePanel, bpy.types.Panel):
    """Metadata columns to match in addition to the boxes of the target"""

    bl_label = "Additional Goals"

    def draw(self, context: Any) -> None:
        text = "Columns such as depth or brightness. Of several attempts at a frame, the closest one is rendered."
        _draw_entries(self.layout, context, "goal", text)


class TWINSET_PT_room(RecipePanel, bpy.types.Panel):
    """Scene in which pictures are rendered"""

    bl_label = "Room"

    def draw(self, context: Any) -> None:
        layout, settings = self.layout, context.scene.twinset
        layout.use_property_split = True
        layout.use_property_decorate = False
        if imported_tables(context.scene, "room"):
            _draw_imported_tables(
                layout, context, "room", "blocks", "The imported recipe has several rooms, which cannot be edited here."
            )
            return
        layout.row().prop(settings, "room", expand=True)
        own = ("file", "scene", "builtin", "blenderproc", "dataset")
        draw_settings(layout, settings.scene, "scene", skip=own if settings.room == "THIS" else ())
        header, body = layout.panel("twinset_models", default_closed=not len(settings.models))
        header.label(text="Additional Models")
        if body:
            _draw_entries(body, context, "model", "Model files to add to the room.")


class TWINSET_PT_variants(RecipePanel, bpy.types.Panel):
    """Shares of the frames with other values of some plugin parameters, as found by twinset tune"""

    bl_label = "Variants"

    @classmethod
    def poll(cls, context: Any) -> bool:
        return is_set_up(context.scene) and bool(imported_tables(context.scene, "variant"))

    def draw(self, context: Any) -> None:
        text = "Variants change plugin parameters for a share of the frames. They cannot be edited here."
        _draw_imported_tables(self.layout, context, "variant", "frames", text)


class TWINSET_PT_rendering(RecipePanel, bpy.types.Panel):
    """Render engine and quality"""

    bl_label = "Rendering"

    def draw(self, context: Any) -> None:
        draw_settings(self.layout, context.scene.twinset.render, "render")


class TWINSET_PT_camera_model(RecipePanel, bpy.types.Panel):
    """Focal length, principal point and distortion of a real camera"""

    bl_label = "Calibrated Camera"

    def draw(self, context: Any) -> None:
        draw_fields(self.layout, context.scene.twinset.camera_model)


class TWINSET_PT_output(RecipePanel, bpy.types.Panel):
    """Images and labels to write"""

    bl_label = "Images and Labels"

    def draw(self, context: Any) -> None:
        draw_settings(self.layout, context.scene.twinset.output, "output")


class TWINSET_PT_split(RecipePanel, bpy.types.Panel):
    """Parts of the dataset without common assets"""

    bl_label = "Train, Validate, Test"

    def draw(self, context: Any) -> None:
        draw_fields(self.layout, context.scene.twinset.split)


class TWINSET_PT_sequence(RecipePanel, bpy.types.Panel):
    """Moments that show one layout, with moving camera and things"""

    bl_label = "Sequences"

    def draw(self, context: Any) -> None:
        draw_settings(self.layout, context.scene.twinset.sequence, "sequence")


class TWINSET_PT_rig(RecipePanel, bpy.types.Panel):
    """Further cameras that see each layout, as for stereo"""

    bl_label = "Camera Rig"

    def draw(self, context: Any) -> None:
        text = "Cameras beside the first one, by place and rotation in its frame. All of them see each layout."
        _draw_entries(self.layout, context, "rig", text)


class TWINSET_PT_plugins(RecipePanel, bpy.types.Panel):
    """Folders from which the recipe loads plugins"""

    bl_label = "Plugins"

    def draw(self, context: Any) -> None:
        draw_fields(self.layout, context.scene.twinset.job, only=("plugin_folders",))
        draw_text(
            self.layout, context, "To use your own plugins here, set their folder in the preferences of the extension."
        )
        draw_broken_plugins(self.layout)


def _draw_imported_tables(layout: Any, context: Any, key: str, unit: str, text: str) -> None:
    """Draw the variants or rooms of an imported recipe with their shares."""
    tables = imported_tables(context.scene, key)
    total = sum(float(entry.get("weight", 1.0)) for entry in tables)
    for number, entry in enumerate(tables, 1):
        row = layout.row()
        row.label(text=str(entry.get("name") or f"{key.capitalize()} {number}"), icon="MOD_ARRAY")
        row.label(text=f"{float(entry.get('weight', 1.0)) / total:.0%} of the {unit}")
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
        draw_settings(layout, entries[index], key, skip=("name",) if key in ("class", "distractor") else ())


def _stack_panel(kind: str, title: str, is_open: bool) -> type:
    def draw(self: Any, context: Any) -> None:
        layout, settings = self.layout, context.scene.twinset
        uses = getattr(settings, list_attribute(kind))
        draw_list(layout, settings, kind, list_attribute(kind), "TWINSET_UL_uses")
        index = getattr(settings, f"{kind}_index")
        if not len(uses):
            draw_text(layout, context, _EMPTY_TEXTS[kind], icon="INFO")
        elif 0 <= index < len(uses):
            _draw_use(layout, context, kind, uses[index])

    members = {
        "bl_label": title,
        "bl_options": set() if is_open else {"DEFAULT_CLOSED"},
        "draw": draw,
        "__doc__": _DESCRIPTIONS[kind],
    }
    return type(f"TWINSET_PT_{kind}", (RecipePanel, bpy.types.Panel), members)


def _draw_use(layout: Any, context: Any, kind: str, use: Any) -> None:
    group = parameters_of(use)
    if group is None:
        reasons = [b.reason for b in registry().broken if b.id == use.plugin and b.kind in ("", kind)]
        reason = reasons[0] if reasons else "Install it, or set its folder in the preferences of the extension."
        draw_text(layout, context, f"The plugin '{use.plugin}' is not loaded. {reason}", icon="ERROR")
        return
    draw_text(layout, context, plugin_summary(registry().find(kind, use.plugin)))
    column = layout.column()
    column.active = use.enabled
    draw_plugin(column, group, f"{kind}_{use.plugin}")


_EMPTY_TEXTS = {
    "placement": "No assets are placed; objects stay in place.",
    "appearance": "Lights and world do not vary.",
    "camera": "Without a camera plugin, a default one is used.",
    "effect": "Pictures stay as they are rendered.",
    "target": "Without a target, box sizes are not controlled.",
    "metric": "No metrics are measured.",
    "filter": "All pictures are accepted.",
    "writer": "Annotations are written as COCO.",
}
_DESCRIPTIONS = {
    "placement": "Placement of assets",
    "appearance": "Variation of light, world and background",
    "camera": "Camera poses",
    "effect": "Changes to finished pictures, as a camera would make them",
    "target": "Distribution of boxes, fitted to the real ones",
    "metric": "Metadata of every box and picture",
    "filter": "Conditions for accepting pictures and boxes",
    "writer": "Further formats of the annotations",
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
    TWINSET_PT_camera_model,
    TWINSET_PT_output,
    TWINSET_PT_split,
    TWINSET_PT_sequence,
    TWINSET_PT_rig,
    TWINSET_PT_rendering,
    TWINSET_PT_plugins,
)


def recipe_panels() -> tuple[type[RecipePanel], ...]:
    """The panels with parts of the recipe."""
    return tuple(cls for cls in _CLASSES if issubclass(cls, RecipePanel))


register, _unregister = bpy.utils.register_classes_factory(_CLASSES)


def unregister() -> None:
    """Unregister the panels."""
    _unregister()
    clear_cache()
    forget_problems()
