# SPDX-License-Identifier: GPL-3.0-or-later
"""Tone curves that give a picture the distribution of tones of another, without steps in flat regions."""

from __future__ import annotations

import numpy as np

from .linear_light import apply_curve, luma

SEGMENTS = 32
"""Straight pieces of a curve."""

_BINS = 2048
_PROBABILITIES = 129
_SMOOTHNESS = 0.01


def tone_curve(values: np.ndarray, quantiles: np.ndarray, slopes: tuple[float, float] = (0.1, 3.0)) -> np.ndarray:
    """The curve within limits of its slope that brings values nearest to a distribution.

    Nearest in the mean square over all values, which is the squared Wasserstein distance. Where many values are
    alike, an exact match would spread them, and turn the steps of an 8-bit picture into bands; the limit forbids it.

    Parameters
    ----------
    values : (...) float32
        In [0, 1].
    quantiles : (n,) float
        Of the distribution, in [0, 1], at equally spaced probabilities from 0 to 1.
    slopes : (float, float)
        Lowest and highest slope of the curve, both above 0.

    Returns
    -------
    (SEGMENTS + 1,) float64
        The curve at equally spaced values from 0 to 1, increasing, in [0, 1].
    """
    from scipy.optimize import lsq_linear

    at = (np.arange(_PROBABILITIES) + 0.5) / _PROBABILITIES
    have = _quantiles_of(values, at)
    want = np.interp(at, np.linspace(0, 1, len(quantiles)), np.asarray(quantiles, dtype=float))
    # Unknown are the value at 0 and the slope of each piece; the curve is linear in them.
    rise = np.clip(have[:, None] * SEGMENTS - np.arange(SEGMENTS), 0.0, 1.0) / SEGMENTS
    matching = np.column_stack([np.ones(len(at)), rise]) / np.sqrt(len(at))
    bending = np.column_stack([np.zeros(SEGMENTS - 1), np.diff(np.eye(SEGMENTS), axis=0)])
    rows = np.vstack([matching, _SMOOTHNESS / SEGMENTS * bending])
    goals = np.concatenate([want / np.sqrt(len(at)), np.zeros(SEGMENTS - 1)])
    low = np.array([-1.0, *[slopes[0]] * SEGMENTS])
    high = np.array([1.0, *[slopes[1]] * SEGMENTS])
    found = lsq_linear(rows, goals, (low, high), method="bvls", lsq_solver="exact").x
    curve = found[0] + np.concatenate([[0.0], np.cumsum(found[1:])]) / SEGMENTS
    return np.clip(curve, 0.0, 1.0)


def match_luma(image: np.ndarray, curve: np.ndarray, max_gain: float = 3.0) -> np.ndarray:
    """A picture (H, W, 3) float32 whose luma goes through a curve; hues stay, and saturation as far as it fits.

    Differences from grey grow with the luma, by at most ``max_gain``; where a channel would exceed white, they shrink.
    """
    before = luma(image)
    after = apply_curve(before, curve)
    gain = np.minimum(after / np.maximum(before, np.float32(1e-6)), np.float32(max_gain))
    colors = image - before[..., None]
    most = colors.max(-1) * gain
    headroom = np.float32(1) - after
    over = most > headroom
    gain[over] *= headroom[over] / most[over]
    colors *= gain[..., None]
    colors += after[..., None]
    return colors


def _quantiles_of(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Quantiles by a fine histogram, which is faster than sorting."""
    index = (np.clip(values, 0.0, 1.0) * np.float32(_BINS - 1) + np.float32(0.5)).astype(np.int32)
    counts = np.bincount(index.ravel(), minlength=_BINS)
    ends = np.concatenate([[0.0], np.cumsum(counts)]) / max(index.size, 1)
    filled = np.flatnonzero(counts)
    # Straight through the ends of filled bins alone: between them no value lies.
    shares, places = np.repeat(ends[1:][filled], 2), np.repeat(filled.astype(float), 2)
    shares[::2] = ends[:-1][filled]
    places[::2] -= 0.5
    places[1::2] += 0.5
    return np.clip(np.interp(at, shares, places) / (_BINS - 1), 0.0, 1.0)


def match_colors(image: np.ndarray, mean: np.ndarray, spread: np.ndarray, max_gain: float = 2.5) -> np.ndarray:
    """A picture whose a* and b* of CIE Lab have a mean and a standard deviation; lightness stays.

    After Reinhard et al., "Color transfer between images", IEEE CG&A 21(5), 2001, in Lab. Spreads change by a factor
    of at most ``max_gain`` either way, so that nearly grey pictures do not become garish. Black and white, which have
    no colour, get none.

    Parameters
    ----------
    image : (H, W, 3) float32
        sRGB in [0, 1].
    mean, spread : (2,) float
        Of a* and b*.
    """
    import cv2

    lab = cv2.cvtColor(np.clip(image, 0.0, 1.0), cv2.COLOR_RGB2LAB)
    colors, lightness = lab[..., 1:], lab[..., :1] / np.float32(100)
    have_mean, have_spread = colors.mean((0, 1), dtype=np.float64), colors.std((0, 1), dtype=np.float64)
    gain = np.clip(spread / np.maximum(have_spread, 1e-6), 1 / max_gain, max_gain).astype(np.float32)
    # A cast needs room between black and white: full in the middle tones, none at the ends.
    room = np.clip(np.minimum(lightness, 1 - lightness) * np.float32(8), 0.0, 1.0)
    shift = np.asarray(mean, np.float64) - have_mean * gain
    wanted = colors * gain + shift.astype(np.float32)
    lab[..., 1:] = colors + (wanted - colors) * room
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
