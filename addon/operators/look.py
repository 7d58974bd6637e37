# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators of light and materials: presets, and materials that vary."""

from __future__ import annotations

from typing import Any

import bpy

from ..look.lighting_presets import PRESETS, apply_preset
from ..settings.fields import fill
from ..settings.presets import set_up
from ..settings.properties import parameters_of
from .feedback import is_editable


class _LookOperator:
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls: Any, context: Any) -> bool:
        return is_editable(cls, context)


class TWINSET_OT_light_preset(_LookOperator, bpy.types.Operator):
    """Use this lighting"""

    bl_idname = "twinset.light_preset"
    bl_label = "Use Lighting"
    name: bpy.props.StringProperty(options={"HIDDEN"})

    @classmethod
    def description(cls, context: Any, properties: Any) -> str:
        return next((p.description for p in PRESETS if p.name == properties.name), cls.__doc__ or "")

    def execute(self, context: Any) -> set[str]:
        preset = next((p for p in PRESETS if p.name == self.name), None)
        if preset is None:
            return {"CANCELLED"}
        set_up(context.scene)
        apply_preset(context.scene, preset)
        return {"FINISHED"}


class TWINSET_OT_vary_materials(_LookOperator, bpy.types.Operator):
    """Vary materials from image to image: of placed objects, or of the selected objects of the room"""

    bl_idname = "twinset.vary_materials"
    bl_label = "Vary Materials"
    is_room: bpy.props.BoolProperty(
        name="Selected Objects",
        description="Vary the materials of the selected objects of the room instead of those of classes",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def description(cls, context: Any, properties: Any) -> str:
        if properties.is_room:
            return "Vary the materials of the selected objects, such as walls and floors"
        return "Vary the materials of all placed objects"

    def execute(self, context: Any) -> set[str]:
        names = [o for o in context.selected_objects if o.type == "MESH"] if self.is_room else []
        if self.is_room and not names:
            self.report({"INFO"}, "Select walls, floors or furniture first")
            return {"CANCELLED"}
        set_up(context.scene)
        settings = context.scene.twinset
        use = settings.appearances.add()
        use.plugin = "materials"
        group = parameters_of(use)
        fill(group, {"hue": 20.0, "saturation_range": [0.6, 1.3], "value_range": [0.6, 1.3]})
        for o in names:
            group.objects.add().object = o
        settings.appearance_index = len(settings.appearances) - 1
        return {"FINISHED"}


class TWINSET_OT_remove_materials(_LookOperator, bpy.types.Operator):
    """Leave these materials as they are"""

    bl_idname = "twinset.remove_materials"
    bl_label = "Remove"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}
    index: bpy.props.IntProperty(options={"HIDDEN"})

    def execute(self, context: Any) -> set[str]:
        settings = context.scene.twinset
        if not 0 <= self.index < len(settings.appearances):
            return {"CANCELLED"}
        settings.appearances.remove(self.index)
        settings.appearance_index = max(0, min(settings.appearance_index, len(settings.appearances) - 1))
        return {"FINISHED"}


_CLASSES = (TWINSET_OT_light_preset, TWINSET_OT_vary_materials, TWINSET_OT_remove_materials)

register, unregister = bpy.utils.register_classes_factory(_CLASSES)
