# SPDX-License-Identifier: GPL-3.0-or-later
"""Rigid bodies: what stages let fall until it is at rest, and how it ended."""

from __future__ import annotations

from typing import Literal, get_args

import attrs
import numpy as np

from .things import Instance

BodyShape = Literal["convex_hull", "compound", "mesh"]
"""What collides: the convex hull, a few convex pieces that together follow the mesh, or the mesh itself."""

BODY_SHAPES: tuple[str, ...] = get_args(BodyShape)

GRAVITY = 9.81
"""Metres per second squared."""


@attrs.frozen(eq=False)
class RigidBody:
    """An instance that falls and collides.

    ``mass`` in kilograms. ``friction`` and ``bounce`` (0 to 1) are the coefficients between two bodies like it; those
    between two different bodies are the geometric means.
    """

    instance: Instance
    mass: float = 1.0
    friction: float = 0.5
    bounce: float = 0.1
    shape: BodyShape = "convex_hull"


@attrs.frozen(eq=False)
class Simulated:
    """Where bodies are at the end of a simulation, in the order in which they were given.

    ``matrices`` (N, 4, 4) are asset to world. ``speeds`` (N,) in metres per second are those of each body's fastest
    point, averaged over the last steps. ``seconds`` is the simulated time.
    """

    matrices: np.ndarray
    speeds: np.ndarray
    seconds: float


Walls = np.ndarray
"""Corners (K, 2) of a polygon on which invisible upright walls stand, in metres."""
