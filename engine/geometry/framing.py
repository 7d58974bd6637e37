# SPDX-License-Identifier: GPL-3.0-or-later
"""Solves camera poses that put an instance's box where a goal wants it: many candidates at once, numpy only.

A candidate fixes azimuth, height and focal length; its distance and its aim are solved by fixed-point iteration on the
projected points of the instance, which are almost linear in both.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import numpy as np

from ..goals import contiguous
from ..scene.intrinsics import Intrinsics
from ..stage import CameraPose
from .projection import Projection

BoxGoal = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Maps a box's current width over height (C,), in image units, to the wanted size (C, 2) and centre (C, 2)."""

MIN_DEPTH = 1e-3
"""Depth in metres below which points are clamped; they project far outside the image, which moves the camera back."""


@attrs.frozen(eq=False)
class Candidates:
    """Camera candidates, C of them. Angles in radians, lengths in metres, ``lens`` in millimetres.

    ``azimuth`` is the direction from the instance to the camera; ``z`` the camera's world height.
    """

    azimuth: np.ndarray
    z: np.ndarray
    lens: np.ndarray
    roll: np.ndarray

    def take(self, index: np.ndarray) -> Candidates:
        return Candidates(*(getattr(self, f.name)[index] for f in attrs.fields(Candidates)))


@attrs.frozen(eq=False)
class Solution:
    """Result of :func:`solve`: ``position`` (C, 3), ``rotation`` (C, 3, 3) camera to world, ``lens`` (C,), ``box``
    (C, 4) the unclipped box [x0, y0, x1, y1] in image units, ``error`` (C,) its largest relative error;
    ``intrinsics`` as given to :func:`solve`."""

    position: np.ndarray
    rotation: np.ndarray
    lens: np.ndarray
    box: np.ndarray
    error: np.ndarray
    intrinsics: Intrinsics | None = None

    def take(self, index: np.ndarray) -> Solution:
        """Some of the cameras."""
        return Solution(
            self.position[index], self.rotation[index], self.lens[index], self.box[index], self.error[index],
            self.intrinsics,
        )  # fmt: skip

    @property
    def pitch(self) -> np.ndarray:
        """Elevation of the viewing direction in radians, negative when looking down."""
        return np.arcsin(np.clip(-self.rotation[:, 2, 2], -1, 1))

    def pose(self, i: int, resolution: tuple[int, int], near: float) -> CameraPose:
        matrix = np.eye(4)
        matrix[:3, :3] = self.rotation[i]
        matrix[:3, 3] = self.position[i]
        pose = CameraPose(matrix, float(self.lens[i]), *resolution, near=near)
        return pose.with_intrinsics(self.intrinsics)


def unclipped_goal(area: float | np.ndarray, center: np.ndarray, ratio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The box that, clipped to the image, has the given area and centre.

    Parameters
    ----------
    area : float or (C,) float
        Relative area of the clipped box, in (0, 1].
    center : (2,) float
        Centre of the clipped box in image units.
    ratio : (C,) float
        Width over height, in image units, of the object's whole box.

    Returns
    -------
    size (C, 2), center (C, 2)
        Of the whole box in image units. Where the whole box fits around the centre, it is the goal itself; where it is
        too wide (or high), it reaches the nearer border on that axis, and the rest of the object lies outside.
    """
    center = np.asarray(center, dtype=float)
    width, height = np.sqrt(area * ratio), np.sqrt(area / ratio)
    available = np.minimum(2 * np.minimum(center, 1 - center), 1.0)
    too_wide, too_high = width > available[0], height > available[1]
    clipped_w = np.where(
        too_wide, available[0], np.where(too_high, np.minimum(area / available[1], available[0]), width)
    )
    clipped_h = np.where(
        too_high & ~too_wide, available[1], np.where(too_wide, np.minimum(area / available[0], available[1]), height)
    )
    # The whole box keeps its ratio and is at least as large as its clipped part on both axes.
    size_h = np.maximum(clipped_h, clipped_w / ratio)
    size_w = size_h * ratio
    shift_x = np.where(center[0] <= 0.5, -1.0, 1.0) * (size_w - clipped_w) / 2
    shift_y = np.where(center[1] <= 0.5, -1.0, 1.0) * (size_h - clipped_h) / 2
    return np.stack([size_w, size_h], -1), np.stack([center[0] + shift_x, center[1] + shift_y], -1)


def solve(
    points: np.ndarray,
    box_goal: BoxGoal,
    candidates: Candidates,
    resolution: tuple[int, int],
    *,
    sensor_width: float = 36.0,
    iterations: int = 14,
    intrinsics: Intrinsics | None = None,
) -> Solution:
    """Solve distance and viewing direction so that the whole box of ``points`` matches its goal.

    Parameters
    ----------
    points : (P, 3) float
        Surface points of the instance in world coordinates.
    box_goal : callable
        The wanted box; see :data:`BoxGoal` and :func:`unclipped_goal`.
    candidates : Candidates
        The fixed parameters.
    resolution : (width, height)
        In pixels.
    intrinsics : Intrinsics, optional
        Optics of all candidates, whose ``lens`` is theirs.

    Returns
    -------
    Solution
        ``error`` shows which candidates reached the goal; one that cannot (because its height alone is too far away,
        for example) keeps a large error.
    """
    width, height = resolution
    focal = candidates.lens / sensor_width
    aspect = height / width
    center_point = (points.min(0) + points.max(0)) / 2
    radius = max(float(np.linalg.norm(np.ptp(points, axis=0))) / 2, 1e-6)
    height_difference = candidates.z - center_point[2]
    first_size = box_goal(np.full(len(focal), 0.5))[0].max(1)
    start_distance = np.maximum(2 * radius * focal / first_size, radius * 1.2)
    ground_distance = np.sqrt(np.maximum(start_distance**2 - height_difference**2, (0.05 * radius) ** 2))
    position = _camera_positions(center_point, candidates, ground_distance)
    to_middle = center_point - position
    east, north, up = contiguous(to_middle.T)
    yaw, pitch = np.arctan2(north, east), np.arctan2(up, np.hypot(east, north))
    scale = np.stack([focal, focal / aspect], -1)
    projection = Projection(scale, intrinsics)
    cos_roll, sin_roll = np.cos(candidates.roll), np.sin(candidates.roll)
    for step in range(iterations + 1):
        rotation = look_rotation(yaw, pitch, candidates.roll)
        box = project_box(points, position, rotation, scale, intrinsics)
        size = box[:, 2:] - box[:, :2]
        box_center = (box[:, 2:] + box[:, :2]) / 2
        goal_size, goal_center = box_goal(size[:, 0] / size[:, 1])
        ratio = goal_size[:, 1] / size[:, 1]
        error = np.maximum(np.abs(ratio**2 - 1), 2 * np.abs(goal_center - box_center).max(1))
        if step == iterations:
            break
        distance = np.hypot(ground_distance, height_difference) / np.clip(ratio, 0.3, 3.0)
        ground_distance = np.sqrt(np.maximum(distance**2 - height_difference**2, (0.02 * radius) ** 2))
        position = _camera_positions(center_point, candidates, ground_distance)
        turn = np.arctan(projection.slopes(box_center)) - np.arctan(projection.slopes(goal_center))
        turn = np.clip(turn, -0.6, 0.6)
        yaw = yaw - (turn[:, 0] * cos_roll + turn[:, 1] * sin_roll) / np.maximum(np.cos(pitch), 0.2)
        pitch = np.clip(pitch - (turn[:, 1] * cos_roll - turn[:, 0] * sin_roll), -1.5, 1.5)
    return Solution(position, rotation, candidates.lens, box, error, intrinsics)


def look_rotation(yaw: np.ndarray, pitch: np.ndarray, roll: np.ndarray) -> np.ndarray:
    """Camera-to-world rotations (C, 3, 3) of cameras that look along (yaw, pitch), z up, rolled about their axis."""
    cos_pitch, cos_yaw, sin_yaw = np.cos(pitch), np.cos(yaw), np.sin(yaw)
    forward = (cos_pitch * cos_yaw, cos_pitch * sin_yaw, np.sin(pitch))
    right = (sin_yaw, -cos_yaw, np.zeros_like(yaw))
    c, s = np.cos(roll), np.sin(roll)
    # Written out: the solver calls this most often, and np.cross and np.stack take most of the time of small arrays.
    out = np.empty((*np.shape(yaw), 3, 3))
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        up = right[i] * forward[j] - right[j] * forward[i]
        out[..., k, 0] = c * right[k] + s * up
        out[..., k, 1] = c * up - s * right[k]
        out[..., k, 2] = -forward[k]
    return out


def project_box(
    points: np.ndarray,
    position: np.ndarray,
    rotation: np.ndarray,
    scale: np.ndarray,
    intrinsics: Intrinsics | None = None,
) -> np.ndarray:
    """Unclipped boxes (C, 4) [x0, y0, x1, y1] in image units of points (P, 3) for C cameras.

    ``scale`` and ``intrinsics`` as in :class:`.projection.Projection`.
    """
    # Coordinate by coordinate: np.einsum gives the same numbers in six times the time.
    dx, dy, dz = (points[:, i] - position[:, i, None] for i in range(3))
    planes = [
        dx * rotation[:, 0, j, None] + dy * rotation[:, 1, j, None] + dz * rotation[:, 2, j, None] for j in range(3)
    ]
    depth = np.maximum(-planes[2], MIN_DEPTH)
    x, y = Projection(scale, intrinsics).image(planes[0], planes[1], depth)
    return np.stack([x.min(1), y.min(1), x.max(1), y.max(1)], -1)


def pose_box(pose: CameraPose, points: np.ndarray) -> np.ndarray:
    """The box (4,) of points (P, 3) that one camera sees, as :func:`project_box`."""
    scale = np.array([[pose.focal / pose.width, pose.focal / pose.height]])
    return project_box(points, pose.position[None], pose.matrix[None, :3, :3], scale, pose.intrinsics)[0]


def clip_box(box: np.ndarray) -> np.ndarray:
    """Boxes (..., 4) clipped to the image, in image units; an empty one has no size."""
    low = np.clip(box[..., :2], 0, 1)
    return np.concatenate([low, np.maximum(np.clip(box[..., 2:], 0, 1), low)], -1)


def box_area(box: np.ndarray) -> np.ndarray:
    """Areas (...) of boxes (..., 4) [x0, y0, x1, y1]."""
    return (box[..., 2] - box[..., 0]) * (box[..., 3] - box[..., 1])


def uncut_aspects(box: np.ndarray, resolution: tuple[int, int]) -> np.ndarray:
    """Width over height in pixels (M,) of the boxes (N, 4), clipped or not, that no border cuts."""
    whole = box[(box[:, :2] > 0).all(1) & (box[:, 2:] < 1).all(1)]
    size = (whole[:, 2:] - whole[:, :2]) * resolution
    return np.asarray(size[:, 0] / size[:, 1])


def near_clip(clearance: float) -> float:
    """Near clip distance in metres of a camera with ``clearance`` metres around it, within which there is nothing."""
    return min(0.01, clearance / 2 or 0.001)


def _camera_positions(center_point: np.ndarray, candidates: Candidates, ground_distance: np.ndarray) -> np.ndarray:
    return np.stack(
        [
            center_point[0] + ground_distance * np.cos(candidates.azimuth),
            center_point[1] + ground_distance * np.sin(candidates.azimuth),
            candidates.z,
        ],
        -1,
    )
