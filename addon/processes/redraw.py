# SPDX-License-Identifier: GPL-3.0-or-later
"""Redraws panels after news from background processes."""

import bpy


def redraw_panels() -> None:
    """Redraw the panels, but not the viewports, which take much longer to draw."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            region_type = {"VIEW_3D": "UI", "PROPERTIES": "WINDOW"}.get(area.type)
            for region in area.regions:
                if region.type == region_type:
                    region.tag_redraw()
