# SPDX-License-Identifier: GPL-3.0-or-later
"""Convex pieces that together cover a mesh: its hull, cut by planes where that leaves the least empty space."""

from __future__ import annotations

import attrs
import numpy as np

from ..stage import Mesh

_CUTS = 7
"""Planes tried along each axis of a piece."""
_LEAST_GAIN = 0.015
"""Share of the volume of the whole hull by which a cut must lower that of the pieces."""


@attrs.frozen(eq=False)
class _Piece:
    """Triangles (T, 3, 3), the vertices of their hull (K, 3), and its volume."""

    corners: np.ndarray
    hull: np.ndarray
    volume: float


def hull_vertices(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Vertices (K, 3) of the convex hull of points (N, 3), and its volume; all distinct points where they are flat."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        hull = ConvexHull(points)
    except (QhullError, ValueError):
        return np.unique(points, axis=0), 0.0
    return points[np.sort(hull.vertices)], float(hull.volume)


def convex_pieces(mesh: Mesh, limit: int = 16) -> list[np.ndarray]:
    """Vertices (K, 3) of convex pieces that together contain all triangles of a mesh.

    The piece is cut next whose best cut removes most volume, until none removes 1.5 % of the whole hull's.

    Parameters
    ----------
    mesh : Mesh
    limit : int
        Largest number of pieces.
    """
    corners = mesh.vertices[mesh.triangles]
    whole = _piece(corners)
    pieces, cuts = [whole], [_best_cut(whole)]
    while len(pieces) < limit:
        gains = [piece.volume - left - right for piece, (_, _, left, right) in zip(pieces, cuts, strict=True)]
        chosen = int(np.argmax(gains))
        if gains[chosen] < _LEAST_GAIN * whole.volume or gains[chosen] <= 0:
            break
        axis, at, _, _ = cuts.pop(chosen)
        for half in _split(pieces.pop(chosen).corners, axis, at):
            pieces.append(_piece(half))
            cuts.append(_best_cut(pieces[-1]))
    return [piece.hull for piece in pieces]


def _piece(corners: np.ndarray) -> _Piece:
    return _Piece(corners, *hull_vertices(corners.reshape(-1, 3)))


def _best_cut(piece: _Piece) -> tuple[int, float, float, float]:
    """Axis and position of the plane that leaves the least volume, and the volumes on both sides."""
    low, high = piece.corners.min((0, 1)), piece.corners.max((0, 1))
    best = (0, float(low[0]), 0.0, piece.volume)
    if piece.volume <= 0:
        return best
    least = piece.volume
    edges = np.concatenate([piece.corners[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))])
    for axis in range(3):
        for at in _positions(piece.corners[..., axis], float(low[axis]), float(high[axis])):
            volumes = [hull_vertices(points)[1] if len(points) > 3 else 0.0 for points in _sides(edges, axis, at)]
            if sum(volumes) < least - 1e-12:
                least, best = sum(volumes), (axis, at, volumes[0], volumes[1])
    return best


def _positions(values: np.ndarray, low: float, high: float) -> list[float]:
    """Where to cut along an axis: evenly, and where many vertices are, such as at the sides of a seat."""
    even = low + (high - low) * np.arange(1, _CUTS + 1) / (_CUTS + 1)
    levels, counts = np.unique(np.round((values.ravel() - low) / max(high - low, 1e-12), 3), return_counts=True)
    common = np.sort(levels[np.argsort(-counts, kind="stable")[:_CUTS]])
    crowded = low + (high - low) * common[(common > 0.02) & (common < 0.98)]
    return np.concatenate([even, crowded]).tolist()


def _sides(edges: np.ndarray, axis: int, at: float) -> tuple[np.ndarray, np.ndarray]:
    """Points below and above a plane: ends of edges (E, 2, 3), and where edges cross it, on both sides."""
    along = edges[..., axis]
    crossing = (along.min(1) < at) & (along.max(1) > at)
    share = (at - along[crossing, 0]) / (along[crossing, 1] - along[crossing, 0])
    met = edges[crossing, 0] + share[:, None] * (edges[crossing, 1] - edges[crossing, 0])
    ends = edges[:, 0]
    return np.concatenate([ends[ends[:, axis] <= at], met]), np.concatenate([ends[ends[:, axis] >= at], met])


def _split(corners: np.ndarray, axis: int, at: float) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (T, 3, 3) cut by a plane: those below and those above it."""
    along = corners[..., axis] - at
    below, above = (along <= 0).all(1), (along >= 0).all(1) & (along > 0).any(1)
    halves: list[list[np.ndarray]] = [[corners[below]], [corners[above]]]
    crossing = ~below & ~above
    for side, sign in enumerate((1.0, -1.0)):
        for triangle, distance in zip(corners[crossing], sign * along[crossing], strict=True):
            polygon = []
            for k in range(3):
                p, q, d, e = triangle[k], triangle[(k + 1) % 3], distance[k], distance[(k + 1) % 3]
                if d <= 0:
                    polygon.append(p)
                if (d <= 0) != (e <= 0):
                    polygon.append(p + (q - p) * (d / (d - e)))
            halves[side] += [
                np.stack([polygon[0], polygon[k], polygon[k + 1]])[None] for k in range(1, len(polygon) - 1)
            ]
    return np.concatenate(halves[0]), np.concatenate(halves[1])
