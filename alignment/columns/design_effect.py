# SPDX-License-Identifier: GPL-3.0-or-later
"""How many independent images a dataset is worth whose images share layouts [Kish, "Survey Sampling", 1965]."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .registry import find_column
from .table import Table

_MIN_LAYOUTS = 5
"""With fewer layouts than this, how much they differ is not known."""


def design_effect(values: np.ndarray, images: np.ndarray, groups: np.ndarray) -> float:
    """How many times the variance of a mean grows because images come in groups.

    Parameters
    ----------
    values : (N,) float
    images, groups : (N,) int
        Image of each value, and its group, which has whole images.

    Returns
    -------
    float
        1 for images that are as different within groups as between them, the images per group for copies of one image;
        at least 1.
    """
    by_image, by_group = _variance_of_sum(values, images), _variance_of_sum(values, groups)
    return max(1.0, by_group / by_image) if by_image > 0 else 1.0


def effective_images(table: Table) -> Mapping[str, float]:
    """The independent images that a dataset is worth, by column; empty where images share no layouts."""
    if table.group is None:
        return {}
    found = {}
    for name, column in table.columns.items():
        known = np.isfinite(column)
        images, groups = (of[known] for of in table.owners(name))
        if find_column(name).reported and known.any() and np.ptp(column[known]) > 0:
            found[name] = len(np.unique(images)) / design_effect(column[known], images, groups)
    return found


def dependence_sentence(table: Table) -> str:
    """What shared layouts do to the worth of a dataset; "" where images share none."""
    if table.group is None:
        return ""
    images, layouts = len(np.unique(table.image)), len(np.unique(table.group))
    said = f"{images} images show {layouts} layouts, which are drawn whole for intervals."
    found = effective_images(table)
    if layouts < _MIN_LAYOUTS or not found:
        return f"{said} They are too few to say how many independent images that is worth."
    worst = min(found, key=lambda name: found[name])
    middle = float(np.median(list(found.values())))
    return (
        f"{said} For means of columns they are worth {middle:.0f} independent images (median of {len(found)} columns; "
        f"{found[worst]:.0f} for {worst})."
    )


def _variance_of_sum(values: np.ndarray, owners: np.ndarray) -> float:
    """Variance of the sum of deviations from the mean, where owners are drawn whole."""
    sums = np.bincount(np.unique(owners, return_inverse=True)[1], values - values.mean())
    return float((sums**2).sum() * len(sums) / max(len(sums) - 1, 1))
