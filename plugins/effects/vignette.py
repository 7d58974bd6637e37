# SPDX-License-Identifier: GPL-3.0-or-later
"""Light that lenses lose towards the corners."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...alignment.camera.drawn_photo import draw_photo
from ...alignment.camera.linear_light import to_encoded, to_linear
from ...engine.plugin import Range, param, plugin
from ...engine.stage import Shot


@plugin("effect")
class Vignette:
    """Darken towards the corners: linear light is multiplied by 1 - falloff r², with r = 1 in the corners."""

    falloff: Range | None = param(
        None,
        min=0.0,
        max=1.0,
        doc="Share of the linear light that the corners lose; default is 0.1 to 0.5",
        moves={"brightness": "-", "contrast": "+"},
    )
    fit: str = param(
        "", path=True, doc="File of `twinset fit-camera`: the fall-off is that of a photo drawn for the frame"
    )
    probability: float = param(1.0, min=0.0, max=1.0, doc="Share of the images that are darkened so")

    def __attrs_post_init__(self) -> None:
        if self.fit and self.falloff:
            raise ValueError("'fit' says the fall-off. Remove 'fit' or 'falloff'.")

    def draw(
        self, shot: Shot, rng: np.random.Generator, common: Callable[[str], np.random.Generator]
    ) -> dict[str, Any]:
        """Fall-off of this frame."""
        if not self.fit:
            return {"falloff": float(rng.uniform(*(self.falloff or (0.1, 0.5))))}
        photo = draw_photo(self.fit, common)
        return {"photo": photo.file, "falloff": photo.vignette or 0.0}

    def apply(self, image: np.ndarray, shot: Shot, rng: np.random.Generator, drawn: Mapping[str, Any]) -> np.ndarray:
        """See the class."""
        if drawn["falloff"] == 0:
            return image
        height, width = image.shape[:2]
        x = np.linspace(1 / width - 1, 1 - 1 / width, width, dtype=np.float32) * width
        y = np.linspace(1 / height - 1, 1 - 1 / height, height, dtype=np.float32) * height
        squared = (x**2 + y[:, None] ** 2) / np.float32(width**2 + height**2)
        gain = np.float32(1) - np.float32(drawn["falloff"]) * squared
        return to_encoded(to_linear(image) * gain[..., None])
