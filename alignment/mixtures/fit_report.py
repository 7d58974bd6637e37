# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits the mixture of one class's box areas, and reports the quality of the fit."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...engine.goals import Boxes
from ...engine.rng import stream
from ..distances.histograms import bhattacharyya_floor
from .area_mixture import REFERENCE_SIZE, AreaMixture, fit_areas

_N_BOOTSTRAP = 200


def fit_report(
    boxes: Boxes,
    *,
    scale: str = "log",
    components: int = 0,
    criterion: str = "silhouette",
    method: str = "gmm",
    seed: int = 0,
) -> tuple[AreaMixture, dict[str, Any]]:
    """Fit the areas of real boxes, with a report on the quality of the fit.

    Returns
    -------
    (AreaMixture, dict)
        The fit, and its report with ``distance`` (of the mixture to the boxes, square root of the relative area,
        20 bins), ``floor`` (for a synthetic set of 300 boxes) and the areas' ``quantiles``.
    """
    mixture = fit_areas(boxes.area, scale=scale, components=components, criterion=criterion, method=method)
    rng = stream(seed, "fit_report")
    levels = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
    report = {
        **mixture.report(),
        "distance": mixture.distance(boxes.area),
        "floor": bhattacharyya_floor(np.sqrt(boxes.area), len(boxes), REFERENCE_SIZE, _N_BOOTSTRAP, rng),
        "quantiles": {f"{q:g}": float(v) for q, v in zip(levels, np.quantile(boxes.area, levels), strict=True)},
    }
    return mixture, report
