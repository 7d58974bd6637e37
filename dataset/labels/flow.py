# SPDX-License-Identifier: GPL-3.0-or-later
"""Optical flow by motion of the camera and of things: from moment to moment, or during the exposure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import attrs
import numpy as np

from ...engine.output.label_pass import LabelPass
from ...engine.scene.motion import CAMERA
from ...engine.stage import CameraPose, Shot
from ..formats.encoders import write_exr

_FAR = 1e7
"""Metres to what is as good as infinitely far: it moves only as the camera turns."""

_UNKNOWN = 1e10
"""What Middlebury's format calls unknown: anything above 1e9."""


class Flow(LabelPass):
    """How far what each pixel shows moves, x to the right and y down in pixels: in a sequence to the next moment, else
    from the middle of the exposure to its end.

    The picture and its labels are those of the middle of the exposure. Files are EXR with the channels ``X`` and ``Y``,
    or Middlebury's ``.flo``; nan, in ``.flo`` 1e10, for what gets behind the camera.
    """

    key = "flow"
    doc = "Optical flow in pixels to the next moment of a [sequence], or else by the appearance 'motion': EXR, or .flo"
    formats = ("exr", "flo")
    folder = "flow"
    dtype = "float32"
    channels = 2
    unit = "px"
    bytes_per_pixel: ClassVar = {"exr": 4.0, "flo": 8.0}
    share: ClassVar[float] = 0.5
    """Of the exposure, from its middle."""

    def array(self, shot: Shot, categories: Mapping[str, int]) -> np.ndarray:
        camera, moves = self._then(shot)
        if camera is shot.camera and not moves:
            return np.zeros((*shot.labels.ids.shape, 2), np.float32)
        rays = shot.rays()
        depth = np.where(np.isfinite(shot.labels.depth), shot.labels.depth, _FAR).astype(float)
        now = (rays * depth[..., None]) @ shot.camera.matrix[:3, :3].T + shot.camera.matrix[:3, 3]
        then = now.copy()
        for id, matrix in moves.items():
            mask = shot.mask(id)
            then[mask] = now[mask] @ matrix[:3, :3].T + matrix[:3, 3]
        (after, distance), (before, _) = attrs.evolve(shot, camera=camera).project(then), shot.project(now)
        return np.where(distance[..., None] > 0, after - before, np.nan).astype(np.float32)

    def _then(self, shot: Shot) -> tuple[CameraPose, Mapping[int, np.ndarray]]:
        """The camera, and the matrices (4, 4) by which things have moved, at the moment that the flow leads to."""
        moment = shot.following if self.share > 0 else shot.preceding
        if moment is not None:
            return moment.camera, moment.moves
        moves = {id: motion.at(self.share) for id, motion in shot.motions.items()}
        move = moves.pop(CAMERA, None)
        camera = shot.camera if move is None else attrs.evolve(shot.camera, matrix=move @ shot.camera.matrix)
        return camera, moves

    def save(self, array: np.ndarray, suffix: str, path: Path) -> None:
        if suffix == "exr":
            write_exr(path, {name: array[..., k] for k, name in enumerate("XY")}, f'set {self.key} = "flo"')
            return
        height, width = array.shape[:2]
        size = np.array([width, height], "<i4").tobytes()
        path.write_bytes(b"PIEH" + size + np.nan_to_num(array, nan=_UNKNOWN).astype("<f4").tobytes())
