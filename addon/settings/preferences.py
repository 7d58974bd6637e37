# SPDX-License-Identifier: GPL-3.0-or-later
"""Preferences of the extension: folders with plugins of one's own, which are code and therefore off by default."""

from pathlib import Path

import bpy

from ..missing import lacking_packages, missing_sentence


def extension_name() -> str:
    """The name under which Blender knows this extension."""
    return __package__.rsplit(".", 2)[0]


def preferences() -> bpy.types.AddonPreferences | None:
    """The preferences; None where the package is used without being enabled as an extension."""
    addon = bpy.context.preferences.addons.get(extension_name())
    return addon.preferences if addon is not None else None


def plugin_folders() -> list[Path]:
    """The folders whose plugins the artist has chosen to load."""
    own = preferences()
    if own is None or not getattr(own, "use_plugin_folder", False) or not own.plugin_folder:
        return []
    return [Path(bpy.path.abspath(own.plugin_folder))]


class TWINSET_OT_reload_plugins(bpy.types.Operator):
    """Look for plugins again, and make the panels of those that are there"""

    bl_idname = "twinset.reload_plugins"
    bl_label = "Load Plugins"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        from . import properties

        properties.unregister()
        properties.register()
        found = properties.registry()
        self.report({"INFO"}, f"{len(found.catalogue())} plugins, {len(found.broken)} that cannot be used.")
        return {"FINISHED"}


class TWINSET_AP_preferences(bpy.types.AddonPreferences):
    """Preferences of Twinset"""

    bl_idname = extension_name() or __package__

    use_plugin_folder: bpy.props.BoolProperty(
        name="Plugin Folder",
        description="Load plugins from a folder. They are programs: use only what you trust",
    )
    plugin_folder: bpy.props.StringProperty(
        name="Plugin Folder", description="Folder with plugins, one Python file each", subtype="DIR_PATH"
    )

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        row = layout.row(align=True, heading="Plugin Folder")
        row.prop(self, "use_plugin_folder", text="")
        field = row.row(align=True)
        field.enabled = self.use_plugin_folder
        field.prop(self, "plugin_folder", text="")
        field.operator("twinset.reload_plugins", text="", icon="FILE_REFRESH")
        lacking = missing_sentence(lacking_packages())
        if lacking:
            layout.label(text=lacking, icon="ERROR")
        draw_broken(layout)


def draw_broken(layout: bpy.types.UILayout, kind: str = "") -> None:
    """One line for each plugin (of a kind, or of none that is known) that cannot be used."""
    from . import properties

    for broken in properties.registry().broken:
        if not kind or broken.kind in ("", kind):
            row = layout.row()
            row.alert = True
            row.label(text=f"{broken.id}: {broken.reason}", icon="ERROR")


def register() -> None:
    """Add the preferences."""
    bpy.utils.register_class(TWINSET_OT_reload_plugins)
    bpy.utils.register_class(TWINSET_AP_preferences)


def unregister() -> None:
    """Take the preferences back."""
    bpy.utils.unregister_class(TWINSET_AP_preferences)
    bpy.utils.unregister_class(TWINSET_OT_reload_plugins)
