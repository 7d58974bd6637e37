# SPDX-License-Identifier: GPL-3.0-or-later
"""Uses the cameras of the scene."""

from __future__ import annotations

import attrs
import numpy as np

from ...engine.goals import Goals
from ...engine.plugin import Range, Rejected, param, plugin
from ...engine.stage import CameraPose, Stage


@plugin("camera")
class Keep:
    """Use a random perspective camera of the scene, with optional small random changes.

    Position, focal length and clipping are kept; lens shift and depth of field are ignored.
    """

    jitter: float = param(0.0, min=0.0, unit="m", doc="Largest displacement of the camera along each axis")
    zoom: Range = param(
        (1.0, 1.0), min=0.0, min_exclusive=True, doc="Factor for the focal length", moves={"sqrt_area": "+"}
    )

    def pose(self, stage: Stage, goals: Goals, rng: np.random.Generator) -> CameraPose:
        cameras = stage.existing_cameras()
        if not cameras:
            raise Rejected("camera: the scene has no perspective camera of its own")
        camera = cameras[rng.integers(len(cameras))]
        matrix = camera.matrix.copy()
        offset = rng.uniform(-self.jitter, self.jitter, 3)
        length = float(np.linalg.norm(offset))
        reach = length + camera.near
        if length > 0 and stage.cast(matrix[None, :3, 3], offset[None] / length, within=reach).distance[0] <= reach:
            raise Rejected("camera: moved into something")
        matrix[:3, 3] += offset
        return attrs.evolve(camera, matrix=matrix, lens=camera.lens * rng.uniform(*self.zoom))
