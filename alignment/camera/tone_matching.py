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
_SAMPLED = 4
"""Every so many pixels, across and down, show how much of a change of colours is left."""
_TURNS = 3


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
    no colour, get none; the other colours make up for it.

    Parameters
    ----------
    image : (H, W, 3) float32
        sRGB in [0, 1].
    mean, spread : (2,) float
        Of a* and b*.
    """
    import cv2

    lab = cv2.cvtColor(np.clip(image, 0.0, 1.0), cv2.COLOR_RGB2LAB)
    sample = np.ascontiguousarray(lab[::_SAMPLED, ::_SAMPLED])
    have_mean, have_spread = _mean_and_spread(sample)
    asked_mean, asked_spread = np.asarray(mean, np.float64), np.asarray(spread, np.float64)

    def gain_and_shift() -> tuple[np.ndarray, np.ndarray]:
        gain = np.clip(asked_spread / np.maximum(have_spread, 1e-6), 1 / max_gain, max_gain)
        return gain, asked_mean - have_mean * gain

    # Black and white take no cast, and sRGB has no room for some colours: ask for more until enough is left.
    for _ in range(_TURNS):
        seen = np.clip(_recolored(sample, *gain_and_shift()), 0.0, 1.0)
        seen_mean, seen_spread = _mean_and_spread(cv2.cvtColor(seen, cv2.COLOR_RGB2LAB))
        asked_mean = asked_mean + mean - seen_mean
        asked_spread = asked_spread * np.clip(spread / np.maximum(seen_spread, 1e-6), 0.5, 2.0)
    return _recolored(lab, *gain_and_shift())


def _mean_and_spread(lab: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (2,) and standard deviation (2,) of a* and b*."""
    return lab[..., 1:].mean((0, 1), dtype=np.float64), lab[..., 1:].std((0, 1), dtype=np.float64)


def _recolored(lab: np.ndarray, gain: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """The sRGB picture of a Lab one whose a* and b* are scaled and shifted as far as lightness has room for colour:
    fully in the middle tones, not at all at black and white."""
    import cv2

    lightness = lab[..., :1] / np.float32(100)
    room = np.clip(np.minimum(lightness, 1 - lightness) * np.float32(8), 0.0, 1.0)
    out, colors = lab.copy(), lab[..., 1:]
    out[..., 1:] += (colors * gain.astype(np.float32) + shift.astype(np.float32) - colors) * room
    return np.asarray(cv2.cvtColor(out, cv2.COLOR_LAB2RGB))
