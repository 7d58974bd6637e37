# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws the cameras of the last samples and rendered images over the 3D Viewport, and where things were placed."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader

from ..processes.render_job import folder_or_none
from .sample import units_per_metre

_LENGTH = 0.35
"""Length of a drawn camera in metres."""
_COLOR = (0.98, 0.8, 0.3, 0.9)
_PLACE = (0.36, 0.78, 1.0, 0.9)
_MOST = 500

Pose = tuple[Sequence[float], float, float, tuple[int, int]]
"""Matrix (4, 4) as a flat sequence in metres, lens and sensor width in mm, width and height of the image."""

_rendered: dict[str, Any] = {"out": None, "poses": []}
_seen: dict[int, deque[tuple[Pose, list[list[float]]]]] = {}


def note_sample(scene: bpy.types.Scene, message: Mapping[str, Any]) -> None:
    """Note the camera and the places of a sample that a scene has shown."""
    record = message["record"]
    if record["image"] is None:
        return
    camera, image = record["camera"], record["image"]
    pose = (list(camera["matrix"]), camera["lens"], camera["sensor_width"], (image["width"], image["height"]))
    scale = units_per_metre(message)
    places = [np.reshape(row["matrix"], (4, 4))[:3, 3].tolist() for row in record["instances"]]
    flat = np.ravel(pose[0]).tolist()
    seen = _seen.setdefault(scene.session_uid, deque(maxlen=_MOST))
    seen.append((_scaled((flat, *pose[1:]), scale), (np.array(places).reshape(-1, 3) * scale).tolist()))


def seen(scene: bpy.types.Scene, count: int) -> list[tuple[Pose, list[list[float]]]]:
    """The last samples of a scene: camera and places, in units of the scene."""
    return list(_seen.get(scene.session_uid, ()))[-count:]


def note_rendered(out: Path, poses: Sequence[Pose]) -> None:
    """Note the cameras of the images in an output folder, in metres."""
    _rendered.update(out=out, poses=list(poses)[-_MOST:])


def draw_cameras(scene: bpy.types.Scene, count: int) -> None:
    """Draw the cameras of the last samples and of the last rendered images."""
    scale = 1.0 / scene.twinset.scene.scale
    lines = [line for pose, _ in seen(scene, count) for line in frustum(pose)]
    poses = _rendered["poses"] if _rendered["out"] == folder_or_none(scene) else []
    lines += [line for pose in poses[-count:] for line in frustum(_scaled(pose, scale))]
    places = [place for _, places in seen(scene, count) for place in places]
    gpu.state.blend_set("ALPHA")
    gpu.state.depth_test_set("LESS_EQUAL")
    if lines:
        shader = gpu.shader.from_builtin("POLYLINE_UNIFORM_COLOR")
        shader.uniform_float("viewportSize", gpu.state.viewport_get()[2:])
        shader.uniform_float("lineWidth", 1.2 * bpy.context.preferences.system.ui_scale)
        shader.uniform_float("color", _COLOR)
        batch_for_shader(shader, "LINES", {"pos": [p for line in lines for p in line]}).draw(shader)
    if places:
        shader = gpu.shader.from_builtin("UNIFORM_COLOR")
        gpu.state.point_size_set(6.0 * bpy.context.preferences.system.ui_scale)
        shader.uniform_float("color", _PLACE)
        batch_for_shader(shader, "POINTS", {"pos": places}).draw(shader)
    gpu.state.depth_test_set("NONE")
    gpu.state.blend_set("NONE")


def frustum(pose: Pose) -> list[tuple[list[float], list[float]]]:
    """The lines of a drawn camera: four from its eye, four around its image."""
    matrix, lens, sensor, (width, height) = pose
    transform = np.reshape(matrix, (4, 4))
    x = sensor / lens / 2.0
    y = x * height / width
    local = _LENGTH * np.array([[0, 0, 0], [-x, -y, -1], [x, -y, -1], [x, y, -1], [-x, y, -1]])
    eye, *corners = (local @ transform[:3, :3].T + transform[:3, 3]).tolist()
    around = list(zip(corners, [*corners[1:], corners[0]], strict=True))
    return [(eye, corner) for corner in corners] + around


def _scaled(pose: Pose, scale: float) -> Pose:
    matrix = np.array(pose[0], float).reshape(4, 4)
    matrix[:3, 3] *= scale
    return matrix.ravel().tolist(), *pose[1:]


def forget(*_: Any) -> None:
    """Forget all samples and images."""
    _seen.clear()
    _rendered.update(out=None, poses=[])
