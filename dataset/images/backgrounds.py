# SPDX-License-Identifier: GPL-3.0-or-later
"""New backgrounds for the images of a finished dataset: white, a colour, or photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ...alignment.camera.linear_light import to_encoded
from ...engine.rng import stream
from ...engine.scene.material import color_from_text
from ..formats import rle_masks
from ..formats.pixels import read_image
from .repaint import covering, replace_background


@attrs.frozen
class Backgrounds:
    """Gives each image another background behind the masks of its annotations.

    Attributes
    ----------
    colors : sequence of str
        Colours to draw from, as '#ffffff' or '255, 255, 255' (sRGB); not used where there are photos.
    photos : sequence of Path
        Photos to draw from; a part of the photo that covers the picture is drawn, too.
    seed : int
    """

    colors: Sequence[str] = ("#ffffff",)
    photos: Sequence[Path] = ()
    seed: int = 0

    def paint(self, image_id: int, picture: np.ndarray, annotations: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """The picture (H, W, 3) uint8 RGB on its background; an annotation without a mask keeps its whole box."""
        height, width = picture.shape[:2]
        mask = np.zeros((height, width), dtype=bool)
        for annotation in annotations:
            mask |= _mask(annotation, height, width)
        background = self._background(image_id, (width, height))
        made = replace_background(picture.astype(np.float32) / np.float32(255), mask, background)
        return np.rint(made * np.float32(255)).astype(np.uint8)

    def _background(self, image_id: int, size: tuple[int, int]) -> np.ndarray:
        choice, x, y = stream(self.seed, "background", image_id).random(3)
        if self.photos:
            photo = read_image(self.photos[int(choice * len(self.photos))], upright=True)
            return covering(photo, size, (x, y)).astype(np.float32) / np.float32(255)
        color = to_encoded(np.array(color_from_text(self.colors[int(choice * len(self.colors))]), np.float32))
        return np.broadcast_to(color, (size[1], size[0], 3))


def _mask(annotation: Mapping[str, Any], height: int, width: int) -> np.ndarray:
    if annotation.get("segmentation"):
        return rle_masks.decode(annotation["segmentation"], height, width)
    mask = np.zeros((height, width), dtype=bool)
    x, y, w, h = annotation["bbox"]
    mask[max(round(y), 0) : round(y + h), max(round(x), 0) : round(x + w)] = True
    return mask
