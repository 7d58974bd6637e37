# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a camera may be and what it sees from there: clearance, height above ground, lines of sight."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..stage import Instance, Stage
from .contact import vertical_intersections


def ground_below(stage: Stage, points: np.ndarray, *, max_drop: float = 30.0) -> np.ndarray:
    """World height (N,) of the scene's first surface below each point (N, 3); nan where none is within ``max_drop``
    metres.

    Instances do not count as ground.
    """
    down = np.tile([0.0, 0.0, -1.0], (len(points), 1))
    hits = stage.cast(points, down, ignore=[i.id for i in stage.instances], within=max_drop)
    return np.where(hits.distance <= max_drop, points[:, 2] - hits.distance, np.nan)


def are_above_surfaces(stage: Stage, points: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Whether (N,) each point (N, 3) lies above a face of the surfaces with these name patterns; true without names."""
    is_above = np.zeros(len(points), bool)
    for surface in stage.surfaces(names) if names else ():
        line, z = vertical_intersections(points[:, :2], surface.corners)
        is_above[line[z < points[line, 2]]] = True
    return is_above if names else ~is_above


def free_distance(stage: Stage, start: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Distance (N,) in metres from ``start`` (3,) towards each of ``ends`` (N, 3) up to the first surface of the scene;
    at most the distance to the end. Instances are ignored."""
    offsets = ends - start
    length = np.linalg.norm(offsets, axis=1)
    hits = stage.cast(
        np.broadcast_to(start, ends.shape),
        offsets / length[:, None],
        ignore=[i.id for i in stage.instances],
        within=length,
    )
    return np.minimum(hits.distance, length)


def free_and_visible(
    stage: Stage, positions: np.ndarray, instance: Instance, *, clearance: float, min_visible_share: float
) -> np.ndarray:
    """Which positions (C, 3) keep ``clearance`` metres from any surface and have a clear line to at least the share
    ``min_visible_share`` of an instance, (C,) bool. Rays are only cast from positions with clearance."""
    usable = stage.clearance(positions, within=clearance) >= clearance
    usable[usable] &= visible_share(stage, positions[usable], instance) >= min_visible_share
    return usable


def visible_share(stage: Stage, positions: np.ndarray, instance: Instance, *, rays: int = 16) -> np.ndarray:
    """Share (C,) of an instance's surface points to which each position (C, 3) has a clear line.

    Points on its far side count as visible: only other objects block. The points are the same for all positions and
    spread evenly over ``instance.points``.
    """
    points = instance.points
    if not len(positions):
        return np.zeros(0)
    points = points[np.linspace(0, len(points) - 1, min(rays, len(points))).astype(int)]
    offsets = (points[None] - positions[:, None]).reshape(-1, 3)
    length = np.linalg.norm(offsets, axis=1)
    origins = np.repeat(positions, len(points), axis=0)
    hits = stage.cast(origins, offsets / np.maximum(length, 1e-9)[:, None], ignore=[instance.id], within=length)
    # A point that touches the floor still counts as visible when the ray hits the floor just beside it.
    return (hits.distance >= length - 0.01).reshape(len(positions), -1).mean(1)
