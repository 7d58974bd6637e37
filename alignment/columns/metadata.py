# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the declared columns of boxes, and derives those that follow from others [Zhang2023, §2]."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .box_data import BoxData
from .registry import columns, cost

MetadataColumns = dict[str, np.ndarray]
"""By name, one value per box; NaN where a box has none."""


def box_columns(bboxes: np.ndarray, width: np.ndarray | float, height: np.ndarray | float) -> dict[str, np.ndarray]:
    """The columns that boxes alone give.

    Parameters
    ----------
    bboxes : (n, 4) float
        [x, y, w, h] in pixels.
    width, height : float, or (n,) float
        Size of the image of each box in pixels.

    Returns
    -------
    dict of str to (n,) array
        ``bbox_area``, ``aspect``, ``center_x``, ``center_y``, ``touches_border``, and all others that need no more.
    """
    data = BoxData(bboxes, width, height)
    return {c.name: np.asarray(c.measure(data)) for c in columns() if c.measure is not None and not c.needs}


def picture_columns(data: BoxData) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """The columns that need more than boxes, as far as the data of an image suffice.

    Returns
    -------
    of_image : dict of str to float
    of_boxes : dict of str to (n,) array
    """
    possible = sorted((c for c in columns() if c.needs and c.needs <= data.available), key=cost)
    return (
        {c.name: float(c.measure_image(data)) for c in possible if c.measure_image is not None},
        {c.name: np.asarray(c.measure(data)) for c in possible if c.measure is not None},
    )


def derived_columns(measured: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The columns that follow from measured ones, such as ``sqrt_area`` from ``bbox_area``."""
    derived = {c.name: c.derive(measured) for c in columns() if c.derive is not None}
    return {name: values for name, values in derived.items() if values is not None}
