# SPDX-License-Identifier: GPL-3.0-or-later
"""Bootstrap intervals, floors and null distributions of the distances between two samples."""

from __future__ import annotations

import math

import attrs
import numpy as np

from .histograms import BINS
from .image_order import image_numbers
from .registry import all_distances
from .support import SharePairs, Support, common_support

CONFIDENCE_LEVEL = 0.95
N_BOOTSTRAP = 400

_BATCH = 50


@attrs.frozen
class Estimate:
    """A distance with its interval, its floors and the critical value of its null distribution.

    Attributes
    ----------
    value : float
        The distance of the two samples; infinite for a Bhattacharyya distance of histograms that share no bin.
    low, high : float
        Ends of the interval.
    floor : float
        Mean distance between two resamples of the first sample of the two sizes; NaN where that sample has one value,
        from which chance cannot be estimated.
    image_floor : float
        The same where whole images are drawn; NaN where all values are of one image.
    upper_floor : float
        Critical value of a permutation test: the share ``confidence_level`` of random exchanges of whole images
        between the samples gives no larger distance. Samples of one source exceed it in the share
        ``1 - confidence_level`` of cases. NaN for one real value.
    """

    value: float
    low: float
    high: float
    floor: float
    image_floor: float
    upper_floor: float


def resampled_distances(support: Support, p: np.ndarray, q: np.ndarray) -> dict[str, np.ndarray]:
    """All declared distances between the rows of two arrays of shares on a support.

    Parameters
    ----------
    support : Support
    p, q : (r, m) float
        Shares at ``support.values``; each row sums to 1.

    Returns
    -------
    dict of str to (r,) float
    """
    pairs = SharePairs(support.values, support.bin_starts, p, q)
    return {distance.name: distance.compute(pairs) for distance in all_distances()}


def estimate(
    a: np.ndarray,
    b: np.ndarray,
    rng: np.random.Generator,
    *,
    images: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
    bins: int = BINS,
    range: tuple[float, float] = (0.0, 1.0),
    n_bootstrap: int = N_BOOTSTRAP,
    confidence_level: float = CONFIDENCE_LEVEL,
) -> dict[str, Estimate]:
    """Each declared distance between two samples, with a bootstrap interval, floors and critical value.

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
        The histogram of the Bhattacharyya distance, as in :func:`.histograms.bhattacharyya`.
    n_bootstrap : int
        Pairs of resamples for the interval and for each floor. Samples of more than 50,000 values together get fewer,
        down to a quarter, as their distances vary little.
    confidence_level : float
        Share of cases in which the interval is to hold.

    Notes
    -----
    A distance cannot be negative, so noise lifts it: resamples of both samples, which add the noise of drawing to the
    noise that the samples hold already, lie farther apart than the samples do, and a plain percentile interval often
    lies wholly above the distance that it belongs to. The spread of the resampled distances is right, their location
    is not. So the interval is that of the percentiles, shifted until the median of the resampled distances equals the
    measured one, and cut at 0: it says where the distance of other samples of these sizes would lie on average, which
    makes it comparable with the floors.

    Resamples repeat the few available values, so floors are low for small sets: two new samples of 60 and 300
    values are a fifth farther apart, and random halves of 25 photos up to 1.6 times as far as ``image_floor``. A
    permutation of images repeats none, so ``upper_floor`` holds for small sets, too, and decides what is significant.

    Samples of more than ``MAX_VALUES`` distinct values are drawn in groups of neighbours, which moves interval and
    floor by about a hundredth of themselves, and the distance not at all.
    """
    n, m = np.size(a), np.size(b)
    support = common_support(a, b, bins=bins, range=range)
    image_a, image_b = (image_numbers(np.ravel(v), image) for v, image in zip((a, b), images, strict=True))
    n_images_a, n_images_b = int(image_a.max()) + 1, int(image_b.max()) + 1
    n_bootstrap = max(n_bootstrap // 4, min(n_bootstrap, int(n_bootstrap * 50_000 / (n + m))), 1)
    resamples: dict[str, list[dict[str, np.ndarray]]] = {kind: [] for kind in ("pair", "values", "images", "permuted")}
    index = np.concatenate([support.index_a, support.index_b])
    image = np.concatenate([image_a, image_b + n_images_a])
    (permutation_rng,) = rng.spawn(1)  # resamples are the same with and without permutations
    # So many real images hold as many values as the second sample, on average.
    n_images_like_b = max(1, round(m * n_images_a / n))
    width = len(support.values)
    for begin in np.arange(0, n_bootstrap, _BATCH):
        size = min(_BATCH, n_bootstrap - int(begin))
        first = _resample_images(rng, support.index_a, image_a, n_images_a, size, width)
        shares = {
            "pair": (first, _resample_images(rng, support.index_b, image_b, n_images_b, size, width)),
            "values": (
                rng.multinomial(n, support.p, size=size) / n,
                rng.multinomial(m, support.p, size=size) / m,
            ),
            "images": (first, _resample_images(rng, support.index_a, image_a, n_images_like_b, size, width)),
            "permuted": _permute_images(permutation_rng, index, image, n, size, width),
        }
        for kind, (p, q) in shares.items():
            resamples[kind].append(resampled_distances(support, p, q))
    estimates = {}
    for distance in all_distances():
        drawn = {
            kind: np.concatenate([batch[distance.name] for batch in batches]) for kind, batches in resamples.items()
        }
        value = distance.between(a, b, bins, range)
        low, high = centred_interval(value, drawn["pair"], confidence_level)
        critical = np.quantile(drawn["permuted"], confidence_level, method="inverted_cdf")
        estimates[distance.name] = Estimate(
            value,
            low,
            min(high, distance.bounds[1]),
            floor=float(np.mean(drawn["values"])) if n > 1 else math.nan,
            image_floor=float(np.mean(drawn["images"])) if n_images_a > 1 else math.nan,
            upper_floor=float(critical) if n > 1 else math.nan,
        )
    return estimates


def _resample_images(
    rng: np.random.Generator, index: np.ndarray, image: np.ndarray, n_images: int, size: int, m: int
) -> np.ndarray:
    """Shares (size, m) of the values in ``size`` samples of ``n_images`` images each, drawn with replacement."""
    available = int(image.max()) + 1
    times = rng.multinomial(n_images, np.full(available, 1.0 / available), size=size)
    shares = np.empty((size, m))
    for row, weights in zip(shares, times, strict=True):
        row[:] = np.bincount(index, weights[image], minlength=m)
    return shares / shares.sum(1, keepdims=True)


def _permute_images(
    rng: np.random.Generator, index: np.ndarray, image: np.ndarray, n: int, size: int, m: int
) -> tuple[np.ndarray, np.ndarray]:
    """Shares (size, m) of the values in both samples after all images were assigned to them at random.

    The first takes images until it holds about as many values as before, ``n``; the second takes the others.
    """
    values_of, total = np.bincount(image), np.bincount(index, minlength=m)
    first, second = np.empty((size, m)), np.empty((size, m))
    for p, q in zip(first, second, strict=True):
        order = rng.permutation(len(values_of))
        filled = np.cumsum(values_of[order])
        count = min(int(np.abs(filled - n).argmin()) + 1, len(values_of) - 1) if len(values_of) > 1 else 1
        assigned = np.zeros(len(values_of))
        assigned[order[:count]] = 1.0
        p[:] = np.bincount(index, assigned[image], minlength=m)
        q[:] = total - p
    return first / first.sum(1, keepdims=True), second / np.maximum(second.sum(1, keepdims=True), 1)


def centred_interval(value: float, drawn: np.ndarray, confidence_level: float) -> tuple[float, float]:
    """The percentile interval of ``drawn`` with its median shifted to ``value``, cut at 0; see :func:`estimate`."""
    if not math.isfinite(value):
        return value, value  # resamples of histograms that share no bin share none either
    # Order statistics, not interpolated: some resamples may lie infinitely far apart.
    quantiles = [(1 - confidence_level) / 2, 0.5, (1 + confidence_level) / 2]
    low, middle, high = (float(v) for v in np.quantile(drawn, quantiles, method="inverted_cdf"))
    shift = value - middle if math.isfinite(middle) else 0.0
    return max(0.0, min(low + shift, value)), max(high + shift, value)


def sample_warnings(a: np.ndarray, b: np.ndarray, *, real_images: np.ndarray | None = None, small: int = 10) -> str:
    """What limits the meaning of the distance of two samples of finite values: whole sentences, or nothing.

    Parameters
    ----------
    a, b : (N,), (M,) float
        The real and the synthetic sample.
    real_images : (N,) int, optional
        Which image each real value is from.
    small : int
        Samples of fewer values are called small.
    """
    sides = (("real", a), ("synthetic", b))
    if not len(a) or not len(b):
        empty = " and ".join(name for name, values in sides if not len(values))
        return f"No {empty} value: there is no distance."
    warnings = []
    if len(a) == 1:
        warnings.append("One real value: chance cannot be estimated, so no distance is shown.")
    elif np.ptp(a) == 0:
        warnings.append(f"All {len(a)} real values are {a[0]:.4g}: the floor cannot show chance.")
    if len(a) > 1 and real_images is not None and len(np.unique(real_images)) == 1:
        warnings.append("All real values are of one image: how much images differ is not known.")
    if len(b) > 1 and np.ptp(b) == 0:
        warnings.append(f"All {len(b)} synthetic values are {b[0]:.4g}.")
    few = [f"{len(values)} {name}" for name, values in sides if len(values) < small]
    if len(a) > 1 and few:
        warnings.append(f"Only {' and '.join(few)} values: their intervals are too narrow.")
    return " ".join(warnings)
