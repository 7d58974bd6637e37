# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that set up a dataset, and load, save and remove presets."""

from pathlib import Path
from typing import Any

import bpy

from ..settings.presets import FOLDER, PRESET_PATH, apply_preset, preset_text, set_up
from .feedback import is_editable


class TWINSET_OT_preset_load(bpy.types.Operator):
    """Load these settings. Classes, surfaces, room and real dataset are kept"""

    bl_idname = "twinset.preset_load"
    bl_label = "Load Preset"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}
    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE", "HIDDEN"})
    menu_idname: bpy.props.StringProperty(options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context: Any) -> bool:
        return is_editable(cls, context)

    def execute(self, context: Any) -> set[str]:
        path = Path(self.filepath)
        try:
            apply_preset(context.scene, path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.report({"ERROR"}, f"Cannot load preset {path.name}: {error}")
            return {"CANCELLED"}
        # As Blender's own presets do: the popover shows the name of the last preset.
        bpy.types.TWINSET_PT_presets.bl_label = bpy.path.display_name(path.stem)
        return {"FINISHED"}


class TWINSET_OT_preset_add(bpy.types.Operator):
    """Save the current settings as a preset, or remove one"""

    bl_idname = "twinset.preset_add"
    bl_label = "Add Preset"
    bl_options = {"INTERNAL"}
    name: bpy.props.StringProperty(name="Name", options={"SKIP_SAVE"})
    remove_name: bpy.props.BoolProperty(options={"SKIP_SAVE", "HIDDEN"})
    remove_active: bpy.props.BoolProperty(options={"SKIP_SAVE", "HIDDEN"})

    def execute(self, context: Any) -> set[str]:
        stem = bpy.path.clean_name(self.name.strip()) if self.name.strip() else ""
        if not stem:
            self.report({"INFO"}, "Enter a name for the preset")
            return {"CANCELLED"}
        folder = Path(bpy.utils.user_resource("SCRIPTS", path=f"presets/{FOLDER}", create=True))
        path = folder / f"{stem}.toml"
        try:
            if self.remove_name or self.remove_active:
                own = path if path.is_file() else folder / f"{self.name}.toml"
                if not own.is_file():
                    self.report({"WARNING"}, "Presets that come with Twinset cannot be removed")
                    return {"CANCELLED"}
                own.unlink()
            else:
                path.write_text(preset_text(context.scene), encoding="utf-8")
        except OSError as error:
            self.report({"ERROR"}, f"Cannot write {path}: {error.strerror}")
            return {"CANCELLED"}
        return {"FINISHED"}


class TWINSET_OT_set_up(bpy.types.Operator):
    """Set up a dataset of this scene, with settings for objects that are placed on surfaces"""

    bl_idname = "twinset.set_up"
    bl_label = "Set Up Dataset"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        return is_editable(cls, context)

    def execute(self, context: Any) -> set[str]:
        set_up(context.scene)
        return {"FINISHED"}


_CLASSES = (TWINSET_OT_preset_load, TWINSET_OT_preset_add, TWINSET_OT_set_up)


def register() -> None:
    """Register the operators and the folder of the presets that come with Twinset."""
    for cls in _CLASSES:
        bpy.utils.register_class(cls)
    bpy.utils.register_preset_path(str(PRESET_PATH.parent))


def unregister() -> None:
    """Unregister them."""
    bpy.utils.unregister_preset_path(str(PRESET_PATH.parent))
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
