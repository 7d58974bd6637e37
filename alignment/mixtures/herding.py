# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws layouts of whole images one by one, so that all of them together match the statistics of the real images."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from .balance import Balance, Layouts, pair_features
from .box_density import BoxArrays, LayoutMixture, from_latent

N_COUNT_CANDIDATES = 128
"""Real images whose counts are compared for one layout."""

N_BOX_CANDIDATES = 48
"""Draws of the mixture that are compared for one box."""

N_LAYOUT_CANDIDATES = 4
"""Ways to fill an image that are compared."""

_ROUNDING = 1e-12
_MANY = 4  # from this number of boxes of a class on, counts vary by one


@attrs.frozen(eq=False)
class Layout:
    """One drawn image: its boxes, the class of each, and the component of the mixture that it came from."""

    boxes: BoxArrays
    class_index: np.ndarray
    component: np.ndarray


@attrs.frozen(eq=False)
class _Candidates:
    """Candidate boxes of a class, the penalty of each, and the length of their vectors."""

    class_index: int
    boxes: BoxArrays
    component: np.ndarray
    penalty: np.ndarray
    size: int


@attrs.frozen(eq=False)
class LayoutModel:
    """Everything that layouts are drawn from.

    Attributes
    ----------
    mixtures : sequence of LayoutMixture
        One per class.
    counts : (I, K) int
        Boxes of each class in real images, none of them empty.
    areas : (K, 2) float
        Smallest and largest area that is drawn, per class.
    aspects : (K, 2) float
        Least and greatest aspect of boxes that no border cuts, per class.
    balance : Balance
    image_aspect : float
    correlation : (4,) float
        Correlation of columns between boxes of one class and image, see :func:`.box_density.within_image_correlation`.
    """

    mixtures: Sequence[LayoutMixture]
    counts: np.ndarray
    areas: np.ndarray
    aspects: np.ndarray
    balance: Balance
    image_aspect: float
    correlation: np.ndarray

    def draw(self, state: np.ndarray, rng: np.random.Generator) -> Layout:
        """Draw the layout that best balances the earlier ones.

        Parameters
        ----------
        state : (D,) float
            Sum of the vectors of all earlier layouts, see :class:`.balance.Balance`.
        rng : numpy.random.Generator
        """
        counts = self._counts(state[self.balance.count_slice], rng)
        # Boxes of an image share a random effect, which is drawn once for all of them: hence several candidates.
        found = [self._fill(counts, state, rng) for _ in range(N_LAYOUT_CANDIDATES)]
        return min(found, key=lambda layout: layout[0])[1]

    def _fill(self, counts: np.ndarray, state: np.ndarray, rng: np.random.Generator) -> tuple[float, Layout]:
        """Boxes for given counts, chosen one by one, and the imbalance that remains."""
        total, n_candidates = int(counts.sum()), N_BOX_CANDIDATES
        class_index = np.repeat(np.arange(len(counts)), counts)
        candidates = [self._boxes(k, n, total, rng) for k, n in enumerate(counts) if n]
        vectors = [
            v
            for d in candidates
            for v in self.balance.box_vectors(d.class_index, d.boxes, total).reshape(-1, n_candidates, d.size)
        ]
        corners = np.concatenate([d.boxes.corners(self.image_aspect) for d in candidates]).reshape(
            total, n_candidates, 4
        )
        penalty = np.concatenate([d.penalty for d in candidates]).reshape(total, n_candidates)
        chosen = np.zeros(total, int)
        placed: list[int] = []
        state = state.copy()
        parts, pair_slice = self.balance.box_slices, self.balance.pair_slice
        # Earlier boxes decide what overlaps: the order must not favour a class.
        for i in rng.permutation(total):
            cost = penalty[i] + np.square(state[parts[class_index[i]]] + vectors[i]).sum(1)
            if placed:
                kinds = np.column_stack([np.full(len(placed), class_index[i]), class_index[placed]])
                features = pair_features(corners[i][:, None], corners[placed, chosen[placed]])
                added = self.balance.pair_vectors(kinds, features, total).sum(1)
                cost += np.square(state[pair_slice] + added).sum(1)
            best = chosen[i] = int(cost.argmin())
            state[parts[class_index[i]]] += vectors[i][best]
            if placed:
                state[pair_slice] += added[best]
            placed.append(i)
        index = np.arange(total) * n_candidates + chosen
        values = {
            f.name: np.concatenate([getattr(d.boxes, f.name) for d in candidates]) for f in attrs.fields(BoxArrays)
        }
        layout = Layout(
            BoxArrays(**values).take(index), class_index, np.concatenate([d.component for d in candidates])[index]
        )
        left = sum(float(np.square(state[parts[k]]).sum()) for k in np.unique(class_index))
        left += float(np.square(state[pair_slice]).sum())
        return left + float(penalty.ravel()[index].max()), layout

    def vector(self, layout: Layout) -> np.ndarray:
        """The vector (D,) that a layout adds to the state."""
        return self.balance.total(Layouts(layout.boxes, layout.class_index, np.zeros(len(layout.class_index), int), 1))

    def _counts(self, state: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        counts = self.counts[rng.integers(len(self.counts), size=N_COUNT_CANDIDATES)]
        more = rng.integers(-8, 9, size=counts.shape)
        counts = counts + np.where((counts >= _MANY) & (np.abs(more) == 1), more, 0)
        cost = np.square(state + self.balance.count_vectors(counts)).sum(1)
        return np.asarray(counts[cost.argmin()])

    def _boxes(self, class_index: int, number: int, total: int, rng: np.random.Generator) -> _Candidates:
        """Candidates for each box of a class, one box after another."""
        latent, component = self.mixtures[class_index].sample(
            np.full(number * N_BOX_CANDIDATES, total), rng, self.correlation
        )
        boxes, fits = from_latent(latent, self.image_aspect)
        # Candidates out of reach are only taken if all are; then at the limit.
        outside = (boxes.area < self.areas[class_index, 0]) | (boxes.area > self.areas[class_index, 1])
        if outside.any():
            latent[outside, 0] = _within(latent[outside, 0], self.areas[class_index])
            boxes, fits = from_latent(latent, self.image_aspect)
        unlike = ~boxes.has_reachable_aspect((self.aspects[class_index, 0], self.aspects[class_index, 1]))
        if unlike.any():
            # If they were rejected, most boxes would be cut ones if few shapes are reachable: others lend theirs.
            lenders = np.flatnonzero(~unlike & ~boxes.cut.any(1))
            lent = rng.choice(lenders, unlike.sum()) if len(lenders) else unlike
            latent[unlike, 3] = _within(latent[lent, 3], self.aspects[class_index])
            boxes, fits = from_latent(latent, self.image_aspect)
        part = self.balance.box_slices[class_index]
        penalty = np.where(outside, 1e9, 0.0) + np.where(fits, 0.0, 1e3)
        return _Candidates(class_index, boxes, component, penalty, part.stop - part.start)


def _within(logs: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Logarithms clipped into limits (2,), with a margin for rounding."""
    low, high = np.log(np.maximum(limits, np.finfo(float).tiny))
    return np.clip(logs, low + _ROUNDING, high - _ROUNDING)
