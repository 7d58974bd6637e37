# SPDX-License-Identifier: GPL-3.0-or-later
"""Rank correlation with intervals: of many values in groups, and of a few points."""

from __future__ import annotations

import itertools
import math

import attrs
import numpy as np

from ...engine.errors import DataError

_MAX_ENUMERATED = 8
"""Up to this number of points, all permutations are enumerated."""


@attrs.frozen
class Correlation:
    """Spearman's rank correlation.

    Attributes
    ----------
    rho : float
        NaN where it is not defined: fewer than two points, or one of the variables constant.
    low, high : float
        Ends of its interval; NaN where there is none.
    points : int
    remark : str
        What keeps it from meaning much, in a sentence, or "".
    """

    rho: float
    low: float
    high: float
    points: int
    remark: str


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rank correlation of two (n,) arrays; NaN where one of them is constant or n < 2."""
    from scipy.stats import rankdata

    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    a, b = (rankdata(v) for v in (x, y))
    a, b = a - a.mean(), b - b.mean()
    return float(np.clip((a @ b) / math.sqrt((a @ a) * (b @ b)), -1.0, 1.0))


def rank_correlation(
    x: np.ndarray,
    y: np.ndarray,
    rng: np.random.Generator,
    *,
    groups: np.ndarray | None = None,
    n_bootstrap: int = 1000,
    confidence_level: float = 0.95,
) -> Correlation:
    """Spearman's rank correlation with a percentile bootstrap interval.

    Parameters
    ----------
    x, y : (n,) float
        Finite values.
    rng : numpy.random.Generator
    groups : (n,) int, optional
        Such as the image that each is of: whole groups are drawn. Left out, single values are.
    n_bootstrap : int
        Resamples; fewer for more than 10,000 values, but at least 100.
    confidence_level : float
        Share of cases in which the interval is to hold.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.shape != y.shape or x.ndim != 1 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DataError(f"A correlation needs two lists of finite numbers of one length. Got {x.shape} and {y.shape}.")
    rho = spearman(x, y)
    if math.isnan(rho):
        what = "There is no pair of values" if len(x) < 2 else "All values on one side are the same"
        return Correlation(rho, math.nan, math.nan, len(x), f"{what}: there is no correlation.")
    of = np.arange(len(x)) if groups is None else np.ravel(np.unique(groups, return_inverse=True)[1])
    count = int(of.max()) + 1
    if count < 3:
        return Correlation(rho, math.nan, math.nan, len(x), f"Only {count} images: there is no interval.")
    places = [np.ravel(np.unique(v, return_inverse=True)[1]) for v in (x, y)]
    n_bootstrap = max(100, min(n_bootstrap, int(n_bootstrap * 10_000 / len(x))))
    even = np.full(count, 1.0 / count)
    drawn = [_weighted(places[0], places[1], rng.multinomial(count, even)[of]) for _ in range(n_bootstrap)]
    known = np.array(drawn)[np.isfinite(drawn)]
    if not len(known):
        return Correlation(rho, math.nan, math.nan, len(x), "Too few different values: there is no interval.")
    low, high = np.quantile(known, [(1 - confidence_level) / 2, (1 + confidence_level) / 2])
    remark = f"Only {count} images: the interval is too narrow." if count < 10 else ""
    return Correlation(rho, float(low), float(high), len(x), remark)


def _weighted(x: np.ndarray, y: np.ndarray, times: np.ndarray) -> float:
    """Spearman's correlation where each pair of the places (n,) of values among the distinct ones counts so often."""
    ranks = []
    for place in (x, y):
        held = np.bincount(place, times)
        middle = np.cumsum(held) - held / 2  # ranks of equal values are their mean, up to a constant
        rank = middle[place]
        ranks.append(rank - (times @ rank) / times.sum())
    a, b = ranks
    scale = math.sqrt((times @ a**2) * (times @ b**2))
    return float((times * a) @ b / scale) if scale > 0 else math.nan


def small_sample_correlation(x: np.ndarray, y: np.ndarray, confidence_level: float = 0.95) -> Correlation:
    """Spearman's rank correlation of a few points, with Fisher's interval from four points on.

    The interval has the standard error of Bonett and Wright, "Sample size requirements for estimating Pearson, Kendall
    and Spearman correlations", Psychometrika 65 (2000). The remark says how often chance alone orders so few points as
    well.
    """
    from scipy.stats import norm

    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    n, rho = len(x), spearman(x, y)
    if math.isnan(rho):
        return Correlation(rho, math.nan, math.nan, n, f"{_points(n)} without an order: there is no correlation.")
    low = high = math.nan
    if n >= 4 and abs(rho) < 1:
        reach = norm.ppf((1 + confidence_level) / 2) * math.sqrt((1 + rho**2 / 2) / (n - 3))
        low, high = (float(math.tanh(math.atanh(rho) + s * reach)) for s in (-1, 1))
    return Correlation(rho, low, high, n, _permutation_note(x, y, rho))


def _permutation_note(x: np.ndarray, y: np.ndarray, rho: float) -> str:
    from scipy.stats import rankdata

    n = len(x)
    if n > _MAX_ENUMERATED:
        return ""
    a, b = (v - v.mean() for v in (rankdata(x), rankdata(y)))
    permuted = np.array(list(itertools.permutations(b))) @ a / math.sqrt((a @ a) * (b @ b))
    share = float(np.mean(permuted * math.copysign(1, rho) >= abs(rho) - 1e-9))
    little = " say little" if share > 0.05 else ""
    return f"{_points(n)}{little}: chance orders them as well in {share:.0%} of cases."


def _points(n: int) -> str:
    return "1 point" if n == 1 else f"{n} points"
