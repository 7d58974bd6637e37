# SPDX-License-Identifier: GPL-3.0-or-later
"""Operator that paints the zone of a surface to which placements are limited."""

from __future__ import annotations

from typing import Any

import bpy

from ..settings.properties import parameters_of
from .feedback import has_recipe, is_editable

GROUP = "Zone"
"""Name of the vertex group with the zone."""


class TWINSET_OT_paint_zone(bpy.types.Operator):
    """Paint on the active surface where objects are placed: red is inside. Needs a mesh with enough vertices"""

    bl_idname = "twinset.paint_zone"
    bl_label = "Paint Zone"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        active = context.active_object
        if not has_recipe(cls, context) or not is_editable(cls, context):
            return False
        if active is None or active.type != "MESH" or active.library is not None:
            cls.poll_message_set("Select a surface: a mesh of this file")
            return False
        if context.mode != "OBJECT" or _placement_with(context.scene, active) is None:
            cls.poll_message_set("Mark the active object as a surface first")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        active = context.active_object
        group = _placement_with(context.scene, active)
        name = group.mask or GROUP
        if name not in active.vertex_groups:
            zone = active.vertex_groups.new(name=name)
            zone.add(range(len(active.data.vertices)), 1.0, "REPLACE")
        group.mask = name
        active.vertex_groups.active = active.vertex_groups[name]
        context.window_manager.twinset_live.show_zones = True
        bpy.ops.object.mode_set(mode="WEIGHT_PAINT")
        if len(active.data.vertices) < 50:
            self.report({"INFO"}, "Subdivide this mesh to paint details: its weights are stored in vertices")
        return {"FINISHED"}


def _placement_with(scene: bpy.types.Scene, o: bpy.types.Object) -> Any:
    """The first placement with a zone that has an object among its surfaces."""
    for use in scene.twinset.placements:
        group = parameters_of(use)
        has_zone = use.enabled and hasattr(group, "mask") and hasattr(group, "surfaces")
        if has_zone and any(entry.object == o for entry in group.surfaces):
            return group
    return None


register, unregister = bpy.utils.register_classes_factory((TWINSET_OT_paint_zone,))
