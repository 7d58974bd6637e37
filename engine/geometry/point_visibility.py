# SPDX-License-Identifier: GPL-3.0-or-later
"""Which points of an instance are seen in a shot, judged by its depth and ids."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..stage import Shot

State = Literal["visible", "hidden by itself", "hidden by others", "outside"]

_RELATIVE, _ABSOLUTE = 0.0005, 0.001
"""How far in front of a point a surface may be, as a share of the depth and in metres, that is taken for its own."""

_BEND = 0.002
"""Largest bend between four pixels of a smooth surface, as a share of the inverse depth."""


def point_states(shot: Shot, points: np.ndarray, id: int, slack: np.ndarray) -> tuple[np.ndarray, list[State]]:
    """Where points of an instance are in a picture, and whether they are seen there.

    Where the four pixel centres around a point show one smooth surface, it is hidden if that surface, interpolated, is
    in front of it; elsewhere, if something is in front of it at all four. So within a pixel of an edge of what hides
    it, a point counts as visible.

    Parameters
    ----------
    shot : Shot
    points : (N, 3) float
        In world coordinates, metres.
    id : int
        Of their instance.
    slack : (N,) float
        Metres by which the instance's own surface may be in front of each.

    Returns
    -------
    (N, 2) float, list of str
        Pixels in the picture, also beyond it; nan where a point is behind the camera.
    """
    ids, seen = shot.labels.ids, shot.labels.depth
    height, width = ids.shape
    pixels, depth = shot.project(points)
    pixels = np.where((depth > shot.camera.near)[:, None], pixels, np.nan)
    states: list[State] = []
    for (x, y), z, own_slack in zip(pixels, depth, slack, strict=True):
        if not (0 <= x < width and 0 <= y < height):
            states.append("outside")
            continue
        column, row = (int(np.clip(np.floor(v - 0.5), 0, max(n - 2, 0))) for v, n in ((x, width), (y, height)))
        window = slice(row, row + 2), slice(column, column + 2)
        around, own = seen[window].astype(float), ids[window] == id
        at = float(np.clip(x - 0.5 - column, 0, 1)), float(np.clip(y - 0.5 - row, 0, 1))
        nearest = _smooth_depth(around, at) if len(np.unique(ids[window])) == 1 else None
        front = np.full(around.shape, nearest) if nearest is not None else around
        if not (front < z - _ABSOLUTE - _RELATIVE * z - np.where(own, own_slack, 0.0)).all():
            states.append("visible")
        else:
            is_own = bool(own.flat[around.argmin()])
            states.append("hidden by itself" if is_own else "hidden by others")
    return pixels, states


def _smooth_depth(around: np.ndarray, at: tuple[float, float]) -> float | None:
    """Depth between four pixel centres (2, 2), at shares of their distances; None where they are no smooth surface.

    In a picture the inverse of the depth is linear on a plane.
    """
    if around.shape != (2, 2) or not np.isfinite(around).all():
        return None
    (a, b), (c, d) = 1.0 / around
    if abs(a - b - c + d) > _BEND * max(a, b, c, d):
        return None
    u, v = at
    return float(1.0 / (a + u * (b - a) + v * (c - a) + u * v * (a - b - c + d)))
