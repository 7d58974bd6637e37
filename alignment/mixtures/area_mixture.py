# SPDX-License-Identifier: GPL-3.0-or-later
"""A one-dimensional Gaussian mixture of relative bbox areas: fitted to few real boxes, truncated, inverted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import attrs
import numpy as np

from ...engine.errors import DataError
from ..distances.histograms import BINS, bhattacharyya_floor, bhattacharyya_of_histograms, histogram
from .gaussian_components import METHODS, fit_components

M = TypeVar("M")

SCALES = ("log", "sqrt", "logit")
MAX_FITTED_VALUES = 5000
"""With more values than this, a mixture is fitted to their quantiles."""

CRITERIA = ("silhouette", "bic")

WEAK_STRUCTURE = 0.5
"""Average silhouette widths up to this one mean weak structure or none [Kaufman & Rousseeuw 1990, ch. 2]."""

FLOOR_MARGIN = 0.7
"""Share of the floor that the distance of a mixture may reach; the rest is left for errors of rendering."""

REFERENCE_SIZE = 300
"""Size of the synthetic set whose floor a mixture is compared with."""

_TINY = 1e-9
_COMPONENT_RANGE = 9.0  # standard deviations at which a component ends


def to_scale(area: np.ndarray, scale: str) -> np.ndarray:
    """Relative areas [0, 1] on the scale; the ends may become infinite."""
    a = np.asarray(area, dtype=float)
    with np.errstate(divide="ignore"):
        if scale == "log":
            return np.log(a)
        if scale == "sqrt":
            return np.sqrt(a)
        if scale == "logit":
            return np.log(a) - np.log1p(-a)
    raise DataError(f"'{scale}' is not a scale of areas. Scales: {', '.join(SCALES)}.")


def from_scale(z: np.ndarray, scale: str) -> np.ndarray:
    """Relative areas of values on the scale, in (0, 1]."""
    z = np.asarray(z, dtype=float)
    if scale == "log":
        a = np.exp(z)
    elif scale == "sqrt":
        a = np.square(np.maximum(z, 0.0))
    else:
        a = 1.0 / (1.0 + np.exp(-z))
    return np.clip(a, _TINY, 1.0)


@attrs.frozen(eq=False)
class AreaMixture:
    """A fitted mixture of relative areas, scikit-learn style.

    Each component is a Gaussian in scale space truncated to areas in (0, 1], so that components near a full image keep
    their weight; the mixture as a whole is truncated to [low, high].

    Attributes
    ----------
    weights_, means_, covariances_ : (K,) float
        Shares, means and variances of the Gaussians in scale space, by rising mean.
    scale : str
        ``log``, ``sqrt`` or ``logit``.
    low, high : float
        Interval of relative areas to draw from.
    n_samples_ : int
        Number of real boxes in the fit.
    scores_ : dict
        Number of components tried to ``{"silhouette", "bic", "distance"}``.
    criterion_ : str
        How the number of components was chosen, as a sentence.
    """

    weights_: np.ndarray
    means_: np.ndarray
    covariances_: np.ndarray
    scale: str = "log"
    low: float = 0.0
    high: float = 1.0
    n_samples_: int = 0
    scores_: dict[int, dict[str, float | None]] = attrs.field(factory=dict)
    criterion_: str = ""

    @property
    def n_components_(self) -> int:
        return len(self.weights_)

    def truncated(self, low: float, high: float) -> AreaMixture:
        """The same mixture on [low, high] only, both relative areas."""
        if not (0.0 <= low < high <= 1.0):
            raise DataError(
                f"An interval of relative areas must lie in [0, 1] and rise. Got [{low:g}, {high:g}] instead."
            )
        return attrs.evolve(self, low=float(low), high=float(high))

    def cdf(self, area: np.ndarray) -> np.ndarray:
        """Share of boxes not larger than ``area`` (any shape)."""
        return self._cdf(area, *self._raw_cdf(np.array([self.low, self.high])))

    def _cdf(self, area: np.ndarray, start: float, end: float) -> np.ndarray:
        a = np.clip(np.asarray(area, dtype=float), self.low, self.high)
        if end - start < 1e-12:
            # The mixture has almost no mass here: all areas of the interval are equally likely.
            return (a - self.low) / (self.high - self.low)
        return np.clip((self._raw_cdf(a) - start) / (end - start), 0.0, 1.0)

    def ppf(self, u: np.ndarray) -> np.ndarray:
        """Area below which a share ``u`` (any shape, in [0, 1]) of the boxes lies: the inverse of :meth:`cdf`."""
        u = np.asarray(u, dtype=float)
        std = np.sqrt(self.covariances_)
        ends = np.clip(
            to_scale(np.array([self.low, self.high]), self.scale),
            (self.means_ - _COMPONENT_RANGE * std).min(),
            (self.means_ + _COMPONENT_RANGE * std).max(),
        )
        low, high = np.full(u.shape, ends[0]), np.full(u.shape, ends[1])
        limits = self._raw_cdf(np.array([self.low, self.high]))
        for _ in range(48):  # bisection to 1e-13 of the interval; the cdf never decreases
            middle = 0.5 * (low + high)
            below = self._cdf(from_scale(middle, self.scale), *limits) < u
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.clip(from_scale(high, self.scale), max(self.low, _TINY), self.high)

    def component_pdf(self, area: np.ndarray) -> np.ndarray:
        """Weighted density of each component per unit of *scale space*, (..., K), before truncation to [low, high]."""
        z = to_scale(np.clip(np.asarray(area, dtype=float), _TINY, 1 - _TINY), self.scale)[..., None]
        std = np.sqrt(self.covariances_)
        density = np.exp(-0.5 * ((z - self.means_) / std) ** 2) / (std * np.sqrt(2 * np.pi))
        start, end = self._component_ends()
        return self.weights_ * density / (end - start)

    def predict(self, area: np.ndarray) -> np.ndarray:
        """Index of the component that an area most likely comes from; 0 is the one of the smallest boxes."""
        return self.component_pdf(area).argmax(axis=-1)

    def bin_shares(self, bins: int = BINS) -> np.ndarray:
        """Share of boxes in equal bins of the square root of the relative area over [0, 1], (bins,)."""
        return np.diff(self.cdf(np.linspace(0.0, 1.0, bins + 1) ** 2))

    def distance(self, areas: np.ndarray, bins: int = BINS) -> float:
        """Bhattacharyya distance of the mixture itself to boxes, on the square root of the relative area."""
        return bhattacharyya_of_histograms(self.bin_shares(bins), histogram(np.sqrt(areas), bins))

    def report(self) -> dict[str, Any]:
        """The fit as JSON values. ``low_area`` and ``high_area`` lie one std from a component's centre."""
        std = np.sqrt(self.covariances_)
        spread = [from_scale(self.means_ + k * std, self.scale) for k in (-1, 0, 1)]
        return {
            "scale": self.scale,
            "n_real": self.n_samples_,
            "interval": [self.low, self.high],
            "criterion": self.criterion_,
            "scores": {str(n): dict(s) for n, s in self.scores_.items()},
            "components": [
                {
                    "weight": float(w),
                    "mean": float(m),
                    "std": float(s),
                    "low_area": float(a),
                    "mean_area": float(b),
                    "high_area": float(c),
                }
                for w, m, s, a, b, c in zip(self.weights_, self.means_, std, *spread, strict=True)
            ],
        }

    def to_json(self) -> dict[str, Any]:
        """All attributes as JSON values, for :meth:`from_json`."""
        parts = {name: getattr(self, name).tolist() for name in ("weights_", "means_", "covariances_")}
        scores = [[n, dict(each)] for n, each in self.scores_.items()]
        return attrs.asdict(self, recurse=False) | parts | {"scores_": scores}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> AreaMixture:
        """The mixture with these attributes."""
        parts = {name: np.array(value[name], dtype=float) for name in ("weights_", "means_", "covariances_")}
        return cls(**{**value, **parts, "scores_": {n: dict(each) for n, each in value["scores_"]}})

    def _component_ends(self) -> tuple[np.ndarray, np.ndarray]:
        from scipy.special import ndtr

        ends = to_scale(np.array([0.0, 1.0]), self.scale)[:, None]
        start, end = ndtr((ends - self.means_) / np.sqrt(self.covariances_))
        return start, np.maximum(end, start + 1e-12)

    def _raw_cdf(self, area: np.ndarray) -> np.ndarray:
        from scipy.special import ndtr

        start, end = self._component_ends()
        z = to_scale(area, self.scale)[..., None]
        shares = (ndtr((z - self.means_) / np.sqrt(self.covariances_)) - start) / (end - start)
        return (self.weights_ * np.clip(shares, 0.0, 1.0)).sum(axis=-1)


def fit_areas(
    areas: np.ndarray,
    *,
    scale: str = "log",
    components: int = 0,
    criterion: str = "silhouette",
    method: str = "gmm",
    max_components: int = 8,
    min_samples: int = 4,
    low: float = 0.0,
    high: float = 1.0,
    random_state: int = 0,
) -> AreaMixture:
    """Fit a mixture to the relative areas of real boxes [Zhang2023, §3].

    The criterion proposes the number of components. Few clusters may still describe the boxes badly: a proposal that
    lies farther from the real boxes than :data:`FLOOR_MARGIN` of the floor (what resampling the real boxes gives) is
    refined by more components until it does not.

    Parameters
    ----------
    areas : (N,) float
        Relative areas in (0, 1].
    scale : str
        Scale on which the components are Gaussian. Box areas spread over decades, hence ``log``.
    components : int
        Number of components; 0 lets the criterion choose. Fewer are used if there are too few boxes.
    criterion : str
        ``silhouette`` or ``bic``.
    method : str
        ``gmm``, or ``kmeans``: each cluster is a component with the mean and variance of its boxes.
    max_components : int
        Largest number of components to try.
    min_samples : int
        Fewest boxes of a component. Halved, down to one, if no mixture comes near the real boxes otherwise.
    low, high : float
        Reachable relative areas; the mixture is truncated to them, and compared with the real boxes among them.
    random_state : int
        Seed of the resamples that the floor is made of.

    Raises
    ------
    DataError
        When there is no area, or one is outside (0, 1], or an option is unknown.
    """
    a = np.asarray(areas, dtype=float).ravel()
    if criterion not in CRITERIA:
        raise DataError(f"'{criterion}' is not a criterion. Criteria: {', '.join(CRITERIA)}.")
    if method not in METHODS:
        raise DataError(f"'{method}' is not a method. Methods: {', '.join(METHODS)}.")
    if not len(a):
        raise DataError("A mixture needs at least one real box.")
    if not np.isfinite(a).all() or a.min() <= 0 or a.max() > 1:
        raise DataError("Relative areas must lie in (0, 1]; check the boxes and image sizes of the annotations.")
    # A full-image box is infinitely far on the logit scale.
    x = to_scale(np.clip(a, _TINY, 1 - 1e-3) if scale == "logit" else a, scale)
    x = _subsampled(x)
    inside = a[(a >= low) & (a <= high)]
    goodness = inside if len(inside) else a
    floor = bhattacharyya_floor(
        np.sqrt(goodness), len(goodness), REFERENCE_SIZE, 400, np.random.default_rng(random_state)
    )
    # Equal or nearly equal boxes would give a peak that no camera can match: 2 % of the area is the least spread.
    min_std = {"log": 0.02, "sqrt": 0.005, "logit": 0.02}[scale]
    mixture, scores, explanation = fit_mixture(
        x,
        lambda weights, means, variances: AreaMixture(weights, means, variances, scale, n_samples_=len(a)).truncated(
            low, high
        ),
        lambda mixture: mixture.distance(goodness),
        floor,
        min_std=min_std,
        components=components,
        criterion=criterion,
        method=method,
        max_components=max_components,
        min_samples=min_samples,
    )
    return attrs.evolve(mixture, scores_=scores, criterion_=explanation)


def fit_mixture(
    x: np.ndarray,
    make: Callable[[np.ndarray, np.ndarray, np.ndarray], M],
    distance: Callable[[M], float],
    floor: float,
    *,
    min_std: float,
    components: int = 0,
    criterion: str = "silhouette",
    method: str = "gmm",
    max_components: int = 8,
    min_samples: int = 4,
) -> tuple[M, dict[int, dict[str, float | None]], str]:
    """Fit mixtures of 1, 2, ... Gaussians and choose one of them; see :func:`fit_areas`.

    Parameters
    ----------
    x : (N,) float
        Finite values, on the scale where components are Gaussian.
    make : callable
        Makes a mixture of weights, means and variances, (K,) each, by rising mean.
    distance : callable
        Distance of a mixture to the real values.
    floor : float
        Distance that resampling the real values gives.
    min_std : float
        Least standard deviation of a component.

    Returns
    -------
    mixture, scores, reason
        Number of components tried to ``{"silhouette", "bic", "distance"}``; how the number was chosen, as a sentence.
    """
    candidates: dict[int, M] = {}
    scores: dict[int, dict[str, float | None]] = {}
    min_cluster, proposal, explanation = max(1, min_samples), 0, ""
    while True:
        max_fitted = min(components or max_components, len(x) // min_cluster, len(np.unique(x)))
        for n in range(1, max(1, max_fitted) + 1):
            fitted = None if n in candidates else fit_components(x, n, min_std, min_cluster, method)
            if fitted is None:
                continue
            parts, score = fitted
            candidates[n] = make(*parts)
            scores[n] = {**score, "distance": distance(candidates[n])}
        if components:
            best = max(candidates)
            explanation = (
                f"{best} as asked" if best == components else f"{best}: {len(x)} boxes are too few for {components}"
            )
            break
        if not proposal:
            proposal, explanation = _propose(scores, criterion)
        best = _refine(scores, proposal, FLOOR_MARGIN * floor)
        if min_cluster == 1 or (scores[best]["distance"] or 0.0) <= FLOOR_MARGIN * floor:
            if best != proposal:
                far, near = scores[proposal]["distance"], scores[best]["distance"]
                explanation += f", refined to {best}: distance {near:.4f} instead of {far:.4f}"
            explanation += f" (floor {floor:.4f})"
            break
        # Outliers, too few for a component of their own, spoil the fit of all others: let them have one.
        min_cluster //= 2
    return candidates[best], dict(sorted(scores.items())), explanation


def _subsampled(x: np.ndarray) -> np.ndarray:
    """At most ``MAX_FITTED_VALUES`` quantiles of the values, which describe a line as well in less time."""
    if len(x) <= MAX_FITTED_VALUES:
        return x
    ranks = (np.arange(MAX_FITTED_VALUES) + 0.5) * len(x) / MAX_FITTED_VALUES
    return np.asarray(np.sort(x)[ranks.astype(int)])


def _propose(scores: dict[int, dict[str, float | None]], criterion: str) -> tuple[int, str]:
    """The number of components by the criterion, and why."""
    if criterion == "bic":
        first = min(scores, key=lambda n: scores[n]["bic"] or 0.0)
        return first, f"{first} by BIC"
    rated = {n: s["silhouette"] for n, s in scores.items() if s["silhouette"] is not None}
    first = max(rated, key=lambda n: rated[n], default=1)
    if rated.get(first, 0.0) <= WEAK_STRUCTURE:
        return 1, f"1: no silhouette score above {WEAK_STRUCTURE:g}"
    return first, f"{first} by silhouette score {rated[first]:.2f}"


def _refine(scores: dict[int, dict[str, float | None]], first: int, limit: float) -> int:
    """The least number of components from ``first`` on with a distance within ``limit``, else the best one."""
    distances = {n: float(s["distance"] or 0.0) for n, s in sorted(scores.items()) if n >= first}
    near = [n for n, d in distances.items() if d <= limit]
    return near[0] if near else min(distances, key=lambda n: distances[n])
