# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths of things along the ground: arcs that end where something is in the way or the ground ends."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import attrs
import numpy as np

from ..recipe.tables.sequence import SequenceSettings
from ..scene.motion import rotation_about
from ..stage import Instance, Stage

GROUND = 0.02
"""Metres by which the ground may rise or fall from one moment to the next."""

LIFT = 0.05
"""Metres above its foot from which a thing looks for the ground."""

BASE = np.array([[0, 0], [1, 1], [1, -1], [-1, 1], [-1, -1]])
"""Where a thing must have ground: under its middle, and between there and the corners of its box."""


@attrs.define
class _Mover:
    """A thing on its way: where it is, where it is heading (radians), its metres and radians per moment."""

    instance: Instance
    heading: float
    step: float
    turn: float


def thing_paths(
    stage: Stage, settings: SequenceSettings, rng: np.random.Generator, still: Collection[int] = ()
) -> dict[int, np.ndarray]:
    """Matrices (length + 2, 4, 4) of the things that move, by id, from one moment before the first to one after the
    last; the stage is left at the first moment.

    A thing that would hit something, or lose its ground, stands still from then on; so do those of the ids ``still``
    all the time. Before the first moment they stood.
    """
    start = stage.instances
    movers = []
    for instance in start:
        # The same numbers are drawn for those that stand, so that one thing more or less changes no other's path.
        share, heading, speed = rng.random(), rng.uniform(0, 2 * math.pi), rng.uniform(*settings.thing_speed)
        turn = math.radians(rng.uniform(*settings.thing_turn_rate)) * rng.choice([-1.0, 1.0])
        if share < settings.moving_share and instance.id not in still and not _carries(instance, start):
            movers.append(_Mover(instance, heading, speed / settings.fps, turn / settings.fps))
    paths = {m.instance.id: np.repeat(m.instance.matrix[None], settings.length + 2, axis=0) for m in movers}
    for k in range(2, settings.length + 2):
        for mover in movers:
            if mover.step and not _advance(stage, mover):
                mover.step = 0.0
            paths[mover.instance.id][k] = mover.instance.matrix
    for mover in movers:
        stage.move(mover.instance, start[mover.instance.id - 1].matrix)
    return paths


def _carries(instance: Instance, others: Sequence[Instance]) -> bool:
    """Whether another thing stands on this one, or hangs within it."""
    points = instance.points
    low, high = points.min(0), points.max(0)
    feet = np.array([other.matrix[:3, 3] for other in others if other.id != instance.id]).reshape(-1, 3)
    inside = (feet[:, :2] >= low[:2]) & (feet[:, :2] <= high[:2])
    return bool((inside.all(1) & (feet[:, 2] > low[2] + GROUND) & (feet[:, 2] <= high[2] + GROUND)).any())


def _advance(stage: Stage, mover: _Mover) -> bool:
    """Move a thing by one moment; False where it cannot go."""
    instance = mover.instance
    own, foot = [instance.id], instance.matrix[:3, 3]
    ahead = foot + mover.step * np.array([math.cos(mover.heading), math.sin(mover.heading), 0.0])
    reach = np.ptp(instance.points, axis=0) / 4
    places = np.vstack([foot, ahead + np.pad(BASE, ((0, 0), (0, 1))) * reach])
    places[:, 2] += LIFT
    grounds = stage.cast(places, np.tile((0.0, 0.0, -1.0), (len(places), 1)), ignore=own).distance
    if not np.isfinite(grounds).all() or np.abs(grounds[1:] - grounds[0]).max() > GROUND:
        return False
    matrix = instance.matrix.copy()
    matrix[:3, :3] = rotation_about((0.0, 0.0, 1.0), mover.turn) @ matrix[:3, :3]
    matrix[:3, 3] = ahead - (0.0, 0.0, grounds[1] - grounds[0])
    if stage.collides(instance.asset, matrix, ignore=own):
        return False
    mover.instance = stage.move(instance, matrix)
    mover.heading += mover.turn
    return True
