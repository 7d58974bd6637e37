# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipes in and out of the panels, and the command that renders them elsewhere."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import bpy
from bpy_extras.io_utils import ExportHelper, ImportHelper

from ...engine.errors import RecipeError, TwinsetError
from ..settings.fields import touched
from ..settings.recipe import (
    blend_folder,
    export_recipe,
    import_recipe,
    is_set_up,
    remove_kept,
)


def said(operator: Any, error: Exception) -> set[str]:
    """Report an expected error as sentences and end the operator."""
    problems = error.problems if isinstance(error, RecipeError) else [str(error)]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    operator.report({"ERROR"}, problems[0] + more)
    return {"CANCELLED"}


class TWINSET_OT_import_recipe(bpy.types.Operator, ImportHelper):
    """Show a recipe file in these panels; it replaces what they hold"""

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
            return said(self, error)
        touched()
        self.report({"INFO"}, f"Opened the recipe {Path(self.filepath).name}.")
        return {"FINISHED"}


class TWINSET_OT_export_recipe(bpy.types.Operator, ExportHelper):
    """Write these settings as a recipe that the twinset command renders unchanged"""

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
            return said(self, error)
        self.report({"INFO"}, f"Wrote {self.filepath}.")
        if bpy.data.is_dirty and context.scene.twinset.room == "THIS":
            self.report({"WARNING"}, "The .blend has unsaved changes, which a render from the recipe does not see.")
        return {"FINISHED"}


class TWINSET_OT_remove_variants(bpy.types.Operator):
    """Let all frames be as these panels show them"""

    bl_idname = "twinset.remove_variants"
    bl_label = "Remove Variants"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}
    key: bpy.props.StringProperty(default="variant", options={"HIDDEN"})

    def execute(self, context: Any) -> set[str]:
        remove_kept(context.scene, self.key)
        touched()
        return {"FINISHED"}


class TWINSET_OT_copy_command(bpy.types.Operator):
    """Save the recipe beside the .blend and copy the command that renders it, here or on a farm"""

    bl_idname = "twinset.copy_command"
    bl_label = "Copy Farm Command"

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not has_recipe(cls, context):
            return False
        if not bpy.data.filepath:
            cls.poll_message_set("Save the file first: the recipe is written beside it")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        path = blend_folder() / f"{Path(bpy.data.filepath).stem}.toml"
        try:
            export_recipe(context.scene, path)
        except TwinsetError as error:
            return said(self, error)
        out = Path(bpy.path.abspath(context.scene.twinset.output_folder))
        context.window_manager.clipboard = farm_command(path, out)
        block = context.scene.twinset.render.block
        self.report({"INFO"}, f"Copied. Add --frames 0-{block - 1} for one block of {block} frames; wrote {path.name}.")
        return {"FINISHED"}


def farm_command(recipe: Path, out: Path) -> str:
    """The command line that renders a recipe by Blender and this extension, quoted for this system's shell."""
    words = ["blender", "--command", "twinset", "render", str(recipe), "-o", str(out)]
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def is_editable(cls: Any, context: Any) -> bool:
    """Whether the settings of the scene can be changed; else the operator's button says why not."""
    if context.scene.library is not None:
        cls.poll_message_set(f"This scene is linked from {Path(context.scene.library.filepath).name}: open that file")
        return False
    return True


def has_recipe(cls: Any, context: Any) -> bool:
    """Whether the panels hold anything; else the operator's button says what to do."""
    if not is_set_up(context.scene):
        cls.poll_message_set("Set up the dataset first: Properties > Output > Twinset")
        return False
    return True


_CLASSES = (TWINSET_OT_import_recipe, TWINSET_OT_export_recipe, TWINSET_OT_remove_variants, TWINSET_OT_copy_command)

register, unregister = bpy.utils.register_classes_factory(_CLASSES)
