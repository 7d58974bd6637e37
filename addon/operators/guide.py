# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators of the guided path: choosing photos, correcting sizes, opening steps."""

from pathlib import Path
from typing import Any

import bpy
from bpy_extras.io_utils import ImportHelper

from ...engine.errors import TwinsetError
from ..guide.sizes import apply_advice, keep_size, size_advice
from ..settings.presets import set_up
from ..settings.real_annotations import read_annotations
from ..widgets.area_fit import classes_with_boxes
from .feedback import has_recipe, is_editable, report_error


class TWINSET_OT_choose_photos(bpy.types.Operator, ImportHelper):
    """Choose the annotations of your photos: a COCO file, which lists their boxes"""

    bl_idname = "twinset.choose_photos"
    bl_label = "Choose Annotations"
    bl_options = {"REGISTER", "UNDO"}
    filename_ext = ".json"
    filter_glob: bpy.props.StringProperty(default="*.json", options={"HIDDEN"})

    @classmethod
    def poll(cls, context: Any) -> bool:
        return is_editable(cls, context)

    def execute(self, context: Any) -> set[str]:
        scene, path = context.scene, self.filepath
        try:
            count = sum(read_annotations(path).classes().values())
        except TwinsetError as error:
            return report_error(self, error)
        set_up(scene)
        if bpy.data.filepath and context.preferences.filepaths.use_relative_paths:
            path = _relative(path)
        scene.twinset.real.annotations = path
        for use in scene.twinset.targets:
            use.enabled = True
        if classes_with_boxes(scene) and bpy.ops.twinset.fit.poll():
            bpy.ops.twinset.fit()
        self.report({"INFO"}, f"{count} boxes in {Path(path).name}")
        return {"FINISHED"}


class TWINSET_OT_no_photos(bpy.types.Operator):
    """Create a dataset without real photos: the sizes of boxes then follow from the cameras"""

    bl_idname = "twinset.no_photos"
    bl_label = "Continue Without Photos"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        return is_editable(cls, context)

    def execute(self, context: Any) -> set[str]:
        set_up(context.scene)
        for use in context.scene.twinset.targets:
            use.enabled = False
        return {"FINISHED"}


class TWINSET_OT_apply_sizes(bpy.types.Operator):
    """Scale the room and the objects of classes to the sizes that they usually have, when they are rendered"""

    bl_idname = "twinset.apply_sizes"
    bl_label = "Use Usual Sizes"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        return has_recipe(cls, context) and is_editable(cls, context)

    def execute(self, context: Any) -> set[str]:
        scene, count = context.scene, 0
        # Classes are measured again after the room, which is first, has changed.
        while advice := [each for each in size_advice(scene) if not (count and not each.owner)]:
            apply_advice(scene, advice[0])
            count += 1
        self.report({"INFO"}, f"{count} sizes corrected" if count != 1 else "One size corrected")
        return {"FINISHED"}


class TWINSET_OT_keep_sizes(bpy.types.Operator):
    """Keep the sizes as they are, and do not mention them again"""

    bl_idname = "twinset.keep_sizes"
    bl_label = "Keep"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        return has_recipe(cls, context) and is_editable(cls, context)

    def execute(self, context: Any) -> set[str]:
        for advice in size_advice(context.scene):
            keep_size(context.scene, advice.owner)
        return {"FINISHED"}


class TWINSET_OT_guide_step(bpy.types.Operator):
    """Show this step"""

    bl_idname = "twinset.guide_step"
    bl_label = "Show Step"
    bl_options = {"INTERNAL"}
    key: bpy.props.StringProperty(options={"HIDDEN"})

    def execute(self, context: Any) -> set[str]:
        live = context.window_manager.twinset_live
        live.guide_step = "" if live.guide_step == self.key else self.key
        return {"FINISHED"}


def _relative(path: str) -> str:
    try:
        return bpy.path.relpath(path)
    except ValueError:  # another drive
        return path


_CLASSES = (
    TWINSET_OT_choose_photos,
    TWINSET_OT_no_photos,
    TWINSET_OT_apply_sizes,
    TWINSET_OT_keep_sizes,
    TWINSET_OT_guide_step,
)

register, unregister = bpy.utils.register_classes_factory(_CLASSES)
