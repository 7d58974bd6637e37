# SPDX-License-Identifier: GPL-3.0-or-later
"""Preferences of the extension: a folder with the user's own plugins, which are code and therefore off by default."""

import bpy

from ..documentation import documentation_url
from ..missing_packages import missing_packages, missing_packages_message
from .keymaps import draw_keys
from .plugins import extension_name, registry


class TWINSET_AP_preferences(bpy.types.AddonPreferences):
    """Preferences of Twinset"""

    bl_idname = extension_name() or __package__

    use_plugin_folder: bpy.props.BoolProperty(
        name="Plugin Folder",
        description="Load plugins from a folder. Plugins are Python code: use only folders that you trust",
    )
    plugin_folder: bpy.props.StringProperty(
        name="Plugin Folder", description="Folder with plugins, one Python file for each", subtype="DIR_PATH"
    )

    processes: bpy.props.IntProperty(
        name="Processes",
        description="Blender processes that render a dataset in parallel. Each needs the memory of the scene; with "
        "several graphics cards, each process gets one",
        default=1,
        min=1,
        soft_max=16,
        max=256,
    )

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(self, "processes")
        if documentation_url():
            layout.operator("wm.url_open", text="Documentation", icon="HELP").url = documentation_url()
        row = layout.row(align=True, heading="Plugin Folder")
        row.prop(self, "use_plugin_folder", text="")
        field = row.row(align=True)
        field.enabled = self.use_plugin_folder
        field.prop(self, "plugin_folder", text="")
        field.operator("twinset.reload_plugins", text="", icon="FILE_REFRESH")
        message = missing_packages_message(missing_packages())
        if message:
            layout.label(text=message, icon="ERROR")
        draw_broken_plugins(layout)
        header, body = layout.panel("twinset_keys", default_closed=False)
        header.label(text="Keys")
        if body:
            draw_keys(body, context)


def draw_broken_plugins(layout: bpy.types.UILayout, kind: str = "") -> None:
    """Draw a line for each plugin that cannot be loaded: those of a kind and those of unknown kind, or all."""
    for broken in registry().broken:
        if not kind or broken.kind in ("", kind):
            row = layout.row()
            row.alert = True
            row.label(text=f"{broken.id}: {broken.reason}", icon="ERROR")


def register() -> None:
    """Register the preferences."""
    bpy.utils.register_class(TWINSET_AP_preferences)


def unregister() -> None:
    """Unregister the preferences."""
    bpy.utils.unregister_class(TWINSET_AP_preferences)
