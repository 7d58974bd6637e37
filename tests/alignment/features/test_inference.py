# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads against what theory says of linear data and of noise, and what they say where nothing can be learnt."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import r2_score
from twinset.alignment.features import inference
from twinset.alignment.features.inference import Prediction, Score, as_target, geometry
from twinset.engine.errors import DataError


def Head(**options):  # noqa: N802
    """A head with a small forest, for the sake of time."""
    return inference.Head(**{"trees": 15, **options})


def drawn(n: int = 400, d: int = 12, noise: float = 1.0, seed: int = 0, per_image: int = 4):
    """Features, a column that is linear in three of them with Gaussian noise, and images of ``per_image`` boxes."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, d)) * np.logspace(-3, 3, d)  # heads must not depend on units
    y = (features / np.logspace(-3, 3, d))[:, :3] @ [2.0, -1.0, 1.0] + rng.normal(0, noise, n)
    return features, y, np.arange(n) // per_image


@pytest.mark.parametrize("noise", [0.5, 1.5, 3.0])
def test_a_linear_column_has_the_r2_of_theory(noise: float) -> None:
    head = Head().fit(*drawn(noise=noise))
    theory = 6 / (6 + noise**2)  # variance of the linear part: 4 + 1 + 1
    score = head.score_
    assert score.kind == "r2" and score.low < theory < score.high
    # The sample's own R² spreads by about 2 (1 - R²) sqrt(R² / n) around the theory's, and folds learn from 4/5.
    assert score.value == pytest.approx(theory, abs=6 * (1 - theory) * np.sqrt(theory / 400) + 0.02)
    assert score.error == pytest.approx(0.6745 * noise, rel=0.15)  # the median of |N(0, 1)|
    assert head.selected_[:3].all() and (noise > 1 or head.selected_.sum() < 8)


def test_scores_are_those_of_the_predictions_out_of_fold() -> None:
    features, y, groups = drawn()
    head = Head().fit(features, y, groups)
    assert head.score_.value == pytest.approx(r2_score(y, head.out_of_fold_))
    for fold, score in enumerate(head.score_.folds):
        held = head.fold_ == fold
        missed = ((y - head.out_of_fold_)[held] ** 2).sum() / ((y - y.mean())[held] ** 2).sum()
        assert score == pytest.approx(1 - missed)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_noise_predicts_nothing_however_many_features_are_selected_from(seed: int) -> None:
    rng = np.random.default_rng(seed)
    features, groups = rng.normal(size=(80, 400)), np.arange(80) // 2
    score = Head().fit(features, rng.normal(size=80), groups).score_
    assert score.value < 0.1 and not score.passes(-1)
    # Selected on all boxes, the same features would have looked good.
    y = rng.normal(size=80)
    best = np.argsort(-np.abs(np.corrcoef(features.T, y)[-1, :-1]))[:15]
    assert Head().fit(features[:, best], y, groups).score_.value > 0.15
    names = np.array(["a", "b", "c"])[rng.integers(0, 3, 80)]
    named = Head().fit(features, names, groups).score_
    assert named.value < 0.5 and not named.passes(0.1)


@pytest.mark.parametrize(("count", "folds"), [(150, 5), (7, 5), (3, 5), (2, 5), (30, 10)])
def test_images_are_never_split(count: int, folds: int) -> None:
    rng = np.random.default_rng(count)
    groups = rng.permutation(np.arange(300) % count)
    features, y, _ = drawn(300)
    head = Head(folds=folds).fit(features, y, groups)
    assert all(len(set(head.fold_[groups == g])) == 1 for g in range(count))
    assert len(head.score_.folds) == min(folds, count) == len(set(head.fold_))


def test_what_is_alike_within_an_image_only_does_not_count() -> None:
    """A feature that tells images apart predicts a column that images share, but only of images that are known."""
    rng = np.random.default_rng(0)
    groups = np.arange(400) // 8
    features = np.repeat(rng.normal(size=(50, 60)), 8, axis=0) + rng.normal(0, 0.01, (400, 60))
    y = np.repeat(rng.normal(size=50), 8)
    assert Head().fit(features, y, groups).score_.value < 0.1
    assert Head().fit(features, y, np.arange(400)).score_.value > 0.7


def test_categories_are_predicted_as_well_as_can_be() -> None:
    """Two Gaussians at distance 2 are told apart with accuracy Phi(1); one has three quarters of the boxes."""
    rng = np.random.default_rng(1)
    y = np.where(rng.random(1000) < 0.5, "chair_a", "chair_b")
    features = rng.normal(size=(1000, 6)) + np.where(y == "chair_b", 2.0, 0.0)[:, None] * np.eye(6)[0]
    head = Head().fit(features, y.tolist(), np.arange(1000) // 2)
    score = head.score_
    assert score.kind == "accuracy" and score.value == pytest.approx(0.8413, abs=0.03)
    assert score.baseline == pytest.approx(0.5, abs=0.05) and score.low < 0.8413 < score.high
    found = head.predict(features)
    assert set(found.values) == {"chair_a", "chair_b"} and np.isnan(found.low).all()
    # A probability of p is right in a share of p of the cases.
    assert found.probability.mean() == pytest.approx((found.values == y).mean(), abs=0.03)


def test_an_accuracy_that_guessing_reaches_does_not_pass() -> None:
    rng = np.random.default_rng(2)
    y = rng.random(300) < 0.1
    score = Head().fit(rng.normal(size=(300, 5)), y, np.arange(300)).score_
    assert score.value > 0.8 and not score.passes(0.5)
    assert score.baseline == pytest.approx((~y).mean(), abs=0.01)


def test_intervals_hold_new_boxes_and_strange_ones_are_outside() -> None:
    features, y, groups = drawn(800, seed=3)
    head = Head(confidence_level=0.8).fit(features[:400], y[:400], groups[:400])
    found = head.predict(features[400:])
    covered = ((found.low <= y[400:]) & (y[400:] <= found.high)).mean()
    assert covered == pytest.approx(0.8, abs=0.06)
    score, said, count = head.score_predictions(found, y[400:])
    assert (said, count) == (covered, 400) and score == pytest.approx(r2_score(y[400:], found.values))
    assert found.outside.mean() < 0.04
    assert head.predict(features[400:] + 30 * features.std(0)).outside.all()
    assert isinstance(head.predict(features[:0]), Prediction) and not len(head.predict(features[:0]).values)


def test_long_tails_are_fitted_as_logarithms() -> None:
    features, y, groups = drawn(seed=4)
    head, plain = Head().fit(features, np.exp(y), groups), Head().fit(features, y, groups)
    assert head.log_ and not plain.log_
    assert head.score_.value == pytest.approx(plain.score_.value, abs=1e-9)
    ends = head.predict(features)
    assert (ends.low > 0).all() and (ends.low < ends.values).all() and (ends.values < ends.high).all()
    np.testing.assert_allclose(np.log(ends.values), plain.predict(features).values)
    # A constant factor, as another unit, changes nothing but the unit.
    np.testing.assert_allclose(
        Head().fit(features, 1000 * np.exp(y), groups).predict(features).values / 1000, ends.values
    )


def test_shares_stay_shares() -> None:
    features, y, groups = drawn(seed=5)
    share = np.clip(0.8 + 0.2 * y, 0, 1)
    found = Head().fit(features, share, groups).predict(features)
    for values in (found.values, found.low, found.high):
        assert values.min() >= 0 and values.max() <= 1


def test_the_same_numbers_come_out_with_any_threads_and_order_of_groups() -> None:
    features, y, groups = drawn(200)
    one = Head().fit(features, y, groups)
    two = Head(threads=2).fit(features, y, [f"image {g}" for g in groups])
    assert one.score_ == Head().fit(features, y, groups).score_
    assert np.array_equal(one.out_of_fold_, Head(threads=2).fit(features, y, groups).out_of_fold_)
    assert two.score_.value == pytest.approx(one.score_.value, abs=0.02)


@pytest.mark.parametrize(
    ("y", "groups", "said"),
    [
        ([1.0], [0], "1 box has a value and features; at least 20"),
        (np.arange(19.0), np.arange(19), "19 boxes have"),
        ([], [], "0 boxes have"),
        (np.arange(40.0), np.zeros(40), "All 40 boxes are in one image"),
        (np.full(40, 3.0), np.arange(40), "All 40 boxes have the value 3.0"),
        (["stool"] * 40, np.arange(40), "All 40 boxes have the value stool"),
        ([f"box {k}" for k in range(40)], np.arange(40), "40 boxes have 40 different values"),
        ([None, float("nan")] * 20 + [1.0, 2.0], np.arange(42), "2 boxes have"),
    ],
)
def test_too_little_is_said_in_a_sentence(y, groups, said: str) -> None:
    features = np.random.default_rng(0).normal(size=(len(y), 3))
    with pytest.raises(DataError, match=said):
        Head().fit(features, y, groups)


def test_degenerate_features_are_lived_with() -> None:
    features, y, groups = drawn(100)
    none = Head().fit(np.zeros((100, 3)), y, groups)
    assert none.score_.value <= 0.05 and none.predict(np.ones((2, 3))).outside.all()
    assert not none.predict(np.zeros((2, 3))).outside.any()
    half = features.copy()
    half[:, 5:] = 7.0
    assert Head().fit(half, y, groups).score_.value > 0.7
    with pytest.raises(DataError, match="finite"):
        Head().fit(np.where(features > 2, np.nan, features), y, groups)
    # A category that only one image has cannot be learnt where that image is held back, and is no reason to stop.
    rare = np.where(np.arange(100) < 4, "rare", np.where(y > 0, "more", "less"))
    assert 0.5 < Head().fit(features, rare, groups).score_.value <= 0.96
    two_images = Head().fit(features, np.where(groups < 12, "a", "b"), groups < 12)
    assert two_images.score_.value == 0.0  # each image has what the other lacks


def test_rows_without_a_value_are_left_out() -> None:
    features, y, groups = drawn(200)
    holes = [None if k % 10 == 0 else float("nan") if k % 10 == 1 else v for k, v in enumerate(y.tolist())]
    kept = np.arange(200) % 10 > 1
    head, alone = Head().fit(features, holes, groups), Head().fit(features[kept], y[kept], groups[kept])
    assert head.score_ == alone.score_ and np.array_equal(head.known_, kept)


def test_numbers_are_told_from_categories() -> None:
    assert as_target([1, 2.5, None])[0].tolist() == [1.0, 2.5] and not as_target([1])[2]
    values, known, categorical = as_target([True, None, False])
    assert values.tolist() == [True, False] and known.tolist() == [True, False, True] and categorical
    assert as_target(np.array(["a", "b"]))[2] and as_target([1, "b"])[0].tolist() == ["1", "b"]


def test_geometry_is_that_of_the_box() -> None:
    (row,) = geometry(np.array([[10.0, 20.0, 40.0, 10.0]]), 100, 50)
    np.testing.assert_allclose(row, [np.log(0.08), np.log(4), 0.3, 0.5, 0.4, 0.6, 0])
    assert geometry(np.array([[0.0, 20.0, 40.0, 10.0]]), 100, 50)[0, -1] == 1


def test_a_score_passes_from_its_threshold_on() -> None:
    score = Score("r2", 0.5, 0.4, 0.6, 0.0, (0.5,), 1.0)
    assert score.passes(0.5) and not score.passes(0.51)
    assert not Score("accuracy", 0.7, 0.6, 0.8, 0.65, (0.7,), 1.0).passes(0.5)
