# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators of the browser of rendered images."""

from __future__ import annotations

from typing import Any

import bpy

from ....dataset.store.frames import FrameStore
from ....engine.errors import TwinsetError
from ...browser.records import listing_of
from ...processes.redraw import redraw_panels
from ...processes.render_job import folder_or_none
from ...widgets.pictures import show_picture


class TWINSET_OT_browse(bpy.types.Operator):
    """Show the next or the previous images"""

    bl_idname = "twinset.browse"
    bl_label = "Turn Page"
    bl_options = {"INTERNAL"}
    step: bpy.props.IntProperty(default=1, options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, context: Any) -> set[str]:
        browser = context.window_manager.twinset_browser
        browser.page = max(0, browser.page + self.step)
        redraw_panels()
        return {"FINISHED"}


class TWINSET_OT_show_frame(bpy.types.Operator):
    """Show this image with its boxes in an Image Editor"""

    bl_idname = "twinset.show_frame"
    bl_label = "Show Image"
    bl_options = {"UNDO"}
    frame: bpy.props.IntProperty(options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def description(cls, context: Any, properties: Any) -> str:
        out = folder_or_none(context.scene)
        known = listing_of(out).frames.get(properties.frame) if out is not None else None
        if known is None:
            return cls.__doc__ or ""
        objects = ", ".join(f"{n} {name}" for name, n in known.classes.items()) or "no annotated objects"
        rejected = ", ".join(f"{n} x {reason}" for reason, n in known.reasons.items())
        state = "Given up" if known.image is None else objects
        return f"Frame {known.frame}: {state}." + (f" Rejected attempts: {rejected}" if rejected else "")

    def execute(self, context: Any) -> set[str]:
        out = folder_or_none(context.scene)
        known = listing_of(out).frames.get(self.frame) if out is not None else None
        if out is None or known is None or known.image is None:
            reasons = ", ".join(known.reasons) if known is not None else ""
            self.report({"INFO"}, f"Frame {self.frame} was given up: {reasons}" if reasons else "There is no image")
            return {"CANCELLED"}
        try:
            show_picture(context, known.image, FrameStore(out).read(self.frame))
        except (OSError, RuntimeError, TwinsetError) as error:
            self.report({"ERROR"}, f"Cannot show the image: {error}")
            return {"CANCELLED"}
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((TWINSET_OT_browse, TWINSET_OT_show_frame))
