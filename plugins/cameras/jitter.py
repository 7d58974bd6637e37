# SPDX-License-Identifier: GPL-3.0-or-later
"""Small random changes to the cameras of recorded frames."""

from __future__ import annotations

import numpy as np

from ...engine.geometry import line_of_sight
from ...engine.geometry.support import rotation_about
from ...engine.goals import Goals
from ...engine.plugin import Rejected, param, plugin
from ...engine.recipe.recorded_frames import decreasing_amplitudes, draw_in_ball, main_instance, recorded_frame
from ...engine.stage import CameraPose, Stage


@plugin("camera", formerly="around")
class Jitter:
    """Repeat the cameras of frames chosen by `twinset augment`, with small random changes.

    The camera moves with the main instance, which therefore keeps its position in the image. It keeps its distance to
    every surface and has a clear line of sight to the main instance; each try is nearer to the recorded camera.
    """

    frames: str = param(path=True, doc="File of recorded frames, written by `twinset augment`")
    distance: float = param(0.15, min=0.0, soft_max=1.0, unit="m", doc="Largest displacement of the camera")
    rotation: float = param(
        3.0, min=0.0, max=90.0, unit="deg", doc="Largest rotation of the camera about any axis", formerly="turn"
    )
    zoom: float = param(0.1, min=0.0, soft_max=1.0, doc="Largest relative change of the focal length")
    clearance: float = param(0.05, min=0.0, unit="m", doc="Minimum distance of the camera to any surface")
    min_visible_share: float = param(
        0.3,
        min=0.0,
        max=1.0,
        doc="Minimum share of the main instance with a clear line of sight to the camera",
        formerly="seen",
    )
    tries: int = param(20, min=1, max=10_000, doc="Cameras tried, each nearer to the recorded one")

    recipe_example = 'frames = "best.frames.json"'

    def pose(self, stage: Stage, goals: Goals, rng: np.random.Generator) -> CameraPose:
        source = recorded_frame(self.frames, goals)
        main = main_instance(stage, source)
        if main is None:
            raise Rejected("camera: no main instance on the stage")
        moved = main.matrix[:3, 3] - source.instances[0].matrix[:3, 3]
        for amplitude in decreasing_amplitudes(self.tries):
            axis = rng.standard_normal(3)
            angle = np.radians(amplitude * self.rotation * rng.uniform(-1, 1))
            matrix = source.matrix.copy()
            matrix[:3, :3] = source.matrix[:3, :3] @ rotation_about(axis / np.linalg.norm(axis), float(angle))
            matrix[:3, 3] += moved + amplitude * self.distance * draw_in_ball(rng, 3)
            lens = source.lens * (1 + self.zoom) ** (amplitude * rng.uniform(-1, 1))
            position = matrix[None, :3, 3]
            if not line_of_sight.free_and_visible(
                stage, position, main, clearance=self.clearance, min_visible_share=self.min_visible_share
            )[0]:
                continue
            pose = source.pose(matrix, lens, stage.resolution)
            stage.pose_camera(pose)
            if (stage.probe(0.25).ids == main.id).any():
                return pose
        raise Rejected("camera: no free viewpoint near the recorded one")
