# SPDX-License-Identifier: GPL-3.0-or-later
"""3D Viewport > Sidebar > Twinset > Rendered Images: thumbnails, filters, and what can be done with a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from ..browser.filters import PAGE
from ..browser.records import FrameSummary, Listing, chosen, listing_of
from ..browser.thumbnails import thumbnail
from ..processes.dataset_check import latest
from ..processes.render_job import count_frames, folder_or_none, needs_finish
from ..settings.recipe import is_set_up
from ..widgets.layouts import draw_text

_WIDTH = 115.0
"""Smallest width of a thumbnail in pixels."""


class TWINSET_PT_browser(bpy.types.Panel):
    """Images in the output folder"""

    bl_label = "Rendered Images"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Twinset"
    bl_order = 13
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        return context.scene is not None and is_set_up(context.scene)

    def draw(self, context: Any) -> None:
        layout = self.layout
        out = folder_or_none(context.scene)
        if out is None or not count_frames(out):
            layout.label(text="No Images Yet", icon="IMAGE_DATA")
            return
        listing, browser = listing_of(out), context.window_manager.twinset_browser
        _draw_filters(layout, browser)
        frames = chosen(listing, browser.class_name, browser.verdict, browser.reason)
        _draw_pages(layout, browser, listing, len(frames))
        _draw_thumbnails(layout, context, out, frames[browser.page * PAGE :][:PAGE])
        _draw_dataset_buttons(layout, context, out)


def _draw_filters(layout: Any, browser: Any) -> None:
    column = layout.column(align=True)
    column.prop(browser, "verdict", text="")
    column.prop(browser, "class_name", text="", placeholder="All Classes", icon="FILTER")
    column.prop(browser, "reason", text="", placeholder="All Reasons", icon="CANCEL")


def _draw_pages(layout: Any, browser: Any, listing: Listing, count: int) -> None:
    pages = max(1, -(-count // PAGE))
    row = layout.row(align=True)
    back = row.row(align=True)
    back.enabled = browser.page > 0
    back.operator("twinset.browse", text="", icon="TRIA_LEFT").step = -1
    text = f"{count} of {listing.total}" if count != listing.total else f"{count}"
    if listing.is_reading and len(listing.frames) < listing.total:
        text = f"{len(listing.frames)} of {listing.total}..."
    middle = row.row(align=True)
    middle.alignment = "CENTER"
    middle.label(text=f"{min(browser.page + 1, pages)} / {pages}  ({text})", translate=False)
    forward = row.row(align=True)
    forward.enabled = browser.page + 1 < pages
    forward.operator("twinset.browse", text="", icon="TRIA_RIGHT").step = 1


def _draw_thumbnails(layout: Any, context: Any, out: Path, frames: list[FrameSummary]) -> None:
    if not frames:
        layout.label(text="No Image Passes the Filters", icon="INFO")
        return
    scale = context.preferences.system.ui_scale
    width = context.region.width if context.region else 300
    columns = max(2, int(width / scale / _WIDTH))
    grid = layout.grid_flow(row_major=True, columns=columns, even_columns=True, even_rows=True, align=True)
    size = max(2.0, width / scale / columns / 20.0 - 1.2)
    for each in frames:
        cell = grid.column(align=True)
        icon = 0 if each.image is None else thumbnail(out, each.image, each.frame)
        cell.template_icon(icon_value=icon or _icon(icon, each), scale=size)
        button = cell.operator("twinset.show_frame", text=str(each.frame), translate=False)
        button.frame = each.frame


def _icon(icon: int | None, each: FrameSummary) -> int:
    """A standard icon for an image that is being read, cannot be read, or does not exist."""
    name = "CANCEL" if each.image is None else "SORTTIME" if icon is None else "ERROR"
    return int(bpy.types.UILayout.bl_rna.functions["prop"].parameters["icon"].enum_items[name].value)


def _draw_dataset_buttons(layout: Any, context: Any, out: Path) -> None:
    column = layout.column(align=True)
    column.operator("twinset.open_folder", icon="FILE_FOLDER")
    column.operator("twinset.open_report", icon="TEXT")
    if needs_finish(out):
        column.operator("twinset.finish_render", icon="CHECKMARK")
    column.operator("twinset.verify", icon="FILE_TICK")
    check = latest()
    if check is None or check.out != out:
        return
    if check.process is not None:
        layout.label(text="Checking Files...", icon="SORTTIME")
    for number, line in enumerate(check.lines):
        icon = "CHECKMARK" if check.is_right else "ERROR"
        draw_text(layout, context, line, icon=icon if number == 0 else "BLANK1")


register, unregister = bpy.utils.register_classes_factory((TWINSET_PT_browser,))
