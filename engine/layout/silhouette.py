# SPDX-License-Identifier: GPL-3.0-or-later
"""The visible box of a mesh that nothing hides, where borders of the image and the camera's near end cut it."""

from __future__ import annotations

import numpy as np

from ..stage import Asset, CameraPose

_MOST = 30_000


def visible_box(asset: Asset, matrix: np.ndarray, pose: CameraPose) -> np.ndarray | None:
    """Box [x0, y0, x1, y1] in image units of what is inside the image; None where nothing is.

    The box of the whole cut down to the image would be too large: the part that is cut off may be the widest. So it is
    the box of all edges inside the image, and of the image's corners that lie on a face.
    """
    pixels, depth = pose.project(asset.points @ matrix[:3, :3].T + matrix[:3, 3])
    size = np.array([pose.width, pose.height], dtype=float)
    if (depth > pose.near).all():
        low, high = pixels.min(0) / size, pixels.max(0) / size
        if (low >= 0).all() and (high <= 1).all():
            return np.concatenate([low, high])
        if (high <= 0).any() or (low >= 1).any():
            return None
    elif (depth <= pose.near).all():
        return None
    mesh = asset.mesh
    triangles = mesh.triangles[:: max(1, len(mesh.triangles) // _MOST)]
    local = (mesh.vertices @ matrix[:3, :3].T + matrix[:3, 3] - pose.position) @ pose.matrix[:3, :3]
    focal = np.array([pose.focal, -pose.focal]) / size
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    ends = _before(local[edges], pose.near)
    flat = 0.5 + focal * ends[..., :2] / -ends[..., 2:]
    inside = _clip(flat)
    clouds = [inside.reshape(-1, 2)]
    whole = triangles[(-local[triangles][..., 2] > pose.near).all(1)]
    corners = 0.5 + focal * local[whole][..., :2] / -local[whole][..., 2:]
    image = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    clouds += [corner[None] for corner in image if _covered(corner, corners)]
    cloud = np.concatenate(clouds)
    return np.concatenate([cloud.min(0), cloud.max(0)]) if len(cloud) else None


def _before(ends: np.ndarray, near: float) -> np.ndarray:
    """Edges (E, 2, 3) in camera space cut off at the near end; those behind it left out."""
    depth = -ends[..., 2]
    ends, depth = ends[(depth > near).any(1)], depth[(depth > near).any(1)]
    a, b = ends[:, 0], ends[:, 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        t = ((near - depth[:, 0]) / (depth[:, 1] - depth[:, 0]))[:, None]
    crossing = a + np.nan_to_num(t) * (b - a)
    behind = depth <= near
    return np.stack([np.where(behind[:, :1], crossing, a), np.where(behind[:, 1:], crossing, b)], 1)


def _clip(edges: np.ndarray) -> np.ndarray:
    """Parts of edges (E, 2, 2) inside the unit square [Liang and Barsky, "A new concept and method for line clipping",
    1984]."""
    start, way = edges[:, 0], edges[:, 1] - edges[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        first, last = (0.0 - start) / way, (1.0 - start) / way
    low, high = np.fmin(first, last), np.fmax(first, last)
    still = np.abs(way) < 1e-15
    within = (start >= 0) & (start <= 1)
    low = np.where(still, np.where(within, -np.inf, np.inf), low)
    high = np.where(still, np.where(within, np.inf, -np.inf), high)
    enter, leave = np.maximum(low.max(1), 0.0), np.minimum(high.min(1), 1.0)
    keep = enter <= leave
    start, way, enter, leave = start[keep], way[keep], enter[keep, None], leave[keep, None]
    return np.stack([start + enter * way, start + leave * way], 1)


def _covered(point: np.ndarray, corners: np.ndarray) -> bool:
    """Whether a point (2,) lies in one of the triangles (T, 3, 2)."""
    a = corners - point
    b = np.roll(a, -1, axis=1)
    side = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return bool(((side >= 0).all(1) | (side <= 0).all(1)).any())
