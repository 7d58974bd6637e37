# SPDX-License-Identifier: GPL-3.0-or-later
"""The joint density of size, place and shape of real boxes: a Gaussian mixture on scales where Gaussians fit.

A box is described by the log of its relative area, by its position in the space that its size leaves (on a probit
scale, whose far ends mean that the image border cuts it), by the log of its aspect ratio, and by the log of the number
of boxes in its image, since many boxes are small ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from ...engine.errors import DataError
from ...engine.goals import Boxes, contiguous
from ..columns.box_geometry import BORDER
from ..columns.groups import rows_by_value

COLUMNS = ("log_area", "x", "y", "log_aspect")
"""Names of the latent columns."""

_CUT_THRESHOLD = 2.5  # a position beyond it, on the probit scale, means that the border cuts the box
_CUT_SCORE = 3.0  # position of cut boxes
_FULL_SIDE = 1.0 - 2 * BORDER  # a longer side reaches from border to border
_MIN_STD = 0.05  # of a component, in standard deviations of its column
_MIN_BOXES = 8  # boxes behind a component
_PAIR_SHRINKAGE = 20  # of boxes of one class and image
_MAX_KNOTS = 512  # of a column's scores


@attrs.frozen(eq=False)
class BoxArrays:
    """Boxes in an image of one aspect, B of them.

    Attributes
    ----------
    area : (B,) float
        Relative area.
    center : (B, 2) float
        In image units.
    aspect : (B,) float
        Width over height in pixels.
    cut : (B, 4) bool
        Which of :data:`SIDES` cuts it.
    """

    area: np.ndarray = attrs.field(converter=contiguous)
    center: np.ndarray
    aspect: np.ndarray = attrs.field(converter=contiguous)
    cut: np.ndarray

    def __len__(self) -> int:
        return len(self.area)

    def corners(self, image_aspect: float) -> np.ndarray:
        """x0, y0, x1, y1 in image units, (B, 4)."""
        size = sizes(self.area, self.aspect / image_aspect)
        return np.concatenate([self.center - size / 2, self.center + size / 2], -1)

    def has_reachable_aspect(self, aspect: tuple[float, float]) -> np.ndarray:
        """Which boxes (B,) have an aspect in this interval; boxes that a border cuts always do."""
        return self.cut.any(1) | ((self.aspect >= aspect[0]) & (self.aspect <= aspect[1]))

    def take(self, index: np.ndarray) -> BoxArrays:
        return BoxArrays(self.area[index], self.center[index], self.aspect[index], self.cut[index])


def sizes(area: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Width and height (B, 2), in image units, of boxes of these relative areas that are no larger than the image.

    ``ratio`` is width over height in image units. It changes as far as needed to fit.
    """
    w = np.minimum(1.0, np.maximum(np.sqrt(area * ratio), area))
    return np.stack([w, np.minimum(1.0, area / w)], -1)


def cut_sides(boxes: Boxes, image_aspect: float) -> np.ndarray:
    """Which of :data:`SIDES` cuts real boxes, (N, 4) bool."""
    own = np.full(len(boxes), image_aspect) if boxes.image_aspect is None else boxes.image_aspect
    w = np.sqrt(boxes.area * boxes.aspect / own)
    half = np.stack([w, boxes.area / w], -1) / 2
    return np.concatenate([boxes.center - half < BORDER, boxes.center + half > 1 - BORDER], -1)


def as_arrays(boxes: Boxes, image_aspect: float) -> BoxArrays:
    """Real boxes in images of this aspect."""
    return BoxArrays(boxes.area, boxes.center, boxes.aspect, cut_sides(boxes, image_aspect))


def to_latent(boxes: BoxArrays, image_aspect: float) -> np.ndarray:
    """Boxes on the scales of :data:`COLUMNS`, (B, 4)."""
    from scipy.special import ndtri

    size = sizes(boxes.area, boxes.aspect / image_aspect)
    room = np.maximum(1.0 - size, 1e-6)
    end = 0.5 * math.erfc(_CUT_THRESHOLD / math.sqrt(2)) * 1.2
    place = ndtri(np.clip((boxes.center - size / 2) / room, end, 1 - end))
    low, high = boxes.cut[:, :2], boxes.cut[:, 2:]
    place = np.where(low & ~high, -_CUT_SCORE, np.where(high & ~low, _CUT_SCORE, place))
    return np.column_stack([np.log(boxes.area), place, np.log(boxes.aspect)])


def from_latent(latent: np.ndarray, image_aspect: float) -> tuple[BoxArrays, np.ndarray]:
    """The inverse of :func:`to_latent`, and which boxes (B,) keep their aspect: others are too long for the image."""
    from scipy.special import ndtr

    area, aspect = np.exp(np.minimum(latent[:, 0], 0.0)), np.exp(contiguous(latent[:, 3]))
    size = sizes(area, aspect / image_aspect)
    shown = size[:, 0] / size[:, 1] * image_aspect
    place = latent[:, 1:3]
    whole = size >= _FULL_SIDE
    low, high = (place < -_CUT_THRESHOLD) | whole, (place > _CUT_THRESHOLD) | whole
    share = np.where(low & ~high, 0.0, np.where(high & ~low, 1.0, ndtr(place)))
    center = size / 2 + share * (1.0 - size)
    # As with real boxes, a box that ends near a border counts as cut by it.
    cut = np.concatenate([center - size / 2 < BORDER, center + size / 2 > 1 - BORDER], -1)
    return BoxArrays(area, center, shown, cut), np.abs(np.log(shown / aspect)) < 1e-6


@attrs.frozen(eq=False)
class NormalScores:
    """Transforms columns to normal scores by the ranks of their real values, and back, with linear interpolation.

    Attributes
    ----------
    scores : (N,) float
        Normal scores of the ranks, ascending.
    values : (N, C) float
        Values of each column at these scores, ascending.
    tails : (C,) float
        Slope of a column beyond its ends, per score.
    """

    scores: np.ndarray
    values: np.ndarray
    tails: np.ndarray

    def transform(self, values: np.ndarray, columns: slice = slice(None)) -> np.ndarray:
        """Scores of values (B, C); ties get the middle of their ranks, and values beyond the ends those of the ends."""
        out = np.empty(values.shape)
        for k, (column, known) in enumerate(zip(values.T, self.values.T[columns], strict=True)):
            low = np.interp(column, *_last_of_ties(known, self.scores, first=True))
            high = np.interp(column, *_last_of_ties(known, self.scores, first=False))
            out[:, k] = (low + high) / 2
        return out

    def inverse_transform(self, scores: np.ndarray, columns: slice = slice(None)) -> np.ndarray:
        """Values of scores (B, C)."""
        beyond = scores - np.clip(scores, self.scores[0], self.scores[-1])
        inside = [np.interp(s, self.scores, v) for s, v in zip(scores.T, self.values.T[columns], strict=True)]
        return np.column_stack(inside) + beyond * self.tails[columns]


def _last_of_ties(values: np.ndarray, scores: np.ndarray, *, first: bool) -> tuple[np.ndarray, np.ndarray]:
    known, index = np.unique(values if first else values[::-1], return_index=True)
    return known, scores[index if first else len(values) - 1 - index]


def fit_normal_scores(x: np.ndarray, tails: np.ndarray) -> NormalScores:
    """Fit the normal scores of real values (N, C)."""
    from scipy.special import ndtri

    n = min(len(x), _MAX_KNOTS)
    shares = (np.arange(n) + 0.5) / n
    return NormalScores(ndtri(shares), np.sort(x, 0)[(shares * len(x)).astype(int)], tails)


@attrs.frozen(eq=False)
class LayoutMixture:
    """A Gaussian mixture of the normal scores of log count and :data:`COLUMNS`, scikit-learn style.

    Attributes
    ----------
    weights_ : (K,) float
    means_ : (K, 5) float
    covariances_ : (K, 5, 5) float
    scores_ : Scores
    n_samples_ : int
        Real boxes behind it.
    shrinkage_ : float
        Shrinkage of the covariances towards uncorrelated columns, in [0, 1].
    criterion_ : str
        How the number of components was chosen, as a sentence.
    """

    weights_: np.ndarray
    means_: np.ndarray
    covariances_: np.ndarray
    scores_: NormalScores
    n_samples_: int
    shrinkage_: float
    criterion_: str

    @property
    def n_components_(self) -> int:
        return len(self.weights_)

    def sample(
        self, counts: np.ndarray, rng: np.random.Generator, correlation: np.ndarray | float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw boxes of images with given numbers of boxes.

        Parameters
        ----------
        counts : (B,) int
            Number of boxes in the image of each.
        correlation : float or (4,) float
            Correlation of each column between boxes of one image, which all these boxes are taken to be.

        Returns
        -------
        latent (B, 4), component (B,)
        """
        n = self.scores_.transform(np.log(np.asarray(counts, dtype=float))[:, None], slice(1))[:, 0]
        variance = contiguous(self.covariances_[:, 0, 0])
        log_share = np.log(self.weights_) - 0.5 * ((n[:, None] - self.means_[:, 0]) ** 2 / variance + np.log(variance))
        share = np.exp(log_share - log_share.max(1, keepdims=True))
        ends = np.cumsum(share, 1)
        component = (rng.random(len(n))[:, None] * ends[:, -1:] > ends).sum(1)
        slope = self.covariances_[:, 0, 1:] / variance[:, None]
        rest = self.covariances_[:, 1:, 1:] - slope[:, :, None] * self.covariances_[:, 0, None, 1:]
        root = np.linalg.cholesky(rest + 1e-9 * np.eye(4))
        middle = self.means_[component, 1:] + slope[component] * (n - self.means_[component, 0])[:, None]
        own, common = rng.standard_normal((len(n), 4)), rng.standard_normal(4)
        own, common = np.einsum("bij,bj->bi", root[component], own), root[component] @ common
        scores = middle + np.sqrt(1 - correlation) * own + np.sqrt(correlation) * common
        return self.scores_.inverse_transform(scores, slice(1, None)), component

    def to_json(self) -> dict[str, Any]:
        """All attributes as JSON values, for :meth:`from_json`."""
        return attrs.asdict(self, value_serializer=lambda _, __, v: v.tolist() if isinstance(v, np.ndarray) else v)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> LayoutMixture:
        """The mixture with these attributes."""
        parts = {name: np.array(value[name], dtype=float) for name in ("weights_", "means_", "covariances_")}
        scores = NormalScores(**{name: np.array(each, dtype=float) for name, each in value["scores_"].items()})
        return cls(**{**value, **parts, "scores_": scores})

    def report(self) -> dict[str, Any]:
        """The fit as JSON values; ``area`` is that one standard deviation below, at and above a component's centre."""
        std = np.sqrt(np.diagonal(self.covariances_, axis1=1, axis2=2))
        ends = [self.scores_.inverse_transform(self.means_ + k * std) for k in (-1, 0, 1)]
        return {
            "n_real": self.n_samples_,
            "criterion": self.criterion_,
            "shrinkage": self.shrinkage_,
            "components": [
                {
                    "weight": float(w),
                    "low_area": float(np.exp(low[1])),
                    "mean_area": float(np.exp(middle[1])),
                    "high_area": float(np.exp(high[1])),
                    "mean_count": float(np.exp(middle[0])),
                    "mean_aspect": float(np.exp(middle[4])),
                }
                for w, low, middle, high in zip(self.weights_, *ends, strict=True)
            ],
        }


def fit_layout(
    boxes: BoxArrays, counts: np.ndarray, image_aspect: float, *, components: int = 0, random_state: int = 0
) -> LayoutMixture:
    """Fit a mixture to real boxes.

    Parameters
    ----------
    boxes : BoxArrays
        Real boxes, N of them.
    counts : (N,) int
        Number of boxes in the image of each.
    image_aspect : float
        Width over height of the images to come.
    components : int
        Number of components; 0 takes the number with the least BIC. Each has at least :data:`_MIN_BOXES` boxes.
    random_state : int
        Seed of the starting points.

    Notes
    -----
    Covariances are shrunk towards their diagonals by p / (p + n_k), where a component of p = 5 columns has n_k boxes:
    correlations of few boxes are mostly chance.

    Raises
    ------
    DataError
        When there is no box.
    """
    if not len(boxes):
        raise DataError("A mixture needs at least one real box.")
    x = np.column_stack([np.log(np.asarray(counts, dtype=float)), to_latent(boxes, image_aspect)])
    scores = fit_normal_scores(x, np.maximum(x.std(0), (0.1, 0.1, 0.25, 0.25, 0.1)) / 2)
    z = scores.transform(x)
    tried: dict[int, tuple[float, Any]] = {}
    for k in [components] if components else range(1, 7):
        k = max(1, min(k, len(z) // _MIN_BOXES))
        if k not in tried:
            tried[k] = _fit_one(z, k, random_state)
    best = min(tried, key=lambda k: tried[k][0])
    weights, means, covariances = tried[best][1]
    shrinkage = z.shape[1] / (z.shape[1] + weights * len(z))
    diagonal = covariances * np.eye(z.shape[1])
    covariances = covariances + shrinkage[:, None, None] * (diagonal - covariances)
    reason = f"{best} by BIC" if not components else f"{best} as asked"
    if components and best < components:
        reason = f"{best}: {len(z)} boxes are too few for {components}"
    return LayoutMixture(weights, means, covariances, scores, len(z), float(weights @ shrinkage), reason)


def within_image_correlation(
    mixtures: Sequence[LayoutMixture], boxes: BoxArrays, kind: np.ndarray, image: np.ndarray, image_aspect: float
) -> np.ndarray:
    """Correlation (4,) of :data:`COLUMNS` between boxes of one class and image, beyond what their number explains.

    Pairs of all classes are pooled, each box counted once; the correlation of few pairs is shrunk towards 0.
    """
    counts = np.bincount(image)[image]
    rest = np.zeros((len(kind), 4))
    for k, mixture in enumerate(mixtures):
        rows = np.flatnonzero(kind == k)
        x = np.column_stack([np.log(counts[rows].astype(float)), to_latent(boxes.take(rows), image_aspect)])
        z = mixture.scores_.transform(x)
        slope = np.linalg.lstsq(z[:, :1], z[:, 1:], rcond=None)[0]
        z = z[:, 1:] - z[:, :1] @ slope
        rest[rows] = z / np.maximum(z.std(0), 1e-9)
    sums, weights, pairs = np.zeros(4), 0.0, 0
    for rows in rows_by_value(np.column_stack([kind, image])):
        z = rest[rows]
        n = len(z)
        if n > 1:
            sums += (z.sum(0) ** 2 - (z**2).sum(0)) / (n - 1)
            weights += n
            pairs += n * (n - 1) // 2
    return np.clip(sums / max(weights, 1e-9), 0.0, 0.9) * pairs / (pairs + _PAIR_SHRINKAGE)


def _fit_one(z: np.ndarray, k: int, random_state: int) -> tuple[float, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """BIC, and weights, means and covariances, of ``k`` components."""
    if len(z) < 2:
        return 0.0, (np.ones(1), z, np.eye(z.shape[1])[None] * 0.25)
    from threadpoolctl import threadpool_limits

    from .repeatable_mixture import RepeatableMixture

    with threadpool_limits(1):  # more threads are slower for so few values
        model = RepeatableMixture(k, reg_covar=_MIN_STD, n_init=3, max_iter=300, random_state=random_state).fit(z)
    return float(model.bic(z)), (model.weights_, model.means_, model.covariances_)
