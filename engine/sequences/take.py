# SPDX-License-Identifier: GPL-3.0-or-later
"""One layout as time goes by and several cameras see it: where everything is in each frame of a group."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import attrs
import numpy as np

from ..recipe.tables.sequence import RigCamera, SequenceSettings
from ..scene.motion import rotation_about
from ..scene.things import Moment
from ..stage import CameraPose, Stage
from .camera_paths import camera_path
from .groups import FrameRole
from .thing_paths import thing_paths


@attrs.frozen(eq=False)
class Take:
    """Where cameras and things are, from one moment before the first to one after the last.

    ``path`` (length + 2, 4, 4) is that of the first camera, ``rig`` (V, 4, 4) leads from each camera to the first one,
    ``things`` has matrices (length + 2, 4, 4) of what moves, by id.
    """

    start: CameraPose
    path: np.ndarray
    rig: np.ndarray
    things: Mapping[int, np.ndarray]
    settings: SequenceSettings

    def camera(self, step: int, view: int) -> CameraPose:
        """The camera of a moment, -1 to length."""
        if not (step or view):
            return self.start  # itself, so that the stage need not pose it again
        return attrs.evolve(self.start, matrix=self.path[step + 1] @ self.rig[view])

    def moment(self, role: FrameRole, change: int) -> Moment:
        """The moment after (1) or before (-1) that of a frame, for its camera."""
        now, then = role.step + 1, role.step + 1 + change
        moves = {id: path[then] @ np.linalg.inv(path[now]) for id, path in self.things.items()}
        return Moment(self.camera(role.step + change, role.view), moves)

    def show(self, stage: Stage, role: FrameRole) -> CameraPose:
        """Put cameras and things where they are in a frame; returns its camera."""
        pose = self.camera(role.step, role.view)
        instances = stage.instances
        for id, path in self.things.items():
            if not np.array_equal(instances[id - 1].matrix, path[role.step + 1]):
                stage.move(instances[id - 1], path[role.step + 1])
        if stage.camera is None or not np.array_equal(stage.camera.matrix, pose.matrix):
            stage.pose_camera(pose)
        return stage.camera or pose

    def open_shutter(self, stage: Stage, role: FrameRole) -> None:
        """Let cameras and things move while the shutter is open, at their speed in a frame."""
        if not self.settings.shutter or self.settings.length == 1:
            return
        before, after = (self.camera(role.step + change, role.view).matrix for change in (-1, 1))
        stage.set_motion(None, **self._motion(before, after))
        for id, path in self.things.items():
            instance = stage.instances[id - 1]
            stage.set_motion(instance, **self._motion(path[role.step], path[role.step + 2]))

    def _motion(self, before: np.ndarray, after: np.ndarray) -> dict[str, Sequence[float]]:
        """Displacement and rotation vector (degrees) while the shutter is open, from matrices two moments apart."""
        turn = _orthonormal(after[:3, :3]) @ _orthonormal(before[:3, :3]).T
        share = self.settings.shutter / 2
        displacement = share * (after[:3, 3] - before[:3, 3])
        return {
            "displacement": displacement.tolist(),
            "rotation": (share * np.degrees(_rotation_vector(turn))).tolist(),
        }


def make_take(
    stage: Stage,
    start: CameraPose,
    settings: SequenceSettings,
    rig: Sequence[RigCamera],
    rng: np.random.Generator,
    still: Collection[int] = (),
) -> Take:
    """The take of the layout that is on the stage, which is left as it is; the things of these ids never move.

    Raises
    ------
    Rejected
        Where cameras have no free path.
    """
    matrices = np.stack([np.eye(4), *map(rig_matrix, rig)])
    things = thing_paths(stage, settings, rng, still) if settings.moving_share and settings.length > 1 else {}
    return Take(start, camera_path(stage, start, settings, matrices, rng), matrices, things, settings)


def rig_matrix(camera: RigCamera) -> np.ndarray:
    """The matrix (4, 4) from a further camera's frame to the first one's, both as Blender has them."""
    flip = np.diag([1.0, -1.0, -1.0])
    matrix = np.eye(4)
    vector = np.radians(camera.rotation)
    angle = float(np.linalg.norm(vector))
    if angle:
        matrix[:3, :3] = flip @ rotation_about(vector / angle, angle) @ flip
    matrix[:3, 3] = flip @ np.asarray(camera.position, dtype=float)
    return matrix


def _orthonormal(matrix: np.ndarray) -> np.ndarray:
    return matrix / np.linalg.norm(matrix, axis=0)


def _rotation_vector(rotation: np.ndarray) -> np.ndarray:
    """Axis times angle (3,) in radians of a rotation (3, 3), for angles well below 180 degrees."""
    axis = np.array([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]])
    sine = np.linalg.norm(axis) / 2
    angle = np.arctan2(sine, (np.trace(rotation) - 1) / 2)
    return axis / 2 * (angle / sine) if sine > 1e-12 else np.zeros(3)
