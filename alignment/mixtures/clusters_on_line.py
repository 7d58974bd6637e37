# SPDX-License-Identifier: GPL-3.0-or-later
"""K-means of values on a line, solved exactly: there, the best clusters are intervals of the sorted values."""

from __future__ import annotations

import numpy as np


def best_clusters(x: np.ndarray, n: int) -> np.ndarray:
    """The clusters with the least sum of squared distances to their means.

    Parameters
    ----------
    x : (N,) float
        Sorted values.
    n : int
        Number of clusters, at most N.

    Returns
    -------
    (N,) int
        The number of each value's cluster, from 0, by rising mean.

    Notes
    -----
    Dynamic programming: the best k clusters of the first j values are the best k - 1 of the first i and one of the
    others. As j grows, the best i never falls, so that the middle ones of the values bound it for those between:
    O(n N log N) [Wang & Song 2011; Grønlund et al. 2017].
    """
    sums = _Sums(x)
    count = len(x)
    least = np.concatenate([[0.0], sums.squares(np.zeros(count, dtype=int), np.arange(1, count + 1))])
    starts = []
    for k in range(2, n + 1):
        least, start = _one_more(least, k, sums)
        starts.append(start)
    labels = np.zeros(count, dtype=int)
    end = count
    for k in range(n - 1, 0, -1):
        first = starts[k - 1][end]
        labels[first:end] = k
        end = first
    return labels


def silhouette(x: np.ndarray, labels: np.ndarray) -> float:
    """Mean silhouette [Rousseeuw 1987] of sorted values (N,) with the labels 0 to K - 1 (N,), each of them used."""
    distances = np.stack([_summed_distances(x, x[labels == k]) for k in range(labels.max() + 1)], axis=1)
    counts = np.bincount(labels)
    rows = np.arange(len(x))
    own = counts[labels]
    inside = distances[rows, labels] / np.maximum(own - 1, 1)
    others = distances / counts
    others[rows, labels] = np.inf
    nearest = others.min(axis=1)
    larger = np.maximum(inside, nearest)
    return float(np.where((own > 1) & (larger > 0), (nearest - inside) / np.where(larger > 0, larger, 1.0), 0.0).mean())


class _Sums:
    """Running sums of sorted values, for sums of squares about the mean in constant time."""

    def __init__(self, x: np.ndarray) -> None:
        centred = x - x.mean()
        self.first = np.concatenate([[0.0], np.cumsum(centred)])
        self.second = np.concatenate([[0.0], np.cumsum(centred**2)])

    def squares(self, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Sums of squares about their means of the values from ``start`` to before ``end``, of equal shapes."""
        total = self.first[end] - self.first[start]
        return np.maximum(self.second[end] - self.second[start] - total**2 / (end - start), 0.0)


def _one_more(least: np.ndarray, k: int, sums: _Sums) -> tuple[np.ndarray, np.ndarray]:
    """Least sums of squares (N + 1,) of k clusters of the first j values, and where the last of them starts."""
    count = len(least) - 1
    best = np.full(count + 1, np.inf)
    start = np.full(count + 1, k - 1)
    step = 1 << (count - k + 1).bit_length()
    while step := step // 2:
        ends = np.arange(k - 1 + step, count + 1, 2 * step)
        # Those `step` before and after are solved, and bound these.
        first = start[ends - step]
        after = ends + step
        last = np.minimum(np.where(after <= count, start[np.minimum(after, count)], count), ends - 1)
        lengths = last - first + 1
        begins = np.cumsum(lengths) - lengths
        rows = np.repeat(np.arange(len(ends)), lengths)
        tried = np.arange(len(rows)) - begins[rows] + first[rows]
        values = least[tried] + sums.squares(tried, ends[rows])
        best[ends] = np.minimum.reduceat(values, begins)
        found = np.flatnonzero(values == best[ends][rows])[::-1]
        start[ends[rows[found]]] = tried[found]
    return best, start


def _summed_distances(x: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Sums (N,) of the distances of values (N,) to all sorted members (M,)."""
    below = np.searchsorted(members, x, side="right")
    sums = np.concatenate([[0.0], np.cumsum(members)])
    return np.asarray(x * below - sums[below] + (sums[-1] - sums[below]) - x * (len(members) - below))
