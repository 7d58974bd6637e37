# SPDX-License-Identifier: GPL-3.0-or-later
"""3D Viewport > Sidebar > Twinset: what the selected objects are: a class, a surface, a distractor."""

from typing import Any

import bpy

from ..operators.marking import roles_of, surfaces_of
from ..translations.catalog import worded


class TWINSET_PT_mark(bpy.types.Panel):
    """Mark the selected objects as a class, surface or distractor"""

    bl_label = "Mark Selection"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Twinset"

    def draw(self, context: Any) -> None:
        layout, scene = self.layout, context.scene
        selected = context.selected_objects
        if selected:
            shown = context.active_object if context.active_object in selected else selected[0]
            roles = ", ".join(roles_of(scene, shown)) or worded("Not Marked")
            lines = layout.column(align=True)
            row = lines.row()
            row.label(text=shown.name, icon="OBJECT_DATA", translate=False)
            if len(selected) > 1:
                others = row.row()
                others.alignment = "RIGHT"
                others.label(text=f"+{len(selected) - 1}", translate=False)
            lines.label(text=roles, icon="BLANK1", translate=False)
        else:
            layout.label(text="No Object Selected", icon="OBJECT_DATA")
        column = layout.column(align=True)
        for entry in scene.twinset.classes:
            _draw_role(column, entry, entry.name, "twinset.mark_class")
        column.operator("twinset.mark_class", text="New Class...", icon="ADD").name = ""
        column = layout.column(align=True)
        names = surfaces_of(scene)
        text = worded("Surface ({})", len(names)) if names is not None and len(names) else "Surface"
        column.operator("twinset.mark_surface", text=text, icon="MESH_GRID")
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


register, unregister = bpy.utils.register_classes_factory((TWINSET_PT_mark,))
