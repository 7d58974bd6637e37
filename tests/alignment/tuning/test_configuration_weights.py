# SPDX-License-Identifier: GPL-3.0-or-later
"""Tuning on generators whose configurations are known: the right ones, in the right proportion, at the right price."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from property_examples import examples
from scipy import integrate, optimize
from scipy import stats as scipy_stats
from twinset.alignment.distances.binning import Binning, Sample, column_binning
from twinset.alignment.distances.histograms import BINS, bhattacharyya, bhattacharyya_of_histograms
from twinset.alignment.tuning.configuration_weights import (
    METHODS,
    MIN_SHARE,
    MIN_VALUES,
    PRIOR_VALUES,
    choose,
    component_values,
    fit_components,
    frame_weights,
    gaussian_bhattacharyya,
    mixture_distance,
    moments,
    nearest_mixture,
    predict,
    shares_by_component,
    shares_by_histogram,
)
from twinset.alignment.tuning.design_points import points
from twinset.engine.errors import DataError

UNIT = Binning("center_y", 0.0, 1.0)


def normal(rng, mean, std, images=30, per=4):
    n = images * per
    return Sample(rng.normal(mean, std, n), np.repeat(np.arange(images), per), images)


def single(values):
    values = np.asarray(values, dtype=float)
    return Sample(values, np.arange(len(values)), len(values))


@pytest.fixture
def rng():
    return np.random.default_rng(5)


# Closed forms


@given(st.floats(-2, 2), st.floats(0.2, 3), st.floats(-2, 2), st.floats(0.2, 3))
@settings(max_examples=examples(20))
def test_the_divergence_of_gaussians_is_that_of_their_densities(mean_a, std_a, mean_b, std_b):
    # The integrand is a narrow peak, and may be as low as exp(-50): where it is, and without an absolute tolerance.
    precision = 1 / std_a**2 + 1 / std_b**2
    peak, reach = (mean_a / std_a**2 + mean_b / std_b**2) / precision, 12 * math.sqrt(2 / precision)
    overlap = integrate.quad(
        lambda x: math.sqrt(scipy_stats.norm.pdf(x, mean_a, std_a) * scipy_stats.norm.pdf(x, mean_b, std_b)),
        peak - reach,
        peak + reach,
        epsabs=0.0,
    )[0]
    found = gaussian_bhattacharyya(np.array(mean_a), np.array(std_a**2), np.array(mean_b), np.array(std_b**2))
    assert found == pytest.approx(-math.log(overlap), abs=1e-6)


@given(hnp.arrays(float, (4, 6), elements=st.floats(0.0, 1.0)), hnp.arrays(float, 6, elements=st.floats(0.01, 1.0)))
@example(np.where(np.arange(24).reshape(4, 6) == 1, 0.8125, 0.75), np.array([0.5, 1, 1, 1, 1, 1]))  # much the same
@settings(max_examples=examples(15))
def test_no_other_mixture_overlaps_more(parts, p):
    parts = (parts + 1e-3) / (parts + 1e-3).sum(1, keepdims=True)
    p = p / p.sum()
    found = nearest_mixture(p, parts)
    assert (found >= 0).all() and found.sum() == pytest.approx(1)
    reference = optimize.minimize(
        lambda w: -np.sqrt(p * np.maximum(w @ parts, 1e-12)).sum(),
        np.full(4, 0.25),
        bounds=[(0, 1)] * 4,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 500},
    )
    assert bhattacharyya_of_histograms(p, found @ parts) <= -math.log(-reference.fun) + 1e-5


def test_shares_that_rounding_left_below_zero_are_none():
    parts = np.array([[0.7, 0.2, 0.1, 0.0], [0.1, 0.6, 0.3, 0.0], [0.3, 0.3, 0.4, 0.0], [-1e-16, -1e-17, 0.0, 1.0]])
    p = np.array([0.3, 0.45, 0.25, 0.0])
    found = nearest_mixture(p, parts)
    np.testing.assert_allclose(found, nearest_mixture(p, np.maximum(parts, 0.0)))
    assert found.sum() == pytest.approx(1)


def test_moments_are_drawn_towards_the_common_spread(rng):
    samples = [normal(rng, 0.3, 0.05, 10, 2), normal(rng, 0.6, 0.1, 30, 4), single([0.5] * (MIN_VALUES - 1))]
    means, variances = moments(samples, UNIT)
    squares = [((s.values - s.values.mean()) ** 2).sum() for s in samples[:2]]
    common = sum(squares) / (19 + 119)
    assert means[:2] == pytest.approx([s.values.mean() for s in samples[:2]])
    assert variances[:2] == pytest.approx(
        [(q + PRIOR_VALUES * common) / (n + PRIOR_VALUES) for q, n in zip(squares, (19, 119), strict=True)]
    )
    assert np.isnan(means[2]) and np.isnan(variances[2])


# Known generators


@pytest.mark.parametrize("log", [False, True])
def test_the_right_configurations_with_the_right_weights_are_found(rng, log):
    grid = [(m, s) for m in np.arange(0.1, 1.0, 0.1) for s in (0.02, 0.06)]
    samples = [normal(rng, m, s) for m, s in grid]
    real = np.concatenate([rng.normal(0.3, 0.02, 45), rng.normal(0.7, 0.06, 105)])
    if log:  # the same on a scale that spreads over decades

        def spread(x):
            return np.exp(6 * (x - 1))

        samples, real = [Sample(spread(s.values), s.image, s.n_images) for s in samples], spread(real)
    binning = column_binning("depth" if log else "center_y", real)
    assert binning.log == log
    components = fit_components(real, binning, components=2)
    assert components.weights_ == pytest.approx([0.3, 0.7], abs=0.03)
    shares = shares_by_component(components, samples)
    assert {grid[i] for i in np.flatnonzero(shares)} == {(grid[4][0], 0.02), (grid[13][0], 0.06)}
    assert shares[[4, 13]] == pytest.approx([0.3, 0.7], abs=0.03)
    # The other rule may mix neighbours, in the same proportion of low to high.
    fitted = shares_by_histogram(real, samples, binning)
    assert fitted[:9].sum() == pytest.approx(0.3, abs=0.06)
    assert fitted[fitted > 0].min() >= MIN_SHARE
    for found in choose(single(real), samples, binning, rng, components=components):
        fresh = [normal(np.random.default_rng(99), m, s, 400, 5) for m, s in grid]
        if log:
            fresh = [Sample(spread(s.values), s.image, s.n_images) for s in fresh]
        truth = mixture_distance(single(real), fresh, found.shares, binning)
        # What is expected of few probes lies above what many of the same configurations show, never far below.
        assert truth <= found.predicted.value + 0.01
        assert found.predicted.low <= found.predicted.value <= found.predicted.high
        assert found.predicted.fitted <= found.predicted.value + 0.01


def test_weights_of_frames_give_the_shares_of_boxes(rng):
    per = [1, 5, 2]
    samples = [normal(rng, m, 0.05, 40, n) for m, n in zip((0.2, 0.5, 0.8), per, strict=True)]
    samples[2] = Sample(samples[2].values, samples[2].image, 80)  # half of its frames were given up
    shares = np.array([0.5, 0.3, 0.2])
    weights = frame_weights(shares, samples)
    boxes = weights * np.array([1, 5, 1])
    assert boxes / boxes.sum() == pytest.approx(shares)
    assert frame_weights(np.array([0, 1, 0]), samples).tolist() == [0, 1, 0]


def test_counts_are_matched_by_whole_numbers(rng):
    real = single(np.repeat([1, 2, 3, 8], [40, 20, 10, 30]))
    samples = [single(rng.integers(a, b + 1, 60)) for a, b in ((1, 1), (1, 3), (4, 6), (8, 8), (12, 14))]
    binning = column_binning("boxes_per_image", real.values)
    first = choose(real, samples, binning, rng)[0]
    assert first.shares[[2, 4]].tolist() == [0, 0] and first.shares[3] == pytest.approx(0.3, abs=0.03)
    assert first.predicted.value < 0.5 * predict(real, samples[1:2], np.ones(1), binning, rng).value


def test_the_expected_distance_is_honest_where_shares_can_be_overfitted(rng):
    """Many configurations of few boxes that are all alike: there is nothing to choose, so nothing may be gained."""
    real = single(rng.normal(0.5, 0.15, 60))
    samples = [normal(rng, 0.5, 0.1, 6, 2) for _ in range(30)]
    truth = bhattacharyya(real.values, rng.normal(0.5, 0.1, 100_000))
    (found,) = choose(real, samples, column_binning("center_y", real.values), rng, methods=("shares",))
    assert found.predicted.value > found.predicted.fitted
    assert found.predicted.value > 0.8 * truth


# Degenerate input


def test_too_little_to_tell_is_said(rng):
    some = [normal(rng, 0.5, 0.1)]
    for real, word in ((single([]), "there are none"), (single([0.3]), "there is one")):
        with pytest.raises(DataError, match=f"needs at least two real values; {word}"):
            choose(real, some, UNIT, rng)
    real = single(rng.normal(0.5, 0.1, 30))
    with pytest.raises(DataError, match="None of the 2 configurations gave 8 values; the best gave 5"):
        choose(real, [single([]), single([0.5] * 5)], UNIT, rng)
    with pytest.raises(DataError, match="'magic' is not a method"):
        choose(real, some, UNIT, rng, methods=("magic",))


@pytest.mark.parametrize("real", [[0.4, 0.4], [0.4] * 50, [0.0, 1.0], [0.2] * 30 + [0.9]])
def test_columns_of_few_different_values_are_tuned(rng, real):
    samples = [normal(rng, m, 0.02) for m in (0.2, 0.4, 0.9)] + [single([]), single([0.4] * 20)]
    for found in choose(single(real), samples, column_binning("center_y", np.array(real)), rng):
        assert found.shares.sum() == pytest.approx(1) and found.weights.sum() == pytest.approx(1)
        assert found.shares[3] == 0
        if set(real) == {0.4}:
            assert found.shares[[0, 2]].tolist() == [0, 0]


def test_columns_that_share_nothing_are_infinitely_far_and_still_chosen_from(rng):
    real = single(rng.normal(0.1, 0.005, 30))
    found = choose(real, [normal(rng, 0.9, 0.005)], UNIT, rng)
    assert {c.predicted.value for c in found} == {math.inf} and len(found) == len(METHODS)


def test_what_lies_beyond_the_real_values_is_far_from_them(rng):
    real = rng.uniform(2.0, 6.0, 200)
    binning = column_binning("depth", real)
    assert binning.low < 2 and binning.high > 6
    near, far = single(rng.uniform(2, 6, 200)), single(rng.uniform(20, 60, 200))
    assert mixture_distance(single(real), [far], np.ones(1), binning) > 5 * mixture_distance(
        single(real), [near], np.ones(1), binning
    )


def test_halves_share_out_the_images(rng):
    sample = normal(rng, 0.5, 0.1, 7, 3)
    first, second = sample.half(0), sample.half(1)
    assert (first.n_images, second.n_images) == (4, 3) and len(first) == 12 and len(second) == 9
    assert sorted(np.concatenate([first.values, second.values])) == sorted(sample.values)
    assert sample.counts_by_image(UNIT).sum(0) / len(sample) == pytest.approx(UNIT.histogram(sample.values))
    assert sample.counts_by_image(UNIT).shape == (7, BINS)


def test_components_are_told_in_the_columns_unit(rng):
    real = np.exp(rng.normal(1.0, 0.3, 400))
    (only,) = component_values(fit_components(real, column_binning("depth", real), components=1))
    assert only["center"] == pytest.approx(math.e, rel=0.05) and only["high"] == pytest.approx(math.exp(1.3), rel=0.07)


# Where to look


def test_a_grid_has_each_cell_once():
    found, widths, layout = points([0, 0], [None, None], 32)
    assert layout == "a grid of 6 x 5" and len(found) == 30
    cells = {tuple(c) for c in np.floor(found / widths).astype(int)}
    assert cells == {(i, j) for i in range(6) for j in range(5)}
    assert points([0, 0], [None, 2], 32)[2] == "a grid of 16 x 2"
    assert points([5, 0], [None, None], 32)[2] == "a grid of 5 x 6"
    assert points([7, 2], [None, None], 14)[2] == "a grid of 7 x 2"


def test_large_spaces_are_filled_evenly_by_sobol_points():
    found, widths, layout = points([0] * 5, [None] * 5, 64, seed=3)
    assert layout == "64 scrambled Sobol points" and found.shape == (64, 5) and widths.tolist() == [1 / 3] * 5
    # Each of the 64 intervals of every axis holds exactly one point: a (t, 6, 5)-net in base 2.
    for axis in found.T:
        assert sorted((axis * 64).astype(int)) == list(range(64))
    again = points([0] * 5, [None] * 5, 64, seed=3)[0]
    assert (found == again).all() and (found != points([0] * 5, [None] * 5, 64, seed=4)[0]).any()


def test_designs_that_cannot_be_are_refused():
    with pytest.raises(DataError, match="A grid of 6 x 6 has 36 configurations, more than 30"):
        points([6, 6], [None, None], 30, design="grid")
    assert points([6, 6], [None, None], 30)[2] == "30 scrambled Sobol points"
    with pytest.raises(DataError, match="'latin' is not a design"):
        points([0], [None], 8, design="latin")
