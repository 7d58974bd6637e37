# SPDX-License-Identifier: GPL-3.0-or-later
"""Assigns the boxes of an image to the goals of its layout."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..goals import Goal

UNMATCHED_COST = 1.0
"""Cost of a box or goal without a partner; no pair costs twice as much or more."""


def match(names: Sequence[str], boxes: np.ndarray, goals: Sequence[Goal]) -> tuple[np.ndarray, float]:
    """Assign boxes to goals of their class at the smallest total cost.

    Parameters
    ----------
    names : sequence of str
        Class of each of B boxes.
    boxes : (B, 4) float
        [x0, y0, x1, y1] in image units, clipped to the image.
    goals : sequence of Goal
        G of them.

    Returns
    -------
    (B,) int, float
        Index of each box's goal, -1 for none; and the total cost, in which an unmatched box or goal counts
        :data:`UNMATCHED_COST`. A pair costs the difference of its log areas, plus twice the distance of its centres.
    """
    from scipy.optimize import linear_sum_assignment

    goal_index = np.full(len(names), -1)
    if not len(names) or not goals:
        return goal_index, UNMATCHED_COST * (len(names) + len(goals))
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6)
    center = (boxes[:, 2:] + boxes[:, :2]) / 2
    area = np.array([g.area for g in goals])
    cost = np.abs(np.log(size.prod(1))[:, None] - np.log(area)[None])
    cost += 2 * np.linalg.norm(center[:, None] - np.array([g.center for g in goals])[None], axis=-1)
    same = np.array([[name == g.class_name for g in goals] for name in names])
    cost = np.where(same, cost, np.inf)
    rows, columns = linear_sum_assignment(np.minimum(cost, 2 * UNMATCHED_COST))
    is_matched = cost[rows, columns] < 2 * UNMATCHED_COST
    goal_index[rows[is_matched]] = columns[is_matched]
    unmatched = len(names) + len(goals) - 2 * int(is_matched.sum())
    return goal_index, float(cost[rows[is_matched], columns[is_matched]].sum()) + UNMATCHED_COST * unmatched
