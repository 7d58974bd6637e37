# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that render: the whole dataset in the background, or one frame to look at."""

from pathlib import Path
from typing import Any

import bpy

from ...engine.errors import TwinsetError
from ..processes.render_job import (
    can_resume,
    cancel,
    current,
    dismiss,
    free_folder,
    is_running,
    output_of,
    resume,
    start,
)
from ..processes.session import redraw
from ..widgets.pictures import forget_picture, show_picture
from .preview_ops import Waiting, complain, problem_of


def folder_or_none(scene: bpy.types.Scene) -> Path | None:
    """The output folder; None where it cannot be told yet."""
    try:
        return output_of(scene)
    except TwinsetError:
        return None


class TWINSET_OT_render_dataset(bpy.types.Operator):
    """Render the dataset in the background, from a copy of the scene as it is now; this window stays free for work"""

    bl_idname = "twinset.render_dataset"
    bl_label = "Render Dataset"

    is_anew: bpy.props.BoolProperty(
        name="Anew",
        description="Where the folder holds frames already, render into a new one beside it",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        problem = "A render is running" if is_running() else problem_of(context)
        if problem:
            cls.poll_message_set(problem)
        return not problem

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = context.scene
        try:
            out = output_of(scene)
            free = free_folder(out)
            if free != out:
                if not self.is_anew:
                    self.report({"ERROR"}, f"{out} holds frames already: resume them, or render anew.")
                    return {"CANCELLED"}
                scene.twinset.output_folder = _shown(free)
                out = free
            start(context, out)
        except (OSError, TwinsetError) as error:
            complain(self, error)
            return {"CANCELLED"}
        redraw()
        return {"FINISHED"}


class TWINSET_OT_resume_render(bpy.types.Operator):
    """Go on with the render in the output folder, with the scene and the settings that it was begun with"""

    bl_idname = "twinset.resume_render"
    bl_label = "Resume Render"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        out = folder_or_none(context.scene) if context.scene is not None else None
        if is_running():
            cls.poll_message_set("A render is running")
            return False
        if out is None or not can_resume(out):
            cls.poll_message_set("The output folder holds no render that was begun here")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            resume(output_of(context.scene), context.scene.twinset.job.images)
        except (OSError, ValueError, TwinsetError) as error:
            complain(self, error)
            return {"CANCELLED"}
        redraw()
        return {"FINISHED"}


class TWINSET_OT_cancel_render(bpy.types.Operator):
    """Stop after the frame at hand; all frames so far are kept, and it can be resumed"""

    bl_idname = "twinset.cancel_render"
    bl_label = "Cancel Render"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not is_running():
            cls.poll_message_set("No render is running")
        return is_running()

    def execute(self, context: bpy.types.Context) -> set[str]:
        cancel()
        redraw()
        return {"FINISHED"}


class TWINSET_OT_dismiss_render(bpy.types.Operator):
    """Clear away what is said of the last render; its files stay"""

    bl_idname = "twinset.dismiss_render"
    bl_label = "Close"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return current() is not None and not is_running()

    def execute(self, context: bpy.types.Context) -> set[str]:
        dismiss()
        forget_picture()
        redraw()
        return {"FINISHED"}


class TWINSET_OT_show_log(bpy.types.Operator):
    """Show the last messages of the background Blender"""

    bl_idname = "twinset.show_log"
    bl_label = "Show Log"

    file: bpy.props.StringProperty(options={"SKIP_SAVE", "HIDDEN"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_popup(self, width=720)

    def execute(self, context: bpy.types.Context) -> set[str]:
        bpy.ops.wm.path_open(filepath=self.file)
        return {"FINISHED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.label(text=self.file, icon="TEXT")
        column = layout.column(align=True)
        column.scale_y = 0.75
        try:
            lines = Path(self.file).read_text(encoding="utf-8", errors="replace").splitlines()[-30:]
        except OSError:
            lines = []
        for line in lines or ["The log is empty."]:
            column.label(text=line[:160])
        layout.operator("wm.path_open", text="Open the Whole File", icon="FILE_FOLDER").filepath = self.file


class TWINSET_OT_show_picture(bpy.types.Operator):
    """Show the latest picture with its boxes in an image editor"""

    bl_idname = "twinset.show_picture"
    bl_label = "Show Picture"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        job = current()
        if job is None or job.image is None:
            cls.poll_message_set("No picture is rendered yet")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        job = current()
        assert job is not None and job.image is not None and job.record is not None
        try:
            show_picture(context, job.image, job.record)
        except (OSError, RuntimeError) as error:
            self.report({"ERROR"}, f"The picture cannot be shown: {error}")
            return {"CANCELLED"}
        return {"FINISHED"}


class TWINSET_OT_render_here(Waiting, bpy.types.Operator):
    """Render one frame in the background, the sample that is shown, and open it with its boxes"""

    bl_idname = "twinset.render_here"
    bl_label = "Render This Sample"

    def request(self, context: bpy.types.Context) -> dict[str, Any]:
        return {"picture": context.scene.twinset_preview.frame}

    def finish(self, context: bpy.types.Context, message: dict[str, Any]) -> None:
        if message["file"] is None:
            self.report({"WARNING"}, f"Frame {message['frame']} would be given up after all its attempts")
            return
        show_picture(context, Path(message["file"]), message["record"])


def _shown(folder: Path) -> str:
    """A folder as the panel shows it: from the file where the two are near."""
    if not bpy.data.filepath:
        return str(folder)
    try:
        relative = bpy.path.relpath(str(folder))
    except ValueError:
        return str(folder)
    return relative if relative.count("..") < 3 else str(folder)


_CLASSES = (
    TWINSET_OT_render_dataset,
    TWINSET_OT_resume_render,
    TWINSET_OT_cancel_render,
    TWINSET_OT_dismiss_render,
    TWINSET_OT_show_log,
    TWINSET_OT_show_picture,
    TWINSET_OT_render_here,
)

register, unregister = bpy.utils.register_classes_factory(_CLASSES)
