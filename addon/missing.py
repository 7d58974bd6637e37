# SPDX-License-Identifier: GPL-3.0-or-later
"""Says which packages this Blender's Python lacks, and what to do about it, instead of failing."""

import functools
import sys

import bpy

from ..engine.packages import missing_packages

REMEDY = "Install the Twinset zip made for this system: it brings them."


@functools.cache
def lacking_packages() -> list[str]:
    """Packages that are missing, looked for once: panels ask at every redraw."""
    return missing_packages()


def missing_sentence(packages: list[str]) -> str:
    """One sentence that names the packages, the Python that lacks them and the remedy; "" where none is missing."""
    if not packages:
        return ""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f"Blender's Python {version} lacks {', '.join(packages)}. {REMEDY}"


class TWINSET_PT_missing(bpy.types.Panel):
    """Twinset cannot start without these packages"""

    bl_label = "Twinset"
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "output"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return not hasattr(bpy.types.Scene, "twinset")

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column(align=True)
        column.label(text=f"Python packages are missing in {sys.executable}", icon="ERROR")
        for package in lacking_packages():
            column.label(text=package, icon="BLANK1")
        column.label(text=REMEDY, icon="BLANK1")


def register() -> None:
    """Add the panel, which shows itself only where the rest could not start."""
    bpy.utils.register_class(TWINSET_PT_missing)


def unregister() -> None:
    """Take the panel back."""
    lacking_packages.cache_clear()
    bpy.utils.unregister_class(TWINSET_PT_missing)
