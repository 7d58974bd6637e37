# SPDX-License-Identifier: GPL-3.0-or-later
"""Positions in free air for lamps: above a surface, and in no wall, no furniture and no gap between them."""

from __future__ import annotations

import numpy as np

from ..stage import Asset, Mesh, Stage

_CORNERS = np.array([(x - 0.5, y - 0.5, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
_FACES = [(0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1), (2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4)]
_CUBE = Asset("lamp", "", Mesh(_CORNERS, np.array([*_FACES, (1, 5, 7), (1, 7, 3)], np.int32)), _CORNERS)
"""The space that a lamp of 1 m takes up, above its origin."""
_MIN_SIZE = 0.02
_MIN_WIDTH = 0.4
"""Metres of air across a lamp in all horizontal directions. Walls are thinner; from within, those whose normals point
inwards look as a room does."""
_ACROSS = np.array([(np.cos(a), np.sin(a), 0.0) for a in np.pi * np.arange(4) / 4])


def free_position(
    stage: Stage, size: float, height_range: tuple[float, float], rng: np.random.Generator, tries: int
) -> tuple[float, float, float] | None:
    """A position above a surface with air around it; None if none was found.

    Parameters
    ----------
    stage : Stage
    size : float
        Side in metres of the cube around the position that touches nothing, and that nothing encloses.
    height_range : (float, float)
        Metres above the surface below.
    rng : numpy.random.Generator
    tries : int
        Positions tried.
    """
    size = max(size, _MIN_SIZE)
    low, high = (np.asarray(b, dtype=float) for b in stage.bounds)
    grounds = rng.uniform(low[:2], high[:2], size=(tries, 2))
    heights = rng.uniform(*height_range, size=tries)
    # From the middle of the scene's height down: a ray from the top would find the roof of a house.
    start = np.column_stack([grounds, np.full(tries, (low[2] + high[2]) / 2)])
    down = stage.cast(start, np.tile([0.0, 0.0, -1.0], (tries, 1)))
    floor = start[:, 2] - down.distance
    for i in np.flatnonzero(np.isfinite(down.distance)):
        up = stage.cast(np.array([[*grounds[i], floor[i] + 1e-3]]), np.array([[0.0, 0.0, 1.0]]))
        if up.distance[0] <= heights[i] + size / 2:
            continue
        matrix = np.diag([size, size, size, 1.0])
        matrix[:3, 3] = *grounds[i], floor[i] + heights[i] - size / 2
        if stage.collides(_CUBE, matrix):
            continue
        position = np.array([*grounds[i], floor[i] + heights[i]])
        sides = stage.cast(np.tile(position, (8, 1)), np.concatenate([_ACROSS, -_ACROSS])).distance
        if (sides[:4] + sides[4:]).min() >= _MIN_WIDTH:
            return float(position[0]), float(position[1]), float(position[2])
    return None
