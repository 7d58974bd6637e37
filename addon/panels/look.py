# SPDX-License-Identifier: GPL-3.0-or-later
"""3D Viewport > Sidebar > Twinset > Light and Materials: lighting presets, and materials that vary."""

from __future__ import annotations

from typing import Any

import bpy

from ..look.lighting_presets import PRESETS, icon_of, is_active
from ..settings.properties import parameters_of
from ..settings.recipe import is_set_up
from ..widgets.layouts import draw_fields, draw_text

_FIRST = ("palette", "hue", "saturation_range", "value_range", "patterns", "texture_folders")
"""Fields of materials that most users change."""


class TWINSET_PT_look(bpy.types.Panel):
    """How light and materials vary from image to image"""

    bl_label = "Light and Materials"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Twinset"
    bl_order = 6
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        return context.scene is not None and is_set_up(context.scene)

    def draw(self, context: Any) -> None:
        layout, scene = self.layout, context.scene
        grid = layout.grid_flow(row_major=True, columns=3, even_columns=True, even_rows=True, align=True)
        for preset in PRESETS:
            cell = grid.column(align=True)
            cell.template_icon(icon_value=icon_of(preset), scale=3.0)
            button = cell.operator("twinset.light_preset", text=preset.name, depress=is_active(scene, preset))
            button.name = preset.name
        column = layout.column(align=True)
        column.operator("twinset.vary_materials", text="Vary Materials of Classes", icon="MATERIAL")
        column.operator(
            "twinset.vary_materials", text="Vary Materials of Selection", icon="SHADING_TEXTURE"
        ).is_room = True
        for index, use in enumerate(scene.twinset.appearances):
            if use.plugin == "materials" and parameters_of(use) is not None:
                _draw_materials(layout, context, use, index)


def _draw_materials(layout: Any, context: Any, use: Any, index: int) -> None:
    group = parameters_of(use)
    box = layout.box()
    row = box.row(align=True)
    row.prop(use, "enabled", text="")
    names = [entry.value for entry in group.objects]
    classes = [entry.value for entry in group.classes]
    title = row.row()
    title.active = use.enabled
    title.label(
        text=", ".join((names or classes)[:3]) or "All Classes", icon="MATERIAL", translate=not (names or classes)
    )
    row.operator("twinset.remove_materials", text="", icon="X", emboss=False).index = index
    column = box.column()
    column.active = use.enabled
    draw_fields(column, group, only=_FIRST)
    if group.palette == "real" and not context.scene.twinset.real.images:
        draw_text(column, context, "Colours of photos need the folder of the photos.", icon="INFO", margin=22)
        column.prop(context.scene.twinset.real, "images")
    draw_text(column, context, "Settings > Appearance has the other fields.", margin=22)


register, unregister = bpy.utils.register_classes_factory((TWINSET_PT_look,))
