# SPDX-License-Identifier: GPL-3.0-or-later
"""Histograms and distances of two one-dimensional samples, and the floor that chance sets."""

from __future__ import annotations

import math

import numpy as np

from ...engine.errors import DataError

BINS = 20


def histogram(values: np.ndarray, bins: int = BINS, range: tuple[float, float] = (0.0, 1.0)) -> np.ndarray:
    """Share of ``values`` in each of ``bins`` equal bins; values outside ``range`` count in the outermost bins.

    Raises
    ------
    DataError
        When there is no value, or one is not finite.
    """
    x = np.asarray(values, dtype=float).ravel()
    if not len(x) or not np.isfinite(x).all():
        raise DataError("A histogram needs at least one value, all of them finite; look for empty or NaN columns.")
    counts = np.histogram(np.clip(x, *range), bins=bins, range=range)[0]
    return counts / len(x)


def bhattacharyya_of_histograms(p: np.ndarray, q: np.ndarray) -> float:
    """Bhattacharyya distance ``-ln sum sqrt(p_i q_i)`` of two histograms that each sum to 1 [Zhang2023, §3].

    Infinite when they share no bin.
    """
    overlap = float(np.sqrt(np.asarray(p, dtype=float) * np.asarray(q, dtype=float)).sum())
    # Rounding may lift the overlap of equal histograms a hair above 1.
    return max(0.0, -math.log(overlap)) if overlap > 0 else math.inf


def bhattacharyya(a: np.ndarray, b: np.ndarray, bins: int = BINS, range: tuple[float, float] = (0.0, 1.0)) -> float:
    """Bhattacharyya distance of two samples over a common histogram [Zhang2023, §3].

    Parameters
    ----------
    a, b : array of float
        The samples, any sizes from 1.
    bins : int
        Number of equal bins.
    range : (float, float)
        Range of the bins; values outside count in the outermost bins.

    Returns
    -------
    float
        0 for equal histograms, infinite when the histograms share no bin.
    """
    return bhattacharyya_of_histograms(histogram(a, bins, range), histogram(b, bins, range))


def histogram_deficit(target: np.ndarray, sample: np.ndarray, upcoming: int = 8) -> np.ndarray:
    """Shares by which a growing sample in [0, 1] falls short of a histogram, in each bin.

    Parameters
    ----------
    target : (BINS,) float
        The histogram.
    sample : (M,) float
        The sample so far.
    upcoming : int
        Number of values that are about to be added.

    Returns
    -------
    (BINS,) float
        >= 0, as shares of the sample once these values are added.
    """
    counts = np.histogram(np.clip(sample, 0.0, 1.0), bins=len(target), range=(0.0, 1.0))[0]
    return np.maximum(target - counts / (len(sample) + upcoming), 0.0)


def bhattacharyya_floor(
    real: np.ndarray,
    n_a: int,
    n_b: int,
    n_bootstrap: int = 200,
    rng: np.random.Generator | None = None,
    *,
    bins: int = BINS,
    range: tuple[float, float] = (0.0, 1.0),
) -> float:
    """Mean Bhattacharyya distance between two bootstrap resamples of one sample.

    No dataset of this size can be expected to lie nearer to a real one of that size.

    Parameters
    ----------
    real : array of float
        The real sample.
    n_a, n_b : int
        Sizes of the two resamples.
    n_bootstrap : int
        Pairs of resamples.
    rng : numpy.random.Generator
        Source of randomness; a fixed one when left out.

    Returns
    -------
    float
        The mean over all pairs; infinite when any pair shares no bin.
    """
    if n_a < 1 or n_b < 1 or n_bootstrap < 1:
        raise DataError(f"A floor needs sizes and resamples of at least 1, not {n_a}, {n_b} and {n_bootstrap}.")
    rng = np.random.default_rng(0) if rng is None else rng
    # The histogram of a resample is a multinomial draw from the histogram: the same thing, without the sorting.
    p = histogram(real, bins, range)
    first = rng.multinomial(n_a, p, size=n_bootstrap) / n_a
    second = rng.multinomial(n_b, p, size=n_bootstrap) / n_b
    return float(np.mean([bhattacharyya_of_histograms(x, y) for x, y in zip(first, second, strict=True)]))


def wasserstein(a: np.ndarray, b: np.ndarray) -> float:
    """Earth mover's distance of two samples, in their own unit."""
    # As scipy.stats.wasserstein_distance, without the second that importing scipy.stats takes.
    a, b = np.sort(np.asarray(a, dtype=float).ravel()), np.sort(np.asarray(b, dtype=float).ravel())
    both = np.sort(np.concatenate([a, b]), kind="stable")
    shares = np.searchsorted(a, both[:-1], side="right") / len(a) - np.searchsorted(b, both[:-1], side="right") / len(b)
    return float(np.sum(np.abs(shares) * np.diff(both)))


def kolmogorov_smirnov(a: np.ndarray, b: np.ndarray) -> float:
    """Largest gap between the two cumulative distributions, in [0, 1]."""
    # As scipy.stats.ks_2samp's statistic, without the p-value, which it would compute, and warn about, for few values.
    a, b = np.sort(np.asarray(a, dtype=float).ravel()), np.sort(np.asarray(b, dtype=float).ravel())
    both = np.concatenate([a, b])
    shares = np.searchsorted(a, both, side="right") / len(a) - np.searchsorted(b, both, side="right") / len(b)
    return float(np.abs(shares).max())
