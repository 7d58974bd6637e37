# SPDX-License-Identifier: GPL-3.0-or-later
"""Softness of lenses and of the processing in cameras, the same all over the picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...alignment.camera.drawn_photo import draw_photo, length_scale
from ...engine.plugin import Range, param, plugin
from ...engine.stage import Shot


@plugin("effect")
class Blur:
    """Blur the whole picture by a Gaussian; `defocus` and `motion_blur` blur by distance and along a line."""

    sigma: Range | None = param(
        None,
        min=0.0,
        max=100.0,
        soft_max=5.0,
        unit="px",
        doc="Standard deviation of the Gaussian; default is 0.4 to 1.2",
        moves={"sharpness": "-", "blur": "+", "contrast": "-"},
    )
    fit: str = param("", path=True, doc="File of `twinset fit-camera`: the blur is that of a photo drawn for the frame")
    rendered_sigma: float = param(
        0.0,
        min=0.0,
        max=10.0,
        unit="px",
        doc="Blur that renders have already, which the blur of `fit` is reduced by; renders without effects, measured "
        "by `twinset fit-camera`, show it",
    )
    probability: float = param(1.0, min=0.0, max=1.0, doc="Share of the images that are blurred")

    def __attrs_post_init__(self) -> None:
        if self.fit and self.sigma:
            raise ValueError("'fit' says how much is blurred. Remove 'fit' or 'sigma'.")

    def draw(
        self, shot: Shot, rng: np.random.Generator, common: Callable[[str], np.random.Generator]
    ) -> dict[str, Any]:
        """Standard deviation of this frame."""
        if not self.fit:
            return {"sigma": float(rng.uniform(*(self.sigma or (0.4, 1.2))))}
        photo = draw_photo(self.fit, common)
        wanted = (photo.blur_sigma or 0.0) * length_scale(photo, shot.labels.ids.shape)
        return {"photo": photo.file, "sigma": math.sqrt(max(wanted**2 - self.rendered_sigma**2, 0.0))}

    def apply(self, image: np.ndarray, shot: Shot, rng: np.random.Generator, drawn: Mapping[str, Any]) -> np.ndarray:
        """See the class."""
        import cv2

        sigma = drawn["sigma"] * shot.scale
        if sigma < 0.05:
            return image
        return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
