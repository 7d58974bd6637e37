# SPDX-License-Identifier: GPL-3.0-or-later
"""The fit of real box areas for the panel: a chart, and a summary as text."""

from __future__ import annotations

import math
from typing import Any

import attrs
import bpy
import numpy as np

from ..settings.properties import parameters_of
from ..settings.real_annotations import categories, read_annotations
from ..translations.catalog import worded
from .chart import Chart

_BINS = 22
_TICKS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)


@attrs.frozen
class AreaFit:
    """A fit for the panel: its inputs, the chart, and the text below it."""

    inputs: tuple[Any, ...]
    chart: Chart
    summary: tuple[str, ...]


_fits: dict[str, AreaFit] = {}


def area_fit(scene: bpy.types.Scene) -> AreaFit | None:
    """The latest fit of a scene, if there is one."""
    return _fits.get(scene.name)


def set_area_fit(scene: bpy.types.Scene, fit: AreaFit) -> None:
    """Store the fit that the panel shows."""
    _fits[scene.name] = fit


def clear_area_fits() -> None:
    """Remove the fits of all scenes."""
    _fits.clear()


def classes_with_boxes(scene: bpy.types.Scene) -> list[str]:
    """Classes with real boxes: those of the recipe, or all if the recipe has none of them."""
    real = categories(scene.twinset.real.annotations)
    own = [entry.name for entry in scene.twinset.classes if entry.name in real]
    return own or real


def fit_areas(annotations: str, class_name: str, settings: dict[str, Any]) -> AreaFit:
    """Fit a mixture to the areas of a class's real boxes; DataError if it has none.

    Parameters
    ----------
    annotations : str
        Path of the COCO file, as in the panel.
    class_name : str
    settings : dict
        ``scale``, ``components`` and ``criterion`` of the target.
    """
    from ...alignment.mixtures.fit_report import fit_report

    boxes = read_annotations(annotations).boxes(class_name)
    mixture, report = fit_report(boxes, **settings)
    parts = [f"{c['mean_area']:.1%} ({c['weight']:.0%})" for c in report["components"]]
    summary = (
        worded("{} real boxes. Component means (weights): {}", len(boxes), ", ".join(parts)),
        worded("Distance of the mixture: {:.3f}, expected by chance: {:.3f}", report["distance"], report["floor"]),
    )
    return AreaFit(
        (annotations, class_name, *settings.values()), mixture_chart(boxes.area, mixture, class_name), summary
    )


def mixture_chart(areas: np.ndarray, mixture: Any, title: str) -> Chart:
    """Real areas (N,) as a histogram on a logarithmic axis, with the mixture's components and their sum as curves."""
    from ...dataset.report.plots import mixture_densities

    grid, density = mixture_densities(mixture, float(areas.min()), float(areas.max()))
    edges = np.linspace(np.log10(grid[0]), np.log10(grid[-1]), _BINS)
    share = np.histogram(np.log10(areas), edges)[0] / len(areas) / np.diff(edges)
    thin = slice(None, None, 4)
    curves = [(np.log10(grid)[thin], part[thin]) for part in [*density.T, density.sum(1)]]
    ticks = tuple((math.log10(t), f"{100 * t:g} %") for t in _TICKS if grid[0] <= t <= grid[-1])
    return Chart(edges, share, curves=curves, ticks=ticks, title=worded("{}: Box Area", title))


def target_settings(scene: bpy.types.Scene) -> dict[str, Any]:
    for use in scene.twinset.targets:
        group = parameters_of(use)
        if use.plugin == "bbox_area_gmm" and group is not None:
            return {"scale": group.scale, "components": group.components, "criterion": group.criterion}
    return {"scale": "log", "components": 0, "criterion": "silhouette"}
