# SPDX-License-Identifier: GPL-3.0-or-later
"""3D Viewport > Sidebar > Twinset: the real photos, and all settings of Properties > Output, beside the view."""

from __future__ import annotations

from typing import Any

import bpy

from ..settings.recipe import is_set_up
from ..widgets.layouts import draw_settings
from .real_dataset import draw_real_boxes
from .recipe import RecipePanel, draw_recipe_buttons, recipe_panels


class _SidebarPanel:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Twinset"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        return context.scene is not None and is_set_up(context.scene)


class TWINSET_PT_view_real(_SidebarPanel, bpy.types.Panel):
    """Annotations of the real photos that the dataset should match, and their boxes"""

    bl_label = "Real Photos"
    bl_order = 5

    def draw(self, context: Any) -> None:
        draw_real_boxes(self.layout, context)


class TWINSET_PT_view_settings(_SidebarPanel, bpy.types.Panel):
    """All settings of the dataset, as in Properties > Output"""

    bl_label = "Settings"
    bl_order = 20

    def draw_header_preset(self, context: Any) -> None:
        self.layout.popover("TWINSET_PT_presets", text="", icon="PRESET")

    def draw(self, context: Any) -> None:
        draw_settings(self.layout, context.scene.twinset.job, "job", skip=("plugin_folders",))
        draw_recipe_buttons(self.layout, context.scene)


def _in_sidebar(panel: type[RecipePanel]) -> type:
    """The same panel in the Sidebar."""
    members = {
        "bl_label": panel.bl_label,  # type: ignore[attr-defined]
        "bl_parent_id": "TWINSET_PT_view_settings",
        "bl_options": {"DEFAULT_CLOSED"},
        "poll": classmethod(lambda cls, context: panel.poll(context)),
        "draw": panel.draw,  # type: ignore[attr-defined]
        "__doc__": panel.__doc__,
    }
    return type(panel.__name__.replace("_PT_", "_PT_view_"), (_SidebarPanel, bpy.types.Panel), members)


_CLASSES = (
    TWINSET_PT_view_real,
    TWINSET_PT_view_settings,
    *(_in_sidebar(panel) for panel in recipe_panels()),
)

register, unregister = bpy.utils.register_classes_factory(_CLASSES)
