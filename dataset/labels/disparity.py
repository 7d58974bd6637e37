# SPDX-License-Identifier: GPL-3.0-or-later
"""Stereo disparity: how far apart the two cameras of a rig see the same point."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import attrs
import numpy as np

from ...engine.output.label_pass import LabelPass
from ...engine.stage import Shot
from ..formats.encoders import encode, write_exr

STEPS = 256
"""Steps per pixel of PNG files, as in KITTI."""

_FAR = 1e7
"""Metres to what is as good as infinitely far."""


class Disparity(LabelPass):
    """Pixels by which the other camera of the rig sees what each pixel shows further left, or right for the second one.

    For parallel cameras side by side it is the focal length times the baseline, by depth. PNG files hold 1/256 of a
    pixel in 16 bits as KITTI does, 0 for none; EXR files one float channel ``D``. Nothing hit is as good as infinitely
    far away. Without a second camera in ``[[rig]]`` it is 0.
    """

    key = "disparity"
    doc = (
        "Stereo disparity to the other camera of the [[rig]], in pixels: 16-bit PNG of 1/256 pixels as KITTI's, or EXR"
    )
    formats = ("png", "exr")
    folder = "disparity"
    dtype = "float32"
    unit = "px"
    bytes_per_pixel: ClassVar = {"png": 1.0, "exr": 2.5}

    def array(self, shot: Shot, categories: Mapping[str, int]) -> np.ndarray:
        if shot.partner is None:
            return np.zeros(shot.labels.ids.shape, np.float32)
        depth = np.where(np.isfinite(shot.labels.depth), shot.labels.depth, _FAR).astype(float)
        points = (shot.rays() * depth[..., None]) @ shot.camera.matrix[:3, :3].T + shot.camera.matrix[:3, 3]
        own, _ = shot.project(points)
        other, distance = attrs.evolve(shot, camera=shot.partner).project(points)
        is_right = (np.linalg.inv(shot.camera.matrix) @ shot.partner.matrix)[0, 3] < 0
        difference = (other - own if is_right else own - other)[..., 0]
        return np.where(distance > 0, difference, np.nan).astype(np.float32)

    def save(self, array: np.ndarray, suffix: str, path: Path) -> None:
        if suffix == "exr":
            write_exr(path, {"D": array}, 'set disparity = "png"')
            return
        steps = np.clip(np.rint(np.nan_to_num(array) * STEPS), 0, 65535).astype(np.uint16)
        path.write_bytes(encode(".png", steps, []))
