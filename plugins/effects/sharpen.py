# SPDX-License-Identifier: GPL-3.0-or-later
"""Sharpening as cameras do it, with halos along edges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...alignment.camera.drawn_photo import draw_photo, length_scale
from ...engine.plugin import Range, param, plugin
from ...engine.stage import Shot


@plugin("effect")
class Sharpen:
    """Sharpen by an unsharp mask: the picture's difference from its Gaussian blur is added, which gives halos."""

    amount: Range | None = param(
        None,
        min=0.0,
        soft_max=3.0,
        doc="Factor on the difference that is added; default is 0.3 to 1",
        moves={"sharpness": "+", "blur": "-", "contrast": "+"},
    )
    radius: Range | None = param(
        None,
        min=0.1,
        max=100.0,
        soft_max=5.0,
        unit="px",
        doc="Standard deviation of the Gaussian, half the width of halos; default is 0.7 to 1.5",
    )
    fit: str = param(
        "", path=True, doc="File of `twinset fit-camera`: amount and radius are those of a photo drawn for the frame"
    )
    probability: float = param(1.0, min=0.0, max=1.0, doc="Share of the images that are sharpened")

    def __attrs_post_init__(self) -> None:
        if self.fit and (self.amount or self.radius):
            raise ValueError("'fit' says amount and radius. Remove 'fit', or 'amount' and 'radius'.")

    def draw(
        self, shot: Shot, rng: np.random.Generator, common: Callable[[str], np.random.Generator]
    ) -> dict[str, Any]:
        """Amount and radius of this frame."""
        if not self.fit:
            amount, radius = rng.uniform(*(self.amount or (0.3, 1.0))), rng.uniform(*(self.radius or (0.7, 1.5)))
            return {"amount": float(amount), "radius": float(radius)}
        photo = draw_photo(self.fit, common)
        if photo.sharpen is None:
            return {"photo": photo.file, "amount": 0.0, "radius": 1.0}
        radius = photo.sharpen.radius * length_scale(photo, shot.labels.ids.shape)
        return {"photo": photo.file, "amount": photo.sharpen.amount, "radius": radius}

    def apply(self, image: np.ndarray, shot: Shot, rng: np.random.Generator, drawn: Mapping[str, Any]) -> np.ndarray:
        """See the class."""
        import cv2

        amount, sigma = drawn["amount"], drawn["radius"] * shot.scale
        if amount == 0 or sigma < 0.05:
            return image
        blurred = cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
        return cv2.addWeighted(image, 1.0 + amount, blurred, -amount, 0.0)
