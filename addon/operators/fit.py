# SPDX-License-Identifier: GPL-3.0-or-later
"""Operator that fits a mixture to the areas of real boxes, for the panel Real Dataset."""

from typing import Any

import bpy

from ...engine.errors import TwinsetError
from ..missing_packages import missing_packages, missing_packages_message
from ..settings.real_annotations import read_annotations
from ..widgets.area_fit import classes_with_boxes, clear_area_fits, fit_areas, set_area_fit, target_settings
from .feedback import report_error

REQUIRED_PACKAGES = ("scipy", "scikit-learn", "pillow")


class TWINSET_OT_fit(bpy.types.Operator):
    """Show the areas of the real boxes of this class, and the mixture that the target fits to them"""

    bl_idname = "twinset.fit"
    bl_label = "Show Real Boxes"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        missing = [package for package in missing_packages() if package in REQUIRED_PACKAGES]
        if missing:
            cls.poll_message_set(missing_packages_message(missing))
            return False
        if not context.scene.twinset.real.annotations:
            cls.poll_message_set("Choose the COCO file of your real photos first")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        scene = context.scene
        names = classes_with_boxes(scene)
        try:
            read_annotations(scene.twinset.real.annotations)
            name = scene.twinset.fit_class if scene.twinset.fit_class in names else names[0] if names else ""
            if not name:
                self.report({"ERROR"}, "The annotations have no boxes. Choose another COCO file")
                return {"CANCELLED"}
            scene.twinset.fit_class = name
            fit = fit_areas(scene.twinset.real.annotations, name, target_settings(scene))
        except TwinsetError as error:
            return report_error(self, error)
        set_area_fit(scene, fit)
        return {"FINISHED"}


register, _unregister = bpy.utils.register_classes_factory((TWINSET_OT_fit,))


def unregister() -> None:
    """Unregister the operator and remove the fits."""
    _unregister()
    clear_area_fits()
