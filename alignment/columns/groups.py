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
    _, first, of = np.unique(values, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(np.ravel(of), kind="stable")
    ends = np.cumsum(np.bincount(np.ravel(of), minlength=len(first)))
    return np.split(order, ends[:-1]) if len(order) else []
