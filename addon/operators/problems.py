# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that correct what keeps a scene from being rendered, where the problem is shown."""

from pathlib import Path
from typing import Any

import bpy

from ..widgets.layouts import draw_fields, draw_plugin
from .feedback import is_editable


class TWINSET_OT_fix_problem(bpy.types.Operator):
    """Show the setting that this is about, to change it here"""

    bl_idname = "twinset.fix_problem"
    bl_label = "Change"
    bl_options = {"INTERNAL"}

    path: bpy.props.StringProperty(options={"SKIP_SAVE", "HIDDEN"})
    field: bpy.props.StringProperty(options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context: Any) -> bool:
        return is_editable(cls, context)

    def invoke(self, context: Any, event: Any) -> set[str]:
        return context.window_manager.invoke_popup(self, width=360)

    def execute(self, context: Any) -> set[str]:
        return {"FINISHED"}

    def draw(self, context: Any) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        try:
            group = context.scene.path_resolve(self.path)
        except ValueError:  # removed since
            layout.label(text="This entry does not exist any more")
            return
        if not hasattr(group, "twinset_fields"):
            layout.prop(group, self.field)
        elif self.field:
            draw_fields(layout, group, only=(self.field,))
        else:
            draw_plugin(layout, group, "problem")


class TWINSET_OT_own_folder(bpy.types.Operator):
    """Render this scene into an output folder of its own"""

    bl_idname = "twinset.own_folder"
    bl_label = "Use Own Folder"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        return is_editable(cls, context)

    def execute(self, context: Any) -> set[str]:
        settings, taken = context.scene.twinset, {scene.twinset.output_folder for scene in bpy.data.scenes}
        text = settings.output_folder.rstrip("/\\")
        name = f"{text}_{bpy.path.clean_name(context.scene.name)}"
        number, folder = 1, name
        while folder in taken or Path(bpy.path.abspath(folder)).exists():
            number += 1
            folder = f"{name}_{number}"
        settings.output_folder = folder
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((TWINSET_OT_fix_problem, TWINSET_OT_own_folder))
