# SPDX-License-Identifier: GPL-3.0-or-later
"""How far whole-image layouts, taken together, are out of balance with real images: sums that a balance keeps at zero.

Each layout has a vector; over real images these vectors sum to zero. It counts boxes below thresholds of area, centre
and aspect, borders that cut them, boxes per image, classes that go together, and what holds of pairs, each against its
real share. The squared length of a sum is then a weighted Cramér-von Mises discrepancy. Layouts that are chosen one by
one so that it stays short follow the real distributions closer than independent draws: kernel herding [Chen, Welling &
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

MOST_CUTS = 64
"""Thresholds of a column; of fewer real boxes each is one."""

WEIGHTS = {"area": 5.0, "center_x": 2.0, "center_y": 2.0, "aspect": 1.0, "cut": 0.2, "crowded": 0.5}
"""What the parts count, of the boxes of a class."""

COUNT_WEIGHT, TOGETHER_WEIGHT, OVERLAP_WEIGHT, ORDER_WEIGHT = 6.0, 0.5, 0.5, 1.0

_OVERLAPS = np.array([0.02, 0.25, 0.5, 0.8])
_OF_PAIRS = np.array([*[OVERLAP_WEIGHT / 4] * 4, ORDER_WEIGHT])  # weights of what holds of pairs
_TOLERANCE = 1e-9  # what pixels add and take away is no difference
_LEAST_VARIANCE = 0.02  # of a share
_FEW_PAIRS = 20  # pairs of two classes; fewer are pooled


@attrs.frozen(eq=False)
class Layouts:
    """The boxes of many images at once.

    Attributes
    ----------
    boxes : BoxArrays
        B boxes.
    kind : (B,) int
        Number of each box's class.
    owner : (B,) int
        Number of its image, rising.
    number : int
        How many images there are, those without a box included.
    """

    boxes: BoxArrays
    kind: np.ndarray
    owner: np.ndarray
    number: int

    def counts(self, classes: int) -> np.ndarray:
        """Boxes of each class in each image, (number, classes)."""
        out = np.zeros((self.number, classes), int)
        np.add.at(out, (self.owner, self.kind), 1)
        return out

    def of(self, image: int) -> np.ndarray:
        """Indices of an image's boxes."""
        return np.arange(*np.searchsorted(self.owner, [image, image + 1]))


def pairs(layouts: Layouts, image_aspect: float) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of boxes of an image: their indices (P, 2), and what holds of each, see :func:`of_pair`."""
    number = np.bincount(layouts.owner, minlength=layouts.number)
    start = np.cumsum(number) - number
    found = [np.empty((0, 2), int)]
    for n in np.unique(number[number > 1]):
        two = np.stack(np.triu_indices(n, 1), -1)
        found.append((start[number == n][:, None, None] + two).reshape(-1, 2))
    pair = np.concatenate(found)
    corners = layouts.boxes.corners(image_aspect)
    return pair, of_pair(corners[pair[:, 0]], corners[pair[:, 1]])


def of_pair(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """What holds of two boxes (..., 4) [x0, y0, x1, y1], (..., 5): whether they overlap by more than each of some
    shares, and whether the higher one ends lower in the image, as things on one floor do."""
    over = overlap(a, b)[..., None] > _OVERLAPS
    higher = (a[..., 3] - a[..., 1]) - (b[..., 3] - b[..., 1])
    return np.concatenate([over, (higher * (a[..., 3] - b[..., 3]) > 0)[..., None]], -1)


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How much of the smaller of two boxes (..., 4) [x0, y0, x1, y1] both share, (...)."""
    size = np.maximum(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0.0)
    least = np.minimum((a[..., 2:] - a[..., :2]).prod(-1), (b[..., 2:] - b[..., :2]).prod(-1))
    return np.minimum(size.prod(-1) / np.maximum(least, 1e-12), 1.0)


class Balance:
    """What real images are like, and how far others are from that.

    Parameters
    ----------
    real : Layouts
        Real images.
    classes : int
        How many classes there are.
    image_aspect : float
        Width over height of the images to come.
    kept : (B,) bool, optional
        Which real boxes say what boxes are like; the others only count. At least one per class.
    aspects : sequence of (float, float), optional
        Least and greatest aspect of each class. Whole boxes beyond, real or not, say nothing of aspects; no whole one
        does where most real ones are beyond.

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
        kept = np.ones(len(real.kind), bool) if kept is None else kept
        self.classes = classes
        self.image_aspect = image_aspect
        self._aspects = [(0.0, math.inf)] * classes if aspects is None else list(aspects)
        counts = real.counts(classes)
        total = counts.sum(1)
        self.rates = counts.mean(0)
        self._levels = [np.unique(counts[:, k][counts[:, k] > 0]) for k in range(classes)]
        self._totals = np.unique(total)[1:]
        holds = self._of_counts(counts)
        weights = np.concatenate(
            [np.full(len(v), COUNT_WEIGHT / max(len(v), 1)) for v in self._levels]
            + [np.full(n, TOGETHER_WEIGHT / max(n, 1)) for n in (len(self._totals), classes * (classes - 1) // 2)]
        )
        self._counts = _part(holds.mean(0), weights)
        self._middle = [float(np.median(total[real.owner[real.kind == k]])) for k in range(classes)]
        self._cuts, self._boxes = [], []
        for k in range(classes):
            mine = np.flatnonzero((real.kind == k) & kept)
            boxes, crowded = real.boxes.take(mine), total[real.owner[mine]] > self._middle[k]
            whole = ~boxes.cut.any(1)
            # Left with few whole boxes among cut ones, the aspects would be in balance with too many cut ones only.
            if 2 * (whole & boxes.shaped(self._aspects[k])).sum() < whole.sum():
                self._aspects[k] = (math.inf, math.inf)
            self._cuts.append(_thresholds(_columns(boxes), boxes.shaped(self._aspects[k])))
            holds, share = self._of_boxes(k, boxes, crowded)
            weights = np.concatenate(
                [np.full(len(c), WEIGHTS[n] / max(len(c), 1)) for n, c in zip(_NAMES, self._cuts[k], strict=True)]
            )
            more = [
                np.full(4, WEIGHTS["cut"] / 4),
                np.full(len(self._cuts[k][0]), WEIGHTS["crowded"] / len(self._cuts[k][0])),
            ]
            weights = np.concatenate([weights, *more]) / self.rates[k]
            self._boxes.append(_part((holds * share).sum(0) / np.maximum(share.sum(0), 1), weights))
        self._pair_up(real, total)
        ends = np.cumsum([len(p.mean) for p in (self._counts, *self._boxes, self._pairs)])
        self.size = int(ends[-1])
        self.of_counts, *self.of_boxes, self.of_pairs = (
            slice(int(a), int(b)) for a, b in zip([0, *ends[:-1]], ends, strict=True)
        )

    def _pair_up(self, real: Layouts, total: np.ndarray) -> None:
        """Which pairs of classes are looked at by themselves; group 0 is other pairs of one class, 1 those of two."""
        self._groups = np.where(np.eye(self.classes, dtype=bool), 0, 1)
        pair, holds = pairs(real, self.image_aspect)
        kinds = np.sort(real.kind[pair], 1)
        for k, m in np.unique(kinds, axis=0):
            if (kinds == (k, m)).all(1).sum() >= _FEW_PAIRS:
                self._groups[k, m] = self._groups[m, k] = self._groups.max() + 1
        share = _pair_share(total[real.owner[pair[:, 0]]])
        group = self._groups[kinds[:, 0], kinds[:, 1]]
        mean = np.zeros((self._groups.max() + 1, len(_OF_PAIRS)))
        scale = np.zeros_like(mean)
        for g in np.unique(group):
            mine = group == g
            mean[g] = share[mine] @ holds[mine] / share[mine].sum()
            scale[g] = _OF_PAIRS / (share[mine].sum() / real.number)
        self._pairs = _part(mean.ravel(), scale.ravel())

    def count_vectors(self, counts: np.ndarray) -> np.ndarray:
        """What counts (C, classes) of boxes per class give to the part ``of_counts``, (C, .)."""
        return (self._of_counts(counts) - self._counts.mean) * self._counts.scale

    def box_vectors(self, kind: int, boxes: BoxArrays, total: np.ndarray | int) -> np.ndarray:
        """What boxes (B,) of images of ``total`` boxes give to the part ``of_boxes[kind]``, (B, .)."""
        part = self._boxes[kind]
        holds, share = self._of_boxes(kind, boxes, np.broadcast_to(np.asarray(total) > self._middle[kind], len(boxes)))
        return (holds - part.mean) * share * part.scale

    def pair_vectors(self, kinds: np.ndarray, holds: np.ndarray, total: np.ndarray | int) -> np.ndarray:
        """What pairs of boxes give to the part ``of_pairs``, (..., P, .).

        Parameters
        ----------
        kinds : (P, 2) int
            Their classes.
        holds : (..., P, 5) bool
            What holds of each, see :func:`of_pair`.
        total : int or (P,) int
            Boxes in their images.
        """
        group = self._groups[kinds[:, 0], kinds[:, 1]]
        out = np.zeros((*holds.shape[:-1], self._groups.max() + 1, len(_OF_PAIRS)))
        mean = self._pairs.mean.reshape(out.shape[-2:])
        scale = self._pairs.scale.reshape(out.shape[-2:])
        value = (holds - mean[group]) * scale[group]
        out[..., np.arange(len(group)), group, :] = value * _pair_share(np.broadcast_to(total, len(group)))[:, None]
        return out.reshape(*holds.shape[:-1], -1)

    def thresholds(self, kind: int) -> list[np.ndarray]:
        """Where area, centre x, centre y and aspect of a class are cut; its part begins with these."""
        return self._cuts[kind]

    def total(self, layouts: Layouts) -> np.ndarray:
        """The sum of the vectors of whole images, (size,)."""
        counts = layouts.counts(self.classes)
        number = counts.sum(1)[layouts.owner]
        out = np.zeros(self.size)
        out[self.of_counts] = self.count_vectors(counts).sum(0)
        for k, part in enumerate(self.of_boxes):
            mine = np.flatnonzero(layouts.kind == k)
            out[part] = self.box_vectors(k, layouts.boxes.take(mine), number[mine]).sum(0)
        pair, holds = pairs(layouts, self.image_aspect)
        if len(pair):
            out[self.of_pairs] = self.pair_vectors(layouts.kind[pair], holds, number[pair[:, 0]]).sum(0)
        return out

    def _of_counts(self, counts: np.ndarray) -> np.ndarray:
        first, second = np.triu_indices(self.classes, 1)
        return np.concatenate(
            [
                *(counts[:, k, None] >= levels for k, levels in enumerate(self._levels)),
                counts.sum(1)[:, None] >= self._totals,
                (counts[:, first] > 0) & (counts[:, second] > 0),
            ],
            1,
        )

    def _of_boxes(self, kind: int, boxes: BoxArrays, crowded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What holds of boxes (B, .), and what of that counts: areas are looked at once more in crowded images, and
        aspects only where the class can have them."""
        below = [c[:, None] <= cuts + _TOLERANCE for c, cuts in zip(_columns(boxes).T, self._cuts[kind], strict=True)]
        holds = np.concatenate([*below, boxes.cut, below[0]], 1)
        share = np.ones(holds.shape)
        share[:, -below[0].shape[1] :] = crowded[:, None]
        share[:, self._aspect_columns(kind)] = boxes.shaped(self._aspects[kind])[:, None]
        return holds, share

    def _aspect_columns(self, kind: int) -> slice:
        start = sum(len(cuts) for cuts in self._cuts[kind][:3])
        return slice(start, start + len(self._cuts[kind][3]))


@attrs.frozen(eq=False)
class _Part:
    """Real shares (D,) of a part of the vectors, and the square roots of the weights of their errors."""

    mean: np.ndarray
    scale: np.ndarray


def _part(mean: np.ndarray, weights: np.ndarray) -> _Part:
    """Errors count by what chance would make of them, as in Anderson's and Darling's statistic: tails more."""
    return _Part(mean, np.sqrt(weights / np.maximum(mean * (1 - mean), _LEAST_VARIANCE)))


def _pair_share(total: np.ndarray) -> np.ndarray:
    """How much a pair counts: an image of many boxes has many, and each box is to speak once."""
    return np.asarray(2.0 / np.maximum(total - 1, 1))


_NAMES = ("area", "center_x", "center_y", "aspect")


def _columns(boxes: BoxArrays) -> np.ndarray:
    return np.column_stack([boxes.area, boxes.center, boxes.aspect])


def _thresholds(columns: np.ndarray, shaped: np.ndarray) -> list[np.ndarray]:
    """Where each column of (N, 4) is cut: at few values themselves, at evenly spaced ranks of many, and where the bins
    of the distance begin that the column is judged by. Aspects of boxes that are not ``shaped`` (N,) do not count."""
    out = []
    for name, values in zip(_NAMES, columns.T, strict=True):
        judged, there, back = _JUDGED.get(name, (name, np.asarray, np.asarray))
        edges = back(column_binning(judged, there(values)).bin_edges[1:-1])
        counting = np.sort(values[shaped] if name == "aspect" else values)
        n = min(len(counting), MOST_CUTS)
        if n:
            ranks = (np.arange(n) + 0.5) * len(counting) / n
            out.append(np.union1d(counting[ranks.astype(int)], edges))
        else:
            out.append(counting)
    return out


_JUDGED: dict[str, tuple[str, Any, Any]] = {
    "area": ("sqrt_area", np.sqrt, np.square),
    "aspect": ("log_aspect", np.log, np.exp),
}
"""Columns that are judged on another scale: under what name, and the way there and back."""
