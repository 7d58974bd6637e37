# SPDX-License-Identifier: GPL-3.0-or-later
"""Two samples as shares of common values, the form in which distances of many resamples are computed at once."""

from __future__ import annotations

from functools import cached_property

import attrs
import numpy as np

from .histograms import BINS

MAX_VALUES = 2048
"""Samples with more distinct values than this are resampled in groups of neighbouring values."""


@attrs.frozen(eq=False)
class Support:
    """Two samples as shares of common, ascending values.

    Attributes
    ----------
    values : (m,) float
        The distinct values of both samples; means of neighbouring ones where there are more than ``MAX_VALUES``.
    p, q : (m,) float
        Share of each sample at each value.
    bin_starts : (k,) int
        Where each used histogram bin begins in ``values``; no group lies in two bins.
    index_a, index_b : (N,), (M,) int
        Index in ``values`` of each value of the samples.
    """

    values: np.ndarray
    p: np.ndarray
    q: np.ndarray
    bin_starts: np.ndarray
    index_a: np.ndarray
    index_b: np.ndarray


def common_support(
    a: np.ndarray,
    b: np.ndarray,
    *,
    bins: int = BINS,
    range: tuple[float, float] = (0.0, 1.0),
    max_values: int = MAX_VALUES,
) -> Support:
    """The common support of two samples of finite values; see :class:`Support`."""
    both = np.concatenate([np.asarray(a, dtype=float).ravel(), np.asarray(b, dtype=float).ravel()])
    values, inverse, counts = np.unique(both, return_inverse=True, return_counts=True)
    index: np.ndarray = np.ravel(inverse)
    bin_edges = np.linspace(*range, bins + 1)
    bin_of = np.asarray(np.clip(np.searchsorted(bin_edges, values, side="right") - 1, 0, bins - 1))
    if len(values) > max_values:
        # Groups of about equally many boxes, cut at the edges of the histogram's bins.
        group_of = (np.cumsum(counts) - 1) * max_values // len(both)
        label = np.cumsum(np.diff(bin_of * (max_values + 1) + group_of, prepend=-1) != 0) - 1
        values = np.bincount(label, values * counts) / np.bincount(label, counts)
        bin_of = bin_of[np.flatnonzero(np.diff(label, prepend=-1))]
        index = label[index]
    m, n = len(values), np.size(a)
    return Support(
        values=values,
        p=np.bincount(index[:n], minlength=m) / n,
        q=np.bincount(index[n:], minlength=m) / (len(both) - n),
        bin_starts=np.flatnonzero(np.diff(bin_of, prepend=-1)),
        index_a=index[:n],
        index_b=index[n:],
    )


class SharePairs:
    """Pairs of samples on one support, from which a distance is computed for all pairs at once.

    Attributes
    ----------
    values : (m,) float
        The common values, ascending.
    p, q : (r, m) float
        Shares of the two samples of each of r pairs at these values; each row sums to 1.
    """

    def __init__(self, values: np.ndarray, bin_starts: np.ndarray, p: np.ndarray, q: np.ndarray) -> None:
        self.values, self.p, self.q = values, p, q
        self._bin_starts = bin_starts

    @cached_property
    def histograms(self) -> tuple[np.ndarray, np.ndarray]:
        """Shares (r, k) of both samples in the used bins of the common histogram."""
        first, second = (np.add.reduceat(shares, self._bin_starts, axis=1) for shares in (self.p, self.q))
        return first, second

    @cached_property
    def cdf_difference(self) -> np.ndarray:
        """Absolute difference (r, m) of the two cumulative distributions at each value."""
        return np.asarray(np.abs(np.cumsum(self.p - self.q, axis=1)))
