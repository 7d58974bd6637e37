# SPDX-License-Identifier: GPL-3.0-or-later
"""A small scene of known truth."""

from __future__ import annotations

import numpy as np

from ..engine.framing import look
from ..engine.stage import CameraPose
from .meshes import asset, box, join, legged, plane
from .stage import BruteStage


def scene(resolution: tuple[int, int] = (160, 120), *, furnished: bool = False) -> BruteStage:
    """A room of known sizes, in metres.

    ``Floor`` 6 x 6 at z = 0; ``Table`` with a 1.6 x 0.9 top at z = 0.75 over (1.5, 1.5); ``Wall`` 6 x 0.1 x 2.5 whose
    face is the plane y = 2.9. The mask ``zone`` of the floor is its half x > y. Assets: ``stool`` (class ``chair``,
    0.4 x 0.4 x 0.45 on legs), ``high stool`` (class ``chair``, 0.35 x 0.35 x 0.7), ``crate`` (class ``bag``,
    0.3 x 0.2 x 0.25) and the distractor ``block`` (0.15 cube).

    Where it is ``furnished``, a stool stands at (-1, 0, 0) and a crate at (-0.3, 0.4, 0) as the artist left them, and
    the scene has a camera of its own, 1.5 above (-0.7, -2.5), that looks at them.
    """
    top = box((1.6, 0.9, 0.04), (1.5, 1.5, 0.73))
    legs = [box((0.06, 0.06, 0.71), (1.5 + 0.75 * x, 1.5 + 0.4 * y, 0.3551)) for x in (-1, 1) for y in (-1, 1)]
    assets = [
        asset("stool", "chair", legged(0.4, 0.45)),
        asset("high stool", "chair", legged(0.35, 0.7)),
        asset("crate", "bag", box((0.3, 0.2, 0.25))),
        asset("block", "", box((0.15, 0.15, 0.15))),
    ]
    kept, cameras = [], []
    if furnished:
        kept = [(assets[0], _at(-1.0, 0.0, 0.0)), (assets[2], _at(-0.3, 0.4, 0.0))]
        view = _at(-0.7, -2.5, 1.5)
        view[:3, :3] = look(np.array([np.pi / 2]), np.array([-0.45]), np.array([0.0]))[0]
        cameras = [CameraPose(view, 35.0, *resolution)]
    return BruteStage(
        {
            "Floor": plane((6.0, 6.0)),
            "Table": join(top, *legs),
            "Wall": box((6.0, 0.1, 2.5), (0.0, 2.95, 1.2501)),
        },
        assets,
        masks={("Floor", "zone"): np.array([True, False])},
        kept=kept,
        resolution=resolution,
        cameras=cameras,
    )


def _at(x: float, y: float, z: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = (x, y, z)
    return matrix
