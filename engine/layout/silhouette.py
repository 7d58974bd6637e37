# SPDX-License-Identifier: GPL-3.0-or-later
"""The visible box of an unoccluded mesh, cut by the borders of the image and the camera's near plane."""

from __future__ import annotations

import weakref

import numpy as np

from ..stage import Asset, CameraPose

_MAX_TRIANGLES = 5_000


def visible_box(asset: Asset, matrix: np.ndarray, pose: CameraPose) -> np.ndarray | None:
    """Box [x0, y0, x1, y1] in image units of what is inside the image; None where nothing is.

    Clipping the box of the whole mesh to the image would give too large a box, for its widest part may lie outside. So
    this is the box of all edges clipped to the image, and of the image's corners that lie on a face.
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
    vertices, edges, triangles = _mesh_of(asset)
    local = (vertices @ matrix[:3, :3].T + matrix[:3, 3] - pose.position) @ pose.matrix[:3, :3]
    is_in_front = -local[:, 2] > pose.near
    with np.errstate(divide="ignore", invalid="ignore"):
        flat = _image(local, pose)
    inside = is_in_front & ((flat >= 0) & (flat <= 1)).all(1)
    # Most edges lie wholly inside, or beyond one border: only the others are clipped.
    outside = np.stack([flat[:, 0] < 0, flat[:, 0] > 1, flat[:, 1] < 0, flat[:, 1] > 1, ~is_in_front], 1)
    outside[~is_in_front, :4] = False
    a, b = edges.T
    crossing = edges[~(inside[a] & inside[b]) & ~(outside[a] & outside[b]).any(1)]
    ends = _cut_at_near(local[crossing], pose.near)
    if pose.intrinsics is not None and pose.intrinsics.is_distorted:
        # Edges are curved in the image: their chords are short.
        ends = ends[:, :1] + _CHORDS[None, :, None] * (ends[:, 1:] - ends[:, :1])
        ends = np.stack([ends[:, :-1], ends[:, 1:]], 2).reshape(-1, 2, 3)
    clouds = [flat[inside], _clip(_image(ends, pose)).reshape(-1, 2)]
    cloud = np.concatenate(clouds)
    if not len(cloud) or not ((cloud.min(0) <= 1e-9) & (cloud.max(0) >= 1 - 1e-9)).all():
        image = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        rays = image
        if pose.intrinsics is not None:
            # Faces have straight edges only in the plane of slopes.
            rays = pose.intrinsics.slopes(image * size)
            with np.errstate(divide="ignore", invalid="ignore"):
                flat = local[:, :2] / -local[:, 2:] * (1, -1)
        corners = flat[triangles[is_in_front[triangles].all(1)]]
        covered = [c[None] for c, ray in zip(image, rays, strict=True) if _is_inside(ray, corners)]
        cloud = np.concatenate([cloud, *covered])
    return np.concatenate([cloud.min(0), cloud.max(0)]) if len(cloud) else None


_CHORDS = np.linspace(0.0, 1.0, 17)
"""Ends of the chords that replace an edge."""


def _image(local: np.ndarray, pose: CameraPose) -> np.ndarray:
    """Image units (..., 2) of points (..., 3) in the camera's frame."""
    size = np.array([pose.width, pose.height], dtype=float)
    if pose.intrinsics is not None:
        return pose.intrinsics.project(local)[0] / size
    return np.asarray(0.5 + np.array([pose.focal, -pose.focal]) / size * local[..., :2] / -local[..., 2:])


_mesh_cache: weakref.WeakKeyDictionary[Asset, tuple[np.ndarray, np.ndarray, np.ndarray]] = weakref.WeakKeyDictionary()


def _mesh_of(asset: Asset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices (V, 3), edges (E, 2), each once, and triangles (T, 3) of an asset, subsampled where there are very
    many."""
    if asset not in _mesh_cache:
        triangles = asset.mesh.triangles[:: -(-len(asset.mesh.triangles) // _MAX_TRIANGLES)]
        used, flat = np.unique(triangles, return_inverse=True)
        triangles = flat.reshape(triangles.shape)
        pairs = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
        _mesh_cache[asset] = asset.mesh.vertices[used], np.unique(pairs, axis=0), triangles
    return _mesh_cache[asset]


def _cut_at_near(ends: np.ndarray, near: float) -> np.ndarray:
    """Edges (E, 2, 3) in camera space clipped at the near plane; those behind it are left out."""
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
    start, direction = edges[:, 0], edges[:, 1] - edges[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        first, last = (0.0 - start) / direction, (1.0 - start) / direction
    low, high = np.fmin(first, last), np.fmax(first, last)
    is_point = np.abs(direction) < 1e-15
    within = (start >= 0) & (start <= 1)
    low = np.where(is_point, np.where(within, -np.inf, np.inf), low)
    high = np.where(is_point, np.where(within, np.inf, -np.inf), high)
    enter, leave = np.maximum(low.max(1), 0.0), np.minimum(high.min(1), 1.0)
    keep = enter <= leave
    start, direction, enter, leave = start[keep], direction[keep], enter[keep, None], leave[keep, None]
    return np.stack([start + enter * direction, start + leave * direction], 1)


def _is_inside(point: np.ndarray, corners: np.ndarray) -> bool:
    """Whether a point (2,) lies in one of the triangles (T, 3, 2)."""
    a = corners - point
    b = np.roll(a, -1, axis=1)
    side = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return bool(((side >= 0).all(1) | (side <= 0).all(1)).any())
