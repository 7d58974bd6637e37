# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures that were made smaller and larger again, as on their way through web sites."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...engine.plugin import Range, param, plugin
from ...engine.stage import Shot

FILTERS = ("nearest", "bilinear", "bicubic", "area", "lanczos")


@plugin("effect")
class Resize:
    """Make the picture smaller and then as large as before, each by a filter drawn for the image."""

    factor: Range = param(
        (0.5, 0.9),
        min=0.01,
        max=1.0,
        doc="Size in between, relative to the image",
        moves={"sharpness": "-", "blur": "+"},
    )
    down: list[str] = param(
        ["bilinear", "bicubic", "area"], choices=FILTERS, doc="Filters that make it smaller; one is drawn"
    )
    up: list[str] = param(["bilinear", "bicubic"], choices=FILTERS, doc="Filters that make it larger; one is drawn")
    probability: float = param(1.0, min=0.0, max=1.0, doc="Share of the images that are resized")

    def __attrs_post_init__(self) -> None:
        for name in ("down", "up"):
            if not getattr(self, name):
                raise ValueError(f"'{name}' must name one or more of {', '.join(FILTERS)}.")

    def draw(
        self, shot: Shot, rng: np.random.Generator, common: Callable[[str], np.random.Generator]
    ) -> dict[str, Any]:
        """Factor and filters of this frame."""
        down, up = (names[int(rng.integers(len(names)))] for names in (self.down, self.up))
        return {"factor": float(rng.uniform(*self.factor)), "down": down, "up": up}

    def apply(self, image: np.ndarray, shot: Shot, rng: np.random.Generator, drawn: Mapping[str, Any]) -> np.ndarray:
        """See the class. A draft that is no larger than the size in between stays as it is."""
        import cv2

        flags = dict(
            zip(
                FILTERS,
                (cv2.INTER_NEAREST_EXACT, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA, cv2.INTER_LANCZOS4),
                strict=True,
            )
        )
        height, width = image.shape[:2]
        factor = drawn["factor"] / shot.scale
        if factor >= 1:
            return image
        size = max(round(width * factor), 1), max(round(height * factor), 1)
        smaller = np.clip(cv2.resize(image, size, interpolation=flags[drawn["down"]]), 0.0, 1.0)
        return cv2.resize(smaller, (width, height), interpolation=flags[drawn["up"]])
