# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws layouts of whole images one by one, each so that all of them together stay in balance with the real images."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from .balance import Balance, Layouts, of_pair
from .box_density import BoxArrays, LayoutMixture, from_latent

COUNTS_TRIED = 128
"""Real images whose counts are compared for one layout."""

BOXES_TRIED = 48
"""Draws of the mixture that are compared for one box."""

LAYOUTS_TRIED = 4
"""Ways to fill an image that are compared."""

_ROUNDING = 1e-12
_MANY = 4  # boxes of a class, from which on one more or less is drawn now and then


@attrs.frozen(eq=False)
class Layout:
    """One drawn image: its boxes, the class of each, and the component of the mixture that it came from."""

    boxes: BoxArrays
    kind: np.ndarray
    component: np.ndarray


@attrs.frozen(eq=False)
class _Drawn:
    """Draws for the boxes of a class: what speaks against each, and the length of their vectors."""

    kind: int
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
    alike : (4,) float
        How far boxes of one class and image are alike in each column, see :func:`.layout.likeness`.
    """

    mixtures: Sequence[LayoutMixture]
    counts: np.ndarray
    areas: np.ndarray
    aspects: np.ndarray
    balance: Balance
    image_aspect: float
    alike: np.ndarray

    def draw(self, state: np.ndarray, rng: np.random.Generator) -> Layout:
        """The layout that goes with what there is already.

        Parameters
        ----------
        state : (D,) float
            Sum of the vectors of all layouts before, see :class:`.balance.Balance`.
        rng : numpy.random.Generator
        """
        counts = self._counts(state[self.balance.of_counts], rng)
        # Boxes of an image have something in common, which is drawn once for all of them: so several times anew.
        found = [self._fill(counts, state, rng) for _ in range(LAYOUTS_TRIED)]
        return min(found, key=lambda layout: layout[0])[1]

    def _fill(self, counts: np.ndarray, state: np.ndarray, rng: np.random.Generator) -> tuple[float, Layout]:
        """Boxes for so many of each class, chosen one by one, and how far they leave the state off balance."""
        total, tried = int(counts.sum()), BOXES_TRIED
        kind = np.repeat(np.arange(len(counts)), counts)
        drawn = [self._boxes(k, n, total, rng) for k, n in enumerate(counts) if n]
        vectors = [
            v for d in drawn for v in self.balance.box_vectors(d.kind, d.boxes, total).reshape(-1, tried, d.size)
        ]
        corners = np.concatenate([d.boxes.corners(self.image_aspect) for d in drawn]).reshape(total, tried, 4)
        penalty = np.concatenate([d.penalty for d in drawn]).reshape(total, tried)
        chosen = np.zeros(total, int)
        there: list[int] = []
        state = state.copy()
        parts, of_pairs = self.balance.of_boxes, self.balance.of_pairs
        # Those before decide what overlaps: the order must not favour a class.
        for i in rng.permutation(total):
            cost = penalty[i] + np.square(state[parts[kind[i]]] + vectors[i]).sum(1)
            if there:
                kinds = np.column_stack([np.full(len(there), kind[i]), kind[there]])
                holds = of_pair(corners[i][:, None], corners[there, chosen[there]])
                added = self.balance.pair_vectors(kinds, holds, total).sum(1)
                cost += np.square(state[of_pairs] + added).sum(1)
            best = chosen[i] = int(cost.argmin())
            state[parts[kind[i]]] += vectors[i][best]
            if there:
                state[of_pairs] += added[best]
            there.append(i)
        index = np.arange(total) * tried + chosen
        values = {f.name: np.concatenate([getattr(d.boxes, f.name) for d in drawn]) for f in attrs.fields(BoxArrays)}
        layout = Layout(BoxArrays(**values).take(index), kind, np.concatenate([d.component for d in drawn])[index])
        left = sum(float(np.square(state[parts[k]]).sum()) for k in np.unique(kind))
        left += float(np.square(state[of_pairs]).sum())
        return left + float(penalty.ravel()[index].max()), layout

    def vector(self, layout: Layout) -> np.ndarray:
        """What a layout adds to the state, (D,)."""
        return self.balance.total(Layouts(layout.boxes, layout.kind, np.zeros(len(layout.kind), int), 1))

    def _counts(self, state: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        counts = self.counts[rng.integers(len(self.counts), size=COUNTS_TRIED)]
        more = rng.integers(-8, 9, size=counts.shape)
        counts = counts + np.where((counts >= _MANY) & (np.abs(more) == 1), more, 0)
        cost = np.square(state + self.balance.count_vectors(counts)).sum(1)
        return np.asarray(counts[cost.argmin()])

    def _boxes(self, kind: int, number: int, total: int, rng: np.random.Generator) -> _Drawn:
        """Draws for each of so many boxes of a class, one after another."""
        latent, component = self.mixtures[kind].sample(np.full(number * BOXES_TRIED, total), rng, self.alike)
        boxes, fits = from_latent(latent, self.image_aspect)
        # Draws beyond are only ever taken where all are; then at the limit.
        outside = (boxes.area < self.areas[kind, 0]) | (boxes.area > self.areas[kind, 1])
        if outside.any():
            latent[outside, 0] = _within(latent[outside, 0], self.areas[kind])
            boxes, fits = from_latent(latent, self.image_aspect)
        unlike = ~boxes.shaped((self.aspects[kind, 0], self.aspects[kind, 1]))
        if unlike.any():
            # Were they held back, most boxes would be cut ones where few shapes can be had: others lend them theirs.
            lenders = np.flatnonzero(~unlike & ~boxes.cut.any(1))
            lent = rng.choice(lenders, unlike.sum()) if len(lenders) else unlike
            latent[unlike, 3] = _within(latent[lent, 3], self.aspects[kind])
            boxes, fits = from_latent(latent, self.image_aspect)
        part = self.balance.of_boxes[kind]
        penalty = np.where(outside, 1e9, 0.0) + np.where(fits, 0.0, 1e3)
        return _Drawn(kind, boxes, component, penalty, part.stop - part.start)


def _within(logs: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Logarithms moved into limits (2,), so far that rounding does not bring their values beyond."""
    low, high = np.log(np.maximum(limits, np.finfo(float).tiny))
    return np.clip(logs, low + _ROUNDING, high - _ROUNDING)
