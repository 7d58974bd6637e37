# SPDX-License-Identifier: GPL-3.0-or-later
"""Matrices taken apart into rotation, translation and scale."""

from __future__ import annotations

import numpy as np


def rigid_parts(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Rotation (3, 3), translation (3,) and scale of a matrix (4, 4).

    Of a stretched or mirrored one the nearest rotation [Horn et al., 1988], and the scale that keeps its volume.
    """
    linear = matrix[:3, :3]
    scale = float(abs(np.linalg.det(linear)) ** (1 / 3))
    u, _, vt = np.linalg.svd(linear)
    u[:, -1] *= np.sign(np.linalg.det(u @ vt))
    return u @ vt, np.array(matrix[:3, 3]), scale
