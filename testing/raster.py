# SPDX-License-Identifier: GPL-3.0-or-later
"""Ids and planar depth of a few triangles at pixel centres."""

from __future__ import annotations

import numpy as np

from ..engine.stage import CameraPose
from .geometry import ray_distances


def rasterise(
    pose: CameraPose, corners: np.ndarray, ids: np.ndarray, window: tuple[int, int, int, int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """What a pinhole camera sees.

    Parameters
    ----------
    pose : CameraPose
        The camera and its resolution.
    corners : (T, 3, 3) float
        World triangles.
    ids : (T,) int
        The value that each triangle writes.
    window : (x, y, width, height), optional
        Pixels to work out, which may lie beyond the image; default is the image.

    Returns
    -------
    (H, W) int32, (H, W) float32
        -1 where nothing is hit; planar depth in metres, inf where nothing is hit.
    """
    x0, y0, width, height = window or (0, 0, pose.width, pose.height)
    out = np.full((height, width), -1, dtype=np.int32)
    depth = np.full((height, width), np.inf)
    for triangle, id in zip(corners, ids, strict=True):
        pixels, z = pose.project(triangle)
        left, top, right, bottom = 0, 0, width, height
        if (z > pose.near).all():
            low, high = np.floor(pixels.min(0) - 1), np.ceil(pixels.max(0) + 1)
            left, top = (int(v) for v in np.clip(low - (x0, y0), 0, (width, height)))
            right, bottom = (int(v) for v in np.clip(high - (x0, y0), 0, (width, height)))
        elif (z <= pose.near).all():
            continue
        if left >= right or top >= bottom:
            continue
        x, y = np.meshgrid(np.arange(left, right) + x0 + 0.5, np.arange(top, bottom) + y0 + 0.5)
        # Rays whose camera-space z is -1 make distances planar depths.
        local = np.stack([(x - pose.width / 2) / pose.focal, (pose.height / 2 - y) / pose.focal, -np.ones_like(x)], -1)
        rays = local.reshape(-1, 3) @ pose.matrix[:3, :3].T
        hit = ray_distances(np.broadcast_to(pose.position, rays.shape), rays, triangle[None])[:, 0].reshape(x.shape)
        view = depth[top:bottom, left:right]
        nearer = (hit < view) & (hit >= pose.near) & (hit <= pose.far)
        view[nearer] = hit[nearer]
        out[top:bottom, left:right][nearer] = id
    return out, depth.astype(np.float32)
