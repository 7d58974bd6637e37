# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators of renders that wait, of finished datasets, and of leaving Blender while renders wait."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from ...processes import render_queue
from ...processes.dataset_check import check
from ...processes.redraw import redraw_panels
from ...processes.render_job import count_frames, folder_or_none, is_running


class TWINSET_OT_unqueue(bpy.types.Operator):
    """Take this render out of the queue. It can be resumed later"""

    bl_idname = "twinset.unqueue"
    bl_label = "Remove from Queue"
    bl_options = {"INTERNAL"}
    folder: bpy.props.StringProperty(options={"HIDDEN"})

    def execute(self, context: Any) -> set[str]:
        render_queue.remove(Path(self.folder))
        redraw_panels()
        return {"FINISHED"}


class TWINSET_OT_start_queue(bpy.types.Operator):
    """Start the renders that wait, one after the other"""

    bl_idname = "twinset.start_queue"
    bl_label = "Start Queue"

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not render_queue.waiting():
            cls.poll_message_set("No render is waiting")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        render_queue.begin()
        redraw_panels()
        return {"FINISHED"}


class _DatasetOperator:
    """Base of operators on the output folder of the scene."""

    @classmethod
    def poll(cls: Any, context: Any) -> bool:
        out = folder_or_none(context.scene) if context.scene is not None else None
        if out is None or not count_frames(out):
            cls.poll_message_set("The output folder has no frames")
            return False
        return True


class TWINSET_OT_open_folder(_DatasetOperator, bpy.types.Operator):
    """Open the output folder in the file browser of the system"""

    bl_idname = "twinset.open_folder"
    bl_label = "Open Folder"

    def execute(self, context: Any) -> set[str]:
        return bpy.ops.wm.path_open(filepath=str(folder_or_none(context.scene)))


class TWINSET_OT_open_report(_DatasetOperator, bpy.types.Operator):
    """Open the report that compares the dataset with the real photos"""

    bl_idname = "twinset.open_report"
    bl_label = "Open Report"

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not super().poll(context):
            return False
        out = folder_or_none(context.scene)
        if out is None or not (out / "report.html").is_file():
            cls.poll_message_set("There is no report yet: it is written once all frames are rendered")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        out = folder_or_none(context.scene)
        assert out is not None
        bpy.ops.wm.url_open(url=(out / "report.html").as_uri())
        return {"FINISHED"}


class TWINSET_OT_verify(_DatasetOperator, bpy.types.Operator):
    """Check all files of the dataset against their checksums, in the background"""

    bl_idname = "twinset.verify"
    bl_label = "Verify"

    @classmethod
    def poll(cls, context: Any) -> bool:
        if is_running():
            cls.poll_message_set("A render is running")
            return False
        return super().poll(context)

    def execute(self, context: Any) -> set[str]:
        out = folder_or_none(context.scene)
        assert out is not None
        try:
            check(out)
        except OSError as error:
            self.report({"ERROR"}, f"Cannot start Blender in the background: {error}")
            return {"CANCELLED"}
        redraw_panels()
        return {"FINISHED"}


class TWINSET_OT_quit(bpy.types.Operator):
    """Close Blender although renders wait, which only start while it is open"""

    bl_idname = "twinset.quit"
    bl_label = "Quit While Renders Wait"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        # Where nothing would stop, the key does what it always does.
        return render_queue.would_stop() > 0

    def invoke(self, context: Any, event: Any) -> set[str]:
        count = render_queue.would_stop()
        what = "One render waits in the queue; it" if count == 1 else f"{count} renders wait in the queue; they"
        return context.window_manager.invoke_confirm(
            self,
            event,
            title="Quit Blender?",
            message=f"{what} can be started in the next Blender. A render that runs continues.",
            confirm_text="Quit",
            icon="WARNING",
        )

    def execute(self, context: Any) -> set[str]:
        bpy.ops.wm.quit_blender("INVOKE_DEFAULT")
        return {"FINISHED"}


_CLASSES = (
    TWINSET_OT_unqueue,
    TWINSET_OT_start_queue,
    TWINSET_OT_open_folder,
    TWINSET_OT_open_report,
    TWINSET_OT_verify,
    TWINSET_OT_quit,
)

register, unregister = bpy.utils.register_classes_factory(_CLASSES)
