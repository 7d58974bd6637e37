# SPDX-License-Identifier: GPL-3.0-or-later
"""Optical flow from motion during the exposure, of the camera and of things."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import attrs
import numpy as np

from ...engine.output.label_pass import LabelPass
from ...engine.scene.motion import CAMERA
from ...engine.stage import Shot
from ..formats.encoders import write_exr

_FAR = 1e7
"""Metres to what is as good as infinitely far: it moves only as the camera turns."""

_UNKNOWN = 1e10
"""What Middlebury's format calls unknown: anything above 1e9."""


class Flow(LabelPass):
    """How far what each pixel shows moves, x to the right and y down in pixels, from the middle to the end of exposure.

    The picture and its labels are those of the middle. Files are EXR with the channels ``X`` and ``Y``, or Middlebury's
    ``.flo``; nan, in ``.flo`` 1e10, for what gets behind the camera.
    """

    key = "flow"
    doc = "Optical flow to the end of the exposure, in pixels (needs the appearance 'motion'): EXR, or Middlebury .flo"
    formats = ("exr", "flo")
    folder = "flow"
    dtype = "float32"
    channels = 2
    unit = "px"
    bytes_per_pixel: ClassVar = {"exr": 4.0, "flo": 8.0}
    share: ClassVar[float] = 0.5
    """Of the exposure, from its middle."""

    def array(self, shot: Shot, categories: Mapping[str, int]) -> np.ndarray:
        if not shot.motions:
            return np.zeros((*shot.labels.ids.shape, 2), np.float32)
        rays = shot.rays()
        depth = np.where(np.isfinite(shot.labels.depth), shot.labels.depth, _FAR).astype(float)
        camera = shot.camera.matrix
        now = (rays * depth[..., None]) @ camera[:3, :3].T + camera[:3, 3]
        then = now.copy()
        for id, motion in shot.motions.items():
            if id != CAMERA:
                mask, matrix = shot.mask(id), motion.at(self.share)
                then[mask] = now[mask] @ matrix[:3, :3].T + matrix[:3, 3]
        moved = shot
        if CAMERA in shot.motions:
            later = attrs.evolve(shot.camera, matrix=shot.motions[CAMERA].at(self.share) @ camera)
            moved = attrs.evolve(shot, camera=later)
        (after, distance), (before, _) = moved.project(then), shot.project(now)
        return np.where(distance[..., None] > 0, after - before, np.nan).astype(np.float32)

    def save(self, array: np.ndarray, suffix: str, path: Path) -> None:
        if suffix == "exr":
            write_exr(path, {name: array[..., k] for k, name in enumerate("XY")}, f'set {self.key} = "flo"')
            return
        height, width = array.shape[:2]
        size = np.array([width, height], "<i4").tobytes()
        path.write_bytes(b"PIEH" + size + np.nan_to_num(array, nan=_UNKNOWN).astype("<f4").tobytes())
