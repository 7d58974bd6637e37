# SPDX-License-Identifier: GPL-3.0-or-later
"""Random rotations."""

from __future__ import annotations

import numpy as np


def uniform_rotation(rng: np.random.Generator) -> np.ndarray:
    """Uniform over all rotations: a normalised Gaussian quaternion [Shoemake, Graphics Gems III, 1992]."""
    w, x, y, z = (q := rng.standard_normal(4)) / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
