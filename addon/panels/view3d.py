# SPDX-License-Identifier: GPL-3.0-or-later
"""3D Viewport > Sidebar > Twinset: samples, the predicted histogram, the render."""

import math
from pathlib import Path
from typing import Any

import bpy

from ..browser.records import listing_of
from ..operators.renders.render import render_problems
from ..processes.preview_session import session
from ..processes.render_job import FOLDER, Job, can_resume, count_frames, current, folder_or_none, needs_finish
from ..processes.render_queue import is_busy, is_paused, past, waiting
from ..settings.plugins import preferences
from ..settings.problems import in_words, problems_of
from ..settings.real_annotations import real_centers
from ..settings.recipe import is_set_up
from ..translations.catalog import worded
from ..widgets.chart import Chart, draw_chart
from ..widgets.heat_map import draw_heat_maps
from ..widgets.layouts import draw_text
from ..widgets.pictures import draw_picture
from ..widgets.problems import draw_problems, draw_shared_problems

BINS = 20
_TICKS = ((0.1, "1 %"), (0.3, "9 %"), (0.5, "25 %"), (0.7, "49 %"), (0.9, "81 %"))
_CHART_SCALE = 9.0


class _SidebarPanel:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Twinset"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.scene is not None and is_set_up(context.scene)


class TWINSET_PT_preview(_SidebarPanel, bpy.types.Panel):
    """Preview frames of the dataset in the scene"""

    bl_label = "Sample"
    bl_order = 10

    def draw(self, context: bpy.types.Context) -> None:
        layout, scene = self.layout, context.scene
        state, live = scene.twinset_preview, context.window_manager.twinset_live
        problems = problems_of(scene)
        row = layout.row(align=True)
        row.scale_y = 1.3
        row.enabled = not problems
        if state.is_shown:
            row.operator("twinset.preview_sample", text="", icon="TRIA_LEFT").step = -1
            row.operator("twinset.preview_sample", text=worded("Sample {}", state.frame), icon="FILE_REFRESH")
            row.operator("twinset.preview_sample", text="", icon="TRIA_RIGHT").step = 1
        else:
            row.operator("twinset.preview_sample", icon="HIDE_OFF")
        column = layout.column(align=True)
        column.operator("twinset.restore_scene", icon="LOOP_BACK")
        row = column.row(align=True)
        row.enabled = not problems
        row.operator("twinset.render_here", icon="RENDER_STILL")
        grid = layout.grid_flow(row_major=True, columns=2, even_columns=True, align=True)
        grid.prop(live, "show_labels", toggle=True)
        grid.prop(live, "show_rejected", toggle=True)
        grid.prop(live, "show_masks", toggle=True)
        grid.prop(live, "show_zones", toggle=True)
        grid.prop(live, "show_cameras", toggle=True)
        if live.show_cameras:
            grid.prop(live, "camera_count", text="")
            out = folder_or_none(scene)
            if out is not None:
                listing_of(out)  # which notes the cameras of rendered images
        if live.show_zones:
            layout.operator("twinset.paint_zone", icon="WPAINT_HLT")
        layout.prop(live, "look_through")
        if session.step and not session.wants_gap:
            row = layout.row()
            row.label(text=f"{session.step}...", icon="SORTTIME")
            row.operator("twinset.stop_preview", text="", icon="X")
        draw_problems(layout, context, problems)
        _draw_failure(layout, context, "sample")


class TWINSET_PT_gap(_SidebarPanel, bpy.types.Panel):
    """Predict how close the dataset's boxes will be to the real ones"""

    bl_label = "Prediction"
    bl_order = 12

    def draw(self, context: bpy.types.Context) -> None:
        layout, live = self.layout, context.window_manager.twinset_live
        gap, problems = session.gap, problems_of(context.scene)
        is_busy = session.wants_gap and session.gap_request in session.waiting
        row = layout.row(align=True)
        row.scale_y = 1.3
        if is_busy:
            row.operator("twinset.stop_gap", text="Stop", icon="CANCEL")
        else:
            button = row.row(align=True)
            button.enabled = not problems
            button.operator("twinset.preview_gap", text=worded("Preview {}", live.count), icon="SEQ_HISTOGRAM")
        row.prop(live, "is_live", text="", icon="FILE_REFRESH")
        if gap is None:
            layout.prop(live, "count")
        elif is_busy and gap["done"] < gap["total"]:
            layout.progress(factor=gap["done"] / gap["total"], text=worded("{} of {}", gap["done"], gap["total"]))
        if session.wants_gap and session.step and (gap is None or gap["done"] == gap["total"]):
            layout.label(text=f"{session.step}...", icon="SORTTIME")
        draw_shared_problems(layout, context, problems)
        _draw_failure(layout, context, "prediction")
        if gap is not None:
            self._draw_gap(layout, context, gap)

    @staticmethod
    def _draw_gap(layout: bpy.types.UILayout, context: bpy.types.Context, gap: dict[str, Any]) -> None:
        live = context.window_manager.twinset_live
        names = list(gap["classes"])
        name = live.class_name if live.class_name in names else main_class(gap)
        if len(names) > 1:
            row = layout.row(align=True)
            for other in names[:4]:
                row.operator("twinset.choose_class", text=other, depress=other == name).name = other
        predicted = gap["classes"][name]
        column = predicted["columns"]["sqrt_area"]
        if column["real"] is None and column["synth"] is None:
            layout.label(text=worded("No boxes of {}", name))
            return
        edges = tuple(k / BINS for k in range(BINS + 1))
        chart = Chart(
            edges=edges,
            real=column["real"] or (0.0,) * BINS,
            synth=column["synth"],
            ticks=_TICKS,
            title=worded("{}: Box Area", name),
        )
        draw_chart(layout, "gap", chart, _CHART_SCALE)
        lines = layout.column(align=True)
        lines.scale_y = 0.85
        if column["distance"] is not None:
            _draw_pair(lines, "Distance", f"{column['distance']:.3f}")
            _draw_pair(lines, "Expected by Chance", f"{column['floor'] or math.nan:.3f}")
        elif column["real"] is not None and column["synth"] is not None:
            lines.label(text="No box within the range of real areas")
        _draw_pair(lines, "Real Boxes (Bars)", str(predicted["n_real"]))
        _draw_pair(lines, "Predicted Boxes (Line)", str(predicted["n_synth"]))
        if gap["given_up"]:
            lines.label(text=worded("{} of {} frames given up", gap["given_up"], gap["frames"]), icon="ERROR")


class TWINSET_PT_gap_details(_SidebarPanel, bpy.types.Panel):
    """Why attempts were rejected, and which real boxes cannot be reached in this scene"""

    bl_label = "Rejections and Notes"
    bl_parent_id = "TWINSET_PT_gap"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return session.gap is not None and bool(session.gap["rejected"] or session.notes)

    def draw(self, context: bpy.types.Context) -> None:
        _draw_reasons(self.layout, context, (session.gap or {})["rejected"])
        for note in session.notes[:2]:
            draw_text(self.layout, context, note, icon="INFO")


class TWINSET_PT_positions(_SidebarPanel, bpy.types.Panel):
    """Where boxes are in the image: the real ones, and those of samples"""

    bl_label = "Positions"
    bl_parent_id = "TWINSET_PT_gap"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return session.gap is not None

    def draw(self, context: bpy.types.Context) -> None:
        gap, live = session.gap or {}, context.window_manager.twinset_live
        name = live.class_name if live.class_name in gap["classes"] else main_class(gap)
        values = gap["classes"][name]
        real = real_centers(context.scene.twinset.real.annotations, name)
        draw_heat_maps(self.layout, "positions", [("Real", real), ("Predicted", values.get("centers", ()))])
        lines = self.layout.column(align=True)
        lines.scale_y = 0.85
        for label, column in (("Distance, Horizontal", "center_x"), ("Distance, Vertical", "center_y")):
            found = values["columns"][column]
            if found["distance"] is not None:
                _draw_pair(lines, label, f"{found['distance']:.3f} ({found['floor'] or math.nan:.3f})")


class TWINSET_PT_render(_SidebarPanel, bpy.types.Panel):
    """Render the dataset in the background"""

    bl_label = "Render"
    bl_order = 11

    def draw(self, context: bpy.types.Context) -> None:
        layout, scene = self.layout, context.scene
        job, out = current(), folder_or_none(scene)
        is_running = job is not None and job.state == "running"
        if job is not None and is_running:
            _draw_job(layout, context, job)
        if out is None or not is_busy(out):
            _draw_start(layout, context, out, is_running=is_running)
        _draw_queue(layout)
        _draw_failure(layout, context, "render")
        if job is not None and not is_running:
            _draw_job(layout, context, job)


def _draw_start(layout: bpy.types.UILayout, context: bpy.types.Context, out: Path | None, *, is_running: bool) -> None:
    """Draw what starts or resumes a render into the output folder, now or after the one that is running."""
    scene = context.scene
    present = 0 if out is None else count_frames(out)
    images, problems = scene.twinset.job.images, render_problems(scene)
    column = layout.column(align=True)
    column.scale_y = 1.3
    if out is not None and present and can_resume(out, scene):
        label = worded("Resume ({} of {} Done)", present, images) if present < images else "All Frames Done"
        row = column.row(align=True)
        row.enabled = present < images
        row.operator("twinset.resume_render", text=label, icon="PLAY")
        row = column.row(align=True)
        row.enabled = not problems
        row.operator("twinset.render_dataset", text="Render to New Folder", icon="RENDER_ANIMATION").is_anew = True
        if needs_finish(out):
            column.operator("twinset.finish_render", icon="CHECKMARK")
    else:
        column.enabled = not problems
        text = worded("Add {} Images to Queue" if is_running else "Render {} Images", images)
        column.operator("twinset.render_dataset", text=text, icon="RENDER_ANIMATION").is_anew = bool(present)
    column = layout.column(align=True)
    column.prop(scene.twinset.job, "images")
    own = preferences()
    if own is not None:
        column.prop(own, "processes")
    column.prop(scene.twinset, "output_folder", text="")
    shared = problems_of(scene)
    draw_shared_problems(layout, context, shared)
    draw_problems(layout, context, [problem for problem in problems if problem not in shared])


def _draw_queue(layout: bpy.types.UILayout) -> None:
    """Draw the renders of this session that have ended, and those that wait."""
    outs = waiting()
    if not outs and not past():
        return
    box = layout.box().column(align=True)
    for done in past():
        icon = "CHECKMARK" if done.state == "finished" else "ERROR"
        box.label(text=f"{done.out.name}: {done.done}", icon=icon, translate=False)
    for out in outs:
        row = box.row(align=True)
        row.label(text=out.name, icon="SORTTIME", translate=False)
        row.operator("twinset.unqueue", text="", icon="X", emboss=False).folder = str(out)
    if is_paused():
        box.operator("twinset.start_queue", icon="PLAY")
    elif outs:
        box.label(text="Closing Blender pauses the queue", icon="INFO")


def _draw_job(layout: bpy.types.UILayout, context: bpy.types.Context, job: Job) -> None:
    if job.state == "running":
        if job.total:
            text = worded("{} of {}", job.done, job.total) + _time_left(job.seconds_left)
            layout.progress(factor=job.done / max(job.total, 1), text=text)
        else:
            layout.progress(factor=0.0, text=f"{job.step}...")
        layout.operator("twinset.cancel_render", icon="CANCEL")
    else:
        row = layout.row(align=True)
        stopped = "Writing Annotations..." if job.finisher is not None else "Cancelled"
        status = {"finished": worded("{} Frames Done", job.done), "cancelled": stopped, "failed": "Failed"}[job.state]
        row.label(text=status, icon="CHECKMARK" if job.state == "finished" else "ERROR")
        row.operator("twinset.dismiss_render", text="", icon="X")
    for problem in job.problems[:2]:
        draw_text(layout, context, problem, icon="ERROR")
    if job.problems:
        log_file = str(job.out / FOLDER / "log.txt")
        layout.operator("twinset.show_log", icon="TEXT").file = log_file
    if job.rendered:
        tried = job.accepted + job.rejected.total()
        lines = layout.column(align=True)
        lines.scale_y = 0.85
        _draw_pair(lines, "Attempts", str(tried))
        _draw_pair(lines, "Accepted", str(job.accepted))
        if job.given_up:
            lines.label(text=worded("{} frames given up", job.given_up), icon="ERROR")
        _draw_reasons(layout, context, dict(job.rejected.most_common()))
    if job.image is not None and job.record is not None:
        draw_picture(layout, job.image, job.record)
        layout.operator("twinset.show_picture", icon="IMAGE_DATA")
    for note in job.notes[:2]:
        draw_text(layout, context, note, icon="INFO")


def main_class(gap: dict[str, Any]) -> str:
    """The class with the most real boxes among those that are predicted: usually that of the target."""
    return max(gap["classes"], key=lambda name: (gap["classes"][name]["n_synth"] > 0, gap["classes"][name]["n_real"]))


def _draw_pair(layout: bpy.types.UILayout, label: str, value: str) -> None:
    """Draw a label on the left and its value on the right."""
    row = layout.row()
    row.label(text=label)
    right = row.row()
    right.alignment = "RIGHT"
    right.label(text=value)


def _draw_reasons(layout: bpy.types.UILayout, context: bpy.types.Context, reasons: dict[str, int]) -> None:
    """Draw the most frequent reasons of rejections."""
    for reason, n in list(reasons.items())[:3]:
        draw_text(layout, context, worded("{} rejected: {}", n, reason))


def _time_left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 90:
        return worded(", {:.0f} s left", seconds)
    minutes = round(seconds / 60)
    return worded(", {} min left", minutes) if minutes < 90 else worded(", {:.1f} h left", minutes / 60)


def _draw_failure(layout: bpy.types.UILayout, context: bpy.types.Context, place: str) -> None:
    """Draw why the last request of a button has failed."""
    if not session.problems or session.place != place:
        return
    draw_problems(layout, context, [in_words(context.scene, text) for text in session.problems])
    if session.process is not None:
        layout.operator("twinset.show_log", icon="TEXT").file = str(session.process.log_file)


_CLASSES = (TWINSET_PT_preview, TWINSET_PT_render, TWINSET_PT_gap, TWINSET_PT_positions, TWINSET_PT_gap_details)

register, unregister = bpy.utils.register_classes_factory(_CLASSES)
