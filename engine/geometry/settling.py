# SPDX-License-Identifier: GPL-3.0-or-later
"""How a rigid body comes to rest on uneven ground: on the contacts whose hull holds its centre of gravity."""

from __future__ import annotations

import numpy as np

_TOLERANCE = 1e-7
_MAX_PIVOTS = 200
_OUTER = 1e3
"""Depth in metres of the three outer points that the search starts from."""


def resting_plane(xy: np.ndarray, heights: np.ndarray, center: np.ndarray) -> np.ndarray | None:
    """Slope (2,) of the plane on which a base comes to rest.

    Of all planes that lie nowhere below the ground, a body that sinks as deep as it can takes the one that is lowest
    under its centre of gravity. That is a linear programme in three unknowns; by its duality, the centre is in the
    triangle of the three contacts. It is solved by the simplex method on triangles of contacts.

    Parameters
    ----------
    xy : (N, 2) float
        Points of the base, seen from above.
    heights : (N,) float
        How high the ground reaches at each of them, less the height of the point itself above the base.
    center : (2,) float
        The centre of gravity, seen from above.

    Returns
    -------
    (2,) float or None
        Rise of the plane per metre of x and y; None where the centre is outside the base.
    """
    known = np.isfinite(heights)
    local, z = xy[known] - center, heights[known]
    if not len(local):
        return None
    radius = 10.0 * float(np.abs(local).max()) + 1e-6
    outer = radius * np.array([[1.0, 0.0], [-0.5, 3**0.5 / 2], [-0.5, -(3**0.5) / 2]])
    local, z = np.concatenate([outer, local]), np.concatenate([np.full(3, z.min() - _OUTER), z])
    triangle = np.arange(3)
    for _ in range(_MAX_PIVOTS):
        plane = _plane_through(local[triangle], z[triangle])
        if plane is None:
            return None
        above = z - (plane[0] + local @ plane[1:])
        enters = int(above.argmax())
        if above[enters] <= _TOLERANCE:
            # With an outer point among its contacts, the body topples over the border of its base.
            return None if (triangle < 3).any() else plane[1:]
        options = [np.where(np.arange(3) == leaves, enters, triangle) for leaves in range(3)]
        triangle = max(options, key=lambda corners: _least_weight(local[corners]))
    return None


def _plane_through(points: np.ndarray, heights: np.ndarray) -> np.ndarray | None:
    """Height at the origin and slopes (3,) of the plane through three points; None where they are in line."""
    system = np.column_stack([np.ones(3), points])
    if abs(np.linalg.det(system)) < 1e-12:
        return None
    return np.asarray(np.linalg.solve(system, heights))


def _least_weight(points: np.ndarray) -> float:
    """The smallest barycentric coordinate of the origin in a triangle (3, 2): not negative inside."""
    system = np.vstack([np.ones(3), points.T])
    if abs(np.linalg.det(system)) < 1e-12:
        return -np.inf
    return float(np.linalg.solve(system, [1.0, 0.0, 0.0]).min())
