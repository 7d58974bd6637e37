# SPDX-License-Identifier: GPL-3.0-or-later
"""Distances against their formula, and what must hold of any distance and its floor."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from twinset.alignment.distances import histograms
from twinset.engine.errors import DataError

samples = st.lists(st.floats(0, 1), min_size=1, max_size=60).map(np.array)


def brute_force(a, b, bins=20):
    """The formula of the method, counted box by box."""
    p, q = [0] * bins, [0] * bins
    for values, counts in ((a, p), (b, q)):
        for v in values:
            counts[min(int(v * bins), bins - 1)] += 1
    overlap = sum(math.sqrt(x / len(a) * y / len(b)) for x, y in zip(p, q, strict=True))
    return -math.log(overlap) if overlap else math.inf


@settings(max_examples=examples(40))
@given(st.lists(st.integers(0, 999), min_size=1, max_size=60), st.lists(st.integers(0, 999), min_size=1, max_size=60))
def test_equals_the_formula(a, b):
    # Off the bin edges, where floating point decides.
    a, b = (np.array(a) + 0.5) / 1000, (np.array(b) + 0.5) / 1000
    assert histograms.bhattacharyya(a, b) == pytest.approx(brute_force(a, b), abs=1e-12)


@settings(max_examples=examples(40))
@given(samples, samples)
def test_is_symmetric_and_zero_for_the_same(a, b):
    assert histograms.bhattacharyya(a, b) == histograms.bhattacharyya(b, a) >= 0
    assert histograms.bhattacharyya(a, np.repeat(a, 3)) == pytest.approx(0, abs=1e-12)


def test_disjoint_histograms_are_infinitely_far():
    assert histograms.bhattacharyya(np.array([0.01, 0.02]), np.array([0.9])) == math.inf


def test_values_outside_count_in_the_outermost_bins():
    assert histograms.bhattacharyya(np.array([-3.0, 7.0]), np.array([0.01, 0.99])) == 0


@pytest.mark.parametrize("values", [[], [0.5, math.nan], [math.inf]])
def test_refuses_what_has_no_histogram(values):
    with pytest.raises(DataError, match="finite"):
        histograms.bhattacharyya(np.array(values), np.array([0.5]))


def test_floor_is_the_mean_over_resamples():
    real = np.random.default_rng(1).beta(2, 5, 60)
    rng = np.random.default_rng(2)
    drawn = [histograms.bhattacharyya(rng.choice(real, 60), rng.choice(real, 300)) for _ in range(1500)]
    floor = histograms.bhattacharyya_floor(real, 60, 300, 1500, np.random.default_rng(3))
    assert floor == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) * math.sqrt(2 / 1500))


def test_floor_falls_with_size():
    real = np.random.default_rng(1).beta(2, 5, 60)
    floors = [histograms.bhattacharyya_floor(real, n, n, 300, np.random.default_rng(0)) for n in (20, 60, 200, 2000)]
    assert floors == sorted(floors, reverse=True)
    assert floors[-1] < floors[0] / 20


def test_other_distances_know_a_shift():
    a = np.linspace(0, 1, 101)
    assert histograms.wasserstein(a, a + 0.25) == pytest.approx(0.25)
    assert histograms.kolmogorov_smirnov(a, a + 0.255) == pytest.approx(26 / 101)
    assert histograms.wasserstein(a, a) == histograms.kolmogorov_smirnov(a, a) == 0


@settings(max_examples=examples(30))
@given(st.lists(st.integers(0, 9), min_size=3, max_size=40), st.lists(st.integers(0, 9), min_size=3, max_size=40))
def test_kolmogorov_smirnov_equals_scipys(a, b):
    from scipy.stats import ks_2samp

    truth = ks_2samp(a, b, method="asymp").statistic
    assert histograms.kolmogorov_smirnov(np.array(a), np.array(b)) == pytest.approx(truth, abs=1e-12)
