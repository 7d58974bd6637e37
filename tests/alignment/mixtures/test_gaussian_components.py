# SPDX-License-Identifier: GPL-3.0-or-later
"""Components of values on a line, against scikit-learn and an exhaustive search."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from sklearn.mixture import GaussianMixture
from twinset.alignment.mixtures.clusters_on_line import best_clusters, silhouette
from twinset.alignment.mixtures.gaussian_components import fit_components

FEW = st.lists(st.integers(-40, 40).map(lambda v: v / 8), min_size=4, max_size=9).map(sorted)


def inertia(x, labels):
    return sum(((x[labels == k] - x[labels == k].mean()) ** 2).sum() for k in np.unique(labels))


def values(seed, count, groups):
    rng = np.random.default_rng(seed)
    centres, spreads = rng.uniform(-9, 0, groups), rng.uniform(0.2, 1, groups)
    return np.sort(rng.normal(centres, spreads, (count // groups, groups)).ravel())


@given(FEW, st.integers(2, 4))
def test_clusters_are_the_best_of_all_splits(few, n):
    x = np.array(few)
    labels = best_clusters(x, n)
    assert np.bincount(labels, minlength=n).min() >= 1
    assert (np.diff(labels) >= 0).all()
    splits = itertools.combinations(range(1, len(x)), n - 1)
    least = min(sum(part.var() * len(part) for part in np.split(x, cuts)) for cuts in splits)
    assert inertia(x, labels) == pytest.approx(least, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_clusters_of_many_values_are_at_least_as_good_as_those_of_scikit_learn(seed):
    x = values(seed, 3000, 5)
    for n in (2, 5, 8):
        theirs = KMeans(n, n_init=5, random_state=0).fit(x[:, None]).inertia_
        assert inertia(x, best_clusters(x, n)) <= theirs * (1 + 1e-9)


@given(FEW, st.data())
def test_silhouettes_are_those_of_scikit_learn(few, data):
    x = np.array(few)
    n = data.draw(st.integers(2, len(x) - 1))
    labels = np.array(data.draw(st.permutations([*range(n), *[0] * (len(x) - n)])))
    assert silhouette(x, labels) == pytest.approx(silhouette_score(x[:, None], labels), abs=1e-9)


def test_mixtures_are_as_likely_as_those_of_scikit_learn():
    gains = []
    for seed in range(12):
        x = values(seed, 60 + 20 * seed, 1 + seed % 4)
        regular = max(0.05 * x.std(), 0.02) ** 2
        for n in (2, 3, 4):
            theirs = GaussianMixture(n, reg_covar=regular, n_init=5, max_iter=500, random_state=0).fit(x[:, None])
            fitted = fit_components(x, n, 0.02, 1)
            if fitted is None:
                continue
            (weights, means, variances), scores = fitted
            assert weights.sum() == pytest.approx(1)
            assert (np.diff(means) >= 0).all()
            log_likelihood = np.log(norm.pdf(x[:, None], means, np.sqrt(variances)) @ weights).sum()
            assert scores["bic"] == pytest.approx((3 * n - 1) * np.log(len(x)) - 2 * log_likelihood)
            gains.append((log_likelihood - theirs.score(x[:, None]) * len(x)) / len(x))
    assert len(gains) > 30
    assert min(gains) > -0.02
    assert np.mean(gains) > 0


def test_the_order_of_values_does_not_matter():
    x = values(5, 80, 3)
    mixed = np.random.default_rng(0).permutation(x)
    (a, _), (b, _) = fit_components(x, 3, 0.02, 1), fit_components(mixed, 3, 0.02, 1)
    np.testing.assert_array_equal(a, b)
