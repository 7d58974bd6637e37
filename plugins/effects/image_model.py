# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture as an ONNX model changes it, such as one for style transfer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...alignment.features.image_model import open_image_model
from ...engine.plugin import Range, param, plugin
from ...engine.stage import Shot


@plugin("effect")
class ImageModel:
    """Change the picture by an ONNX model that turns pictures into pictures, such as one for style transfer.

    The model must keep everything in its place, because labels are not changed. It gets RGB, one picture at a time. It
    runs on the CPU, with the same result for the same picture on the same kind of machine.
    """

    model: str = param(path=True, doc="ONNX file with one picture as input and one as first output")
    value_range: tuple[float, float] = param(
        (0.0, 255.0),
        doc="Values of black and white in the model's input and output; [0, 1] and [-1, 1] are common, too",
    )
    strength: Range = param(
        (1.0, 1.0), min=0.0, max=1.0, doc="Share of the model's picture in the result; the rest is the picture before"
    )
    probability: float = param(1.0, min=0.0, max=1.0, doc="Share of the images that are changed")

    recipe_example = 'model = "style.onnx"'

    def __attrs_post_init__(self) -> None:
        if self.value_range[0] >= self.value_range[1]:
            raise ValueError(f"'value_range' must be [black, white]. Got {list(self.value_range)} instead.")

    def draw(
        self, shot: Shot, rng: np.random.Generator, common: Callable[[str], np.random.Generator]
    ) -> dict[str, Any]:
        """How much of the model's picture this frame gets."""
        return {"strength": float(rng.uniform(*self.strength))}

    def apply(self, image: np.ndarray, shot: Shot, rng: np.random.Generator, drawn: Mapping[str, Any]) -> np.ndarray:
        """See the class."""
        strength = np.float32(drawn["strength"])
        if strength == 0:
            return image
        made = open_image_model(self.model, self.value_range)(np.clip(image, 0.0, 1.0))
        return image + strength * (made - image)
