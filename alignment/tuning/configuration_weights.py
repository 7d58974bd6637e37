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
from ..distances.binning import TINY, Sample, View
from ..distances.bootstrap import CONFIDENCE_LEVEL, N_BOOTSTRAP, centred_interval
from ..distances.histograms import bhattacharyya_floor, bhattacharyya_of
from ..mixtures.area_mixture import REFERENCE_SIZE, search

METHODS = ("gaussian", "shares")

FEWEST = 8
"""A configuration that gave fewer values is not chosen."""

PRIOR = 4.0
"""So many values of the spread that configurations have on average stand beside each one's own values."""

LEAST_SHARE = 0.02
"""A configuration with a smaller share of the boxes is left out, and the others are weighed again."""

_STEPS = 2000


@attrs.frozen(eq=False)
class Components:
    """A Gaussian mixture of a column; weights, means and variances (K,) on the scale of its view, by rising mean."""

    weights_: np.ndarray
    means_: np.ndarray
    covariances_: np.ndarray
    view: View
    criterion_: str = ""

    def shares(self) -> np.ndarray:
        """Its shares (BINS,) in the bins of the distance."""
        return _gaussian_shares(self.view, self.means_, np.sqrt(self.covariances_), self.weights_)


def fit_components(real: np.ndarray, view: View, *, components: int = 0, seed: int = 0) -> Components:
    """Fit a mixture to real values (N,), the number of components by silhouette score; see :func:`.mixture.search`."""
    values = np.asarray(real, dtype=float)
    x, p = view.scaled(values), view.histogram(values)
    floor = bhattacharyya_floor(
        values, len(values), REFERENCE_SIZE, N_BOOTSTRAP, np.random.default_rng(seed), range=(view.low, view.high)
    )
    mixture, _, reason = search(
        x,
        lambda weights, means, variances: Components(weights, means, variances, view),
        lambda mixture: bhattacharyya_of(p, mixture.shares()),
        floor,
        # A count has no spread below a third of a box; elsewhere a hundredth of what is looked at counts as equal.
        least=0.3 if find_column(view.column).kind == "count" else 0.02 if view.log else 0.01 * (view.high - view.low),
        components=components,
        random_state=seed,
    )
    return attrs.evolve(mixture, criterion_=reason)


def moments(samples: Sequence[Sample], view: View, *, fewest: int = FEWEST) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance (K,) of each configuration on the scale of the view; NaN for fewer than ``fewest`` values.

    The variance of few values is uncertain, and the smallest of many uncertain ones would be chosen too often: each is
    drawn towards the mean of all, weighed by values, as if :data:`PRIOR` values of that spread had been seen as well.
    """
    scaled = [view.scaled(s.values) if len(s) >= max(fewest, 2) else np.empty(0) for s in samples]
    freedom = np.array([max(len(x) - 1, 0) for x in scaled], dtype=float)
    squares = np.array([((x - x.mean()) ** 2).sum() if len(x) else 0.0 for x in scaled])
    common = squares.sum() / max(freedom.sum(), 1.0)
    variances = np.where(freedom > 0, (squares + PRIOR * common) / (freedom + PRIOR), np.nan)
    means = np.array([x.mean() if len(x) else np.nan for x in scaled])
    return means, np.maximum(variances, TINY)


def divergence(mean_a: np.ndarray, variance_a: np.ndarray, mean_b: np.ndarray, variance_b: np.ndarray) -> np.ndarray:
    """Bhattacharyya distance of Gaussians, ``(ma - mb)² / 4(va + vb) + ln((va + vb) / 2 sqrt(va vb)) / 2``.

    It is zero where means and variances agree, and weighs a difference of either as the distance between
    distributions does [Bhattacharyya, "On a measure of divergence between two statistical populations", 1943].
    """
    both = np.asarray(variance_a) + variance_b
    apart = (np.asarray(mean_a) - mean_b) ** 2 / (4 * both)
    return np.asarray(apart + 0.5 * np.log(both / (2 * np.sqrt(np.asarray(variance_a) * variance_b))))


def nearest_shares(components: Components, samples: Sequence[Sample], *, fewest: int = FEWEST) -> np.ndarray:
    """Shares (K,) of the boxes by the method's own rule: each component's weight goes to one configuration.

    That with the least :func:`divergence` between the Gaussian of its :func:`moments` and the component
    [Zhang2023, §3]. Two components may choose the same.
    """
    means, variances = moments(samples, components.view, fewest=fewest)
    usable = np.flatnonzero(np.isfinite(means))
    if not len(usable):
        raise _too_few(samples, fewest)
    away = divergence(means[usable], variances[usable], components.means_[:, None], components.covariances_[:, None])
    shares = np.zeros(len(samples))
    np.add.at(shares, usable[away.argmin(1)], components.weights_)
    return shares / shares.sum()


def fitted_shares(real: np.ndarray, samples: Sequence[Sample], view: View, *, fewest: int = FEWEST) -> np.ndarray:
    """Shares (K,) of the boxes whose mixture of configurations lies nearest to the real values (N,).

    Each configuration's histogram is that of a Gaussian kernel density (Silverman's bandwidth; none for counts), so
    that what few probes happened to show does not decide. Shares under :data:`LEAST_SHARE` are dropped one by one.
    """
    usable = [i for i, s in enumerate(samples) if len(s) >= fewest]
    if not usable:
        raise _too_few(samples, fewest)
    p = view.histogram(real)
    parts = np.array([_smooth(samples[i].values, view) for i in usable])
    kept = np.arange(len(usable))
    while True:
        found = nearest_mixture(p, parts[kept])
        if len(kept) == 1 or found.min() >= LEAST_SHARE:
            break
        kept = np.delete(kept, found.argmin())
    shares = np.zeros(len(samples))
    shares[np.asarray(usable)[kept]] = found
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
        How near to the greatest overlap is near enough.

    Notes
    -----
    The overlap, the sum of ``sqrt(p (weights @ parts))``, is concave. Multiplying each weight by the square of its
    gradient never lessens it: the update of Cichocki et al. ("Non-negative matrix factorization with
    alpha-divergence", 2008) for alpha = 1/2. Among much the same parts that creeps, so higher powers are taken for as
    long as they gain.
    """
    weights = np.full(len(parts), 1.0 / len(parts))
    seen = p > 0
    root, parts = np.sqrt(p[seen]), np.asarray(parts, dtype=float)[:, seen]
    if not (parts > 0).any():
        return weights
    power = 2.0
    for _ in range(_STEPS):
        q = np.maximum(weights @ parts, 1e-300)
        gradient = parts @ (root / np.sqrt(q))
        # At the greatest overlap no gradient exceeds the overlap itself: the gap bounds what is left to gain.
        if gradient.max() - weights @ gradient <= tolerance * (weights @ gradient):
            break
        further = _stepped(weights, gradient, power)
        if power > 2 and root @ np.sqrt(further @ parts) <= weights @ gradient:
            power, further = 2.0, _stepped(weights, gradient, 2.0)
        weights, power = further, 1.5 * power
    return np.asarray(weights)


def _stepped(weights: np.ndarray, gradient: np.ndarray, power: float) -> np.ndarray:
    moved = weights * (gradient / gradient.max()) ** power
    return np.asarray(moved / moved.sum())


@attrs.frozen(eq=False)
class Prediction:
    """A Bhattacharyya distance to expect.

    Attributes
    ----------
    value : float
        Of a mixture whose shares were chosen on one half of the probes, measured on the other half; the mean of both
        ways. Of few probes this is more than a large dataset will show.
    low, high : float
        Its 95 % interval: real images and probes drawn anew, with the shares as they are.
    floor : float
        Mean distance of two resamples of the real values, one of :data:`.mixture.REFERENCE_SIZE`.
    fitted : float
        On the probes that the shares were chosen on, which flatters them.
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
    view: View,
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
        Where there are fewer than two real values, or no configuration gave :data:`FEWEST` of them.
    """
    check_real(real, view)
    fitted = components or fit_components(real.values, view)
    rules: dict[str, Callable[[Sequence[Sample], int], np.ndarray]] = {
        "gaussian": lambda some, fewest: nearest_shares(fitted, some, fewest=fewest),
        "shares": lambda some, fewest: fitted_shares(real.values, some, view, fewest=fewest),
    }
    unknown = set(methods) - set(rules)
    if unknown:
        raise DataError(f"'{unknown.pop()}' is not a method of tuning. Methods: {', '.join(METHODS)}.")
    out = []
    for method in methods:
        shares = rules[method](samples, FEWEST)
        halves = []
        for which in (0, 1):
            chosen_on = [sample.half(which) for sample in samples]
            if any(len(sample) >= FEWEST // 2 for sample in chosen_on):
                held_out = [sample.half(1 - which) for sample in samples]
                halves.append(distance_of(real, held_out, rules[method](chosen_on, FEWEST // 2), view))
        held = [d for d in halves if math.isfinite(d)]
        value = float(np.mean(held)) if held else math.inf
        out.append(
            Choice(method, shares, frame_weights(shares, samples), predict(real, samples, shares, view, rng, value))
        )
    return sorted(out, key=lambda choice: choice.predicted.value)


def check_real(real: Sample, view: View) -> None:
    """DataError where real values are too few to tell a distance from chance."""
    if len(real) < 2:
        raise DataError(
            f"Tuning on '{view.column}' needs at least two real values; there {'is one' if len(real) else 'are none'}. "
            "Annotate more images, or tune on another column."
        )


def frame_weights(shares: np.ndarray, samples: Sequence[Sample]) -> np.ndarray:
    """Shares (K,) of the frames that give these shares of the values."""
    per_frame = np.array([len(s) / max(s.images, 1) for s in samples])
    frames = np.divide(shares, per_frame, out=np.zeros(len(shares)), where=(shares > 0) & (per_frame > 0))
    return np.asarray(frames / frames.sum())


def distance_of(real: Sample, samples: Sequence[Sample], shares: np.ndarray, view: View) -> float:
    """Bhattacharyya distance of a mixture of samples to the real one; of those that hold any value."""
    used = [i for i in np.flatnonzero(shares > 0) if len(samples[i])]
    if not used:
        return math.inf
    parts = np.array([view.histogram(samples[i].values) for i in used])
    return bhattacharyya_of(view.histogram(real.values), shares[used] @ parts / shares[used].sum())


def predict(
    real: Sample,
    samples: Sequence[Sample],
    shares: np.ndarray,
    view: View,
    rng: np.random.Generator,
    value: float | None = None,
) -> Prediction:
    """The distance of a mixture of samples to the real one, with interval and floor; see :class:`Prediction`.

    ``value`` is the distance where it was measured on other probes than ``samples``.
    """
    floor = bhattacharyya_floor(real.values, len(real), REFERENCE_SIZE, N_BOOTSTRAP, rng, range=(view.low, view.high))
    fitted = distance_of(real, samples, shares, view)
    value = fitted if value is None else value
    p = _redrawn(real, view, rng)
    q = np.zeros_like(p)
    for i in np.flatnonzero(shares > 0):
        if len(samples[i]):
            q += shares[i] * _redrawn(samples[i], view, rng)
    drawn = np.array([bhattacharyya_of(a, b / b.sum()) if b.sum() > 0 else math.inf for a, b in zip(p, q, strict=True)])
    low, high = centred_interval(value, drawn, CONFIDENCE_LEVEL)
    return Prediction(value, low, high, floor, fitted)


def facts(components: Components) -> list[dict[str, Any]]:
    """The components as JSON values: weight, centre and the ends one standard deviation away, in the column's unit."""
    back = np.exp if components.view.log else np.asarray
    std = np.sqrt(components.covariances_)
    return [
        {"weight": float(w), "center": float(back(m)), "low": float(back(m - s)), "high": float(back(m + s))}
        for w, m, s in zip(components.weights_, components.means_, std, strict=True)
    ]


def _redrawn(sample: Sample, view: View, rng: np.random.Generator) -> np.ndarray:
    """Histograms (N_BOOTSTRAP, BINS) of a sample whose images are drawn anew; zeros where none of them has a value."""
    counts = sample.by_image(view)
    times = rng.multinomial(len(counts), np.full(len(counts), 1.0 / len(counts)), size=N_BOOTSTRAP)
    drawn = times @ counts
    total = drawn.sum(1, keepdims=True)
    return np.divide(drawn, total, out=np.zeros_like(drawn), where=total > 0)


def _smooth(values: np.ndarray, view: View) -> np.ndarray:
    """The histogram of a kernel density of values."""
    if find_column(view.column).kind == "count":
        return view.histogram(values)
    x = view.scaled(values)
    quarter, three = np.quantile(x, [0.25, 0.75])
    spread = min(float(x.std()), float(three - quarter) / 1.34) or float(x.std())
    least = 1e-3 * (view.cuts[-1] - view.cuts[0])
    return _gaussian_shares(
        view, x, np.full(len(x), max(0.9 * spread * len(x) ** -0.2, least)), np.full(len(x), 1 / len(x))
    )


def _gaussian_shares(view: View, means: np.ndarray, stds: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Shares (BINS,) of Gaussians in the bins of the distance; what lies outside counts in the outermost ones."""
    from scipy.special import ndtr

    below = ndtr((view.cuts[:, None] - means) / stds) @ weights
    return np.asarray(np.diff(np.concatenate([[0.0], below, [weights.sum()]])))


def _too_few(samples: Sequence[Sample], fewest: int) -> DataError:
    most = max((len(s) for s in samples), default=0)
    return DataError(
        f"None of the {len(samples)} configurations gave {fewest} values; the best gave {most}. Probe more frames "
        "(--probes), or vary parameters less far."
    )
