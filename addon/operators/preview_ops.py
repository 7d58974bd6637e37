# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that preview: one sample in the scene, the histogram of many, and back again."""

import time
from typing import Any

import bpy

from ...engine.errors import RecipeError, TwinsetError
from ..processes.sample import restore, show_sample
from ..processes.session import (
    Replaced,
    answer,
    ask,
    ask_gap,
    own_changes,
    redraw,
    session,
    stop,
)
from ..settings.recipe import is_set_up

LONGEST_WAIT = 600.0
"""Seconds that a script waits for a sample; in a window there is no limit, and Esc."""


def problem_of(context: bpy.types.Context) -> str:
    """Why nothing can be previewed or rendered now; "" where it can."""
    if context.scene is None:
        return "There is no scene"
    if not is_set_up(context.scene) or not context.scene.twinset.classes:
        return "Mark some objects as a class first"
    return ""


def complain(operator: bpy.types.Operator, error: Exception) -> None:
    """Say in the status bar what an artist can put right."""
    problems = error.problems if isinstance(error, RecipeError) else [str(error)]
    session.problems = problems
    session.step = ""
    operator.report({"ERROR"}, problems[0] if len(problems) == 1 else f"{problems[0]} (and {len(problems) - 1} more)")
    redraw()


class Waiting:
    """An operator that asks about one frame, lets the window live meanwhile, and ends as one undo step."""

    _number: int
    _timer: Any = None
    _said: str = ""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        problem = problem_of(context)
        if problem:
            cls.poll_message_set(problem)  # type: ignore[attr-defined]
        return not problem

    def request(self, context: bpy.types.Context) -> dict[str, Any]:
        """What to ask."""
        raise NotImplementedError

    def finish(self, context: bpy.types.Context, message: dict[str, Any]) -> None:
        """What to do with the answer."""
        raise NotImplementedError

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        try:
            self._number = ask(context, **self.request(context))
        except TwinsetError as error:
            complain(self, error)  # type: ignore[arg-type]
            return {"CANCELLED"}
        self._timer = context.window_manager.event_timer_add(0.05, window=context.window)
        context.window_manager.modal_handler_add(self)  # type: ignore[arg-type]
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type == "ESC" and event.value == "PRESS":
            return self._end(context, {"CANCELLED"})
        if event.type != "TIMER":
            # Undo and file commands would pull the scene from under the sample that is on its way.
            return {"RUNNING_MODAL"} if event.ctrl or event.oskey else {"PASS_THROUGH"}
        try:
            message = answer(self._number)
            if message is None:
                self._say(context, f"Twinset: {session.step or 'waiting'} ...   Esc to give up")
                return {"PASS_THROUGH"}
            self.finish(context, message)
        except Replaced:
            return self._end(context, {"CANCELLED"})
        except TwinsetError as error:
            complain(self, error)  # type: ignore[arg-type]
            return self._end(context, {"CANCELLED"})
        return self._end(context, {"FINISHED"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            number = ask(context, **self.request(context))
            until = time.monotonic() + LONGEST_WAIT
            while (message := answer(number)) is None:
                if time.monotonic() > until:
                    stop()
                time.sleep(0.02)
            self.finish(context, message)
        except Replaced:
            return {"CANCELLED"}
        except TwinsetError as error:
            complain(self, error)  # type: ignore[arg-type]
            return {"CANCELLED"}
        return {"FINISHED"}

    def _say(self, context: bpy.types.Context, text: str) -> None:
        """Show where things stand, drawn again only when that changes."""
        if text != self._said:
            self._said = text
            context.workspace.status_text_set(text)
            redraw()

    def _end(self, context: bpy.types.Context, result: set[str]) -> set[str]:
        context.window_manager.event_timer_remove(self._timer)
        context.workspace.status_text_set(None)
        redraw()
        return result


class TWINSET_OT_preview_sample(Waiting, bpy.types.Operator):
    """Show one frame of the dataset in the scene, as a render would make it"""

    bl_idname = "twinset.preview_sample"
    bl_label = "Preview Sample"
    bl_options = {"UNDO"}

    step: bpy.props.IntProperty(
        name="Step", description="How many frames to go on from the one that is shown", options={"SKIP_SAVE"}
    )

    @classmethod
    def description(cls, context: bpy.types.Context, properties: Any) -> str:
        if properties.step:
            return "Show the next sample" if properties.step > 0 else "Show the sample before"
        return cls.__doc__ or ""

    def request(self, context: bpy.types.Context) -> dict[str, Any]:
        return {"frame": max(0, context.scene.twinset_preview.frame + self.step)}

    def finish(self, context: bpy.types.Context, message: dict[str, Any]) -> None:
        assert session.folder is not None
        if context.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        with own_changes(context):
            show_sample(context.scene, context.view_layer, message, session.folder)
        if message["record"]["image"] is None:
            self.report({"WARNING"}, f"Frame {message['frame']} would be given up after all its attempts")
        elif context.window_manager.twinset_live.look_through:
            look_through_camera(context)


def look_through_camera(context: bpy.types.Context) -> None:
    """Turn the 3D views of the window to the scene's camera."""
    if context.screen is None:
        return
    for area in context.screen.areas:
        if area.type == "VIEW_3D":
            area.spaces.active.region_3d.view_perspective = "CAMERA"


class TWINSET_OT_restore_scene(bpy.types.Operator):
    """Take the sample out of the scene and put everything back as it was"""

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
        with own_changes(context):
            restore(context.scene)
        for area in context.screen.areas if context.screen is not None else ():
            if area.type == "VIEW_3D" and area.spaces.active.region_3d.view_perspective == "CAMERA":
                area.spaces.active.region_3d.view_perspective = "PERSP"
        redraw()
        return {"FINISHED"}


class TWINSET_OT_preview_gap(bpy.types.Operator):
    """Predict by probes in the background, without rendering, how near the boxes to come are to the real ones"""

    bl_idname = "twinset.preview_gap"
    bl_label = "Preview Many"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        problem = problem_of(context)
        if problem:
            cls.poll_message_set(problem)
        return not problem

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            ask_gap(context)
        except TwinsetError as error:
            complain(self, error)
            return {"CANCELLED"}
        redraw()
        return {"FINISHED"}


class TWINSET_OT_stop_preview(bpy.types.Operator):
    """End the preview and the background Blender that makes it"""

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
        redraw()
        return {"FINISHED"}


_CLASSES = (TWINSET_OT_preview_sample, TWINSET_OT_restore_scene, TWINSET_OT_preview_gap, TWINSET_OT_stop_preview)

register, unregister = bpy.utils.register_classes_factory(_CLASSES)
