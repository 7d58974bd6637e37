# SPDX-License-Identifier: GPL-3.0-or-later
"""A deliberate mistake: things float in the air, turned at random, as in naive renders."""

from __future__ import annotations

import numpy as np

from ...engine.goals import Goals
from ...engine.plugin import plugin
from ...engine.plugin.params import Range, param
from ...engine.stage import Stage


@plugin("placement")
class Lift:
    """Lift what stands on the stage into the air, and turn it any way up."""

    height: Range = param((0.4, 1.2), min=0.0, unit="m", doc="How far")
    tries: int = param(20, min=1, doc="Places tried for each instance")

    def place(self, stage: Stage, goals: Goals, rng: np.random.Generator) -> None:
        for instance in stage.instances:
            scale = np.cbrt(np.linalg.det(instance.matrix[:3, :3]))
            for _ in range(self.tries):
                matrix = instance.matrix.copy()
                # Uniform over all rotations: Q of a Gaussian matrix, with the signs of R's diagonal.
                q, r = np.linalg.qr(rng.standard_normal((3, 3)))
                q *= np.sign(np.diag(r))
                matrix[:3, :3] = scale * q * np.sign(np.linalg.det(q))
                matrix[2, 3] += rng.uniform(*self.height)
                if not stage.collides(instance.asset, matrix, ignore=[instance.id]):
                    stage.move(instance, matrix)
                    break
