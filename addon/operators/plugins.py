# SPDX-License-Identifier: GPL-3.0-or-later
"""Operator that loads plugins again, after the preferences or the files of plugins have changed."""

import bpy

from ..settings import properties
from ..settings.plugins import registry


class TWINSET_OT_reload_plugins(bpy.types.Operator):
    """Search for plugins again and update their panels"""

    bl_idname = "twinset.reload_plugins"
    bl_label = "Reload Plugins"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        properties.unregister()
        properties.register()
        plugins = registry()
        self.report({"INFO"}, f"{len(plugins.catalogue())} plugins loaded, {len(plugins.broken)} failed")
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((TWINSET_OT_reload_plugins,))
