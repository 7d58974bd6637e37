# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that render in the background: the dataset, or one frame."""

from pathlib import Path
from typing import Any

import bpy

from ....engine.errors import TwinsetError
from ...processes import render_queue
from ...processes.redraw import redraw_panels
from ...processes.render_job import (
    can_resume,
    cancel,
    count_frames,
    current,
    dismiss,
    finish,
    folder_or_none,
    free_folder,
    is_ending,
    is_running,
    output_of,
    prepare,
    prepare_resume,
    run,
)
from ...settings.plugins import processes
from ...settings.problems import Problem, problems_of
from ...settings.recipe import is_set_up
from ...widgets.pictures import remove_picture, show_picture
from ..feedback import can_render, report_problems
from ..preview import FrameRequestOperator, report_preview_error


def render_problems(scene: bpy.types.Scene) -> list[Problem]:
    """Everything that keeps the scene from being rendered into its output folder."""
    problems = problems_of(scene)
    place = ("twinset", "output_folder")
    try:
        out = output_of(scene)
    except TwinsetError as error:
        return [*problems, Problem(str(error), *place, operator="wm.save_mainfile")]
    for other in bpy.data.scenes:
        if other != scene and is_set_up(other) and folder_or_none(other) == out:
            text = f"The scene '{other.name}' renders into this folder as well. Choose another one."
            problems.append(Problem(text, *place, operator="twinset.own_folder"))
    return problems


def _is_busy(operator: type[bpy.types.Operator]) -> bool:
    """Whether a render is running or ending, which the operator's button says then."""
    if is_running() or is_ending():
        operator.poll_message_set("A render is running" if is_running() else "The last render is being stopped")
        return True
    return False


class TWINSET_OT_render_dataset(bpy.types.Operator):
    """Render the dataset in the background, from a copy of the current scene"""

    bl_idname = "twinset.render_dataset"
    bl_label = "Render Dataset"

    is_anew: bpy.props.BoolProperty(
        name="New Folder",
        description="Render into a new folder if the output folder already has frames",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return can_render(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = context.scene
        problems = render_problems(scene)
        if problems:
            return report_problems(self, problems)
        try:
            out = output_of(scene)
            if render_queue.is_busy(out) and not self.is_anew:
                self.report({"ERROR"}, "A render into this folder is running or waiting. Choose another folder")
                return {"CANCELLED"}
            free = free_folder(out)
            if free != out:
                if not self.is_anew:
                    self.report({"ERROR"}, f"{out} already has frames. Resume the render, or choose another folder")
                    return {"CANCELLED"}
                scene.twinset.output_folder = _display_path(free)
                out = free
            prepare(context, out, processes())
            _run_or_wait(self, out)
        except (OSError, TwinsetError) as error:
            return report_preview_error(self, error, "render")
        redraw_panels()
        return {"FINISHED"}


def _run_or_wait(operator: bpy.types.Operator, out: Path) -> None:
    """Render a prepared folder now, or after those that are running and waiting."""
    if is_running() or is_ending() or render_queue.waiting():
        render_queue.add(out)
        operator.report({"INFO"}, f"{out.name} waits in the queue: number {len(render_queue.waiting())}")
    else:
        run(out)
        render_queue.note_running(out)


class TWINSET_OT_resume_render(bpy.types.Operator):
    """Resume the render in the output folder, with its original scene and settings"""

    bl_idname = "twinset.resume_render"
    bl_label = "Resume Render"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        out = folder_or_none(context.scene) if context.scene is not None else None
        if out is not None and out in render_queue.waiting():
            cls.poll_message_set("The render waits for others")
            return False
        if out is not None and render_queue.is_busy(out) and _is_busy(cls):
            return False
        if out is None or not can_resume(out, context.scene):
            cls.poll_message_set("The output folder has no render of the add-on")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            out = output_of(context.scene)
            prepare_resume(out, context.scene.twinset.job.images, processes())
            _run_or_wait(self, out)
        except (OSError, ValueError, TwinsetError) as error:
            return report_preview_error(self, error, "render")
        redraw_panels()
        return {"FINISHED"}


class TWINSET_OT_cancel_render(bpy.types.Operator):
    """Stop after the current frame. All frames are kept, and the render can be resumed"""

    bl_idname = "twinset.cancel_render"
    bl_label = "Cancel Render"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not is_running():
            cls.poll_message_set("No render is running")
        return is_running()

    def execute(self, context: bpy.types.Context) -> set[str]:
        cancel()
        redraw_panels()
        return {"FINISHED"}


class TWINSET_OT_finish_render(bpy.types.Operator):
    """Write annotations and report of the frames that there are. The render can still be resumed"""

    bl_idname = "twinset.finish_render"
    bl_label = "Finish"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        out = folder_or_none(context.scene) if context.scene is not None else None
        if _is_busy(cls):
            return False
        if out is None or not count_frames(out):
            cls.poll_message_set("The output folder has no frames")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            finish(output_of(context.scene))
        except (OSError, TwinsetError) as error:
            return report_preview_error(self, error, "render")
        redraw_panels()
        return {"FINISHED"}


class TWINSET_OT_dismiss_render(bpy.types.Operator):
    """Close the report of the last render. Its files are kept"""

    bl_idname = "twinset.dismiss_render"
    bl_label = "Close"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return current() is not None and not is_running()

    def execute(self, context: bpy.types.Context) -> set[str]:
        dismiss()
        remove_picture()
        redraw_panels()
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
        layout.operator("wm.path_open", text="Open File", icon="FILE_FOLDER").filepath = self.file


class TWINSET_OT_show_picture(bpy.types.Operator):
    """Show the latest picture with its boxes in an Image Editor"""

    bl_idname = "twinset.show_picture"
    bl_label = "Show Picture"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        job = current()
        if job is None or job.image is None:
            cls.poll_message_set("No picture has been rendered yet")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        job = current()
        assert job is not None and job.image is not None and job.record is not None
        try:
            show_picture(context, job.image, job.record)
        except (OSError, RuntimeError) as error:
            self.report({"ERROR"}, f"Cannot show the picture: {error}")
            return {"CANCELLED"}
        return {"FINISHED"}


class TWINSET_OT_render_here(FrameRequestOperator, bpy.types.Operator):
    """Render the current sample in the background and show the picture with its boxes"""

    bl_idname = "twinset.render_here"
    bl_label = "Render This Sample"
    bl_options = {"UNDO"}

    def request(self, context: bpy.types.Context) -> dict[str, Any]:
        return {"picture": context.scene.twinset_preview.frame}

    def finish(self, context: bpy.types.Context, message: dict[str, Any]) -> None:
        if message["file"] is None:
            self.report({"WARNING"}, f"All attempts at frame {message['frame']} were rejected")
            return
        show_picture(context, Path(message["file"]), message["record"])


def _display_path(folder: Path) -> str:
    """A folder as in the panel: relative to the file if it is near."""
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
    TWINSET_OT_finish_render,
    TWINSET_OT_dismiss_render,
    TWINSET_OT_show_log,
    TWINSET_OT_show_picture,
    TWINSET_OT_render_here,
)

register, unregister = bpy.utils.register_classes_factory(_CLASSES)
