# SPDX-License-Identifier: GPL-3.0-or-later
"""Brute-force geometry, each against all: slow, plain, and the truth that faster code is tested against."""

from __future__ import annotations

import numpy as np


def ray_distances(origins: np.ndarray, directions: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Distance along each ray to each triangle.

    Parameters
    ----------
    origins, directions : (N, 3) float
        Rays; distances count in lengths of their direction.
    corners : (T, 3, 3) float
        Triangles.

    Returns
    -------
    (N, T) float
        inf for a miss [Möller and Trumbore, "Fast, minimum storage ray-triangle intersection", 1997].
    """
    a = corners[:, 0]
    e1, e2 = corners[:, 1] - a, corners[:, 2] - a
    p = np.cross(directions[:, None], e2)
    det = (p * e1).sum(-1)
    s = origins[:, None] - a
    q = np.cross(s, e1)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = (s * p).sum(-1) / det
        v = (directions[:, None] * q).sum(-1) / det
        t = (e2 * q).sum(-1) / det
        hit = (u >= -1e-12) & (v >= -1e-12) & (u + v <= 1 + 1e-12) & (t > 0) & (np.abs(det) > 1e-15)
    return np.where(hit, t, np.inf)


def triangles_meet(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Which triangles of ``a`` (A, 3, 3) and ``b`` (B, 3, 3) intersect; (A, B) bool. Coplanar ones never do.

    Two triangles in different planes intersect exactly when an edge of one crosses the other.
    """
    return _edges_cross(a, b) | _edges_cross(b, a).T


def _edges_cross(edges_of: np.ndarray, faces: np.ndarray) -> np.ndarray:
    out = np.zeros((len(edges_of), len(faces)), dtype=bool)
    for k in range(3):
        start, end = edges_of[:, k], edges_of[:, (k + 1) % 3]
        out |= ray_distances(start, end - start, faces) <= 1.0
    return out


def point_distances(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Distance from each point (N, 3) to each triangle (T, 3, 3); (N, T)."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    normal = np.cross(b - a, c - a)
    normal = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    height = ((points[:, None] - a) * normal).sum(-1)
    foot = points[:, None] - height[..., None] * normal
    inside = np.ones(height.shape, dtype=bool)
    to_edge = np.full(height.shape, np.inf)
    for start, end in ((a, b), (b, c), (c, a)):
        edge = end - start
        inside &= (np.cross(edge, foot - start) * normal).sum(-1) >= 0
        share = np.clip(((points[:, None] - start) * edge).sum(-1) / (edge * edge).sum(-1), 0, 1)
        to_edge = np.minimum(to_edge, np.linalg.norm(points[:, None] - start - share[..., None] * edge, axis=-1))
    return np.where(inside, np.abs(height), to_edge)


def surface_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Least distance between triangles ``a`` (A, 3, 3) and ``b`` (B, 3, 3) that do not intersect."""
    best = min(point_distances(a.reshape(-1, 3), b).min(), point_distances(b.reshape(-1, 3), a).min())
    for i in range(3):
        for j in range(3):
            best = min(best, _segment_distances(a[:, i], a[:, (i + 1) % 3], b[:, j], b[:, (j + 1) % 3]).min())
    return float(best)


def _segment_distances(p: np.ndarray, p2: np.ndarray, q: np.ndarray, q2: np.ndarray) -> np.ndarray:
    """Distances (A, B) between points inside of segments; inf where the nearest points are ends (tested elsewhere)."""
    u, v, w = (p2 - p)[:, None], (q2 - q)[None], p[:, None] - q[None]
    a, b, c = (u * u).sum(-1), (u * v).sum(-1), (v * v).sum(-1)
    d, e = (u * w).sum(-1), (v * w).sum(-1)
    det = a * c - b * b
    with np.errstate(divide="ignore", invalid="ignore"):
        s, t = (b * e - c * d) / det, (a * e - b * d) / det
        distance = np.linalg.norm(w + s[..., None] * u - t[..., None] * v, axis=-1)
        inner = (det > 1e-18) & (s >= 0) & (s <= 1) & (t >= 0) & (t <= 1)
    return np.where(inner, distance, np.inf)


def contains(corners: np.ndarray, point: np.ndarray) -> bool:
    """Whether a point (3,) lies inside closed triangles (T, 3, 3): an odd number of crossings in each direction."""
    directions = np.array([[0.31, 0.27, 0.91], [0.79, -0.46, -0.41], [-0.21, 0.91, -0.36]])
    crossings = np.isfinite(ray_distances(np.repeat(point[None], 3, axis=0), directions, corners)).sum(1)
    return bool((crossings % 2 == 1).all())


def vertical_clearance(upper: np.ndarray, lower: np.ndarray, samples: int = 400) -> float:
    """Least vertical distance from triangles ``upper`` down to ``lower``, on a dense grid of lines and all vertices.

    Lines through vertices of either and ``samples`` x ``samples`` lines across ``upper``: an upper bound of the true
    minimum that tends to it. inf where nothing lies beneath.
    """
    low, high = upper[..., :2].min((0, 1)), upper[..., :2].max((0, 1))
    lower = lower[((lower[..., :2].min(1) <= high) & (lower[..., :2].max(1) >= low)).all(1)]
    if not len(lower):
        return np.inf
    grid = np.stack(np.meshgrid(*np.linspace(low, high, samples).T), axis=-1).reshape(-1, 2)
    best = np.inf
    for lines in (upper.reshape(-1, 3)[:, :2], lower.reshape(-1, 3)[:, :2], grid):
        for part in np.array_split(lines, max(1, len(lines) * max(len(upper), len(lower)) // 1_000_000)):
            origins = np.column_stack([part, np.full(len(part), upper[..., 2].min() - 100.0)])
            ups = np.broadcast_to([0.0, 0.0, 1.0], origins.shape)
            bottom = ray_distances(origins, ups, upper).min(1)
            below = ray_distances(origins, ups, lower)
            top = np.where(np.isfinite(below), below, -np.inf).max(1)
            both = np.isfinite(bottom) & np.isfinite(top)
            best = min(best, float((bottom - top)[both].min(initial=np.inf)))
    return best
