# SPDX-License-Identifier: GPL-3.0-or-later
"""Sensors that are read row by row while the camera moves. It moves pixels, and labels with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...engine.plugin import Range, param, plugin
from ...engine.stage import Shot


@plugin("effect")
class RollingShutter:
    """Lean, bend and stretch the picture as if rows were read one after the other while the camera moved.

    Labels follow; the camera in records is that of the moment in which the middle row is read.
    """

    skew: Range = param(
        (-12.0, 12.0),
        min=-1000.0,
        max=1000.0,
        soft_min=-50.0,
        soft_max=50.0,
        unit="px",
        doc="How far the camera turns aside, in pixels of the picture, between the first and the last row",
    )
    wobble: Range = param(
        (0.0, 1.5),
        min=0.0,
        max=200.0,
        soft_max=10.0,
        unit="px",
        doc="Amplitude of vibrations, which bend vertical edges",
    )
    waves: Range = param((1.0, 4.0), min=0.0, max=100.0, doc="Number of vibrations per picture")
    stretch: Range = param(
        (-0.02, 0.02),
        min=-0.5,
        max=0.5,
        doc="How much taller the picture becomes, as a share of its height, by turning up or down",
    )
    crop: bool = param(True, doc="Magnify the picture so that no border has to be repeated")
    probability: float = param(1.0, min=0.0, max=1.0, doc="Share of the images that are read so")

    moves_pixels = True

    def draw(
        self, shot: Shot, rng: np.random.Generator, common: Callable[[str], np.random.Generator]
    ) -> dict[str, Any]:
        """Movement of the camera in this frame."""
        names = ("skew", "wobble", "waves", "stretch")
        out = {name: float(rng.uniform(*getattr(self, name))) for name in names}
        return out | {"phase": float(rng.random())}

    def source_pixels(self, shot: Shot, rng: np.random.Generator, drawn: Mapping[str, Any]) -> np.ndarray:
        """Each row comes from where the camera looked when it was read."""
        height, width = shot.labels.ids.shape
        skew, wobble = drawn["skew"] * shot.scale, drawn["wobble"] * shot.scale
        x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        time = y / height
        aside = skew * (time - 0.5) + wobble * np.sin(2 * np.pi * (drawn["waves"] * time + drawn["phase"]))
        tall = 1 / (1 + drawn["stretch"])
        zoom = 1.0
        if self.crop:
            farthest = float(np.abs(aside).max())
            zoom = max(width / max(width - 2 * farthest, 1.0), tall)
        return np.stack(
            [width / 2 + (x - width / 2) / zoom + aside, height / 2 + (y - height / 2) / zoom * tall], axis=-1
        )

    def apply(self, image: np.ndarray, shot: Shot, rng: np.random.Generator, drawn: Mapping[str, Any]) -> np.ndarray:
        """Nothing beyond the movement."""
        return image
