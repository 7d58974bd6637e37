# SPDX-License-Identifier: GPL-3.0-or-later
"""Noise against intensity, from the DCT coefficients of the plainest 8x8 blocks of a photo."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import numpy as np

from ...engine.scene.srgb import decode_srgb, encode_slope
from .compression import BLOCK, block_coefficients, pixel_blocks
from .fit_file import Noise, Sharpen
from .tone import LUMA

MAX_BINS = 10
MIN_BLOCKS = 24
"""Plain blocks per bin of intensity."""
SHARE = 0.06
"""Share of the blocks of a bin that are taken for plain."""
MAX_GRAIN = 3.0
"""In pixels."""
MIN_GRAIN = 0.25
"""A Gaussian of less changes no pixel's neighbours."""
MAX_ERROR = 0.15
"""Largest relative standard error of the noise level with which an estimate counts."""
MIN_LEVEL = 0.5
"""In grey levels: where no noise is seen, and this much would have been, the photo has none."""

_U, _V = np.mgrid[:BLOCK, :BLOCK]
_SORTING = ((_U + _V) % 2 == 0) & (_U + _V > 0) | (_U + _V == 1)
_MEASURED = ((_U + _V) % 2 == 1) & (_U + _V >= 3)
_REACH = 12
"""Multiples of a coefficient's step that are distinguished."""
_MIN_SEEN = 20
_NOTHING = 1e-6
"""Noise of linear light that no photo of 8 bits shows."""
_STARTS = ((-8.0, -14.0, 0.2), (-14.0, -11.0, 0.5))
"""Logarithms of shot and of the square of read, and grain, from which the search begins."""


@attrs.frozen(eq=False)
class PlainBlocks:
    """The measured DCT coefficients of the plainest blocks, in n bins of intensity.

    Attributes
    ----------
    intensity : (n,) float
        Mean linear light in [0, 1].
    coefficients : list of (m, k) float
        In grey levels of luma.
    steps : (k,) float or None
        To whose multiples JPEG rounded them.
    """

    intensity: np.ndarray
    coefficients: list[np.ndarray]
    steps: np.ndarray | None


def plain_blocks(luma: np.ndarray, quantisation: np.ndarray | None = None) -> PlainBlocks | None:
    """The plainest blocks of each intensity; None where there are too few blocks that are not clipped.

    Blocks are sorted by the energy of one half of their DCT coefficients; the other half will be measured [Ponomarenko
    et al., "An automatic approach to lossy compression of AVIRIS images", IGARSS 2007; for noise curves Colom &
    Buades, IPOL 3, 2013]. Here the halves are the coefficients (u, v) of even and of odd u + v, which stationary noise
    leaves uncorrelated, so that sorting does not bias what is measured.

    Parameters
    ----------
    luma : (H, W) float
        Luma in grey levels of [0, 255], as stored: blocks lie on the grid of JPEG.
    quantisation : (8, 8) int, optional
        Steps of the luma's JPEG coefficients; None for photos that were not compressed.
    """
    blocks = pixel_blocks(luma)
    unclipped = (blocks.min((1, 2)) > 4) & (blocks.max((1, 2)) < 251)
    bins = min(MAX_BINS, int(unclipped.sum() * SHARE / MIN_BLOCKS))
    if bins < 1:
        return None
    coefficients = block_coefficients(blocks[unclipped])
    level = coefficients[:, 0, 0] / BLOCK
    energy = (coefficients[:, _SORTING] ** 2).sum(1)
    chosen, means = [], []
    for part in np.array_split(np.argsort(level, kind="stable"), bins):
        plain = part[np.argsort(energy[part], kind="stable")[: int(len(part) * SHARE)]]
        chosen.append(coefficients[plain][:, _MEASURED])
        means.append(float(decode_srgb(level[plain] / 255).mean()))
    steps = None if quantisation is None else np.asarray(quantisation, dtype=float)[_MEASURED]
    return PlainBlocks(np.array(means), chosen, steps)


def noise_gain(grain: float, amount: float, radius: float) -> np.ndarray:
    """Variance (8, 8) of the DCT coefficients of noise that is white noise blurred by a Gaussian of standard deviation
    ``grain`` and scaled to a variance of 1, after an unsharp mask.

    The autocorrelation of such noise is a sum of separable ones, so each coefficient's variance is a sum of products
    of a row's and a column's.
    """
    from scipy.fft import dct

    narrow = _kernel(grain)
    narrow /= math.sqrt(float(narrow @ narrow))
    wide = np.convolve(narrow, _kernel(radius))
    basis = dct(np.eye(BLOCK), axis=0, norm="ortho")

    def variances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        correlation = np.convolve(a, b)  # both are symmetric
        lag = np.abs(np.subtract.outer(np.arange(BLOCK), np.arange(BLOCK)))
        half = np.pad(correlation[len(correlation) // 2 :], (0, BLOCK))
        return np.asarray(np.einsum("ui,ij,uj->u", basis, half[lag], basis))

    parts = (
        ((1 + amount) ** 2, variances(narrow, narrow)),
        (-2 * amount * (1 + amount), variances(narrow, wide)),
        (amount**2, variances(wide, wide)),
    )
    return np.asarray(sum(weight * np.outer(along, along) for weight, along in parts))


def fit_noise(blocks: PlainBlocks, sharpen: Sharpen | None = None) -> Noise | str:
    """Noise of one channel in linear light before sharpening, or a sentence that says why there is none.

    The noise has variance ``shot * I + read**2`` [Foi et al., "Practical Poissonian-Gaussian noise modeling and
    fitting of single-image raw-data", IEEE TIP 17(10), 2008] in each of three independent channels; luma adds them by
    its weights, and the slope of the sRGB encoding takes it to grey levels. Sharpening changes it as known; the
    ``grain`` that blur gives it is fitted to its spectrum. A coefficient that JPEG rounded counts with the probability
    of its interval, so that noise is found as long as it leaves coefficients other than 0. Bins of intensity with
    twice the variance of the fit have texture, and are left out of a second fit.

    Parameters
    ----------
    blocks : PlainBlocks
    sharpen : Sharpen, optional
        As the photo's edges show it.
    """
    from scipy.optimize import minimize

    seen = _loss_of_variances(blocks)
    if blocks.steps is not None and seen.count < _MIN_SEEN:
        return Noise(0.0, 0.0) if seen.limit < MIN_LEVEL else "Compression hides its noise."
    scale = float(LUMA @ LUMA) * (255 * encode_slope(blocks.intensity)) ** 2
    keep = np.ones(len(scale), bool)
    sharpen = sharpen or Sharpen(0.0, 1.0)

    grains = np.linspace(0, MAX_GRAIN, 61)
    gains = np.stack([noise_gain(grain, sharpen.amount, sharpen.radius)[_MEASURED] for grain in grains.tolist()])

    def variances(x: np.ndarray) -> np.ndarray:
        white = scale * (np.exp(x[0]) * blocks.intensity + np.exp(x[1]))
        at = min(abs(float(x[2])) / MAX_GRAIN, 1.0) * (len(grains) - 1)
        below = min(int(at), len(grains) - 2)
        gain = gains[below] + (at - below) * (gains[below + 1] - gains[below])
        return np.asarray(white[:, None] * gain + _rounding(blocks.steps is not None))

    def loss(x: np.ndarray) -> float:
        if x.max() > 8 or x[:2].min() < -40:
            return 1e12
        return float(seen.loss(variances(x))[keep].sum()) + float(x[2] ** 2)

    def fitted(starts: Sequence[Sequence[float]]) -> Any:
        found = []
        for start in starts:
            simplex = np.array(start) + np.vstack([np.zeros(3), np.diag([1.5, 1.5, 0.3])])
            options = {"initial_simplex": simplex, "xatol": 1e-2, "fatol": 1e-2, "maxfev": 250}
            found.append(minimize(loss, start, method="Nelder-Mead", options=options))
        return min(found, key=lambda one: one.fun)

    best = fitted(_STARTS)
    plain = seen.excess(variances(best.x)) < 2
    if not plain.all() and plain.sum() >= 3:
        keep = plain
        best = fitted([best.x])
    shift = np.array([0.1, 0.1, 0.0])
    curvature = (loss(best.x + shift) - 2 * loss(best.x) + loss(best.x - shift)) / 0.1**2
    if curvature * (2 * MAX_ERROR) ** 2 < 1:  # of the logarithm of the variance, twice that of the level
        return "Compression hides most of its noise."
    grain = min(abs(float(best.x[2])), MAX_GRAIN)
    read = math.exp(best.x[1] / 2)
    return Noise(
        min(1.0, math.exp(best.x[0])), min(1.0, read) if read > _NOTHING else 0.0, grain if grain > MIN_GRAIN else 0.0
    )


@attrs.frozen(eq=False)
class _Seen:
    """The likelihood of the coefficients: ``loss(variances (n, k))`` per bin (n,), ``excess`` the ratio (n,) of the
    observed to the given variances, how many coefficients are not 0, and the noise in grey levels that would show."""

    loss: Callable[[np.ndarray], np.ndarray]
    excess: Callable[[np.ndarray], np.ndarray]
    count: int = 0
    limit: float = 0.0


def _loss_of_variances(blocks: PlainBlocks) -> _Seen:
    from scipy.special import ndtr

    if blocks.steps is None:
        squares = np.stack([(c**2).mean(0) for c in blocks.coefficients])
        number = np.array([[len(c)] for c in blocks.coefficients], dtype=float)
        return _Seen(
            lambda variance: (number * (squares / variance + np.log(variance))).sum(1) / 2,
            lambda variance: (squares / variance).mean(1),
        )
    steps = blocks.steps
    levels = [np.minimum(np.abs(np.rint(c / steps)).astype(int), _REACH) for c in blocks.coefficients]
    counts = np.stack([[np.bincount(n, minlength=_REACH + 1) for n in one.T] for one in levels]).astype(float)
    multiples = np.arange(_REACH + 1)
    lower = np.maximum(multiples - 0.5, 0.0) * steps[:, None]
    upper = np.where(multiples < _REACH, multiples + 0.5, np.inf) * steps[:, None]
    total = counts.sum(2)

    def share(variance: np.ndarray) -> np.ndarray:
        sigma = np.sqrt(variance)[..., None]
        return np.maximum(2 * (ndtr(-lower / sigma) - ndtr(-upper / sigma)), 1e-12)

    def excess(variance: np.ndarray) -> np.ndarray:
        expected = ((1 - share(variance)[..., 0]) * total).sum(1)
        return np.asarray((counts[..., 1:].sum((1, 2)) + 1) / (expected + 1))

    grid = np.geomspace(0.05, 20, 60)
    shown = [float(((1 - share(np.full((1, len(steps)), s**2))[..., 0]) * total).sum()) for s in grid]
    return _Seen(
        lambda variance: -(counts * np.log(share(variance))).sum((1, 2)),
        excess,
        int(counts[..., 1:].sum()),
        float(np.interp(_MIN_SEEN, shown, grid)),
    )


def _rounding(compressed: bool) -> float:
    """Variance that rounding to whole grey levels adds to luma: of three channels, and before JPEG of luma itself."""
    return (float(LUMA @ LUMA) + compressed) / 12


def _kernel(sigma: float) -> np.ndarray:
    """A sampled Gaussian, as OpenCV's."""
    reach = max(1, math.ceil(4 * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-3)) ** 2)
    return np.asarray(weights / weights.sum())
