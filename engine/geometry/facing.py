# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the front of a mesh is: opposite of what is tall, such as the backrest of a chair or the back of a sofa."""

from __future__ import annotations

import weakref

import numpy as np

from ..scene.things import Mesh

_TALL = 0.7
"""Share of the height above which the surface of a backrest outweighs that of seat and legs."""
_CLEAR = 0.2
"""The tall part must lie this far off the middle, as a share of half the width in that direction."""
_SNAP = 20.0
"""Degrees from an axis up to which the axis is meant: models are built along axes, and cushions are not symmetric."""

_POINTS = 20_000
"""About how many parts the surface of a mesh is cut into."""


_fronts: weakref.WeakKeyDictionary[Mesh, np.ndarray | None] = weakref.WeakKeyDictionary()


def front_direction(mesh: Mesh) -> np.ndarray | None:
    """Horizontal unit vector (2,) in the axes of an upright mesh, from its tall part to its middle.

    None where nothing tall lies on one side, as of stools, tables and cabinets.
    """
    if mesh not in _fronts:
        _fronts[mesh] = _front_direction(mesh)
    return _fronts[mesh]


def _front_direction(mesh: Mesh) -> np.ndarray | None:
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    level = low[2] + _TALL * (high[2] - low[2])
    points, areas = _pieces(mesh)
    is_tall = points[:, 2] > level
    below = mesh.vertices[mesh.vertices[:, 2] <= level, :2]
    if not areas[is_tall].sum() > 0.0 or not len(below):
        return None
    away = np.average(points[is_tall, :2], axis=0, weights=areas[is_tall]) - (below.min(0) + below.max(0)) / 2
    relative = away / np.maximum((high[:2] - low[:2]) / 2, 1e-9)
    if np.linalg.norm(relative) < _CLEAR:
        return None
    angle = np.degrees(np.arctan2(-away[1], -away[0]))
    axis = 90.0 * np.round(angle / 90.0)
    angle = np.radians(axis if abs(angle - axis) <= _SNAP else angle)
    return np.array([np.cos(angle), np.sin(angle)])


def _pieces(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Centres (N, 3) and areas (N,) of equal parts of all triangles; few large triangles are cut into many."""
    corners = mesh.vertices[mesh.triangles]
    n = int(np.clip(np.sqrt(_POINTS / len(corners)), 1, 12))
    i, j = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    upright = i + j < n
    weights = [np.stack([i[upright], j[upright]], 1) + 1 / 3]
    flipped = i + j < n - 1
    weights.append(np.stack([i[flipped], j[flipped]], 1) + 2 / 3)
    v, w = np.concatenate(weights).T / n
    centers = np.einsum("pk,nkd->npd", np.stack([1 - v - w, v, w], 1), corners)
    double = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    return centers.reshape(-1, 3), np.repeat(double / 2 / n**2, n**2)
