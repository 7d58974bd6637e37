# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports Python packages that are missing in this Blender, and how to install them, instead of failing."""

import functools
import sys

import bpy

from ..engine import packages

REMEDY = "Install the Twinset extension for this platform, which includes them."


@functools.cache
def missing_packages() -> list[str]:
    """Names of missing packages; cached, because panels call this at every redraw."""
    return packages.missing_packages()


def missing_packages_message(names: list[str]) -> str:
    """A message with the missing packages, the version of Python and the remedy; "" if none is missing."""
    if not names:
        return ""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f"Missing packages in Blender's Python {version}: {', '.join(names)}. {REMEDY}"


class TWINSET_PT_missing(bpy.types.Panel):
    """Python packages that Twinset needs"""

    bl_label = "Twinset"
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "output"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return not hasattr(bpy.types.Scene, "twinset")

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column(align=True)
        column.label(text=f"Python packages missing in {sys.executable}", icon="ERROR")
        for package in missing_packages():
            column.label(text=package, icon="BLANK1")
        column.label(text=REMEDY, icon="BLANK1")


def register() -> None:
    """Register the panel, which is shown only if the rest of the add-on cannot start."""
    bpy.utils.register_class(TWINSET_PT_missing)


def unregister() -> None:
    """Unregister the panel."""
    missing_packages.cache_clear()
    bpy.utils.unregister_class(TWINSET_PT_missing)
