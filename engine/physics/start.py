# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things start to fall: free of each other, above faces of surfaces or inside things that hold them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import numpy as np

from ..errors import StageError
from ..geometry.ground import Ground, can_stand, find_ground, ground_of_instance, points_on_ground
from ..rng import stream
from ..stage import Asset, Instance, Stage
from .rest import Region

_MAX_SLOPE = 30.0
"""Degrees; what is steeper is a side of what things fall onto."""
_SAMPLES = 512
_BELOW = 0.02
_CLEARANCE = 0.002
_RAISES = 60
_STEP = 0.3
"""Share of a thing's height by which it is raised until it is free."""
_HEADROOM = 100.0


@attrs.frozen(eq=False)
class Target:
    """What things fall onto: faces they can lie on, and the region where they must end."""

    ground: Ground
    region: Region

    def points(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Points (N, 3) on the faces, uniform by area, at most ``count``; those inside the region."""
        points, faces = points_on_ground(self.ground, rng, 4 * count)
        points = points[can_stand(self.ground, points, faces)]
        return points[self.region.holds(points + np.array([0.0, 0.0, _CLEARANCE]))][:count]


def surface_target(
    stage: Stage,
    names: Sequence[str],
    mask: str,
    label: str,
    low: Sequence[float] | None = None,
    high: Sequence[float] | None = None,
) -> Target:
    """The target that surfaces of the scene are, limited to a box.

    Raises
    ------
    StageError
        The surfaces are steep everywhere, or none of them is in the box.
    """
    ground = find_ground(stage, names, mask, _MAX_SLOPE, label)
    target = _target(ground, np.eye(2), low, high)
    if target is None:
        raise StageError(f"The surfaces {', '.join(names)} of {label} are not between 'low' and 'high'. Correct them.")
    return target


def instance_target(instance: Instance) -> Target | None:
    """The target that an instance is, such as a crate; None where nothing can lie on it."""
    ground = ground_of_instance(instance, _MAX_SLOPE)
    if ground is None:
        return None
    x, y = instance.matrix[:2, 0] / max(float(np.linalg.norm(instance.matrix[:2, 0])), 1e-9)
    return _target(ground, np.array([[x, -y], [y, x]]))


def _target(
    ground: Ground, axes: np.ndarray, low: Sequence[float] | None = None, high: Sequence[float] | None = None
) -> Target | None:
    points, faces = points_on_ground(ground, stream(0, "target"), _SAMPLES)
    points = points[can_stand(ground, points, faces)]
    if low is not None:
        points = points[(points >= np.asarray(low) - _BELOW).all(1)]
    if high is not None:
        points = points[(points <= np.asarray(high) + _BELOW).all(1)]
    if not len(points):
        return None
    corners = ground.corners.reshape(-1, 3)
    local = np.column_stack([corners[:, :2] @ axes, corners[:, 2]])
    bottom, top = local.min(0), local.max(0)
    bottom[2] = points[:, 2].min() - _BELOW
    top[2] += _HEADROOM
    if low is not None:
        bottom = np.maximum(bottom, low)
    if high is not None:
        top = np.minimum(top, high)
    return Target(ground, Region(bottom, top, axes))


def start_pose(
    stage: Stage,
    asset: Asset,
    scale: float,
    target: Target,
    points: np.ndarray,
    rotations: Callable[[], np.ndarray],
    height: float,
) -> np.ndarray | None:
    """A free matrix (4, 4) above one of the points (N, 3), tried in turn; None where there is none.

    The thing is raised from the point until it meets nothing, and then by ``height`` metres if that is free, too. Seen
    from above, its bounding box is inside the target's region unless it is larger.
    """
    for point in points:
        matrix = np.eye(4)
        matrix[:3, :3] = scale * rotations()
        body = asset.outline @ matrix[:3, :3].T
        low, high = body.min(0), body.max(0)
        matrix[:2, 3] = _inside(point[:2], body[:, :2], target.region)
        step = max(_STEP * float(high[2] - low[2]), 0.005)
        for raised in range(_RAISES):
            matrix[2, 3] = point[2] + _CLEARANCE - low[2] + raised * step
            if matrix[2, 3] + high[2] > target.region.high[2]:
                break
            if not stage.collides(asset, matrix, gap=_CLEARANCE):
                return _raised(stage, asset, matrix, height)
    return None


def stacked_pose(
    stage: Stage, asset: Asset, scale: float, below: Instance, offset: Sequence[float], rotation: np.ndarray
) -> np.ndarray | None:
    """The matrix (4, 4) of an asset just above another instance, ``offset`` (2,) metres beside it; None if not free."""
    matrix = np.eye(4)
    matrix[:3, :3] = scale * rotation
    body = asset.mesh.vertices @ matrix[:3, :3].T
    top = below.outline
    matrix[:2, 3] = (top.min(0)[:2] + top.max(0)[:2]) / 2 + offset
    matrix[2, 3] = top[:, 2].max() - body[:, 2].min() + _CLEARANCE
    return None if stage.collides(asset, matrix, gap=_CLEARANCE / 2) else matrix


def _inside(point: np.ndarray, body: np.ndarray, region: Region) -> np.ndarray:
    """The origin (2,) of a body (N, 2) whose middle is at a point (2,), moved so that it is inside the region along
    each axis where it fits."""
    body = body @ region.axes
    low, high = body.min(0), body.max(0)
    least, most = region.low[:2] - low, region.high[:2] - high
    origin = np.clip(point @ region.axes - (low + high) / 2, np.minimum(least, most), np.maximum(least, most))
    return np.asarray(region.axes @ np.where(least <= most, origin, (least + most) / 2))


def _raised(stage: Stage, asset: Asset, matrix: np.ndarray, height: float) -> np.ndarray:
    higher = matrix.copy()
    higher[2, 3] += height
    return matrix if stage.collides(asset, higher, gap=_CLEARANCE) else higher
