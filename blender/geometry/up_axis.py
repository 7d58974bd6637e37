# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotation of models whose up axis is not z."""

from __future__ import annotations

import numpy as np


def up_rotation(up: str) -> np.ndarray:
    """The rotation (4, 4) that turns the named axis, such as ``y`` or ``-x``, to z; a half turn is about x."""
    axis = "xyz".index(up[-1])
    sign = -1.0 if up.startswith("-") else 1.0
    matrix = np.eye(4)
    if axis == 2:
        matrix[:3, :3] = np.diag([1.0, sign, sign])
    else:
        # Rows give the new coordinates: the named axis goes to z, z goes to minus that axis.
        matrix[2, 2] = matrix[axis, axis] = 0.0
        matrix[2, axis] = sign
        matrix[axis, 2] = -sign
    return matrix
