# SPDX-License-Identifier: GPL-3.0-or-later
"""The real boxes in the panel: their histogram, and the mixture that the target learns from them."""

from __future__ import annotations

import math
from typing import Any

import attrs
import bpy
import numpy as np

from ...engine.errors import TwinsetError
from ..missing import lacking_packages, missing_sentence
from ..operators.exchange import said
from ..settings.properties import parameters_of
from ..settings.real_annotations import annotated, categories
from ..widgets.chart import Chart, draw_chart
from ..widgets.layouts import draw_fields, draw_text
from .recipe_panels import Sub

NEEDED = ("scipy", "scikit-learn", "pillow")
_BINS = 22
_TICKS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)


@attrs.frozen
class Fit:
    """A fit as the panel shows it: what it was made of, the picture and the sentences below it."""

    made_of: tuple[Any, ...]
    chart: Chart
    facts: tuple[str, ...]


_fits: dict[str, Fit] = {}


def fit_classes(scene: bpy.types.Scene) -> list[str]:
    """Classes that can be fitted: those of the recipe that have real boxes, or else all that have."""
    real = categories(scene.twinset.real.annotations)
    own = [entry.name for entry in scene.twinset.classes if entry.name in real]
    return own or real


def fit_boxes(annotations: str, class_name: str, settings: dict[str, Any]) -> Fit:
    """Fit the real boxes of a class; DataError where there are none.

    Parameters
    ----------
    annotations : str
        The COCO file, as the panel holds it.
    class_name : str
    settings : dict
        ``scale``, ``components`` and ``criterion`` of the target.
    """
    from ...alignment.mixtures.fit_report import fit_report

    boxes = annotated(annotations).boxes(class_name)
    mixture, report = fit_report(boxes, **settings)
    parts = [f"{c['mean_area']:.1%} ({c['weight']:.0%})" for c in report["components"]]
    facts = (
        f"{len(boxes)} real boxes; typical sizes: {', '.join(parts)}",
        f"Distance of the mixture {report['distance']:.3f}; by chance {report['floor']:.3f}",
    )
    return Fit((annotations, class_name, *settings.values()), mixture_chart(boxes.area, mixture, class_name), facts)


def mixture_chart(areas: np.ndarray, mixture: Any, title: str) -> Chart:
    """Real areas (N,) as a histogram on a logarithmic axis, with the mixture's components and their sum."""
    from ...dataset.report.plots import mixture_densities

    grid, density = mixture_densities(mixture, float(areas.min()), float(areas.max()))
    edges = np.linspace(np.log10(grid[0]), np.log10(grid[-1]), _BINS)
    share = np.histogram(np.log10(areas), edges)[0] / len(areas) / np.diff(edges)
    thin = slice(None, None, 4)
    curves = [(np.log10(grid)[thin], part[thin]) for part in [*density.T, density.sum(1)]]
    ticks = tuple((math.log10(t), f"{100 * t:g} %") for t in _TICKS if grid[0] <= t <= grid[-1])
    return Chart(edges, share, curves=curves, ticks=ticks, title=f"{title}: box area")


class TWINSET_OT_fit(bpy.types.Operator):
    """Show how large the real boxes of this class are, and the mixture that stands for them"""

    bl_idname = "twinset.fit"
    bl_label = "Show Real Boxes"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        lacking = [package for package in lacking_packages() if package in NEEDED]
        if lacking:
            cls.poll_message_set(missing_sentence(lacking))
            return False
        if not context.scene.twinset.real.annotations:
            cls.poll_message_set("Choose the COCO file of your real photos first")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        scene = context.scene
        names = fit_classes(scene)
        try:
            annotated(scene.twinset.real.annotations)  # says what is wrong with the file
            name = scene.twinset.fit_class if scene.twinset.fit_class in names else names[0] if names else ""
            if not name:
                self.report({"ERROR"}, "The annotations have no boxes. Choose another COCO file.")
                return {"CANCELLED"}
            scene.twinset.fit_class = name
            fit = fit_boxes(scene.twinset.real.annotations, name, _target_settings(scene))
        except TwinsetError as error:
            return said(self, error)
        _fits[scene.name] = fit
        return {"FINISHED"}


def _target_settings(scene: bpy.types.Scene) -> dict[str, Any]:
    for use in scene.twinset.targets:
        group = parameters_of(use)
        if use.plugin == "bbox_area_gmm" and group is not None:
            return {"scale": group.scale, "components": group.components, "criterion": group.criterion}
    return {"scale": "log", "components": 0, "criterion": "silhouette"}


class TWINSET_PT_real(Sub, bpy.types.Panel):
    """The real photos that the dataset is to match"""

    bl_label = "Real Dataset"
    bl_order = 0
    bl_options = set()

    def draw(self, context: Any) -> None:
        layout, scene = self.layout, context.scene
        settings = scene.twinset
        draw_fields(layout, settings.real)
        row = layout.row(align=True)
        if settings.real.annotations:
            row.prop(settings, "fit_class")
        row.operator(
            "twinset.fit", text="" if settings.real.annotations else "Show Real Boxes", icon="NORMALIZE_FCURVES"
        )
        fit = _fits.get(scene.name)
        if fit is None:
            return
        now = (settings.real.annotations, settings.fit_class, *_target_settings(scene).values())
        column = layout.column()
        column.active = fit.made_of == now
        draw_chart(column, f"fit {scene.name}", fit.chart)
        for fact in fit.facts:
            draw_text(column, context, fact)
        if fit.made_of != now:
            draw_text(layout, context, "Settings have changed: fit again.", icon="INFO")


_CLASSES = (TWINSET_OT_fit, TWINSET_PT_real)

register, _unregister = bpy.utils.register_classes_factory(_CLASSES)


def unregister() -> None:
    """Take them back."""
    _unregister()
    _fits.clear()
