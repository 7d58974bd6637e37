# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows that belong together, such as the boxes of each image."""

from __future__ import annotations

import numpy as np


def rows_by_value(values: np.ndarray) -> list[np.ndarray]:
    """Indices of the rows of each value, values in rising order.

    Parameters
    ----------
    values : (N,) or (N, K) array
        A row of K counts as one value.
    """
    axis = None if values.ndim == 1 else 0  # sorting rows is slower
    _, of, counts = np.unique(values, axis=axis, return_inverse=True, return_counts=True)
    order = np.argsort(np.ravel(of), kind="stable")
    return np.split(order, np.cumsum(counts)[:-1]) if len(order) else []
