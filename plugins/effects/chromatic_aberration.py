# SPDX-License-Identifier: GPL-3.0-or-later
"""Colour fringes of lenses, which magnify red and blue differently from green."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...engine.plugin import Range, param, plugin
from ...engine.stage import Shot


@plugin("effect")
class ChromaticAberration:
    """Magnify red and blue a little more or less than green, which gives coloured fringes towards the corners.

    Green and labels stay where they are.
    """

    red: Range = param(
        (-1.0, 1.0),
        min=-50.0,
        max=50.0,
        soft_min=-5.0,
        soft_max=5.0,
        unit="px",
        doc="How far red moves outwards in the corners",
    )
    blue: Range = param(
        (-1.0, 1.0),
        min=-50.0,
        max=50.0,
        soft_min=-5.0,
        soft_max=5.0,
        unit="px",
        doc="How far blue moves outwards in the corners",
    )
    probability: float = param(1.0, min=0.0, max=1.0, doc="Share of the images that get fringes")

    def draw(
        self, shot: Shot, rng: np.random.Generator, common: Callable[[str], np.random.Generator]
    ) -> dict[str, Any]:
        """Shift of both colours in this frame's corners."""
        return {"red": float(rng.uniform(*self.red)), "blue": float(rng.uniform(*self.blue))}

    def apply(self, image: np.ndarray, shot: Shot, rng: np.random.Generator, drawn: Mapping[str, Any]) -> np.ndarray:
        """See the class."""
        out = image.copy()
        for channel, name in ((0, "red"), (2, "blue")):
            out[..., channel] = magnified(image[..., channel], drawn[name] * shot.scale)
        return out


def magnified(channel: np.ndarray, outwards: float) -> np.ndarray:
    """A channel (H, W) float32 scaled about its centre, so that corners move outwards by so many pixels."""
    import cv2

    height, width = channel.shape
    factor = 1 / (1 + 2 * outwards / math.hypot(width, height))
    # OpenCV's centre of the first pixel is 0, so that of the picture is (width - 1) / 2.
    x, y = (width - 1) / 2, (height - 1) / 2
    source = np.array([[factor, 0.0, x - factor * x], [0.0, factor, y - factor * y]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(
        np.ascontiguousarray(channel), source, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
