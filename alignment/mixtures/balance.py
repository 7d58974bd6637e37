# SPDX-License-Identifier: GPL-3.0-or-later
"""The difference between whole-image layouts, taken together, and real images: sums of feature vectors near zero.

Each layout has a vector; over real images these vectors sum to zero. It counts boxes below thresholds of area, centre
and aspect, borders that cut them, boxes per image, classes that occur together, and features of pairs, each minus its
real share. The squared length of a sum is then a weighted Cramér-von Mises discrepancy. Layouts that are chosen one by
one so that it stays short match the real distributions better than independent draws: kernel herding [Chen, Welling &
Smola 2010].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from ..distances.binning import column_binning
from .box_density import BoxArrays

MAX_THRESHOLDS = 64
"""Most thresholds of a column; with fewer real boxes, each value is one."""

WEIGHTS = {"area": 5.0, "center_x": 2.0, "center_y": 2.0, "aspect": 1.0, "cut": 0.2, "crowded": 0.5}
"""Weights of the parts of a class's vector."""

COUNT_WEIGHT, COOCCURRENCE_WEIGHT, OVERLAP_WEIGHT, ORDER_WEIGHT = 6.0, 0.5, 0.5, 1.0

_OVERLAPS = np.array([0.02, 0.25, 0.5, 0.8])
_PAIR_WEIGHTS = np.array([*[OVERLAP_WEIGHT / 4] * 4, ORDER_WEIGHT])  # weights of the features of pairs
_TOLERANCE = 1e-9  # smaller differences come from rounding to pixels
_MIN_VARIANCE = 0.02  # of a share
_FEW_PAIRS = 20  # classes with fewer pairs are pooled


@attrs.frozen(eq=False)
class Layouts:
    """The boxes of many images at once.

    Attributes
    ----------
    boxes : BoxArrays
        B boxes.
    class_index : (B,) int
        Index of each box's class.
    image_index : (B,) int
        Index of its image, ascending.
    number : int
        Number of images, those without a box included.
    """

    boxes: BoxArrays
    class_index: np.ndarray
    image_index: np.ndarray
    number: int

    def counts(self, classes: int) -> np.ndarray:
        """Boxes of each class in each image, (number, classes)."""
        out = np.zeros((self.number, classes), int)
        np.add.at(out, (self.image_index, self.class_index), 1)
        return out

    def of(self, image: int) -> np.ndarray:
        """Indices of an image's boxes."""
        return np.arange(*np.searchsorted(self.image_index, [image, image + 1]))


def box_pairs(layouts: Layouts, image_aspect: float) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of boxes of an image: their indices (P, 2), and the :func:`pair_features` of each."""
    number = np.bincount(layouts.image_index, minlength=layouts.number)
    start = np.cumsum(number) - number
    found = [np.empty((0, 2), int)]
    for n in np.unique(number[number > 1]):
        two = np.stack(np.triu_indices(n, 1), -1)
        found.append((start[number == n][:, None, None] + two).reshape(-1, 2))
    pair = np.concatenate(found)
    corners = layouts.boxes.corners(image_aspect)
    return pair, pair_features(corners[pair[:, 0]], corners[pair[:, 1]])


def pair_features(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Features (..., 5) of two boxes (..., 4) [x0, y0, x1, y1]: whether they overlap by more than each of some
    shares, and whether the higher one ends lower in the image, as objects on one floor do."""
    over = overlap(a, b)[..., None] > _OVERLAPS
    higher = (a[..., 3] - a[..., 1]) - (b[..., 3] - b[..., 1])
    return np.concatenate([over, (higher * (a[..., 3] - b[..., 3]) > 0)[..., None]], -1)


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection of two boxes (..., 4) [x0, y0, x1, y1] over the smaller of their areas, (...)."""
    size = np.maximum(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0.0)
    least = np.minimum((a[..., 2:] - a[..., :2]).prod(-1), (b[..., 2:] - b[..., :2]).prod(-1))
    return np.minimum(size.prod(-1) / np.maximum(least, 1e-12), 1.0)


class Balance:
    """The feature vectors of layouts, centred on those of real images.

    Parameters
    ----------
    real : Layouts
        Real images.
    classes : int
        Number of classes.
    image_aspect : float
        Width over height of the images to come.
    kept : (B,) bool, optional
        Which real boxes enter the statistics of boxes; the others are only counted. At least one per class.
    aspects : sequence of (float, float), optional
        Least and greatest aspect of each class. The aspects of whole boxes beyond these are ignored, and those of all
        whole boxes if most real ones are beyond.

    Attributes
    ----------
    size : int
        Length of a vector.
    rates : (classes,) float
        Boxes per image.
    """

    def __init__(
        self,
        real: Layouts,
        classes: int,
        image_aspect: float,
        kept: np.ndarray | None = None,
        aspects: Sequence[tuple[float, float]] | None = None,
    ) -> None:
        kept = np.ones(len(real.class_index), bool) if kept is None else kept
        self.classes = classes
        self.image_aspect = image_aspect
        self._aspects = [(0.0, math.inf)] * classes if aspects is None else list(aspects)
        counts = real.counts(classes)
        total = counts.sum(1)
        self.rates = counts.mean(0)
        self._levels = [np.unique(counts[:, k][counts[:, k] > 0]) for k in range(classes)]
        self._totals = np.unique(total)[1:]
        features = self._count_features(counts)
        weights = np.concatenate(
            [np.full(len(v), COUNT_WEIGHT / max(len(v), 1)) for v in self._levels]
            + [np.full(n, COOCCURRENCE_WEIGHT / max(n, 1)) for n in (len(self._totals), classes * (classes - 1) // 2)]
        )
        self._counts = _part(features.mean(0), weights)
        self._median_total = [float(np.median(total[real.image_index[real.class_index == k]])) for k in range(classes)]
        self._thresholds_of_class, self._boxes = [], []
        for k in range(classes):
            rows = np.flatnonzero((real.class_index == k) & kept)
            boxes, crowded = real.boxes.take(rows), total[real.image_index[rows]] > self._median_total[k]
            whole = ~boxes.cut.any(1)
            # With few whole boxes among cut ones, aspects would only match with too many cut boxes.
            if 2 * (whole & boxes.has_reachable_aspect(self._aspects[k])).sum() < whole.sum():
                self._aspects[k] = (math.inf, math.inf)
            self._thresholds_of_class.append(_thresholds(_columns(boxes), boxes.has_reachable_aspect(self._aspects[k])))
            features, share = self._box_features(k, boxes, crowded)
            weights = np.concatenate(
                [
                    np.full(len(c), WEIGHTS[n] / max(len(c), 1))
                    for n, c in zip(_NAMES, self._thresholds_of_class[k], strict=True)
                ]
            )
            more = [
                np.full(4, WEIGHTS["cut"] / 4),
                np.full(
                    len(self._thresholds_of_class[k][0]), WEIGHTS["crowded"] / len(self._thresholds_of_class[k][0])
                ),
            ]
            weights = np.concatenate([weights, *more]) / self.rates[k]
            self._boxes.append(_part((features * share).sum(0) / np.maximum(share.sum(0), 1), weights))
        self._pair_up(real, total)
        ends = np.cumsum([len(p.mean) for p in (self._counts, *self._boxes, self._pairs)])
        self.size = int(ends[-1])
        self.count_slice, *self.box_slices, self.pair_slice = (
            slice(int(a), int(b)) for a, b in zip([0, *ends[:-1]], ends, strict=True)
        )

    def _pair_up(self, real: Layouts, total: np.ndarray) -> None:
        """Group the pairs of classes: frequent ones each; 0 is other pairs of one class, 1 is other pairs of two."""
        self._groups = np.where(np.eye(self.classes, dtype=bool), 0, 1)
        pair, features = box_pairs(real, self.image_aspect)
        kinds = np.sort(real.class_index[pair], 1)
        for k, m in np.unique(kinds, axis=0):
            if (kinds == (k, m)).all(1).sum() >= _FEW_PAIRS:
                self._groups[k, m] = self._groups[m, k] = self._groups.max() + 1
        share = _pair_share(total[real.image_index[pair[:, 0]]])
        group = self._groups[kinds[:, 0], kinds[:, 1]]
        mean = np.zeros((self._groups.max() + 1, len(_PAIR_WEIGHTS)))
        scale = np.zeros_like(mean)
        for g in np.unique(group):
            rows = group == g
            mean[g] = share[rows] @ features[rows] / share[rows].sum()
            scale[g] = _PAIR_WEIGHTS / (share[rows].sum() / real.number)
        self._pairs = _part(mean.ravel(), scale.ravel())

    def count_vectors(self, counts: np.ndarray) -> np.ndarray:
        """The part ``count_slice`` of the vectors, (C, .), of counts (C, classes) of boxes per class."""
        return (self._count_features(counts) - self._counts.mean) * self._counts.scale

    def box_vectors(self, class_index: int, boxes: BoxArrays, total: np.ndarray | int) -> np.ndarray:
        """The part ``box_slices[class_index]`` of the vectors, (B, .), of boxes (B,) of images of ``total`` boxes."""
        part = self._boxes[class_index]
        features, share = self._box_features(
            class_index, boxes, np.broadcast_to(np.asarray(total) > self._median_total[class_index], len(boxes))
        )
        return (features - part.mean) * share * part.scale

    def pair_vectors(self, kinds: np.ndarray, features: np.ndarray, total: np.ndarray | int) -> np.ndarray:
        """The part ``pair_slice`` of the vectors, (..., P, .), of pairs of boxes.

        Parameters
        ----------
        kinds : (P, 2) int
            Their classes.
        features : (..., P, 5) bool
            Their :func:`pair_features`.
        total : int or (P,) int
            Boxes in their images.
        """
        group = self._groups[kinds[:, 0], kinds[:, 1]]
        out = np.zeros((*features.shape[:-1], self._groups.max() + 1, len(_PAIR_WEIGHTS)))
        mean = self._pairs.mean.reshape(out.shape[-2:])
        scale = self._pairs.scale.reshape(out.shape[-2:])
        value = (features - mean[group]) * scale[group]
        out[..., np.arange(len(group)), group, :] = value * _pair_share(np.broadcast_to(total, len(group)))[:, None]
        return out.reshape(*features.shape[:-1], -1)

    def thresholds(self, class_index: int) -> list[np.ndarray]:
        """Thresholds of area, centre x, centre y and aspect of a class, with which its part begins."""
        return self._thresholds_of_class[class_index]

    def total(self, layouts: Layouts) -> np.ndarray:
        """The sum of the vectors of whole images, (size,)."""
        counts = layouts.counts(self.classes)
        number = counts.sum(1)[layouts.image_index]
        out = np.zeros(self.size)
        out[self.count_slice] = self.count_vectors(counts).sum(0)
        for k, part in enumerate(self.box_slices):
            rows = np.flatnonzero(layouts.class_index == k)
            out[part] = self.box_vectors(k, layouts.boxes.take(rows), number[rows]).sum(0)
        pair, features = box_pairs(layouts, self.image_aspect)
        if len(pair):
            out[self.pair_slice] = self.pair_vectors(layouts.class_index[pair], features, number[pair[:, 0]]).sum(0)
        return out

    def _count_features(self, counts: np.ndarray) -> np.ndarray:
        first, second = np.triu_indices(self.classes, 1)
        return np.concatenate(
            [
                *(counts[:, k, None] >= levels for k, levels in enumerate(self._levels)),
                counts.sum(1)[:, None] >= self._totals,
                (counts[:, first] > 0) & (counts[:, second] > 0),
            ],
            1,
        )

    def _box_features(self, class_index: int, boxes: BoxArrays, crowded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features of boxes (B, .), and which of them count: areas count again in crowded images, and aspects only if
        the class can have them."""
        below = [
            c[:, None] <= cuts + _TOLERANCE
            for c, cuts in zip(_columns(boxes).T, self._thresholds_of_class[class_index], strict=True)
        ]
        features = np.concatenate([*below, boxes.cut, below[0]], 1)
        share = np.ones(features.shape)
        share[:, -below[0].shape[1] :] = crowded[:, None]
        share[:, self._aspect_columns(class_index)] = boxes.has_reachable_aspect(self._aspects[class_index])[:, None]
        return features, share

    def _aspect_columns(self, class_index: int) -> slice:
        start = sum(len(cuts) for cuts in self._thresholds_of_class[class_index][:3])
        return slice(start, start + len(self._thresholds_of_class[class_index][3]))


@attrs.frozen(eq=False)
class _Part:
    """Mean (D,) of a part of the vectors over real images, and the square roots of the weights of its errors."""

    mean: np.ndarray
    scale: np.ndarray


def _part(mean: np.ndarray, weights: np.ndarray) -> _Part:
    """Weigh errors by their variance under chance, as in the Anderson-Darling statistic, so that tails count more."""
    return _Part(mean, np.sqrt(weights / np.maximum(mean * (1 - mean), _MIN_VARIANCE)))


def _pair_share(total: np.ndarray) -> np.ndarray:
    """Weight of a pair: an image of many boxes has many pairs, and each box counts once."""
    return np.asarray(2.0 / np.maximum(total - 1, 1))


_NAMES = ("area", "center_x", "center_y", "aspect")


def _columns(boxes: BoxArrays) -> np.ndarray:
    return np.column_stack([boxes.area, boxes.center, boxes.aspect])


def _thresholds(columns: np.ndarray, has_reachable_aspect: np.ndarray) -> list[np.ndarray]:
    """Thresholds of each column of (N, 4): all values if they are few, else evenly spaced quantiles; and the bin edges
    of the column's distance. Aspects of boxes without ``has_reachable_aspect`` (N,) do not count."""
    out = []
    for name, values in zip(_NAMES, columns.T, strict=True):
        compared, forward, back = _BINNED_AS.get(name, (name, np.asarray, np.asarray))
        edges = back(column_binning(compared, forward(values)).bin_edges[1:-1])
        counting = np.sort(values[has_reachable_aspect] if name == "aspect" else values)
        n = min(len(counting), MAX_THRESHOLDS)
        if n:
            ranks = (np.arange(n) + 0.5) * len(counting) / n
            out.append(np.union1d(counting[ranks.astype(int)], edges))
        else:
            out.append(counting)
    return out


_BINNED_AS: dict[str, tuple[str, Any, Any]] = {
    "area": ("sqrt_area", np.sqrt, np.square),
    "aspect": ("log_aspect", np.log, np.exp),
}
"""Columns that are compared on another scale: the name there, and the functions there and back."""
