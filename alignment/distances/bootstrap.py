# SPDX-License-Identifier: GPL-3.0-or-later
"""How sure a distance of two samples is, and how large chance alone makes it: bootstrap intervals and floors."""

from __future__ import annotations

import math

import attrs
import numpy as np

from .histograms import BINS, bhattacharyya, kolmogorov_smirnov, wasserstein

DISTANCES = ("bhattacharyya", "ks", "wasserstein")
LEVEL = 0.95
ROUNDS = 400
GROUPS = 2048
"""Samples with more distinct values than this are resampled in groups of neighbouring values."""

_BLOCK = 50


@attrs.frozen
class Estimate:
    """A distance with its interval and its floor.

    Attributes
    ----------
    value : float
        The distance of the two samples; infinite for a Bhattacharyya distance of histograms that share no bin.
    low, high : float
        Ends of the interval.
    floor : float
        Mean distance between two resamples of the first sample of the two sizes; NaN where that sample has one value,
        from which nothing can be said about chance.
    image_floor : float
        The same where whole images are drawn; NaN where all values are of one image.
    upper_floor : float
        Where chance ends: the share ``level`` of random exchanges of whole images between the samples leaves them no
        farther apart. Samples of one source exceed it in the share ``1 - level`` of cases. NaN for one real value.
    """

    value: float
    low: float
    high: float
    floor: float
    image_floor: float
    upper_floor: float


@attrs.frozen(eq=False)
class Support:
    """Two samples as shares of common, ascending values.

    Attributes
    ----------
    values : (m,) float
        The distinct values of both samples; means of neighbouring ones where there are more than ``GROUPS``.
    p, q : (m,) float
        Share of each sample at each value.
    firsts : (k,) int
        Where each used histogram bin begins in ``values``; no group lies in two bins.
    at_a, at_b : (N,), (M,) int
        Where each value of the samples lies in ``values``.
    """

    values: np.ndarray
    p: np.ndarray
    q: np.ndarray
    firsts: np.ndarray
    at_a: np.ndarray
    at_b: np.ndarray


def support(
    a: np.ndarray, b: np.ndarray, *, bins: int = BINS, range: tuple[float, float] = (0.0, 1.0), groups: int = GROUPS
) -> Support:
    """The common support of two samples of finite values; see :class:`Support`."""
    both = np.concatenate([np.asarray(a, dtype=float).ravel(), np.asarray(b, dtype=float).ravel()])
    values, inverse, counts = np.unique(both, return_inverse=True, return_counts=True)
    place: np.ndarray = np.ravel(inverse)
    edges = np.linspace(*range, bins + 1)
    in_bin = np.asarray(np.clip(np.searchsorted(edges, values, side="right") - 1, 0, bins - 1))
    if len(values) > groups:
        # Groups of about equally many boxes, cut at the edges of the histogram's bins.
        in_group = (np.cumsum(counts) - 1) * groups // len(both)
        label = np.cumsum(np.diff(in_bin * (groups + 1) + in_group, prepend=-1) != 0) - 1
        values = np.bincount(label, values * counts) / np.bincount(label, counts)
        first = np.flatnonzero(np.diff(label, prepend=-1))
        in_bin = in_bin[first]
        place = label[place]
    m, n = len(values), np.size(a)
    return Support(
        values=values,
        p=np.bincount(place[:n], minlength=m) / n,
        q=np.bincount(place[n:], minlength=m) / (len(both) - n),
        firsts=np.flatnonzero(np.diff(in_bin, prepend=-1)),
        at_a=place[:n],
        at_b=place[n:],
    )


def distances(on: Support, p: np.ndarray, q: np.ndarray) -> dict[str, np.ndarray]:
    """All of ``DISTANCES`` between the rows of two arrays of shares on a support.

    Parameters
    ----------
    on : Support
    p, q : (r, m) float
        Shares at ``on.values``; each row sums to 1.

    Returns
    -------
    dict of str to (r,) float
    """
    overlap = np.sqrt(np.add.reduceat(p, on.firsts, axis=1) * np.add.reduceat(q, on.firsts, axis=1)).sum(1)
    with np.errstate(divide="ignore"):
        log = np.log(np.minimum(overlap, 1.0))
    gap = np.abs(np.cumsum(p - q, axis=1))
    return {
        "bhattacharyya": 0.0 - log,
        "ks": np.minimum(gap.max(1), 1.0),
        "wasserstein": gap[:, :-1] @ np.diff(on.values),
    }


def estimate(
    a: np.ndarray,
    b: np.ndarray,
    rng: np.random.Generator,
    *,
    images: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
    bins: int = BINS,
    range: tuple[float, float] = (0.0, 1.0),
    rounds: int = ROUNDS,
    level: float = LEVEL,
) -> dict[str, Estimate]:
    """Each of ``DISTANCES`` between two samples, with a bootstrap interval and the floors.

    Parameters
    ----------
    a, b : (N,), (M,) float
        Finite values, at least one each; ``a`` is the real sample, from which the floors are drawn.
    rng : numpy.random.Generator
        Source of randomness.
    images : pair of (N,) and (M,) int, optional
        Which image each value is from. Values of one image are alike, so images are drawn whole; None says that each
        value has an image of its own.
    bins, range
        The histogram of the Bhattacharyya distance, as in :func:`bhattacharyya`.
    rounds : int
        Pairs of resamples for the interval and for each floor. Samples of more than 50,000 values together get fewer,
        down to a quarter, as their distances vary little.
    level : float
        Share of cases in which the interval is to hold.

    Notes
    -----
    A distance cannot be negative, so noise lifts it: resamples of both samples, which add the noise of drawing to the
    noise that the samples hold already, lie farther apart than the samples do, and a plain percentile interval often
    lies wholly above the distance that it belongs to. The spread of the resampled distances is right, their place is
    not. So the interval is that of the percentiles, moved until the median of the resampled distances lies on the
    measured one, and cut at 0: it says where the distance of other samples of these sizes would lie on average, which
    is on the same footing as the floors.

    Resamples repeat the few values at hand, so floors lie low for small sets: two new samples of 60 and 300 values are
    a fifth farther apart, and random halves of 25 photos up to 1.6 times as far as ``image_floor``. An exchange of
    images repeats none, so ``upper_floor`` holds for small sets as well, and is what tells a difference from chance.

    Samples of more than ``GROUPS`` distinct values are drawn in groups of neighbours, which moves interval and floor by
    about a hundredth of themselves, and the distance not at all.
    """
    n, m = np.size(a), np.size(b)
    on = support(a, b, bins=bins, range=range)
    of_a, of_b = (_numbered(of, size) for of, size in zip(images, (n, m), strict=True))
    count_a, count_b = int(of_a.max()) + 1, int(of_b.max()) + 1
    rounds = max(rounds // 4, min(rounds, int(rounds * 50_000 / (n + m))), 1)
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in DISTANCES}
    by_value: dict[str, list[np.ndarray]] = {name: [] for name in DISTANCES}
    by_image: dict[str, list[np.ndarray]] = {name: [] for name in DISTANCES}
    exchanged: dict[str, list[np.ndarray]] = {name: [] for name in DISTANCES}
    at, of_both = np.concatenate([on.at_a, on.at_b]), np.concatenate([of_a, of_b + count_a])
    (dealer,) = rng.spawn(1)  # resamples are the same with and without exchanges
    # So many real images hold as many values as the second sample, on average.
    like_b = max(1, round(m * count_a / n))
    for begin in np.arange(0, rounds, _BLOCK):
        size = min(_BLOCK, rounds - int(begin))
        first = _draw(rng, on.at_a, of_a, count_a, size, len(on.values))
        pairs = (
            (drawn, first, _draw(rng, on.at_b, of_b, count_b, size, len(on.values))),
            (by_value, rng.multinomial(n, on.p, size=size) / n, rng.multinomial(m, on.p, size=size) / m),
            (by_image, first, _draw(rng, on.at_a, of_a, like_b, size, len(on.values))),
            (exchanged, *_exchange(dealer, at, of_both, n, size, len(on.values))),
        )
        for to, p, q in pairs:
            for name, values in distances(on, p, q).items():
                to[name].append(values)
    exact = {
        "bhattacharyya": bhattacharyya(a, b, bins, range),
        "ks": kolmogorov_smirnov(a, b),
        "wasserstein": wasserstein(a, b),
    }
    out = {}
    for name, value in exact.items():
        low, high = centred(value, np.concatenate(drawn[name]), level)
        floor = float(np.mean(np.concatenate(by_value[name]))) if n > 1 else math.nan
        image_floor = float(np.mean(np.concatenate(by_image[name]))) if count_a > 1 else math.nan
        chance = np.quantile(np.concatenate(exchanged[name]), level, method="inverted_cdf")
        upper = float(chance) if n > 1 else math.nan
        out[name] = Estimate(value, low, min(high, 1.0) if name == "ks" else high, floor, image_floor, upper)
    return out


def _numbered(images: np.ndarray | None, size: int) -> np.ndarray:
    """Images as 0, 1, ...; one per value where they are not known."""
    if images is None:
        return np.arange(size)
    return np.ravel(np.unique(images, return_inverse=True)[1])


def _draw(rng: np.random.Generator, at: np.ndarray, of: np.ndarray, count: int, size: int, m: int) -> np.ndarray:
    """Shares (size, m) of the values in ``size`` samples of ``count`` images each, drawn with replacement."""
    known = int(of.max()) + 1
    times = rng.multinomial(count, np.full(known, 1.0 / known), size=size)
    shares = np.empty((size, m))
    for row, weights in zip(shares, times, strict=True):
        row[:] = np.bincount(at, weights[of], minlength=m)
    return shares / shares.sum(1, keepdims=True)


def _exchange(
    rng: np.random.Generator, at: np.ndarray, of: np.ndarray, n: int, size: int, m: int
) -> tuple[np.ndarray, np.ndarray]:
    """Shares (size, m) of the values in the first sample and in the second, all images dealt anew at random.

    The first takes images until it holds about as many values as before, ``n``; the rest is the second's.
    """
    held, total = np.bincount(of), np.bincount(at, minlength=m)
    first, second = np.empty((size, m)), np.empty((size, m))
    for p, q in zip(first, second, strict=True):
        order = rng.permutation(len(held))
        filled = np.cumsum(held[order])
        count = min(int(np.abs(filled - n).argmin()) + 1, len(held) - 1) if len(held) > 1 else 1
        dealt = np.zeros(len(held))
        dealt[order[:count]] = 1.0
        p[:] = np.bincount(at, dealt[of], minlength=m)
        q[:] = total - p
    return first / first.sum(1, keepdims=True), second / np.maximum(second.sum(1, keepdims=True), 1)


def centred(value: float, drawn: np.ndarray, level: float) -> tuple[float, float]:
    """The percentile interval of ``drawn`` with its median moved to ``value``, cut at 0; see :func:`estimate`."""
    if not math.isfinite(value):
        return value, value  # resamples of histograms that share no bin share none either
    # Order statistics, not interpolated: some resamples may lie infinitely far apart.
    low, middle, high = (
        float(v) for v in np.quantile(drawn, [(1 - level) / 2, 0.5, (1 + level) / 2], method="inverted_cdf")
    )
    shift = value - middle if math.isfinite(middle) else 0.0
    return max(0.0, min(low + shift, value)), max(high + shift, value)


def remark(a: np.ndarray, b: np.ndarray, *, real_images: np.ndarray | None = None, few: int = 10) -> str:
    """What keeps the distance of two samples of finite values from meaning much: whole sentences, or nothing.

    Parameters
    ----------
    a, b : (N,), (M,) float
        The real and the synthetic sample.
    real_images : (N,) int, optional
        Which image each real value is from.
    few : int
        Under this size a sample is called small.
    """
    said = []
    if not len(a) or not len(b):
        empty = " and ".join(name for name, x in (("real", a), ("synthetic", b)) if not len(x))
        return f"No {empty} value: there is no distance."
    if len(a) == 1:
        said.append("One real value: chance cannot be told from a difference, so no distance is shown.")
    elif np.ptp(a) == 0:
        said.append(f"All {len(a)} real values are {a[0]:.4g}: the floor knows no chance.")
    if len(a) > 1 and real_images is not None and len(np.unique(real_images)) == 1:
        said.append("All real values are of one image: how much images differ is not known.")
    if len(b) > 1 and np.ptp(b) == 0:
        said.append(f"All {len(b)} synthetic values are {b[0]:.4g}.")
    small = [f"{len(x)} {name}" for name, x in (("real", a), ("synthetic", b)) if len(x) < few]
    if len(a) > 1 and small:
        said.append(f"Only {' and '.join(small)} values: intervals of so few are too narrow.")
    return " ".join(said)
