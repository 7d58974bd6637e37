# SPDX-License-Identifier: GPL-3.0-or-later
"""The cameras that came with a scene."""

from __future__ import annotations

from collections.abc import Iterable

import bpy
import numpy as np

from ...engine.stage import CameraPose


def poses_of(cameras: Iterable[bpy.types.Object], resolution: tuple[int, int]) -> list[CameraPose]:
    """The poses of perspective cameras; others are left out."""
    width, height = resolution
    poses = []
    for camera in cameras:
        if camera.data.type != "PERSP":
            continue
        matrix = np.array(camera.matrix_world.normalized())
        # With sensor fit AUTO, Blender uses the longer side; CameraPose always uses the width.
        fit_height = camera.data.sensor_fit == "VERTICAL" or (camera.data.sensor_fit == "AUTO" and height > width)
        side = camera.data.sensor_height if camera.data.sensor_fit == "VERTICAL" else camera.data.sensor_width
        sensor = side * width / height if fit_height else side
        poses.append(
            CameraPose(matrix, camera.data.lens, width, height, sensor, camera.data.clip_start, camera.data.clip_end)
        )
    return poses
