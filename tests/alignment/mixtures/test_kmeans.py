# SPDX-License-Identifier: GPL-3.0-or-later
"""Mixtures by k-means: components are the clusters of values, against an exhaustive search."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import norm
from twinset.alignment.mixtures.area_mixture import fit_areas
from twinset.alignment.mixtures.gaussian_components import fit_components
from twinset.engine.errors import DataError


def three_groups(seed):
    rng = np.random.default_rng(seed)
    return np.sort(np.concatenate([rng.normal(m, s, n) for m, s, n in ((-8, 0.3, 9), (-4.5, 0.2, 12), (-1.5, 0.3, 7))]))


def best_split(x, n):
    """On a line, clusters are intervals, so all splits of the sorted values can be tried."""

    def cost(cuts):
        return sum(part.var() * len(part) for part in np.split(x, cuts))

    return np.split(x, min(itertools.combinations(range(1, len(x)), n - 1), key=cost))


@pytest.mark.parametrize("n", [2, 3])
def test_components_are_the_best_clusters(n):
    x = three_groups(0)
    (weights, means, variances), scores = fit_components(x, n, 0.02, 1, "kmeans")
    clusters = best_split(x, n)
    regular = (0.05 * x.std()) ** 2
    assert weights == pytest.approx([len(c) / len(x) for c in clusters])
    assert means == pytest.approx([c.mean() for c in clusters])
    assert variances == pytest.approx([c.var() + regular for c in clusters])
    density = norm.pdf(x[:, None], means, np.sqrt(variances)) @ weights
    assert scores["bic"] == pytest.approx((3 * n - 1) * np.log(len(x)) - 2 * np.log(density).sum())


def test_separate_groups_are_found_by_both_methods():
    areas = np.exp(three_groups(1))
    by_gmm, by_kmeans = (fit_areas(areas, method=method, components=3) for method in ("gmm", "kmeans"))
    assert by_kmeans.means_ == pytest.approx(by_gmm.means_, abs=0.1)
    assert by_kmeans.weights_ == pytest.approx(np.array([9, 12, 7]) / 28)
    chosen = fit_areas(areas, method="kmeans")
    assert chosen.n_components_ >= 3
    assert chosen.distance(areas) < 0.1


def test_an_unknown_method_is_refused():
    with pytest.raises(DataError, match=r"'median' is not a method\. Methods: gmm, kmeans"):
        fit_areas(np.array([0.1, 0.2]), method="median")
