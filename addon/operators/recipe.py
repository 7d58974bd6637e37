# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that import and export recipes, and copy the command that renders them."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import bpy
from bpy_extras.io_utils import ExportHelper, ImportHelper

from ...engine.errors import TwinsetError
from ..settings.recipe import blend_folder, export_recipe, import_recipe, remove_imported_tables
from .feedback import has_recipe, is_editable, report_error


class TWINSET_OT_import_recipe(bpy.types.Operator, ImportHelper):
    """Load a recipe file. It replaces the current settings"""

    bl_idname = "twinset.import_recipe"
    bl_label = "Import Recipe"
    bl_options = {"REGISTER", "UNDO"}
    filename_ext = ".toml"
    filter_glob: bpy.props.StringProperty(default="*.toml", options={"HIDDEN"})

    @classmethod
    def poll(cls, context: Any) -> bool:
        return is_editable(cls, context)

    def execute(self, context: Any) -> set[str]:
        try:
            import_recipe(context.scene, Path(self.filepath))
        except TwinsetError as error:
            return report_error(self, error)
        self.report({"INFO"}, f"Imported {Path(self.filepath).name}")
        return {"FINISHED"}


class TWINSET_OT_export_recipe(bpy.types.Operator, ExportHelper):
    """Save the settings as a recipe file for the twinset command"""

    bl_idname = "twinset.export_recipe"
    bl_label = "Export Recipe"
    filename_ext = ".toml"
    filter_glob: bpy.props.StringProperty(default="*.toml", options={"HIDDEN"})

    @classmethod
    def poll(cls, context: Any) -> bool:
        return has_recipe(cls, context)

    def execute(self, context: Any) -> set[str]:
        try:
            export_recipe(context.scene, Path(self.filepath))
        except TwinsetError as error:
            return report_error(self, error)
        self.report({"INFO"}, f"Exported {self.filepath}")
        if bpy.data.is_dirty and context.scene.twinset.room == "THIS":
            self.report({"WARNING"}, "The .blend file has unsaved changes, which the recipe does not include")
        return {"FINISHED"}


class TWINSET_OT_remove_variants(bpy.types.Operator):
    """Remove the imported variants or rooms, so that all frames use the settings of these panels"""

    bl_idname = "twinset.remove_variants"
    bl_label = "Remove Variants"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}
    key: bpy.props.StringProperty(default="variant", options={"HIDDEN"})

    def execute(self, context: Any) -> set[str]:
        remove_imported_tables(context.scene, self.key)
        return {"FINISHED"}


class TWINSET_OT_copy_command(bpy.types.Operator):
    """Save the recipe next to the .blend file and copy the command that renders it, for example on a farm"""

    bl_idname = "twinset.copy_command"
    bl_label = "Copy Farm Command"

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not has_recipe(cls, context):
            return False
        if not bpy.data.filepath:
            cls.poll_message_set("Save the file first: the recipe is written to its folder")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        path = blend_folder() / f"{Path(bpy.data.filepath).stem}.toml"
        try:
            export_recipe(context.scene, path)
        except TwinsetError as error:
            return report_error(self, error)
        out = Path(bpy.path.abspath(context.scene.twinset.output_folder))
        context.window_manager.clipboard = farm_command(path, out)
        block = context.scene.twinset.render.block_size
        self.report(
            {"INFO"}, f"Copied the command and saved {path.name}. Add --frames 0-{block - 1} to render one block"
        )
        return {"FINISHED"}


def farm_command(recipe: Path, out: Path) -> str:
    """The command line that renders a recipe with Blender and this extension, quoted for this system's shell."""
    arguments = ["blender", "--command", "twinset", "render", str(recipe), "-o", str(out)]
    return subprocess.list2cmdline(arguments) if sys.platform == "win32" else shlex.join(arguments)


_CLASSES = (TWINSET_OT_import_recipe, TWINSET_OT_export_recipe, TWINSET_OT_remove_variants, TWINSET_OT_copy_command)

register, unregister = bpy.utils.register_classes_factory(_CLASSES)
