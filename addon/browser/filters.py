# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the browser as properties of the window."""

from __future__ import annotations

from typing import Any

import bpy

from ..processes.render_job import folder_or_none
from . import records, thumbnails

PAGE = 12
"""Images per page."""


def _names(context: Any, which: int) -> list[str]:
    out = folder_or_none(context.scene) if context and context.scene else None
    return records.names_in(records.listing_of(out))[which] if out is not None else []


def _search_classes(self: Any, context: Any, typed: str) -> list[str]:
    return [name for name in _names(context, 0) if typed.lower() in name.lower()]


def _search_reasons(self: Any, context: Any, typed: str) -> list[str]:
    return [name for name in _names(context, 1) if typed.lower() in name.lower()]


def _first_page(self: Any, context: Any) -> None:
    self.page = 0


class TWINSET_PG_browser(bpy.types.PropertyGroup):
    """Which rendered images are shown"""

    class_name: bpy.props.StringProperty(
        name="Class",
        description="Show only images with this class",
        search=_search_classes,
        search_options=set(),
        update=_first_page,
    )
    verdict: bpy.props.EnumProperty(
        name="Verdict",
        description="Show only frames with this result",
        items=[
            ("ALL", "All", "All frames"),
            ("ACCEPTED", "Images", "Frames that have an image"),
            ("EMPTY", "Without Objects", "Images without annotated objects"),
            ("GIVEN_UP", "Given Up", "Frames of which all attempts were rejected"),
        ],
        update=_first_page,
    )
    reason: bpy.props.StringProperty(
        name="Rejected",
        description="Show only frames of which an attempt was rejected for this reason",
        search=_search_reasons,
        search_options=set(),
        update=_first_page,
    )
    page: bpy.props.IntProperty(name="Page", min=0)


def register() -> None:
    """Add the filters to the window manager."""
    bpy.utils.register_class(TWINSET_PG_browser)
    bpy.types.WindowManager.twinset_browser = bpy.props.PointerProperty(type=TWINSET_PG_browser)


def unregister() -> None:
    """Remove the filters, and forget what was read."""
    del bpy.types.WindowManager.twinset_browser
    bpy.utils.unregister_class(TWINSET_PG_browser)
    records.forget()
    thumbnails.forget()
