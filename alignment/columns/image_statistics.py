# SPDX-License-Identifier: GPL-3.0-or-later
"""Sharpness, blur, entropy, brightness and contrast of pictures and of parts of them."""

from __future__ import annotations

import math

import numpy as np

NAMES = ("sharpness", "blur", "entropy", "brightness", "contrast")

_BLUR_WIDTH = 9
_LEVELS = np.arange(256) / 255.0


def grey(image: np.ndarray) -> np.ndarray:
    """Luma (H, W) uint8 of an (H, W, 3) uint8 RGB picture, by the weights of ITU-R BT.601 in 15-bit fixed point."""
    # Typed arrays, not typed scalars: NumPy 1 lets an array's type win over a scalar's, and would overflow.
    red, green, blue = (image[..., c].astype(np.uint32) for c in range(3))
    total = red * 9798 + green * 19235 + blue * 3735 + (1 << 14)
    return (total >> 15).astype(np.uint8)


def statistics(luma: np.ndarray) -> dict[str, float]:
    """All statistics of a picture or crop.

    Parameters
    ----------
    luma : (H, W) uint8
        From :func:`grey`.

    Returns
    -------
    dict
        By the names of :data:`NAMES`; NaN for an empty crop.
    """
    if luma.size == 0:
        return dict.fromkeys(NAMES, math.nan)
    # Brightness, contrast and entropy all come from one histogram, exactly.
    histogram = np.bincount(luma.ravel(), minlength=256)
    share = histogram / luma.size
    brightness = float(share @ _LEVELS)
    used = share[share > 0]
    values = luma.astype(np.float32)
    return {
        "sharpness": sharpness(values),
        "blur": blur(values),
        "entropy": float(abs(-(used * np.log2(used)).sum())),
        "brightness": brightness,
        "contrast": math.sqrt(float(share @ (_LEVELS - brightness) ** 2)),
    }


def sharpness(luma: np.ndarray) -> float:
    """Variance of the Laplacian, in squared grey levels [Pech-Pacheco et al., ICPR 2000].

    Parameters
    ----------
    luma : (H, W)
        Grey levels in [0, 255]; mirrored at the border without repeating it.
    """
    import cv2

    # OpenCV pads in a tenth of the time of NumPy, which counts where a million crops are measured.
    padded = cv2.copyMakeBorder(np.asarray(luma, dtype=np.float32), 1, 1, 1, 1, cv2.BORDER_REFLECT_101)
    laplacian = padded[:-2, 1:-1] + padded[2:, 1:-1]
    laplacian += padded[1:-1, :-2]
    laplacian += padded[1:-1, 2:]
    laplacian -= 4.0 * padded[1:-1, 1:-1]
    mean = laplacian.sum(dtype=np.float64) / laplacian.size
    squares = np.subtract(laplacian, mean, dtype=np.float64)
    squares *= squares
    return float(squares.sum() / laplacian.size)


def blur(luma: np.ndarray) -> float:
    """Perceived blur without a reference [Crete et al., "The blur effect", SPIE 6492, 2007].

    The share of the differences between neighbouring pixels that a further blur keeps: 0 sharp, 1 blurred.

    Parameters
    ----------
    luma : (H, W)
        Grey levels; the border is repeated.

    Returns
    -------
    float
        The larger of the horizontal and the vertical value; NaN where all pixels are equal.
    """
    import cv2

    values, reach = np.asarray(luma, dtype=np.float32), _BLUR_WIDTH // 2
    wide, tall = (cv2.copyMakeBorder(values, y, y, x, x, cv2.BORDER_REPLICATE) for y, x in ((0, reach), (reach, 0)))
    both = (
        _blur(values[1:] - values[:-1], tall[_BLUR_WIDTH:] - tall[:-_BLUR_WIDTH]),
        _blur(values[:, 1:] - values[:, :-1], wide[:, _BLUR_WIDTH:] - wide[:, :-_BLUR_WIDTH]),
    )
    return max((b for b in both if not math.isnan(b)), default=math.nan)


def _blur(steps: np.ndarray, sums: np.ndarray) -> float:
    """The blur of differences of neighbours and of differences of their sums over nine pixels; both are overwritten.

    A running mean of nine changes from one pixel to the next by its newest value less the one that dropped out.
    """
    before, after = np.abs(steps, out=steps), np.abs(sums, out=sums)
    total = float(before.sum(dtype=np.float64))
    if total == 0.0:
        return math.nan
    after /= _BLUR_WIDTH
    lost = np.subtract(before, after, out=after)
    return (total - float(np.maximum(lost, 0.0, out=lost).sum(dtype=np.float64))) / total
