# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets instances fall until they are at rest, and checks that nothing moves on or intersects."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from ..plugin.results import Rejected
from ..scene.bodies import RigidBody, Walls
from ..stage import Instance, Stage
from .convex_pieces import hull_vertices

_SPIN_DAMPING = (0.25, 0.6, 0.9, 0.95, 0.95, 0.95)
"""That of the rounds of a simulation: what rolls on a level floor would never stop by itself."""
_LATER_SECONDS = 2.0
_TEST_SECONDS = 0.5
_LIFT = 0.02
"""Share of the size."""
REST_TOLERANCE = 0.001, 0.01
"""How far a point of a thing at rest may move in half a second, in metres and as a share of its size; the larger one
counts."""


@attrs.frozen(eq=False)
class Region:
    """Where things must be in the end: the middle of each bounding box is between ``low`` and ``high`` (3,).

    These are in metres along z and the two columns of ``axes`` (2, 2), which are x and y unless given.
    """

    low: np.ndarray
    high: np.ndarray
    axes: np.ndarray = attrs.field(factory=lambda: np.eye(2))

    def holds(self, points: np.ndarray) -> np.ndarray:
        """Which points (N, 3) are inside: (N,) bool."""
        local = np.column_stack([points[:, :2] @ self.axes, points[:, 2]])
        return np.asarray(((local >= self.low) & (local <= self.high)).all(1))

    @property
    def walls(self) -> Walls:
        """Invisible walls around it."""
        (x0, y0), (x1, y1) = self.low[:2], self.high[:2]
        corners: np.ndarray = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) @ self.axes.T
        return corners


def mass_of(instance: Instance, density: float = 300.0) -> float:
    """Mass in kilograms of the convex hull of an instance, by kilograms per cubic metre; at least a gram."""
    mass = density * hull_vertices(instance.asset.points)[1] * float(np.linalg.det(instance.matrix[:3, :3]))
    return max(mass, 1e-3)


def middle_of(instance: Instance) -> np.ndarray:
    """The middle (3,) of an instance's bounding box in its own frame, in the world."""
    low, high = instance.asset.bounds
    return np.asarray(instance.matrix[:3, :3] @ ((low + high) / 2) + instance.matrix[:3, 3])


def come_to_rest(
    stage: Stage, bodies: Sequence[RigidBody], region: Region | None, *, seconds: float, walls: bool = True
) -> list[RigidBody]:
    """Let the instances that were placed last fall until they are at rest, and remove those that left a region.

    Parameters
    ----------
    stage : Stage
    bodies : sequence of RigidBody
        All of the instances that were placed last, in their order.
    region : Region, optional
        Where they must end. Removed ones may have held others, so the rest falls once more.
    seconds : float
        Longest simulated time of the first fall.
    walls : bool
        Whether invisible walls surround the region during the first fall. What leans on them falls when they are gone.

    Returns
    -------
    list of RigidBody
        Those that are left, where they are now.

    Raises
    ------
    Rejected
        They do not come to rest, or still intersect then.
    """
    left = list(bodies)
    if region is not None and walls:
        left = _moved(stage, left, stage.simulate(left, seconds=seconds, walls=region.walls).matrices)
    while left:
        left = _settle(stage, left, region, seconds)
        kept = [body for body in left if _is_in(region, body)]
        if len(kept) == len(left):
            break
        stage.take_back(len(left))
        left = [attrs.evolve(b, instance=stage.place(b.instance.asset, b.instance.matrix)) for b in kept]
    return left


def _is_in(region: Region | None, body: RigidBody) -> bool:
    return region is None or bool(region.holds(middle_of(body.instance)[None])[0])


def _settle(stage: Stage, bodies: list[RigidBody], region: Region | None, seconds: float) -> list[RigidBody]:
    """Simulate in rounds, each from a standstill, until a last one without any help moves nothing in the region."""
    is_still = False
    for spin_damping in _SPIN_DAMPING:
        ended = stage.simulate(bodies, seconds=seconds, spin_damping=spin_damping)
        bodies, seconds = _moved(stage, bodies, ended.matrices), _LATER_SECONDS
        test = stage.simulate(bodies, seconds=_TEST_SECONDS, sleep=False)
        is_still = all(
            _hardly_moved(b.instance, after) or not _is_in(region, b)
            for b, after in zip(bodies, test.matrices, strict=True)
        )
        stuck = [_is_in(region, b) and _intersects(stage, b.instance) for b in bodies]
        if is_still and not any(stuck):
            return bodies
        lifted = [
            _lifted(b.instance) if is_stuck else b.instance.matrix for b, is_stuck in zip(bodies, stuck, strict=True)
        ]
        bodies = _moved(stage, bodies, lifted)
    raise Rejected("placement: things intersect" if is_still else "placement: things do not come to rest")


def _intersects(stage: Stage, instance: Instance) -> bool:
    return bool(stage.collides(instance.asset, instance.matrix, ignore=[instance.id]))


def _hardly_moved(instance: Instance, after: np.ndarray) -> bool:
    points = instance.asset.outline
    moved = points @ (after[:3, :3] - instance.matrix[:3, :3]).T + (after[:3, 3] - instance.matrix[:3, 3])
    size = float(np.linalg.norm(instance.matrix[:3, 0])) * float(instance.asset.size.max())
    return float(np.linalg.norm(moved, axis=1).max()) <= max(REST_TOLERANCE[0], REST_TOLERANCE[1] * size)


def _lifted(instance: Instance) -> np.ndarray:
    """A matrix a little higher, from which a thing may fall out of what it was pressed into."""
    matrix = instance.matrix.copy()
    matrix[2, 3] += _LIFT * float(np.linalg.norm(matrix[:3, 0])) * float(instance.asset.size.max())
    return matrix


def _moved(stage: Stage, bodies: Sequence[RigidBody], matrices: np.ndarray | Sequence[np.ndarray]) -> list[RigidBody]:
    return [attrs.evolve(b, instance=stage.move(b.instance, m)) for b, m in zip(bodies, matrices, strict=True)]
