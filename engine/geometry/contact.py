# SPDX-License-Identifier: GPL-3.0-or-later
"""How assets rest on surfaces: exact vertical contact of triangle meshes, footprints and balance. Arrays in, out."""

from __future__ import annotations

import numpy as np

from ..goals import contiguous

BASE_THICKNESS = 0.02
"""Height in metres above the lowest point up to which vertices belong to the base of an asset."""
_EDGE_TOLERANCE = 1e-9
_ROUNDING = 1e-9
"""Metres that are far above the rounding of heights."""


def box_pairs(
    low_a: np.ndarray, high_a: np.ndarray, low_b: np.ndarray, high_b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of overlapping axis-aligned boxes in the plane.

    Parameters
    ----------
    low_a, high_a : (A, 2) float
        Boxes of the first set; points are boxes without extent.
    low_b, high_b : (B, 2) float
        Boxes of the second set.

    Returns
    -------
    (N,) int, (N,) int
        Indices into the two sets. Boxes that only touch are a pair.
    """
    none = np.zeros(0, dtype=np.int64)
    if not len(low_a) or not len(low_b):
        return none, none
    low = np.maximum(low_a.min(0), low_b.min(0))
    high = np.minimum(high_a.max(0), high_b.max(0))
    if (high < low).any():
        return none, none
    keep_a = np.flatnonzero(_overlap(low_a, high_a, low, high))
    keep_b = np.flatnonzero(_overlap(low_b, high_b, low, high))
    if not len(keep_a) or not len(keep_b):
        return none, none
    low_a, high_a, low_b, high_b = low_a[keep_a], high_a[keep_a], low_b[keep_b], high_b[keep_b]
    if len(keep_a) * len(keep_b) <= 50_000:
        i, j = np.nonzero(_overlap(low_a[:, None], high_a[:, None], low_b, high_b))
        return keep_a[i], keep_b[j]

    # A uniform grid keeps the number of tests near the number of overlapping pairs.
    n = int(np.clip(np.sqrt(min(len(keep_a), len(keep_b))), 1, 64))
    factor = n / np.maximum(high - low, 1e-12)

    def cell(points: np.ndarray) -> np.ndarray:
        return np.clip((points - low) * factor, 0, n - 1).astype(np.int64)

    first_a, first_b = cell(low_a), cell(low_b)
    owner_a, code_a = _covered_cells(first_a, cell(high_a), n)
    owner_b, code_b = _covered_cells(first_b, cell(high_b), n)
    order = np.argsort(code_b, kind="stable")
    owner_b, code_b = owner_b[order], code_b[order]
    start = np.searchsorted(code_b, code_a, side="left")
    count = np.searchsorted(code_b, code_a, side="right") - start
    entry = np.repeat(np.arange(len(code_a)), count)
    within = np.arange(len(entry)) - np.repeat(np.cumsum(count) - count, count)
    i, j = owner_a[entry], owner_b[start[entry] + within]
    # Two boxes may share many cells: the pair is reported in the first of them alone.
    shared = np.maximum(first_a[i], first_b[j])
    real = shared[:, 0] * n + shared[:, 1] == code_a[entry]
    real &= _overlap(low_a[i], high_a[i], low_b[j], high_b[j])
    return keep_a[i[real]], keep_b[j[real]]


def _overlap(low_a: np.ndarray, high_a: np.ndarray, low_b: np.ndarray, high_b: np.ndarray) -> np.ndarray:
    # One comparison per coordinate: numpy is slow at reducing over an axis of two.
    x = (low_a[..., 0] <= high_b[..., 0]) & (high_a[..., 0] >= low_b[..., 0])
    return x & (low_a[..., 1] <= high_b[..., 1]) & (high_a[..., 1] >= low_b[..., 1])


def _covered_cells(first: np.ndarray, last: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    span = last - first + 1
    count = span.prod(1)
    owner = np.repeat(np.arange(len(first)), count)
    k = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    row_length = span[owner, 1]
    return owner, (first[owner, 0] + k // row_length) * n + first[owner, 1] + k % row_length


def extents(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest coordinates of polygons (N, K, D), each (N, D); several times as fast as ``min(1)``."""
    low = high = corners[:, 0]
    for k in range(1, corners.shape[1]):
        low, high = np.minimum(low, corners[:, k]), np.maximum(high, corners[:, k])
    return low, high


def vertical_intersections(xy: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intersections of vertical lines with triangles.

    Parameters
    ----------
    xy : (P, 2) float
        The lines.
    corners : (T, 3, 3) float
        Triangles; vertical ones have no intersections.

    Returns
    -------
    (N,) int, (N,) float
        Index of the line and z of each intersection.
    """
    point, _, z = vertical_hits(xy, corners)
    return point, z


def vertical_hits(xy: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As :func:`vertical_intersections`: index of the line (N,), index of the triangle (N,) and z (N,)."""
    point, triangle = box_pairs(xy, xy, *extents(corners[:, :, :2]))
    a, b, c = corners[triangle, 0], corners[triangle, 1], corners[triangle, 2]
    p = xy[point]
    ab, ac, ap = b[:, :2] - a[:, :2], c[:, :2] - a[:, :2], p - a[:, :2]
    area = _cross(ab, ac)
    with np.errstate(divide="ignore", invalid="ignore"):
        v, w = _cross(ap, ac) / area, _cross(ab, ap) / area
        inside = (v >= -_EDGE_TOLERANCE) & (w >= -_EDGE_TOLERANCE) & (v + w <= 1 + _EDGE_TOLERANCE)
    inside &= np.abs(area) > 1e-14
    v, w = v[inside], w[inside]
    z = a[inside, 2] * (1 - v - w) + b[inside, 2] * v + c[inside, 2] * w
    return point[inside], triangle[inside], z


def highest_below(xy: np.ndarray, limit: np.ndarray | float, corners: np.ndarray) -> np.ndarray:
    """Height of the highest triangle at or below ``limit`` on each vertical line; (P,), -inf where there is none."""
    out = np.full(len(xy), -np.inf)
    point, z = vertical_intersections(xy, corners)
    fits = z <= np.broadcast_to(limit, len(xy))[point]
    np.maximum.at(out, point[fits], z[fits])
    return out


def lowest_above(xy: np.ndarray, limit: np.ndarray | float, corners: np.ndarray) -> np.ndarray:
    """Height of the lowest triangle above ``limit`` on each vertical line; (P,), inf where there is none."""
    out = np.full(len(xy), np.inf)
    point, z = vertical_intersections(xy, corners)
    fits = z > np.broadcast_to(limit, len(xy))[point]
    np.minimum.at(out, point[fits], z[fits])
    return out


def resting_height(
    vertices: np.ndarray,
    triangles: np.ndarray,
    corners: np.ndarray,
    *,
    level: float,
    headroom: float,
    ceiling: float = np.inf,
) -> float:
    """Height at which a mesh that is lowered along -z first touches the triangles beneath.

    The vertical distance of two triangle meshes is smallest where a vertex of one meets a face of the other, or where
    two edges cross as seen from above; all three cases are worked out, so the result is exact.

    Parameters
    ----------
    vertices : (V, 3) float
        The mesh: x and y in the world, z above its own lowest point.
    triangles : (T, 3) int
        Its triangles.
    corners : (S, 3, 3) float
        World triangles that it may rest on.
    level, headroom, ceiling : float
        Lowering starts with the lowest point at ``level + headroom``. Triangles above the mesh there, or above
        ``ceiling``, belong to another storey and are ignored.

    Returns
    -------
    float
        World z of the lowest point of the mesh, -inf where it touches nothing.
    """
    low, high = vertices.min(0), vertices.max(0)
    bottom, top = extents(corners)
    near = _overlap(bottom, top, low, high)
    near &= bottom[:, 2] <= min(level + headroom + high[2], ceiling)
    corners = corners[near]
    if not len(corners):
        return -np.inf

    def highest(z: np.ndarray, h: np.ndarray, so_far: float) -> float:
        fits = (z - h <= level + headroom) & (z <= ceiling)
        return max(so_far, float((z - h)[fits].max(initial=-np.inf)))

    # The lowest vertices go first: their contacts rule most others out.
    count = min(256, len(vertices))
    lowest = np.argpartition(vertices[:, 2], count - 1)[:count]
    point, z = vertical_intersections(vertices[lowest, :2], corners)
    best = highest(z, vertices[lowest[point], 2], -np.inf)

    def reach() -> float:
        """Parts of the mesh higher than this above its lowest point cannot touch before ``best``."""
        top = min(float(corners[:, :, 2].max()), ceiling, level + headroom + float(high[2]))
        return top - best

    rest = vertices[vertices[:, 2] < reach()]
    point, z = vertical_intersections(rest[:, :2], corners)
    best = highest(z, rest[point, 2], best)

    corners = corners[corners[:, :, 2].max(1) > best]
    if not len(corners):
        return best
    low_enough = (vertices[:, 2] < reach())[triangles]
    mesh = vertices[triangles[low_enough[:, 0] | low_enough[:, 1] | low_enough[:, 2]]]
    if not len(mesh):
        return best
    surface = np.unique(corners.reshape(-1, 3), axis=0)
    point, h = vertical_intersections(surface[:, :2], mesh)
    best = highest(surface[point, 2], h, best)
    z, h = _edge_heights(corners, mesh, best - _ROUNDING)
    return highest(z, h, best)


def _edge_heights(lower: np.ndarray, upper: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Heights (z of the lower, z of the upper) where edges of two sets of triangles cross, seen from above.

    Crossings at which the difference must be below ``least`` may be left out.
    """
    a, b = _edges(lower), _edges(upper)
    a = a[a[:, :, 2].max(1) - upper[:, :, 2].min() >= least]
    top, bottom = a[:, :, 2].max(1), b[:, :, 2].min(1)
    keep = bottom <= top.max(initial=-np.inf) - least
    b, bottom = b[keep], bottom[keep]
    i, j = box_pairs(*extents(a[:, :, :2]), *extents(b[:, :, :2]))
    keep = top[i] - bottom[j] >= least
    i, j = i[keep], j[keep]
    p, r = a[i, 0], a[i, 1] - a[i, 0]
    q, s = b[j, 0], b[j, 1] - b[j, 0]
    det = _cross(r[:, :2], s[:, :2])
    with np.errstate(divide="ignore", invalid="ignore"):
        t = _cross((q - p)[:, :2], s[:, :2]) / det
        u = _cross((q - p)[:, :2], r[:, :2]) / det
        cross = (t >= 0) & (t <= 1) & (u >= 0) & (u <= 1)
    cross &= np.abs(det) > 1e-14
    p, q, r, s, t, u = p[cross], q[cross], r[cross], s[cross], t[cross], u[cross]
    return p[:, 2] + t * r[:, 2], q[:, 2] + u * s[:, 2]


def _edges(corners: np.ndarray) -> np.ndarray:
    return np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def footprint(vertices: np.ndarray, triangles: np.ndarray, cells: int = 12) -> np.ndarray:
    """Points of the base of a mesh, evenly spread.

    Parameters
    ----------
    vertices : (V, 3) float
        In metres, z up.
    triangles : (T, 3) int
        Its triangles.
    cells : int
        The base is thinned to its lowest point per cell of a grid with so many cells along its longer side.

    Returns
    -------
    (K, 3) float
        Points within 2 cm or 3 % of the height above the lowest vertex (for flat meshes at most a quarter of it).
    """
    z = vertices[:, 2] - vertices[:, 2].min()
    height = float(z.max())
    base = z <= max(min(BASE_THICKNESS, 0.25 * height), 0.03 * height) + 1e-9
    points = vertices[base]
    low = points[:, :2].min(0)
    spacing = max(float(np.ptp(points[:, :2], axis=0).max()) / cells, 1e-6)
    faces = vertices[triangles[base[triangles].all(1)]]
    clouds = [points]
    if len(faces):
        # Large faces are filled with points on a triangular lattice, for they have no vertices inside.
        length = np.linalg.norm(faces[:, :, :2] - faces[:, [1, 2, 0], :2], axis=2).max(1)
        steps = np.clip(np.ceil(length / spacing), 1, 2 * cells).astype(int)
        for n in np.unique(steps[steps > 1]):
            i, j = np.meshgrid(np.arange(n + 1), np.arange(n + 1))
            inside = i + j <= n
            v, w = i[inside] / n, j[inside] / n
            weights = np.stack([1 - v - w, v, w], axis=1)
            clouds.append((weights @ faces[steps == n]).reshape(-1, 3))
    cloud = np.concatenate(clouds)
    cell = ((cloud[:, :2] - low) / spacing).astype(np.int64)
    code = cell[:, 0] * (cells + 2) + cell[:, 1]
    order = np.lexsort((cloud[:, 2], code))
    first = np.ones(len(order), dtype=bool)
    first[1:] = code[order][1:] != code[order][:-1]
    return cloud[order[first]]


def centroid(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Centre (3,) of a mesh's surface, each triangle by its area: the centre of gravity of a shell."""
    corners = vertices[triangles]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    if area.sum() <= 0:
        return vertices.mean(0)
    return (corners.mean(1) * area[:, None]).sum(0) / area.sum()


def inside_hull(point: np.ndarray, points: np.ndarray) -> bool:
    """Whether a point (2,) lies in the convex hull of points (N, 2), that is, every half-plane at it has one of
    them."""
    if len(points) < 2:
        return False
    offset = points - point
    distance = np.linalg.norm(offset, axis=1)
    if (distance < 1e-9).any():
        return True
    x, y = contiguous(offset.T)
    angle = np.sort(np.arctan2(y, x))
    gaps = np.diff(np.append(angle, angle[0] + 2 * np.pi))
    return bool(gaps.max() <= np.pi + 1e-9)
