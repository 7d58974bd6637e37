# SPDX-License-Identifier: GPL-3.0-or-later
"""Which configurations of a generator, in which proportion, give a real column's distribution [Zhang2023, §3]."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import numpy as np

from ...engine.errors import DataError
from ..columns.registry import find_column
from ..distances.binning import TINY, Binning, Sample
from ..distances.bootstrap import CONFIDENCE_LEVEL, N_BOOTSTRAP, centred_interval
from ..distances.histograms import bhattacharyya_floor, bhattacharyya_of_histograms
from ..mixtures.area_mixture import REFERENCE_SIZE, fit_mixture

METHODS = ("gaussian", "shares")

MIN_VALUES = 8
"""Configurations with fewer values are not chosen."""

PRIOR_VALUES = 4.0
"""Weight of the pooled variance of all configurations, in values, beside each one's own."""

MIN_SHARE = 0.02
"""A configuration with a smaller share of the boxes is dropped, and the others are fitted again."""

_STEPS = 2000


@attrs.frozen(eq=False)
class Components:
    """A Gaussian mixture of a column; weights, means and variances (K,) on the transformed scale, by rising mean."""

    weights_: np.ndarray
    means_: np.ndarray
    covariances_: np.ndarray
    binning: Binning
    criterion_: str = ""

    def shares(self) -> np.ndarray:
        """Shares (BINS,) of the mixture in the bins of the distance."""
        return _gaussian_shares(self.binning, self.means_, np.sqrt(self.covariances_), self.weights_)


def fit_components(real: np.ndarray, binning: Binning, *, components: int = 0, seed: int = 0) -> Components:
    """Fit a mixture to real values (N,), the number of components by silhouette score: see :func:`.fit_mixture`."""
    values = np.asarray(real, dtype=float)
    x, p = binning.transform(values), binning.histogram(values)
    floor = bhattacharyya_floor(
        values, len(values), REFERENCE_SIZE, N_BOOTSTRAP, np.random.default_rng(seed), range=(binning.low, binning.high)
    )
    mixture, _, reason = fit_mixture(
        x,
        lambda weights, means, variances: Components(weights, means, variances, binning),
        lambda mixture: bhattacharyya_of_histograms(p, mixture.shares()),
        floor,
        # The least spread: a third of a box for counts, elsewhere a hundredth of the range.
        min_std=0.3
        if find_column(binning.column).kind == "count"
        else 0.02
        if binning.log
        else 0.01 * (binning.high - binning.low),
        components=components,
    )
    return attrs.evolve(mixture, criterion_=reason)


def moments(
    samples: Sequence[Sample], binning: Binning, *, min_values: int = MIN_VALUES
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance (K,) of each configuration on the transformed scale; NaN for fewer than ``min_values`` values.

    The variance of few values is uncertain, and the smallest of many uncertain ones would be chosen too often: each is
    shrunk towards the pooled variance, as if :data:`PRIOR_VALUES` more values of that variance had been seen.
    """
    transformed = [binning.transform(s.values) if len(s) >= max(min_values, 2) else np.empty(0) for s in samples]
    freedom = np.array([max(len(x) - 1, 0) for x in transformed], dtype=float)
    squares = np.array([((x - x.mean()) ** 2).sum() if len(x) else 0.0 for x in transformed])
    common = squares.sum() / max(freedom.sum(), 1.0)
    variances = np.where(freedom > 0, (squares + PRIOR_VALUES * common) / (freedom + PRIOR_VALUES), np.nan)
    means = np.array([x.mean() if len(x) else np.nan for x in transformed])
    return means, np.maximum(variances, TINY)


def gaussian_bhattacharyya(
    mean_a: np.ndarray, variance_a: np.ndarray, mean_b: np.ndarray, variance_b: np.ndarray
) -> np.ndarray:
    """Bhattacharyya distance of Gaussians, ``(ma - mb)² / 4(va + vb) + ln((va + vb) / 2 sqrt(va vb)) / 2``.

    It is zero where means and variances agree, and weighs a difference of either as the distance between
    distributions does [Bhattacharyya, "On a measure of divergence between two statistical populations", 1943].
    """
    both = np.asarray(variance_a) + variance_b
    apart = (np.asarray(mean_a) - mean_b) ** 2 / (4 * both)
    return np.asarray(apart + 0.5 * np.log(both / (2 * np.sqrt(np.asarray(variance_a) * variance_b))))


def shares_by_component(
    components: Components, samples: Sequence[Sample], *, min_values: int = MIN_VALUES
) -> np.ndarray:
    """Shares (K,) of the boxes by the method's own rule: each component's weight goes to one configuration.

    The one with the least :func:`gaussian_bhattacharyya` between the Gaussian of its :func:`moments` and the component
    [Zhang2023, §3]. Two components may choose the same.
    """
    means, variances = moments(samples, components.binning, min_values=min_values)
    usable = np.flatnonzero(np.isfinite(means))
    if not len(usable):
        raise _too_few(samples, min_values)
    away = gaussian_bhattacharyya(
        means[usable], variances[usable], components.means_[:, None], components.covariances_[:, None]
    )
    shares = np.zeros(len(samples))
    np.add.at(shares, usable[away.argmin(1)], components.weights_)
    return shares / shares.sum()


def shares_by_histogram(
    real: np.ndarray, samples: Sequence[Sample], binning: Binning, *, min_values: int = MIN_VALUES
) -> np.ndarray:
    """Shares (K,) of the boxes whose mixture of configurations lies nearest to the real values (N,).

    Each configuration's histogram is that of a Gaussian kernel density (Silverman's bandwidth; none for counts), so
    that what few probes happened to show does not decide. Shares under :data:`MIN_SHARE` are dropped one by one.
    """
    usable = [i for i, s in enumerate(samples) if len(s) >= min_values]
    if not usable:
        raise _too_few(samples, min_values)
    p = binning.histogram(real)
    parts = np.array([_smoothed_histogram(samples[i].values, binning) for i in usable])
    kept = np.arange(len(usable))
    while True:
        fitted = nearest_mixture(p, parts[kept])
        if len(kept) == 1 or fitted.min() >= MIN_SHARE:
            break
        kept = np.delete(kept, fitted.argmin())
    shares = np.zeros(len(samples))
    shares[np.asarray(usable)[kept]] = fitted
    return shares


def nearest_mixture(p: np.ndarray, parts: np.ndarray, *, tolerance: float = 1e-9) -> np.ndarray:
    """Weights (K,) >= 0 with sum 1 for which ``weights @ parts`` has the least Bhattacharyya distance to ``p``.

    Parameters
    ----------
    p : (B,) float
        Histogram with sum 1.
    parts : (K, B) float
        Histograms with sum 1.
    tolerance : float
        Relative gap to the greatest overlap at which the iteration ends.

    Notes
    -----
    The overlap, the sum of ``sqrt(p (weights @ parts))``, is concave. Multiplying each weight by the square of its
    gradient never lessens it: the update of Cichocki et al. ("Non-negative matrix factorization with
    alpha-divergence", 2008) for alpha = 1/2. It converges slowly for similar parts, so higher powers are used as long
    as they increase the overlap.
    """
    weights = np.full(len(parts), 1.0 / len(parts))
    seen = p > 0
    # Shares of smoothed histograms may fall below 0 by rounding, and powers of negative numbers are not defined.
    root, parts = np.sqrt(p[seen]), np.maximum(np.asarray(parts, dtype=float)[:, seen], 0.0)
    if not (parts > 0).any():
        return weights
    power = 2.0
    for _ in range(_STEPS):
        q = np.maximum(weights @ parts, 1e-300)
        gradient = parts @ (root / np.sqrt(q))
        # At the greatest overlap no gradient exceeds the overlap itself: the gap bounds what is left to gain.
        if gradient.max() - weights @ gradient <= tolerance * (weights @ gradient):
            break
        further = _updated(weights, gradient, power)
        if power > 2 and root @ np.sqrt(further @ parts) <= weights @ gradient:
            power, further = 2.0, _updated(weights, gradient, 2.0)
        weights, power = further, 1.5 * power
    return np.asarray(weights)


def _updated(weights: np.ndarray, gradient: np.ndarray, power: float) -> np.ndarray:
    moved = weights * (gradient / gradient.max()) ** power
    return np.asarray(moved / moved.sum())


@attrs.frozen(eq=False)
class Prediction:
    """An expected Bhattacharyya distance.

    Attributes
    ----------
    value : float
        Of a mixture whose shares were chosen on one half of the probes, measured on the other half; the mean of both
        ways. Of few probes this is more than a large dataset will show.
    low, high : float
        Its 95 % interval: real images and probes resampled, with the same shares.
    floor : float
        Mean distance of two resamples of the real values, one of :data:`.mixture.REFERENCE_SIZE`.
    fitted : float
        On the probes that the shares were chosen on, which is optimistic.
    """

    value: float
    low: float
    high: float
    floor: float
    fitted: float


@attrs.frozen(eq=False)
class Choice:
    """Configurations in proportion.

    Attributes
    ----------
    method : str
        One of :data:`METHODS`.
    shares : (K,) float
        Share of the boxes, or of the images for a column of images, that each configuration is to give.
    weights : (K,) float
        Share of the frames that does so: one that gives twice as many boxes per frame needs half as many frames.
    predicted : Prediction
    """

    method: str
    shares: np.ndarray
    weights: np.ndarray
    predicted: Prediction


def choose(
    real: Sample,
    samples: Sequence[Sample],
    binning: Binning,
    rng: np.random.Generator,
    *,
    components: Components | None = None,
    methods: Sequence[str] = METHODS,
) -> list[Choice]:
    """Choose among probed configurations by each of the methods; the one of the least predicted distance comes first.

    Parameters
    ----------
    real : Sample
    samples : sequence of Sample
        One per configuration.
    components : Components, optional
        The real mixture, where it is fitted already.

    Raises
    ------
    DataError
        If there are fewer than two real values, or no configuration gave :data:`MIN_VALUES` of them.
    """
    check_real(real, binning)
    fitted = components or fit_components(real.values, binning)
    rules: dict[str, Callable[[Sequence[Sample], int], np.ndarray]] = {
        "gaussian": lambda some, min_values: shares_by_component(fitted, some, min_values=min_values),
        "shares": lambda some, min_values: shares_by_histogram(real.values, some, binning, min_values=min_values),
    }
    unknown = set(methods) - set(rules)
    if unknown:
        raise DataError(f"'{unknown.pop()}' is not a method of tuning. Methods: {', '.join(METHODS)}.")
    out = []
    for method in methods:
        shares = rules[method](samples, MIN_VALUES)
        halves = []
        for which in (0, 1):
            chosen_on = [sample.half(which) for sample in samples]
            if any(len(sample) >= MIN_VALUES // 2 for sample in chosen_on):
                held_out = [sample.half(1 - which) for sample in samples]
                halves.append(mixture_distance(real, held_out, rules[method](chosen_on, MIN_VALUES // 2), binning))
        held = [d for d in halves if math.isfinite(d)]
        value = float(np.mean(held)) if held else math.inf
        out.append(
            Choice(method, shares, frame_weights(shares, samples), predict(real, samples, shares, binning, rng, value))
        )
    return sorted(out, key=lambda choice: choice.predicted.value)


def check_real(real: Sample, binning: Binning) -> None:
    """Raise a DataError if there are too few real values to estimate chance."""
    if len(real) < 2:
        raise DataError(
            f"Tuning on '{binning.column}' needs at least two real values; "
            f"there {'is one' if len(real) else 'are none'}. Annotate more images, or tune on another column."
        )


def frame_weights(shares: np.ndarray, samples: Sequence[Sample]) -> np.ndarray:
    """Shares (K,) of the frames that give these shares of the values."""
    per_frame = np.array([len(s) / max(s.n_images, 1) for s in samples])
    frames = np.divide(shares, per_frame, out=np.zeros(len(shares)), where=(shares > 0) & (per_frame > 0))
    return np.asarray(frames / frames.sum())


def mixture_distance(real: Sample, samples: Sequence[Sample], shares: np.ndarray, binning: Binning) -> float:
    """Bhattacharyya distance of a mixture of samples to the real one; empty samples are left out."""
    used = [i for i in np.flatnonzero(shares > 0) if len(samples[i])]
    if not used:
        return math.inf
    parts = np.array([binning.histogram(samples[i].values) for i in used])
    return bhattacharyya_of_histograms(binning.histogram(real.values), shares[used] @ parts / shares[used].sum())


def predict(
    real: Sample,
    samples: Sequence[Sample],
    shares: np.ndarray,
    binning: Binning,
    rng: np.random.Generator,
    value: float | None = None,
) -> Prediction:
    """The distance of a mixture of samples to the real one, with interval and floor; see :class:`Prediction`.

    ``value`` is the distance if it was measured on other probes than ``samples``.
    """
    floor = bhattacharyya_floor(
        real.values, len(real), REFERENCE_SIZE, N_BOOTSTRAP, rng, range=(binning.low, binning.high)
    )
    fitted = mixture_distance(real, samples, shares, binning)
    value = fitted if value is None else value
    p = _resampled_histograms(real, binning, rng)
    q = np.zeros_like(p)
    for i in np.flatnonzero(shares > 0):
        if len(samples[i]):
            q += shares[i] * _resampled_histograms(samples[i], binning, rng)
    drawn = np.array(
        [bhattacharyya_of_histograms(a, b / b.sum()) if b.sum() > 0 else math.inf for a, b in zip(p, q, strict=True)]
    )
    low, high = centred_interval(value, drawn, CONFIDENCE_LEVEL)
    return Prediction(value, low, high, floor, fitted)


def component_values(components: Components) -> list[dict[str, Any]]:
    """The components as JSON values: weight, centre and the ends one standard deviation away, in the column's unit."""
    back = np.exp if components.binning.log else np.asarray
    std = np.sqrt(components.covariances_)
    return [
        {"weight": float(w), "center": float(back(m)), "low": float(back(m - s)), "high": float(back(m + s))}
        for w, m, s in zip(components.weights_, components.means_, std, strict=True)
    ]


def _resampled_histograms(sample: Sample, binning: Binning, rng: np.random.Generator) -> np.ndarray:
    """Histograms (N_BOOTSTRAP, BINS) of resamples by image; zeros where none of the images has a value."""
    counts = sample.counts_by_image(binning)
    times = rng.multinomial(len(counts), np.full(len(counts), 1.0 / len(counts)), size=N_BOOTSTRAP)
    drawn = times @ counts
    total = drawn.sum(1, keepdims=True)
    return np.divide(drawn, total, out=np.zeros_like(drawn), where=total > 0)


def _smoothed_histogram(values: np.ndarray, binning: Binning) -> np.ndarray:
    """The histogram of a kernel density of values."""
    if find_column(binning.column).kind == "count":
        return binning.histogram(values)
    x = binning.transform(values)
    quarter, three = np.quantile(x, [0.25, 0.75])
    spread = min(float(x.std()), float(three - quarter) / 1.34) or float(x.std())
    min_width = 1e-3 * (binning.inner_edges[-1] - binning.inner_edges[0])
    return _gaussian_shares(
        binning, x, np.full(len(x), max(0.9 * spread * len(x) ** -0.2, min_width)), np.full(len(x), 1 / len(x))
    )


def _gaussian_shares(binning: Binning, means: np.ndarray, stds: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Shares (BINS,) of Gaussians in the bins of the distance; the outermost ones include what lies outside."""
    from scipy.special import ndtr

    below = ndtr((binning.inner_edges[:, None] - means) / stds) @ weights
    return np.asarray(np.diff(np.concatenate([[0.0], below, [weights.sum()]])))


def _too_few(samples: Sequence[Sample], min_values: int) -> DataError:
    most = max((len(s) for s in samples), default=0)
    return DataError(
        f"None of the {len(samples)} configurations gave {min_values} values; the best gave {most}. Probe more frames "
        "(--probes), or vary parameters less far."
    )
