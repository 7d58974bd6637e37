# SPDX-License-Identifier: GPL-3.0-or-later
"""Poses in space and boxes in space: where each instance is as the camera sees it, and its projected cuboid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ...engine.geometry.point_visibility import point_states
from ...engine.output.annotation_source import AnnotationSource, Entry, are_numbers, is_number
from ...engine.scene.rigid import rigid_parts
from ...engine.stage import Instance, Shot

CORNERS = np.array(list(np.ndindex(2, 2, 2)))
"""Which end (0 or 1) of each axis the eight corners of a box have: x changes slowest, z quickest."""

FLAGS = {"visible": 2, "hidden by itself": 1, "hidden by others": 1, "outside": 0}


class Poses(AnnotationSource):
    """Pose in the camera's frame as OpenCV has it (x right, y down, z forward), and the box in space around the asset.

    The box has the axes of the asset's own frame: z up, its origin at the middle of the box's bottom.
    """

    key = "poses"
    doc = "Poses in space (rotation, translation, scale), projected cuboids with visibility, and intrinsics"
    entries: ClassVar = {
        "pose_rotation": Entry(
            "Rotation from the asset's frame to the camera's (x right, y down, z forward), 9 numbers row by row",
            are_numbers(9),
            at="annotation",
        ),
        "pose_translation": Entry(
            "Position of its origin in the camera's frame, metres", are_numbers(3), at="annotation"
        ),
        "pose_scale": Entry("Factor by which the asset is scaled", is_number, at="annotation"),
        "cuboid_size": Entry("Size of its box along the asset's x, y and z, metres", are_numbers(3), at="annotation"),
        "cuboid": Entry(
            "Corners of its box in pixels, x and y of each; in the asset's frame x changes slowest, z quickest; 0, 0 "
            "for what is behind the camera",
            are_numbers(16),
            at="annotation",
        ),
        "cuboid_visibility": Entry(
            "For each corner 2 if it is seen, 1 if something is in front of it, 0 if it is outside the picture",
            are_numbers(8),
            at="annotation",
        ),
        "intrinsics": Entry(
            "Focal lengths fx, fy and principal point cx, cy in pixels; the first pixel's centre is 0.5, 0.5",
            are_numbers(4),
            at="annotation",
        ),
    }

    def annotate(self, instance: Instance, row: Mapping[str, Any], shot: Shot) -> Mapping[str, Any]:
        rotation, translation, scale = pose_of(instance, shot)
        low, high = instance.asset.bounds
        corners = np.where(CORNERS, high, low) @ instance.matrix[:3, :3].T + instance.matrix[:3, 3]
        pixels, states = point_states(shot, corners, instance.id, np.zeros(8))
        return {
            "pose_rotation": rotation.ravel().tolist(),
            "pose_translation": translation.tolist(),
            "pose_scale": scale,
            "cuboid_size": ((high - low) * scale).tolist(),
            "cuboid": np.where(np.isfinite(pixels), pixels, 0.0).ravel().tolist(),
            "cuboid_visibility": [FLAGS[state] for state in states],
            "intrinsics": intrinsics_of(shot),
        }


def pose_of(instance: Instance, shot: Shot) -> tuple[np.ndarray, np.ndarray, float]:
    """Rotation (3, 3), translation (3,) and scale from the asset's frame to the camera's, as OpenCV has it."""
    to_camera = np.diag([1.0, -1.0, -1.0, 1.0]) @ np.linalg.inv(shot.camera.matrix) @ instance.matrix
    return rigid_parts(to_camera)


def intrinsics_of(shot: Shot) -> list[float]:
    """fx, fy, cx, cy of a shot's camera in pixels."""
    camera = shot.camera
    if camera.intrinsics is not None:
        return [*map(float, camera.intrinsics.focal), *map(float, camera.intrinsics.center)]
    return [camera.focal, camera.focal, camera.width / 2, camera.height / 2]
