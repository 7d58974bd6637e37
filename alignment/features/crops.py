# SPDX-License-Identifier: GPL-3.0-or-later
"""Crops of boxes with some context, in the aspect ratio of a model's input."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...engine.errors import DataError

MARGIN = 0.1
"""Context around a box, as a share of its side, for features of what is in the box."""
SURROUNDINGS = 1.0
"""The same for features that compare datasets: with the surroundings, plain backgrounds and empty rooms look different
from photos, which the object alone does not show (docs/results/proof.md)."""


def crop_boxes(
    image: np.ndarray, boxes: Iterable[Iterable[float]], size: tuple[int, int], margin: float = MARGIN
) -> np.ndarray:
    """Crop boxes from a picture.

    The window has the centre of the box and the aspect ratio of ``size``, so nothing is stretched; beyond the picture,
    its border is repeated.

    Parameters
    ----------
    image : (H, W, 3) uint8
    boxes : iterable of [x, y, w, h]
        In pixels; they may extend beyond the picture, but not lie outside it.
    size : (int, int)
        Width and height of each crop.
    margin : float
        Context on each side, as a share of the box's larger side (measured in the window's aspect ratio).

    Returns
    -------
    (n, height, width, 3) uint8

    Raises
    ------
    DataError
        If the picture is no RGB picture of bytes, or a box is empty, not finite, or outside.
    """
    import cv2

    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise DataError(f"A picture must be an (H, W, 3) array of uint8. Got {image.shape} of {image.dtype} instead.")
    width, height = size
    crops = []
    for box in boxes:
        x, y, w, h = (float(v) for v in box)
        inside = x < image.shape[1] and y < image.shape[0] and x + w > 0 and y + h > 0
        if not (np.isfinite([x, y, w, h]).all() and w > 0 and h > 0 and inside):
            raise DataError(f"The box {[x, y, w, h]} cannot be cropped from a picture of {image.shape[1::-1]} pixels.")
        scale = max(w / width, h / height) * (1 + 2 * margin)
        window_w, window_h = scale * width, scale * height
        left, top = x + w / 2 - window_w / 2, y + h / 2 - window_h / 2
        a, b = int(np.floor(left)), int(np.floor(top))
        c, d = max(a + 1, int(np.ceil(left + window_w))), max(b + 1, int(np.ceil(top + window_h)))
        rows = np.clip(np.arange(b, d), 0, image.shape[0] - 1)
        columns = np.clip(np.arange(a, c), 0, image.shape[1] - 1)
        # Area averaging when it shrinks keeps fine texture from turning into false coarse texture.
        method = cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
        crops.append(cv2.resize(image[np.ix_(rows, columns)], (width, height), interpolation=method))
    return np.stack(crops) if crops else np.empty((0, height, width, 3), np.uint8)
