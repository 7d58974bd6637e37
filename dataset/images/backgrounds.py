# SPDX-License-Identifier: GPL-3.0-or-later
"""New backgrounds for the images of a finished dataset: white, a colour, or photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ...engine.rng import stream
from ..formats import rle_masks
from .repaint import PhotoPart, photo_background, plain_background, replace_background


@attrs.frozen
class Backgrounds:
    """Gives each image another background behind the masks of its annotations.

    Attributes
    ----------
    colors : sequence of str
        Colours to draw from, as '#ffffff' or '255, 255, 255' (sRGB); not used where there are photos.
    photos : sequence of Path
        Photos to draw from; a part of the photo that covers the picture is drawn, too.
    zoom : tuple of float
        Range of the part's size, see PhotoPart.
    flip : float
        Probability that it is flipped.
    seed : int
    """

    colors: Sequence[str] = ("#ffffff",)
    photos: Sequence[Path] = ()
    zoom: tuple[float, float] = (0.6, 1.0)
    flip: float = 0.5
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
        rng = stream(self.seed, "background", image_id)
        choice = rng.random()
        if self.photos:
            part = PhotoPart.draw(rng, self.zoom, self.flip)
            return photo_background(self.photos[int(choice * len(self.photos))], size, part)
        return plain_background(self.colors[int(choice * len(self.colors))], size)


def _mask(annotation: Mapping[str, Any], height: int, width: int) -> np.ndarray:
    if annotation.get("segmentation"):
        return rle_masks.decode(annotation["segmentation"], height, width)
    mask = np.zeros((height, width), dtype=bool)
    x, y, w, h = annotation["bbox"]
    mask[max(round(y), 0) : round(y + h), max(round(x), 0) : round(x + w)] = True
    return mask
