# SPDX-License-Identifier: GPL-3.0-or-later
"""Distances of sets of features against formulas spelled out in loops, and on sets whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from twinset.alignment.distances.feature_distance import FeatureDistance, FeaturePair, FeatureSets
from twinset.alignment.distances.feature_estimates import MAX_BOXES, MIN_BOXES, estimate_features
from twinset.alignment.distances.registry import all_feature_distances, find_feature_distance, registered_of_features
from twinset.engine.errors import DataError
from twinset.engine.rng import stream


def pair_of(x: np.ndarray, y: np.ndarray) -> FeaturePair:
    n = len(x)
    return FeaturePair(FeatureSets(np.concatenate([x, y])), np.arange(n), np.arange(n, n + len(y)))


def values_of(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    pair = pair_of(x, y)
    return {distance.name: distance.compute(pair) for distance in all_feature_distances()}


def by_loops(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """The five published formulas, one pair of vectors at a time, without any library for kernels or neighbours."""
    both = np.concatenate([x, y])
    x, y = ((v - both.mean(0)) / both.std(0) for v in (x, y))
    n, m, d = len(x), len(y), x.shape[1]

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / d + 1) ** 3)

    def gap(a: np.ndarray, b: np.ndarray) -> float:
        return math.sqrt(float(((a - b) ** 2).sum()))

    def radius(of: np.ndarray, i: int, k: int) -> float:
        return sorted(gap(of[i], of[j]) for j in range(len(of)) if j != i)[k - 1]

    def mean_gap(of: np.ndarray) -> float:
        return float(np.mean([gap(of[i], of[j]) for i in range(len(of)) for j in range(i)]))

    own = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    other = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    across = sum(kernel(a, b) for a in x for b in y) / (n * m)
    r3, s3 = [radius(x, i, 3) for i in range(n)], [radius(y, j, 3) for j in range(m)]
    r5 = [radius(x, i, 5) for i in range(n)]
    return {
        "kid": own + other - 2 * across,
        "precision": sum(any(gap(x[i], b) <= r3[i] for i in range(n)) for b in y) / m,
        "recall": sum(any(gap(a, y[j]) <= s3[j] for j in range(m)) for a in x) / n,
        "density": sum(gap(x[i], b) <= r5[i] for i in range(n) for b in y) / (5 * m),
        "coverage": sum(any(gap(x[i], b) <= r5[i] for b in y) for i in range(n)) / n,
        "variation": mean_gap(y) / mean_gap(x),
    }


@pytest.mark.parametrize("shift", [0.0, 0.7, 3.0])
def test_values_are_those_of_the_published_formulas(shift: float) -> None:
    rng = stream(1, "formulas")
    x, y = rng.normal(size=(17, 4)) * [1, 5, 0.1, 2], (rng.normal(size=(23, 4)) + shift) * [1, 5, 0.1, 2]
    assert values_of(x, y) == pytest.approx(by_loops(x, y), rel=1e-9, abs=1e-12)


def test_the_kernel_distance_of_many_draws_is_that_of_the_distributions() -> None:
    # In one dimension E(xy + 1)^3 is known from moments; standardising 40,000 draws moves them by about 1 %.
    rng = stream(2, "moments")
    draws = [(rng.normal(size=(40, 1)), rng.normal(size=(40, 1)) + 1.0) for _ in range(200)]
    scale = math.sqrt(1.25)  # of the two together: within each 1, between the means 0.25

    def moments(mean: float) -> tuple[float, float, float]:
        mean, variance = (mean - 0.5) / scale, 1 / scale**2
        return mean, mean**2 + variance, mean**3 + 3 * mean * variance

    a, b = moments(0.0), moments(1.0)
    expected = sum(c * (p - q) ** 2 for c, p, q in zip((3, 3, 1), a, b, strict=True))
    assert np.mean([values_of(x, y)["kid"] for x, y in draws]) == pytest.approx(expected, rel=0.15)


def clusters(rng: np.random.Generator, counts: tuple[int, ...]) -> np.ndarray:
    """So many vectors in each of a few far-apart places."""
    places = np.eye(len(counts), 6) * 50
    return np.concatenate([places[k] + rng.normal(size=(count, 6)) for k, count in enumerate(counts)])


def test_dropped_modes_show_in_recall_and_coverage_and_invented_ones_in_precision_and_density() -> None:
    rng = stream(3, "modes")
    real = clusters(rng, (150, 150, 0, 0))
    dropped = values_of(real, clusters(rng, (300, 0, 0, 0)))
    assert dropped["recall"] == pytest.approx(0.5, abs=0.1)
    assert dropped["coverage"] == pytest.approx(0.5, abs=0.1)
    assert dropped["precision"] > 0.8
    assert dropped["density"] > 0.8
    invented = values_of(real, clusters(rng, (100, 100, 200, 0)))
    assert invented["precision"] == pytest.approx(0.5, abs=0.1)
    assert invented["density"] == pytest.approx(0.5, abs=0.15)
    assert invented["recall"] > 0.8
    assert invented["coverage"] > 0.8
    assert dropped["kid"] > 0.1
    assert invented["kid"] > 0.1


def test_sets_of_one_source_rarely_differ_and_others_do() -> None:
    rng = stream(4, "null")
    significant = dict.fromkeys((d.name for d in all_feature_distances()), 0)
    for _ in range(20):
        same = estimate_features(rng.normal(size=(30, 5)), rng.normal(size=(60, 5)), rng, n_resamples=39)
        for name, found in same.items():
            significant[name] += found.significant
            assert found.low <= found.value <= found.high
    # 5 % of 20 are 1; more than 6 happen once in 10,000.
    assert max(significant.values()) <= 6, significant
    other = estimate_features(rng.normal(size=(30, 5)), rng.normal(size=(60, 5)) + 3.0, rng, n_resamples=39)
    assert all(found.significant for name, found in other.items() if name != "variation"), other
    narrow = estimate_features(rng.normal(size=(30, 5)), 0.5 * rng.normal(size=(60, 5)), rng, n_resamples=39)
    assert narrow["variation"].value == pytest.approx(0.5, abs=0.1)
    assert narrow["variation"].significant


def test_boxes_of_one_image_are_exchanged_together() -> None:
    # Images differ by much and their boxes by little: sixty boxes say no more than the six images that they are from.
    rng = stream(5, "images")

    def drawn() -> tuple[np.ndarray, np.ndarray]:
        image = np.repeat(np.arange(6), 10)
        return rng.normal(size=(6, 4))[image] + 0.05 * rng.normal(size=(60, 4)), image

    by_image = by_box = 0
    for _ in range(10):
        (x, image_x), (y, image_y) = drawn(), drawn()
        by_image += estimate_features(x, y, rng, images=(image_x, image_y), n_resamples=39)["kid"].significant
        by_box += estimate_features(x, y, rng, n_resamples=39)["kid"].significant
    assert by_image <= 4
    assert by_box >= 8


def test_intervals_hold_the_mean_value_of_new_samples() -> None:
    rng = stream(6, "coverage of intervals")
    draws = [(rng.normal(size=(40, 3)), rng.normal(size=(40, 3)) + 0.8) for _ in range(24)]
    expected = {name: np.mean([values_of(x, y)[name] for x, y in draws]) for name in values_of(*draws[0])}
    estimates = [estimate_features(x, y, rng, n_resamples=29) for x, y in draws]
    for name in ("kid", "precision", "recall", "density"):
        held = np.mean([e[name].low <= expected[name] <= e[name].high for e in estimates])
        assert held >= 0.75, (name, held)


def test_results_depend_neither_on_units_nor_on_constant_features() -> None:
    rng = stream(7, "units")
    x, y = rng.normal(size=(20, 3)), rng.normal(size=(25, 3)) + 0.5
    moved = [np.column_stack([v * [1e-3, 7, 1e4] + [5, -2, 0], np.full(len(v), 3.0)]) for v in (x, y)]
    assert values_of(*moved) == pytest.approx(values_of(x, y), rel=1e-6, abs=1e-9)


def test_large_sets_are_thinned_by_whole_images_and_the_rest_is_reproducible() -> None:
    rng = stream(8, "large")
    x, y = rng.normal(size=(2 * MAX_BOXES, 3)), rng.normal(size=(40, 3))
    images = np.repeat(np.arange(MAX_BOXES), 2), np.arange(40)
    one, two = (estimate_features(x, y, stream(9), images=images, n_resamples=5) for _ in range(2))
    assert one == two
    assert 0.5 < one["recall"].value <= 1


def test_sets_that_are_too_small_or_of_different_models_are_refused() -> None:
    rng = stream(10, "refused")
    with pytest.raises(DataError, match=f"11 real boxes are too few .* {MIN_BOXES}"):
        estimate_features(rng.normal(size=(11, 3)), rng.normal(size=(40, 3)), rng)
    with pytest.raises(DataError, match="different models"):
        estimate_features(rng.normal(size=(20, 3)), rng.normal(size=(40, 4)), rng)
    with pytest.raises(DataError, match="synthetic features must be finite"):
        estimate_features(rng.normal(size=(20, 3)), np.full((20, 3), np.nan), rng)


def test_a_declared_distance_is_estimated_like_the_others() -> None:
    rng = stream(11, "declared")
    means = FeatureDistance(
        "means", "Means", "", lambda p: float(np.abs(p.sets.features[p.real].mean() - p.sets.features[p.synth].mean()))
    )
    with registered_of_features(means):
        found = estimate_features(rng.normal(size=(20, 3)), rng.normal(size=(20, 3)) + 3, rng, n_resamples=19)["means"]
        assert found.significant
        assert found.floor < found.critical < found.value
    with pytest.raises(DataError, match=r"no feature distance 'means'\. They are: kid, precision"):
        find_feature_distance("means")
