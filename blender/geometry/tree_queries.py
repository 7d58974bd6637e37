# SPDX-License-Identifier: GPL-3.0-or-later
"""Rays and points against one BVH tree of mathutils, with distances in double precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from mathutils import Vector
from mathutils.bvhtree import BVHTree

from ...engine.stage import Hits

# Rays of the inside test: the corners of a tetrahedron, rotated so that none is parallel to an axis-aligned face.
RAY_DIRECTIONS = np.array([[0.31, 0.27, 0.91], [0.79, -0.46, -0.41], [-0.21, 0.91, -0.36], [-0.86, -0.45, -0.25]])
RAY_DIRECTIONS /= np.linalg.norm(RAY_DIRECTIONS, axis=1, keepdims=True)


def cast_into(
    hits: Hits, id: int, rays: np.ndarray, tree: BVHTree, corners: np.ndarray, origins: np.ndarray,
    directions: np.ndarray, *, tree_origin: np.ndarray | float = 0.0, rotation: np.ndarray | None = None,
    scale: float = 1.0,
) -> None:  # fmt: skip
    """Cast rays and keep the hits that are nearer than those in ``hits``.

    Parameters
    ----------
    hits : Hits
        Changed.
    id : int
        Who owns what the rays hit.
    rays : (R,) int
        Indices of the rays in ``hits``.
    tree, corners
        Triangles (T, 3, 3), and the tree of their corners minus ``tree_origin`` (3,).
    origins, directions : (R, 3) float
        In the space of the corners; directions have unit length.
    rotation : (3, 3) float, optional
        From the space of the corners to the world, times ``scale``.
    """
    cast: Callable = tree.ray_cast
    limits = np.minimum(hits.distance[rays] / scale, 1e30).tolist()
    index = np.full(len(rays), -1)
    rough = np.zeros(len(rays))
    begins = (origins - tree_origin).tolist()
    for k, (origin, direction, limit) in enumerate(zip(begins, directions.tolist(), limits, strict=True)):
        hit = cast(origin, direction, limit)
        if hit[2] is not None:
            index[k], rough[k] = hit[2], hit[3]
    met = np.flatnonzero(index >= 0)
    a, b, c = corners[index[met]].transpose(1, 0, 2)
    normal = np.cross(b - a, c - a)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    steep = (normal * directions[met]).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        exact = ((a - origins[met]) * normal).sum(1) / steep
    distance = np.where(np.abs(steep) > 1e-3, exact, rough[met]) * scale
    nearer = distance < hits.distance[rays[met]]
    chosen = rays[met[nearer]]
    hits.distance[chosen] = np.maximum(distance[nearer], 0.0)
    hits.normal[chosen] = normal[nearer] if rotation is None else normal[nearer] @ rotation.T / scale
    hits.owner[chosen] = id


def entry_distances(origins: np.ndarray, directions: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Distances at which rays enter boxes, 0 from inside, inf for rays that miss.

    Parameters
    ----------
    origins, directions : (..., 3) float
    low, high : (..., 3) float
        Corners of boxes; all four are broadcast.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        t1, t2 = (low - 1e-6 - origins) / directions, (high + 1e-6 - origins) / directions
    enter, leave = np.fmin(t1, t2).max(-1), np.fmax(t1, t2).min(-1)
    return np.where((leave >= 0) & (enter <= leave), np.maximum(enter, 0.0), np.inf)


def nearest(tree: BVHTree, point: Sequence[float], limit: float) -> float:
    """Distance from a point to the tree's triangles, inf beyond the limit."""
    found = tree.find_nearest(point, min(limit, 1e18))
    return np.inf if found[3] is None else found[3]


def is_inside(tree: BVHTree, point: np.ndarray) -> bool:
    """Whether rays in four directions all cross the triangles an odd number of times."""
    return all(len(crossings(tree, point, direction)) % 2 for direction in RAY_DIRECTIONS)


def crossings(tree: BVHTree, point: np.ndarray, direction: np.ndarray) -> list[tuple[int, float, bool]]:
    """All triangles that a ray crosses, in order: index, distance, whether the ray hits the back."""
    origin, ray = Vector(point.tolist()), Vector(direction.tolist())
    begin = origin.copy()
    out = []
    for _ in range(10_000):  # a ray that grazes a surface must not loop forever
        location, normal, index, _distance = tree.ray_cast(origin, ray)
        if index is None:
            break
        out.append((index, (location - begin).length, normal.dot(ray) > 0))
        origin = location + ray * max(1e-5, 1e-6 * location.length)
    return out
