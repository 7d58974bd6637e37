# SPDX-License-Identifier: GPL-3.0-or-later
"""3D Viewport > Sidebar > Twinset > Next Step: the way from a scene to a dataset, one step open at a time."""

from __future__ import annotations

from typing import Any

import bpy

from ..documentation import documentation_url
from ..guide.sizes import size_advice
from ..guide.steps import Step, current_step, steps_of, verdict
from ..operators.renders.render import render_problems
from ..processes.preview_session import session
from ..processes.render_job import count_frames, current, folder_or_none, is_running
from ..settings.presets import FOLDER, PRESET_PATH
from ..settings.problems import problems_of
from ..settings.real_annotations import categories
from ..translations.catalog import worded
from ..widgets.layouts import draw_text as draw_wide_text
from ..widgets.problems import draw_problems

_MOST_SUGGESTIONS = 5
_BOX_MARGIN = 22
"""Width in pixels of what surrounds a text in a box."""


class TWINSET_PT_guide(bpy.types.Panel):
    """The way from a scene to a dataset"""

    bl_label = "Next Step"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Twinset"

    @classmethod
    def poll(cls, context: Any) -> bool:
        return context.scene is not None

    def draw_header_preset(self, context: Any) -> None:
        if documentation_url():
            self.layout.operator("wm.url_open", text="", icon="HELP", emboss=False).url = documentation_url()

    def draw(self, context: Any) -> None:
        layout, scene = self.layout, context.scene
        steps = steps_of(scene)
        open_step = current_step(scene, context.window_manager.twinset_live.guide_step, steps)
        column = layout.column(align=True)
        for number, step in enumerate(steps, 1):
            _draw_title(column, step, number, is_open=step.key == open_step)
            if step.key == open_step:
                body = column.box().column()
                _BODIES[step.key](body, context)
        if not open_step:
            _draw_end(layout, context)


def _draw_title(layout: Any, step: Step, number: int, *, is_open: bool) -> None:
    row = layout.row(align=True)
    icon = "CHECKMARK" if step.is_done else "RIGHTARROW" if is_open else "DOT"
    title = row.row(align=True)
    title.alignment = "LEFT"
    title.active = is_open or step.is_done
    title.operator("twinset.guide_step", text=step.title, icon=icon, emboss=False).key = step.key
    if step.note:
        note = row.row(align=True)
        note.alignment = "RIGHT"
        note.active = False
        note.label(text=step.note, translate=False)


def _draw_photos(layout: Any, context: Any) -> None:
    settings = context.scene.twinset
    if settings.real.annotations:
        layout.prop(settings.real, "annotations", text="")
        draw_text(layout, context, "The panel Real Photos shows their boxes.")
    else:
        draw_text(layout, context, "Choose the annotations of your photos as a COCO file. About 50 photos are enough.")
    _primary(layout).operator("twinset.choose_photos", text="Choose Annotations...", icon="FILE_FOLDER")
    if not settings.real.annotations:
        layout.operator("twinset.no_photos")


def _draw_classes(layout: Any, context: Any) -> None:
    settings = context.scene.twinset
    draw_text(layout, context, "Select the objects of one class in the viewport, then press the class.")
    known = [entry.name for entry in settings.classes]
    names = dict.fromkeys((*known, *categories(settings.real.annotations)))
    column = _primary(layout)
    for name in list(names)[:_MOST_SUGGESTIONS]:
        column.operator("twinset.mark_class", text=name, icon="COLLECTION_COLOR_04", translate=False).name = name
    column.operator("twinset.mark_class", text="New Class...", icon="ADD").name = ""


def _draw_surfaces(layout: Any, context: Any) -> None:
    draw_text(layout, context, "Select the floor, or whatever else the objects stand on.")
    _primary(layout).operator("twinset.mark_surface", text="Surface", icon="MESH_GRID")
    path = PRESET_PATH / FOLDER / "Nothing_Moved.toml"
    layout.operator("twinset.preset_load", text="Leave Objects in Place").filepath = str(path)


def _draw_sizes(layout: Any, context: Any) -> None:
    if not draw_size_advice(layout, context):
        draw_text(layout, context, "Room and objects have about the sizes that they usually have.")


def draw_size_advice(layout: Any, context: Any) -> bool:
    """Draw the sizes that are probably wrong with buttons that correct or keep them; False if there are none."""
    advice = size_advice(context.scene)
    for each in advice[:4]:
        draw_text(layout, context, each.text, icon="ERROR")
    if advice:
        column = _primary(layout)
        column.operator("twinset.apply_sizes", icon="FULLSCREEN_ENTER")
        layout.operator("twinset.keep_sizes", text="Keep These Sizes")
    return bool(advice)


def _draw_sample(layout: Any, context: Any) -> None:
    problems = problems_of(context.scene)
    draw_text(layout, context, "See one image of the dataset in the viewport before you render many.")
    column = _primary(layout)
    column.enabled = not problems
    column.operator("twinset.preview_sample", icon="HIDE_OFF")
    _draw_progress(layout)
    draw_problems(layout, context, problems)


def _draw_fit(layout: Any, context: Any) -> None:
    problems, live = problems_of(context.scene), context.window_manager.twinset_live
    is_right, sentence = verdict(session.gap)
    if sentence:
        draw_text(layout, context, sentence, icon="CHECKMARK" if is_right else "INFO")
    else:
        draw_text(layout, context, "Predict how close the boxes come to those of your photos, without rendering.")
    column = _primary(layout)
    if session.wants_gap and session.gap_request in session.waiting:
        column.operator("twinset.stop_gap", text="Stop", icon="CANCEL")
    else:
        column.enabled = not problems
        column.operator("twinset.preview_gap", text=worded("Predict from {} Samples", live.count), icon="SEQ_HISTOGRAM")
    _draw_progress(layout)
    draw_problems(layout, context, problems)


def _draw_render(layout: Any, context: Any) -> None:
    scene = context.scene
    settings, problems = scene.twinset, render_problems(scene)
    layout.prop(settings.job, "images")
    layout.prop(settings, "output_folder", text="")
    if is_running():
        job = current()
        text = worded("Rendering: {} of {}", job.done, job.total) if job is not None else ""
        layout.label(text=text, icon="RENDER_ANIMATION")
        return
    column = _primary(layout)
    column.enabled = not problems
    count = count_frames(out) if (out := folder_or_none(scene)) is not None else 0
    if 0 < count < settings.job.images:
        column.operator("twinset.resume_render", text="Resume", icon="PLAY")
    else:
        text = worded("Render {} Images", settings.job.images)
        column.operator("twinset.render_dataset", text=text, icon="RENDER_ANIMATION").is_anew = bool(count)
    draw_problems(layout, context, problems)


def _draw_end(layout: Any, context: Any) -> None:
    layout.label(text="The Dataset Is Ready", icon="CHECKMARK")
    column = layout.column(align=True)  # side by side, a narrow sidebar cuts both
    column.operator("twinset.open_folder", icon="FILE_FOLDER")
    column.operator("twinset.open_report", icon="TEXT")


def _draw_progress(layout: Any) -> None:
    if session.step:
        layout.label(text=f"{session.step}...", icon="SORTTIME")


def draw_text(layout: Any, context: Any, text: str, icon: str = "NONE") -> None:
    """Draw a text in a box."""
    draw_wide_text(layout, context, text, icon, margin=_BOX_MARGIN)


def _primary(layout: Any) -> Any:
    """A column for the button of a step."""
    column = layout.column(align=True)
    column.scale_y = 1.3
    return column


_BODIES = {
    "photos": _draw_photos,
    "classes": _draw_classes,
    "surfaces": _draw_surfaces,
    "sizes": _draw_sizes,
    "sample": _draw_sample,
    "fit": _draw_fit,
    "render": _draw_render,
}

register, unregister = bpy.utils.register_classes_factory((TWINSET_PT_guide,))
