# SPDX-License-Identifier: GPL-3.0-or-later
"""Thresholds, pools and scores of shapes against brute force, scipy and what was planted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from scipy import ndimage, stats
from twinset.alignment.features.curation import (
    POOLS,
    best_mask,
    elbow,
    group_scores,
    pool,
    typicality,
)
from twinset.engine.errors import DataError

FEW = settings(max_examples=examples(40))
values = st.lists(st.floats(-50, 50), min_size=3, max_size=40)


def chord_distance(ordered: np.ndarray) -> np.ndarray:
    """Distances of the points of a curve to its chord, above it positive, by the formula for a point and a line."""
    x = np.linspace(0, 1, len(ordered))
    y = (ordered - ordered[0]) / (ordered[-1] - ordered[0])
    (x0, y0), (x1, y1) = (x[0], y[0]), (x[-1], y[-1])
    return ((y - y0) * (x1 - x0) - (x - x0) * (y1 - y0)) / math.hypot(x1 - x0, y1 - y0)


@pytest.mark.parametrize("bad", [3, 20, 60])
def test_elbow_separates_what_sticks_out(bad: int) -> None:
    rng = np.random.default_rng(bad)
    scores = np.concatenate([rng.uniform(-0.5, 0.5, 200), rng.uniform(-40, -10, bad)])
    threshold = elbow(rng.permutation(scores))
    assert -10 < threshold <= scores[:200].min() + 0.3
    ordered = np.sort(scores)
    assert threshold == ordered[chord_distance(ordered).argmax()]


@FEW
@given(values, st.floats(0.1, 9), st.floats(-9, 9))
def test_elbow_is_one_of_the_scores_and_moves_with_them(scores: list[float], factor: float, shift: float) -> None:
    scores = np.round(scores, 3)
    threshold = elbow(scores)
    assert threshold in scores
    assert elbow(scores * factor + shift) == pytest.approx(threshold * factor + shift, abs=1e-6)
    assert elbow(np.append(scores, np.nan)) == threshold


def test_even_scores_have_no_elbow() -> None:
    kept = [elbow(s) == s.min() for s in np.random.default_rng(0).uniform(size=(200, 80))]
    assert np.mean(kept) > 0.9
    assert elbow(np.arange(10.0)) == 0 and elbow(np.full(5, 2.0)) == 2 and elbow([1.0, 7.0]) == 1
    assert elbow([]) == -math.inf and elbow([math.nan]) == -math.inf
    # A curve that bends the other way has no elbow at its lower end.
    assert elbow(np.geomspace(1, 1000, 100)) == 1


@FEW
@given(values, st.integers(0, 45))
def test_best_is_a_stable_sort(scores: list[float], count: int) -> None:
    scores = np.round(scores)
    order = sorted(range(len(scores)), key=lambda k: (-scores[k], k))
    assert set(np.flatnonzero(best_mask(scores, count))) == set(order[:count])
    assert best_mask([math.nan, 1.0, 2.0], 2).tolist() == [False, True, True]


@pytest.mark.parametrize("how", POOLS)
def test_pools_are_those_of_scipy(how: str) -> None:
    rng = np.random.default_rng(1)
    scores, images = rng.normal(size=60), rng.integers(100, 115, 60)
    ids, pooled = pool(scores, images, how)
    ours = {"mean": ndimage.mean, "median": ndimage.median, "min": ndimage.minimum, "max": ndimage.maximum}[how]
    np.testing.assert_allclose(pooled, ours(scores, images, ids))
    with_gap, image = np.append(scores, [np.nan, np.nan]), np.append(images, [ids[0], 999])
    again_ids, again = pool(with_gap, image, how)
    np.testing.assert_allclose(again[:-1], pooled)
    assert again_ids[-1] == 999 and np.isnan(again[-1])


def test_pools_without_scores_and_unknown_ones() -> None:
    assert np.isnan(pool(np.array([np.nan]), np.array([4]))[1]).all()
    assert not len(pool(np.array([]), np.array([]))[0])
    with pytest.raises(DataError, match="mean, median, min, max"):
        pool(np.ones(2), np.arange(2), "sum")


def test_typicality_of_gaussian_distances_is_minus_their_z_score() -> None:
    calibration = np.sort(stats.norm(3.0, 0.5).ppf(np.linspace(1e-4, 1 - 1e-4, 20001)))
    z = np.array([-1.0, 0.0, 2.0, 50.0])
    np.testing.assert_allclose(typicality(3.0 + 0.5 * z, calibration), -z, rtol=0.01, atol=1e-3)
    assert np.isfinite(typicality(np.array([1.0, 2.0]), np.ones(12))).all()


def test_group_means_and_intervals_are_those_of_scipy() -> None:
    rng = np.random.default_rng(2)
    groups = rng.choice(["a", "b", "c"], 240)
    scores = rng.normal(size=240) - 0.8 * (groups == "b")
    found = group_scores(scores, groups, np.random.default_rng(0), n_bootstrap=4000)
    assert found[0].name == "b" and found[0].worse and not found[-1].worse
    for group in found:
        own = scores[groups == group.name]
        assert (group.count, group.mean) == (len(own), pytest.approx(own.mean()))
        theirs = stats.bootstrap((own,), np.mean, method="percentile", n_resamples=4000, rng=1).confidence_interval
        assert (group.low, group.high) == pytest.approx((theirs.low, theirs.high), abs=0.03)


def test_intervals_know_that_boxes_of_one_image_are_alike() -> None:
    rng = np.random.default_rng(3)
    images = np.repeat(np.arange(12), 20)
    scores = np.repeat(rng.normal(size=12), 20) + 0.01 * rng.normal(size=240)
    (alone,) = group_scores(scores, ["x"] * 240, np.random.default_rng(0))
    (together,) = group_scores(scores, ["x"] * 240, np.random.default_rng(0), images=images)
    assert together.mean == pytest.approx(alone.mean) and together.images == 12
    # The standard error of 12 values is that of 240 times the root of 20.
    assert (together.high - together.low) / (alone.high - alone.low) == pytest.approx(20**0.5, rel=0.2)


def test_as_many_groups_as_images_fit_in_memory() -> None:
    count = 20_000
    scores = np.arange(count) % 7 - 3.0
    found = group_scores(scores, [f"{k:06d}" for k in range(count)], np.random.default_rng(0), n_bootstrap=20)
    # A table of images by groups would have 400 million cells.
    assert len(found) == count and found[0].mean == -3.0 and {g.images for g in found} == {1}


def test_groups_of_one_box_and_boxes_without_score() -> None:
    scores = np.array([np.nan, 1.0, 3.0, 5.0])
    found = group_scores(scores, ["n", "a", "b", "b"], np.random.default_rng(0), images=np.array([0, 0, 1, 2]))
    assert [(g.name, g.count, g.mean) for g in found] == [("a", 1, 1.0), ("b", 2, 4.0)]
    assert found[0].low == found[0].high == 1.0
    assert group_scores(np.array([np.nan]), ["a"], np.random.default_rng(0)) == []
    again = group_scores(scores, ["n", "a", "b", "b"], np.random.default_rng(0), images=np.array([0, 0, 1, 2]))
    assert again == found
