# SPDX-License-Identifier: GPL-3.0-or-later
"""The declaration of a distance between two sets of feature vectors, and pairs of sets in the form it takes them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import attrs
import numpy as np

MAX_NEIGHBOURS = 5
"""How many nearest neighbours of a vector distances can use."""


def cubic_kernel(a: np.ndarray, b: np.ndarray | None = None) -> np.ndarray:
    """Polynomial kernel (n, m) of all pairs of vectors (n, d) and (m, d), or of (n, d) alone: ``(x · y / d + 1)³``."""
    from sklearn.metrics.pairwise import polynomial_kernel

    return np.asarray(polynomial_kernel(a, b, degree=3, coef0=1.0))


class FeatureSets:
    """Feature vectors of two datasets together, of which pairs of sets are taken; see :class:`FeaturePair`.

    Each feature is divided by its standard deviation over all vectors, which does not depend on the dataset that a
    vector is from: so permutation tests are exact. Features that are the same everywhere are left out.

    Parameters
    ----------
    features : (n, d) float
        Finite values, at least two rows.
    reference : (k, d) float, optional
        Vectors whose standard deviations are taken instead, so that several pairs of sets can be compared.
    """

    def __init__(self, features: np.ndarray, reference: np.ndarray | None = None) -> None:
        from sklearn.preprocessing import StandardScaler

        values = np.asarray(features, dtype=float)
        scale = values if reference is None else np.asarray(reference, dtype=float)
        varied = np.ptp(scale, axis=0) > 1e-9 * (1 + np.abs(scale).max(0))
        if varied.any():
            self.features = StandardScaler().fit(scale[:, varied]).transform(values[:, varied])
        else:
            self.features = values[:, :1] * 0.0

    @cached_property
    def kernel(self) -> np.ndarray:
        """The kernel (n, n) of all pairs, see :func:`cubic_kernel`."""
        return cubic_kernel(self.features)

    @cached_property
    def distances(self) -> np.ndarray:
        """Euclidean distances (n, n) of all pairs."""
        from sklearn.metrics import pairwise_distances

        return np.asarray(pairwise_distances(self.features))


@attrs.frozen(eq=False)
class FeaturePair:
    """Two sets of vectors.

    Attributes
    ----------
    sets : FeatureSets
    real, synth : (n,), (m,) int
        Rows of ``sets.features`` in the first and in the second set; none is in both.
    """

    sets: FeatureSets
    real: np.ndarray
    synth: np.ndarray

    def between(self, values: np.ndarray) -> np.ndarray:
        """The part (n, m) of a matrix of all pairs that pairs each real vector with each synthetic one."""
        return np.asarray(values[np.ix_(self.real, self.synth)])

    @cached_property
    def cross(self) -> np.ndarray:
        """Euclidean distances (n, m) of real and synthetic vectors."""
        return self.between(self.sets.distances)

    def real_radii(self, neighbours: int) -> np.ndarray:
        """Distance (n,) of each real vector to its k-th nearest other real one, k up to ``MAX_NEIGHBOURS``.

        NaN with too few vectors.
        """
        return self._real_radii[:, neighbours - 1]

    def synth_radii(self, neighbours: int) -> np.ndarray:
        """The same (m,) of synthetic vectors among synthetic ones."""
        return self._synth_radii[:, neighbours - 1]

    @cached_property
    def _real_radii(self) -> np.ndarray:
        return _radii(self.sets.distances[np.ix_(self.real, self.real)])

    @cached_property
    def _synth_radii(self) -> np.ndarray:
        return _radii(self.sets.distances[np.ix_(self.synth, self.synth)])


def _radii(distances: np.ndarray) -> np.ndarray:
    """Distances (n, MAX_NEIGHBOURS) of each vector to the nearest others, from those of all pairs (n, n)."""
    from sklearn.neighbors import NearestNeighbors

    known = min(MAX_NEIGHBOURS, len(distances) - 1)
    out = np.full((len(distances), MAX_NEIGHBOURS), math.nan)
    if known > 0:
        # Without an argument, no vector is its own neighbour.
        out[:, :known] = NearestNeighbors(n_neighbors=known, metric="precomputed").fit(distances).kneighbors()[0]
    return out


@attrs.frozen
class FeatureDistance:
    """A distance, or a similarity, of two sets of feature vectors.

    Interval, floor and critical value follow from ``compute`` alone, see :func:`.feature_estimates.estimate_features`.

    Attributes
    ----------
    name : str
        Key in results.
    label : str
        Name in tables.
    definition : str
        What it measures, in one sentence.
    compute : callable
        ``compute(pair)`` returns the value of a :class:`FeaturePair`; NaN where it is not defined.
    source : str
        Where it comes from.
    similarity : bool
        Whether larger values say that the sets are more alike.
    bounds : (float, float)
        Smallest and largest possible value.
    """

    name: str
    label: str
    definition: str
    compute: Callable[[FeaturePair], float]
    source: str = ""
    similarity: bool = False
    bounds: tuple[float, float] = (-math.inf, math.inf)
