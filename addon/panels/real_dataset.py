# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties > Output > Twinset > Real Dataset: the real annotations, and the areas of their boxes."""

from __future__ import annotations

from typing import Any

import bpy

from ..guide.steps import verdict
from ..processes.preview_session import session
from ..widgets.area_fit import area_fit, target_settings
from ..widgets.chart import draw_chart
from ..widgets.layouts import draw_settings, draw_text
from .recipe import RecipePanel


class TWINSET_PT_real(RecipePanel, bpy.types.Panel):
    """Annotations of the real photos that the dataset is to match"""

    bl_label = "Real Dataset"
    bl_order = 0
    bl_options = set()

    def draw(self, context: Any) -> None:
        draw_real_boxes(self.layout, context)


def draw_real_boxes(layout: Any, context: Any) -> None:
    """Draw the choice of the annotations, and the areas of a class's boxes."""
    scene = context.scene
    settings = scene.twinset
    draw_settings(layout, settings.real, "real")
    row = layout.row(align=True)
    if settings.real.annotations:
        row.prop(settings, "fit_class")
    row.operator("twinset.fit", text="" if settings.real.annotations else "Show Real Boxes", icon="NORMALIZE_FCURVES")
    fit = area_fit(scene)
    if fit is None:
        return
    current = (settings.real.annotations, settings.fit_class, *target_settings(scene).values())
    column = layout.column()
    column.active = fit.inputs == current
    draw_chart(column, f"fit {scene.name}", fit.chart)
    for line in fit.summary:
        draw_text(column, context, line)
    if fit.inputs != current:
        draw_text(layout, context, "Settings have changed. Update the fit.", icon="INFO")
    is_right, sentence = verdict(session.gap if session.scene == scene.name else None)
    if sentence:
        draw_text(layout, context, sentence, icon="CHECKMARK" if is_right else "INFO")


register, unregister = bpy.utils.register_classes_factory((TWINSET_PT_real,))
