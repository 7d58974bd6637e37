# SPDX-License-Identifier: GPL-3.0-or-later
"""Sharpness, blur, entropy, brightness and contrast of pictures and of parts of them."""

from __future__ import annotations

import math

import numpy as np

NAMES = ("sharpness", "blur", "entropy", "brightness", "contrast")

_BLUR_WIDTH = 9


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
    levels = np.arange(256) / 255.0
    brightness = float(share @ levels)
    used = share[share > 0]
    values = luma.astype(np.float32)
    return {
        "sharpness": sharpness(values),
        "blur": blur(values),
        "entropy": float(abs(-(used * np.log2(used)).sum())),
        "brightness": brightness,
        "contrast": math.sqrt(float(share @ (levels - brightness) ** 2)),
    }


def sharpness(luma: np.ndarray) -> float:
    """Variance of the Laplacian, in squared grey levels [Pech-Pacheco et al., ICPR 2000].

    Parameters
    ----------
    luma : (H, W)
        Grey levels in [0, 255]; mirrored at the border without repeating it.
    """
    padded = np.pad(np.asarray(luma, dtype=np.float32), 1, mode="reflect")
    laplacian = padded[:-2, 1:-1] + padded[2:, 1:-1]
    laplacian += padded[1:-1, :-2]
    laplacian += padded[1:-1, 2:]
    laplacian -= 4.0 * padded[1:-1, 1:-1]
    return float(laplacian.var(dtype=np.float64))


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
    values = np.asarray(luma, dtype=np.float32)
    both = [b for b in (_blur_along_columns(values), _blur_along_columns(values.T)) if not math.isnan(b)]
    return max(both, default=math.nan)


def _blur_along_columns(values: np.ndarray) -> float:
    reach = _BLUR_WIDTH // 2
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    before = np.abs(values[1:] - values[:-1])
    # A running mean of nine changes from one pixel to the next by its newest value less the one that dropped out.
    after = np.abs(padded[_BLUR_WIDTH:] - padded[:-_BLUR_WIDTH]) / _BLUR_WIDTH
    total = float(before.sum(dtype=np.float64))
    if total == 0.0:
        return math.nan
    lost = float(np.maximum(before - after, 0.0).sum(dtype=np.float64))
    return (total - lost) / total
