# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion during the exposure, of the camera or of things."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

CAMERA = 0
"""Key of the camera's motion among those of instances, whose ids begin at 1."""


@attrs.frozen(eq=False)
class Motion:
    """How something moves from the beginning to the end of the exposure: metres, and a rotation vector in degrees, both
    in the world; it turns about the point ``center`` (3,)."""

    displacement: np.ndarray
    rotation: np.ndarray
    center: np.ndarray

    def at(self, share: float) -> np.ndarray:
        """The matrix (4, 4) that moves it from the middle of the exposure; -0.5 is the beginning, 0.5 the end."""
        matrix = np.eye(4)
        angle = float(np.radians(np.linalg.norm(self.rotation)))
        if angle:
            matrix[:3, :3] = rotation_about(self.rotation / np.linalg.norm(self.rotation), share * angle)
        matrix[:3, 3] = self.center - matrix[:3, :3] @ self.center + share * self.displacement
        return matrix


def rotation_about(axis: Sequence[float] | np.ndarray, angle: float) -> np.ndarray:
    """Rotation (3, 3) about a unit axis by radians [Rodrigues]."""
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
