# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators of previews: show a sample in the scene, predict the histogram of many, and restore the scene."""

import time
from typing import Any

import bpy

from ...blender.scene.shown_sample import restore
from ...engine.errors import TwinsetError
from ..guide.steps import note_preview
from ..preview.frusta import note_sample
from ..preview.sample import show_sample
from ..preview.views import look_back, look_through_camera
from ..processes.preview_session import RequestSuperseded, answer, ask, ask_gap, session, stop, stop_gap
from ..processes.redraw import redraw_panels
from ..processes.scene_digest import own_changes
from ..settings.problems import problems_of
from .feedback import can_render, problems_of_error, report_error, report_problems

TIMEOUT = 600.0
"""Seconds that scripts wait for a sample. In the window there is no limit, and Esc cancels."""


def report_preview_error(operator: bpy.types.Operator, error: Exception, place: str = "sample") -> set[str]:
    """Report an expected error, and show it beside the button at ``place``; returns what ``execute`` is to return."""
    session.problems, session.place = problems_of_error(error), place
    session.step = ""
    redraw_panels()
    return report_error(operator, error)


class FrameRequestOperator:
    """Base of modal operators that request one frame from the preview session and end with one undo step."""

    _number: int
    _timer: Any = None
    _status: str = ""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return can_render(cls, context)

    def request(self, context: bpy.types.Context) -> dict[str, Any]:
        """The parameters of the request."""
        raise NotImplementedError

    def finish(self, context: bpy.types.Context, message: dict[str, Any]) -> None:
        """Process the answer."""
        raise NotImplementedError

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        problems = problems_of(context.scene)
        if problems:  # told at once, not by the background Blender after its start
            return report_problems(self, problems)
        try:
            self._number = ask(context, **self.request(context))
        except TwinsetError as error:
            return report_preview_error(self, error)
        self._timer = context.window_manager.event_timer_add(0.05, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type == "ESC" and event.value == "PRESS":
            return self._end(context, {"CANCELLED"})
        if event.type != "TIMER":
            # Block undo and file commands until the sample is there: they would replace the scene.
            return {"RUNNING_MODAL"} if event.ctrl or event.oskey else {"PASS_THROUGH"}
        try:
            message = answer(self._number)
            if message is None:
                self._show_progress(context, f"Twinset: {session.step or 'Waiting'}...   Esc: Cancel")
                return {"PASS_THROUGH"}
            self.finish(context, message)
        except RequestSuperseded:
            return self._end(context, {"CANCELLED"})
        except TwinsetError as error:
            return self._end(context, report_preview_error(self, error))
        return self._end(context, {"FINISHED"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        problems = problems_of(context.scene)
        if problems:
            return report_problems(self, problems)
        try:
            number = ask(context, **self.request(context))
            deadline = time.monotonic() + TIMEOUT
            while (message := answer(number)) is None:
                if time.monotonic() > deadline:
                    stop()
                time.sleep(0.02)
            self.finish(context, message)
        except RequestSuperseded:
            return {"CANCELLED"}
        except TwinsetError as error:
            return report_preview_error(self, error)
        return {"FINISHED"}

    def _show_progress(self, context: bpy.types.Context, text: str) -> None:
        """Show the progress in the status bar; redrawn only after a change."""
        if text != self._status:
            self._status = text
            context.workspace.status_text_set(text)
            redraw_panels()

    def _end(self, context: bpy.types.Context, result: set[str]) -> set[str]:
        context.window_manager.event_timer_remove(self._timer)
        context.workspace.status_text_set(None)
        redraw_panels()
        return result


class TWINSET_OT_preview_sample(FrameRequestOperator, bpy.types.Operator):
    """Show a frame of the dataset in the scene, as it would be rendered"""

    bl_idname = "twinset.preview_sample"
    bl_label = "Preview Sample"
    bl_options = {"UNDO"}

    step: bpy.props.IntProperty(
        name="Step", description="Number of frames to move from the current one", options={"SKIP_SAVE"}
    )

    @classmethod
    def description(cls, context: bpy.types.Context, properties: Any) -> str:
        if properties.step:
            return "Show the next sample" if properties.step > 0 else "Show the previous sample"
        return cls.__doc__ or ""

    def request(self, context: bpy.types.Context) -> dict[str, Any]:
        return {"frame": max(0, context.scene.twinset_preview.frame + self.step)}

    def finish(self, context: bpy.types.Context, message: dict[str, Any]) -> None:
        assert session.folder is not None
        if context.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        note_preview(context.scene)
        note_sample(context.scene, message)
        with own_changes(context):
            show_sample(context.scene, context.view_layer, message, session.folder)
        if message["record"]["image"] is None:
            self.report({"WARNING"}, f"All attempts at frame {message['frame']} were rejected")
        elif context.window_manager.twinset_live.look_through:
            look_through_camera(context)


class TWINSET_OT_restore_scene(bpy.types.Operator):
    """Remove the sample and restore the scene"""

    bl_idname = "twinset.restore_scene"
    bl_label = "Restore Scene"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.scene is None or not context.scene.twinset_preview.is_shown:
            cls.poll_message_set("No sample is shown")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        perspective = context.scene.twinset_preview.perspective_before
        with own_changes(context):
            restore(context.scene)
        look_back(perspective)
        redraw_panels()
        return {"FINISHED"}


class TWINSET_OT_preview_gap(bpy.types.Operator):
    """Predict, without rendering, how close the dataset's boxes will be to the real ones"""

    bl_idname = "twinset.preview_gap"
    bl_label = "Preview Many"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return can_render(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        problems = problems_of(context.scene)
        if problems:
            return report_problems(self, problems)
        try:
            ask_gap(context)
        except TwinsetError as error:
            return report_preview_error(self, error, "prediction")
        redraw_panels()
        return {"FINISHED"}


class TWINSET_OT_stop_gap(bpy.types.Operator):
    """Stop the prediction"""

    bl_idname = "twinset.stop_gap"
    bl_label = "Stop"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not session.wants_gap:
            cls.poll_message_set("No prediction is running")
        return session.wants_gap

    def execute(self, context: bpy.types.Context) -> set[str]:
        stop_gap()
        redraw_panels()
        return {"FINISHED"}


class TWINSET_OT_stop_preview(bpy.types.Operator):
    """Stop the preview and its background Blender"""

    bl_idname = "twinset.stop_preview"
    bl_label = "Stop"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if session.process is None:
            cls.poll_message_set("No preview is running")
        return session.process is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        session.wants_gap = False
        stop()
        redraw_panels()
        return {"FINISHED"}


class TWINSET_OT_choose_class(bpy.types.Operator):
    """Show the histogram of this class"""

    bl_idname = "twinset.choose_class"
    bl_label = "Show Class"
    bl_options = {"INTERNAL"}

    name: bpy.props.StringProperty()

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.window_manager.twinset_live.class_name = self.name
        return {"FINISHED"}


_CLASSES = (
    TWINSET_OT_preview_sample,
    TWINSET_OT_restore_scene,
    TWINSET_OT_preview_gap,
    TWINSET_OT_stop_gap,
    TWINSET_OT_stop_preview,
    TWINSET_OT_choose_class,
)

register, unregister = bpy.utils.register_classes_factory(_CLASSES)
