# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects what is in front of many cameras at once, in image units: 1 is the image's width, or its height."""

from __future__ import annotations

import attrs
import numpy as np

from ..scene.intrinsics import Intrinsics
from ..stage import Stage

SENSOR_WIDTH = 36.0
"""Width in millimetres of the sensor that focal lengths of recipes are meant for."""


@attrs.frozen(eq=False)
class Projection:
    """The optics of C cameras.

    ``scale`` (C, 2) holds focal lengths in image widths and heights; with ``intrinsics``, they alone decide.
    """

    scale: np.ndarray
    intrinsics: Intrinsics | None = None

    def image(self, right: np.ndarray, up: np.ndarray, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Image units x and y (C, ...) of points by their metres to the right and up (C, ...) in the cameras' frames.

        Depths (C, ...) are above 0.
        """
        if self.intrinsics is not None:
            slopes = np.stack([right, -up], -1) / depth[..., None]
            units = self.intrinsics.pixels(slopes) / (self.intrinsics.width, self.intrinsics.height)
            return units[..., 0], units[..., 1]
        scale = self.scale.reshape(len(self.scale), *(1,) * (right.ndim - 1), 2)
        x = 0.5 + scale[..., 0] * right / depth
        y = 0.5 - scale[..., 1] * up / depth
        return x, y

    def slopes(self, units: np.ndarray) -> np.ndarray:
        """Slopes (C, ..., 2) to the right and down of the rays through places (C, ..., 2) in image units."""
        if self.intrinsics is not None:
            size = (self.intrinsics.width, self.intrinsics.height)
            return self.intrinsics.slopes(units * np.array(size), extended=True)
        return np.asarray((units - 0.5) / self.scale.reshape(len(self.scale), *(1,) * (units.ndim - 2), 2))

    def speed(self, angle: np.ndarray) -> np.ndarray:
        """Image widths per radian (C, ...) by which a point moves that is ``angle`` (C, ...) right of the axis."""
        if self.intrinsics is None:
            return np.asarray(self.scale[:, :1] * (1 + np.tan(angle) ** 2))
        ends = np.tan(np.stack([angle - _STEP, angle + _STEP], -1))
        x = self.intrinsics.pixels(np.stack([ends, np.zeros_like(ends)], -1))[..., 0] / self.intrinsics.width
        return np.asarray((x[..., 1] - x[..., 0]) / (2 * _STEP))


_STEP = 1e-4
"""Radians over which the speed is measured."""


def lens_range(stage: Stage, lens: tuple[float, float]) -> tuple[float, float]:
    """The focal lengths in millimetres that cameras may have: those given, or that of the recipe's camera."""
    if stage.intrinsics is None:
        return lens
    return (stage.intrinsics.lens(SENSOR_WIDTH),) * 2
