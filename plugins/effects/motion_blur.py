# SPDX-License-Identifier: GPL-3.0-or-later
"""Blur along a line, as of a camera that is turned during the exposure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...alignment.camera.linear_light import to_encoded, to_linear
from ...engine.plugin import Range, param, plugin
from ...engine.stage import Shot


@plugin("effect")
class MotionBlur:
    """Blur the whole picture along a straight line, in linear light. Labels are those of the middle of the exposure."""

    length: Range = param(
        (2.0, 12.0),
        min=0.0,
        max=500.0,
        soft_max=50.0,
        unit="px",
        doc="Distance that the picture moves during the exposure",
        moves={"sharpness": "-", "blur": "+"},
    )
    direction: Range = param(
        (0.0, 180.0), min=-360.0, max=360.0, unit="deg", doc="Angle of the line, anticlockwise from horizontal"
    )
    probability: float = param(1.0, min=0.0, max=1.0, doc="Share of the images that are blurred so")

    def draw(
        self, shot: Shot, rng: np.random.Generator, common: Callable[[str], np.random.Generator]
    ) -> dict[str, Any]:
        """Length and direction of this frame."""
        return {"length": float(rng.uniform(*self.length)), "direction": float(rng.uniform(*self.direction))}

    def apply(self, image: np.ndarray, shot: Shot, rng: np.random.Generator, drawn: Mapping[str, Any]) -> np.ndarray:
        """See the class."""
        import cv2

        length = drawn["length"] * shot.scale
        if length < 0.1:
            return image
        kernel = line_kernel(length, drawn["direction"])
        return to_encoded(cv2.filter2D(to_linear(image), -1, kernel, borderType=cv2.BORDER_REFLECT_101))


def line_kernel(length: float, direction: float) -> np.ndarray:
    """A line of a length in pixels and a direction in degrees through the middle of a kernel (N, N), of sum 1.

    Points along the line are divided between the four pixels around them, so that their mean is the middle exactly.
    """
    reach = math.ceil(length / 2) + 1
    along = (np.arange(16 * math.ceil(length)) + 0.5) / (16 * math.ceil(length)) - 0.5
    x = reach + along * length * math.cos(math.radians(direction))
    y = reach - along * length * math.sin(math.radians(direction))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for dx, dy in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight = np.abs(1 - dx - (x - left)) * np.abs(1 - dy - (y - top))
        np.add.at(kernel, (top + dy, left + dx), weight)
    return (kernel / kernel.sum()).astype(np.float32)
