# SPDX-License-Identifier: GPL-3.0-or-later
"""The popover with presets, in the header of the Twinset panel."""

import bpy
from bl_ui.utils import PresetPanel

from ..settings.presets import FOLDER


class TWINSET_PT_presets(PresetPanel, bpy.types.Panel):
    """Presets of Twinset"""

    bl_label = "Twinset Presets"
    preset_subdir = FOLDER
    preset_extensions = {".toml"}
    preset_operator = "twinset.preset_load"
    preset_add_operator = "twinset.preset_add"


register, unregister = bpy.utils.register_classes_factory((TWINSET_PT_presets,))
