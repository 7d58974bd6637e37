# SPDX-License-Identifier: GPL-3.0-or-later
"""3D View > N > Twinset: samples, the histogram to come, the render."""

import math
from typing import Any

import bpy

from ..operators.render_ops import folder_or_none
from ..processes.render_job import FOLDER, Job, can_resume, current, present
from ..processes.session import session
from ..settings.recipe import is_set_up
from ..widgets.chart import Chart, draw_chart
from ..widgets.layouts import draw_text
from ..widgets.pictures import draw_picture

BINS = 20
_TICKS = ((0.1, "1 %"), (0.3, "9 %"), (0.5, "25 %"), (0.7, "49 %"), (0.9, "81 %"))
_CHART_SCALE = 9.0


class _InView:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Twinset"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.scene is not None and is_set_up(context.scene)


class TWINSET_PT_preview(_InView, bpy.types.Panel):
    """Frames as they would be rendered, in the scene itself"""

    bl_label = "Sample"
    bl_order = 10

    def draw(self, context: bpy.types.Context) -> None:
        layout, scene = self.layout, context.scene
        state, live = scene.twinset_preview, context.window_manager.twinset_live
        row = layout.row(align=True)
        row.scale_y = 1.3
        if state.is_shown:
            row.operator("twinset.preview_sample", text="", icon="TRIA_LEFT").step = -1
            row.operator("twinset.preview_sample", text=f"Sample {state.frame}", icon="FILE_REFRESH")
            row.operator("twinset.preview_sample", text="", icon="TRIA_RIGHT").step = 1
        else:
            row.operator("twinset.preview_sample", icon="HIDE_OFF")
        column = layout.column(align=True)
        column.operator("twinset.restore_scene", icon="LOOP_BACK")
        column.operator("twinset.render_here", icon="RENDER_STILL")
        if state.is_shown:
            row = layout.row(align=True)
            row.prop(live, "show_labels", toggle=True)
            row.prop(live, "show_rejected", toggle=True)
        layout.prop(live, "look_through")
        if session.step and not session.wants_gap:
            layout.label(text=f"{session.step} ...", icon="SORTTIME")
        _draw_problems(layout, context)


class TWINSET_PT_gap(_InView, bpy.types.Panel):
    """How near the boxes to come are to the real ones"""

    bl_label = "Prediction"
    bl_order = 12

    def draw(self, context: bpy.types.Context) -> None:
        layout, live = self.layout, context.window_manager.twinset_live
        row = layout.row(align=True)
        row.scale_y = 1.3
        row.operator("twinset.preview_gap", text=f"Preview {live.count}", icon="SEQ_HISTOGRAM")
        row.prop(live, "is_live", text="", icon="FILE_REFRESH")
        gap = session.gap
        if gap is None:
            layout.prop(live, "count")
        elif gap["done"] < gap["total"]:
            layout.progress(factor=gap["done"] / gap["total"], text=f"{gap['done']} of {gap['total']}")
        if session.wants_gap and session.step and (gap is None or gap["done"] == gap["total"]):
            layout.label(text=f"{session.step} ...", icon="SORTTIME")
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
        found = gap["classes"][name]
        column = found["columns"]["sqrt_area"]
        if column["real"] is None and column["synth"] is None:
            layout.label(text=f"No box of {name}")
            return
        edges = tuple(k / BINS for k in range(BINS + 1))
        chart = Chart(
            edges=edges,
            real=column["real"] or (0.0,) * BINS,
            synth=column["synth"],
            ticks=_TICKS,
            title=f"{name}, box areas",
        )
        draw_chart(layout, "gap", chart, _CHART_SCALE)
        lines = layout.column(align=True)
        lines.scale_y = 0.85
        if column["distance"] is not None:
            _draw_pair(lines, "Distance", f"{column['distance']:.3f}")
            _draw_pair(lines, "By chance", f"{column['floor'] or math.nan:.3f}")
        elif column["real"] is not None and column["synth"] is not None:
            lines.label(text="No box of a real one's size")
        _draw_pair(lines, "Real boxes (bars)", str(found["n_real"]))
        _draw_pair(lines, "Predicted (line)", str(found["n_synth"]))
        if gap["given_up"]:
            lines.label(text=f"{gap['given_up']} of {gap['frames']} frames given up", icon="ERROR")


class TWINSET_PT_gap_details(_InView, bpy.types.Panel):
    """Why attempts were rejected, and which real boxes this scene cannot show"""

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


class TWINSET_OT_choose_class(bpy.types.Operator):
    """Show the histogram of this class"""

    bl_idname = "twinset.choose_class"
    bl_label = "Show Class"
    bl_options = {"INTERNAL"}

    name: bpy.props.StringProperty()

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.window_manager.twinset_live.class_name = self.name
        return {"FINISHED"}


class TWINSET_PT_render(_InView, bpy.types.Panel):
    """The dataset itself, rendered in the background"""

    bl_label = "Render"
    bl_order = 11

    def draw(self, context: bpy.types.Context) -> None:
        layout, scene = self.layout, context.scene
        job = current()
        if job is not None and job.state == "running":
            _draw_job(layout, context, job)
            return
        out = folder_or_none(scene)
        there = 0 if out is None else present(out)
        images = scene.twinset.job.images
        column = layout.column(align=True)
        column.scale_y = 1.3
        if out is not None and there and can_resume(out):
            label = f"Resume, {there} of {images} There" if there < images else "All Frames Are There"
            row = column.row(align=True)
            row.enabled = there < images
            row.operator("twinset.resume_render", text=label, icon="PLAY")
            column.operator("twinset.render_dataset", text="Render Anew", icon="RENDER_ANIMATION").is_anew = True
        else:
            anew = column.operator("twinset.render_dataset", text=f"Render {images} Images", icon="RENDER_ANIMATION")
            anew.is_anew = bool(there)
        column = layout.column(align=True)
        column.prop(scene.twinset.job, "images")
        column.prop(scene.twinset, "output_folder", text="")
        if job is not None:
            _draw_job(layout, context, job)


def _draw_job(layout: bpy.types.UILayout, context: bpy.types.Context, job: Job) -> None:
    if job.state == "running":
        if job.total:
            text = f"{job.done} of {job.total}{_left(job.seconds_left)}"
            layout.progress(factor=job.done / max(job.total, 1), text=text)
        else:
            layout.progress(factor=0.0, text=f"{job.step} ...")
        layout.operator("twinset.cancel_render", icon="CANCEL")
    else:
        row = layout.row(align=True)
        words = {"finished": f"{job.done} frames done", "cancelled": "Cancelled", "failed": "Failed"}[job.state]
        row.label(text=words, icon="CHECKMARK" if job.state == "finished" else "ERROR")
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
            lines.label(text=f"{job.given_up} frames given up", icon="ERROR")
        _draw_reasons(layout, context, dict(job.rejected.most_common()))
    if job.image is not None and job.record is not None:
        draw_picture(layout, job.image, job.record)
        layout.operator("twinset.show_picture", icon="IMAGE_DATA")
    for note in job.notes[:2]:
        draw_text(layout, context, note, icon="INFO")


def main_class(gap: dict[str, Any]) -> str:
    """The class with most real boxes among those that would come: what a target is most likely about."""
    return max(gap["classes"], key=lambda name: (gap["classes"][name]["n_synth"] > 0, gap["classes"][name]["n_real"]))


def _draw_pair(layout: bpy.types.UILayout, label: str, value: str) -> None:
    """A name on the left, its value on the right."""
    row = layout.row()
    row.label(text=label)
    right = row.row()
    right.alignment = "RIGHT"
    right.label(text=value)


def _draw_reasons(layout: bpy.types.UILayout, context: bpy.types.Context, reasons: dict[str, int]) -> None:
    """The commonest reasons of rejected attempts."""
    for reason, n in list(reasons.items())[:3]:
        draw_text(layout, context, f"{n} rejected: {reason}")


def _left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 90:
        return f", {seconds:.0f} s left"
    minutes = round(seconds / 60)
    return f", {minutes} min left" if minutes < 90 else f", {minutes / 60:.1f} h left"


def _draw_problems(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    if not session.problems:
        return
    box = layout.box()
    draw_text(box, context, session.problems[0], icon="ERROR")
    if len(session.problems) > 1:
        box.label(text=f"and {len(session.problems) - 1} more", icon="BLANK1")
    if session.process is not None:
        box.operator("twinset.show_log", icon="TEXT").file = str(session.process.log_file)


_CLASSES = (TWINSET_PT_preview, TWINSET_PT_render, TWINSET_PT_gap, TWINSET_PT_gap_details, TWINSET_OT_choose_class)

register, unregister = bpy.utils.register_classes_factory(_CLASSES)
