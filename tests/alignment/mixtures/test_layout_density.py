# SPDX-License-Identifier: GPL-3.0-or-later
"""The density of whole layouts: scales that lead back, mixtures of known truth, a balance that brute force confirms."""

from __future__ import annotations

import itertools

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from twinset.alignment.mixtures.balance import Balance, Layouts, box_pairs, overlap, pair_features
from twinset.alignment.mixtures.box_density import (
    BoxArrays,
    cut_sides,
    fit_layout,
    fit_normal_scores,
    from_latent,
    sizes,
    to_latent,
    within_image_correlation,
)
from twinset.engine.goals import Boxes

ASPECT = 4 / 3


def boxes_of(rng, n):
    """Boxes that lie in the image, none at its border."""
    area = np.exp(rng.uniform(np.log(0.002), np.log(0.3), n))
    size = sizes(area, np.exp(rng.uniform(-0.7, 0.7, n)))
    center = size / 2 + rng.uniform(0.05, 0.95, (n, 2)) * (1 - size)
    return BoxArrays(area, center, size[:, 0] / size[:, 1] * ASPECT, np.zeros((n, 4), bool))


def layouts_of(rng, images, classes=2, most=5):
    number = rng.integers(1, most + 1, images)
    total = int(number.sum())
    return Layouts(boxes_of(rng, total), rng.integers(0, classes, total), np.repeat(np.arange(images), number), images)


@settings(max_examples=examples(40))
@given(st.integers(0, 2**31))
def test_scales_lead_back(seed):
    boxes = boxes_of(np.random.default_rng(seed), 20)
    restored, fits = from_latent(to_latent(boxes, ASPECT), ASPECT)
    assert fits.all() and not restored.cut.any()
    np.testing.assert_allclose(restored.area, boxes.area)
    np.testing.assert_allclose(restored.aspect, boxes.aspect)
    np.testing.assert_allclose(restored.center, boxes.center, atol=2e-3)  # places right at the border are held off it


def test_cut_boxes_come_back_at_their_border():
    # [x0, y0, x1, y1] of boxes that touch left, right and bottom, top, and left and right at once.
    corners = np.array([[0, 0.2, 0.3, 0.6], [0.5, 0.5, 1, 1], [0.3, 0, 0.6, 0.4], [0, 0.3, 1, 0.8]])
    size = corners[:, 2:] - corners[:, :2]
    real = Boxes(size.prod(1), (corners[:, :2] + size / 2), size[:, 0] / size[:, 1] * ASPECT, np.arange(4))
    cut = cut_sides(real, ASPECT)
    assert [np.flatnonzero(row).tolist() for row in cut] == [[0], [2, 3], [1], [0, 2]]
    restored, _ = from_latent(to_latent(BoxArrays(real.area, real.center, real.aspect, cut), ASPECT), ASPECT)
    assert (restored.cut == cut).all()
    np.testing.assert_allclose(restored.corners(ASPECT), corners, atol=1e-9)


def test_cuts_go_by_the_shape_of_the_real_image():
    # 100 x 300 pixels at the left border of an upright image, 400 x 800.
    box = Boxes(np.array([100 * 300 / (400 * 800)]), np.array([[0.125, 0.5]]), np.array([1 / 3]), np.zeros(1, int))
    upright = Boxes(box.area, box.center, box.aspect, box.image, np.array([0.5]))
    assert cut_sides(upright, ASPECT).tolist() == [[True, False, False, False]]


def test_scores_make_any_column_normal():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.exponential(size=400), rng.uniform(size=400) ** 4])
    scores = fit_normal_scores(x, np.ones(2))
    z = scores.transform(x)
    assert np.abs(z.mean(0)).max() < 0.01 and np.abs(z.std(0) - 1).max() < 0.02
    np.testing.assert_allclose(scores.inverse_transform(z), x)


def test_mixture_knows_what_goes_with_what():
    # Log area falls by 0.8 with each unit of log count and scatters by 0.3; nothing else goes together.
    rng = np.random.default_rng(1)
    counts = rng.integers(1, 12, 3000)
    boxes = boxes_of(rng, 3000)
    log_area = np.log(0.1) - 0.8 * np.log(counts) + rng.normal(0, 0.3, 3000)
    boxes = BoxArrays(np.exp(log_area), boxes.center, boxes.aspect, boxes.cut)
    mixture = fit_layout(boxes, counts, ASPECT)
    for count in (1, 4, 10):
        drawn, component = mixture.sample(np.full(4000, count), rng)
        assert drawn[:, 0].mean() == pytest.approx(np.log(0.1) - 0.8 * np.log(count), abs=0.12)
        assert drawn[:, 0].std() == pytest.approx(0.3, abs=0.15)
        assert abs(np.corrcoef(drawn[:, 0], drawn[:, 3])[0, 1]) < 0.15
        assert component.min() >= 0 and component.max() < mixture.n_components_


def test_correlations_of_few_boxes_are_shrunk_more():
    rng = np.random.default_rng(2)
    few, many = (fit_layout(boxes_of(rng, n), np.full(n, 2), ASPECT, components=1) for n in (10, 500))
    assert few.shrinkage_ == pytest.approx(5 / 15) and many.shrinkage_ == pytest.approx(5 / 505)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_handful_of_boxes_is_enough(number):
    rng = np.random.default_rng(number)
    mixture = fit_layout(boxes_of(rng, number), np.full(number, 1), ASPECT)
    boxes, _ = from_latent(mixture.sample(np.ones(50, int), rng)[0], ASPECT)
    assert np.isfinite(boxes.area).all() and (boxes.area <= 1).all()


def test_overlaps_are_those_of_pixels():
    # On a grid of 120 x 120 the areas can be counted.
    rng = np.random.default_rng(3)
    for _ in range(20):
        low = rng.integers(0, 100, (2, 2))
        high = low + rng.integers(1, 20, (2, 2))
        masks = np.zeros((2, 120, 120), bool)
        for mask, (x0, y0), (x1, y1) in zip(masks, low, high, strict=True):
            mask[y0:y1, x0:x1] = True
        expected = masks.all(0).sum() / masks.sum((1, 2)).min()
        a, b = np.concatenate([low, high], 1) / 120
        assert overlap(a, b) == pytest.approx(expected)


def test_boxes_of_an_image_are_as_alike_as_the_real_ones():
    # Areas share three quarters of their variance with the others of their image; aspects share nothing.
    rng = np.random.default_rng(8)
    image_index = np.repeat(np.arange(150), 4)
    boxes = boxes_of(rng, 600)
    log_area = np.log(0.01) + 0.5 * (np.sqrt(0.75) * rng.normal(size=150)[image_index] + 0.5 * rng.normal(size=600))
    boxes = BoxArrays(np.exp(log_area), boxes.center, boxes.aspect, boxes.cut)
    mixture = fit_layout(boxes, np.full(600, 4), ASPECT)
    found = within_image_correlation([mixture], boxes, np.zeros(600, int), image_index, ASPECT)
    assert found[0] == pytest.approx(0.75, abs=0.06) and found[3] < 0.1
    drawn = np.array([mixture.sample(np.full(4, 4), rng, found)[0][:, 0] for _ in range(600)])
    assert np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1] == pytest.approx(found[0], abs=0.12)
    assert drawn.std() == pytest.approx(log_area.std(), rel=0.15)


def test_the_order_of_a_pair_is_that_of_things_on_a_floor():
    near, far = np.array([0.1, 0.4, 0.4, 0.9]), np.array([0.6, 0.5, 0.7, 0.7])
    assert pair_features(near, far)[-1] and pair_features(far, near)[-1]
    lower = np.array([0.6, 0.75, 0.7, 0.95])  # small, and yet lower: it stands on something else
    assert not pair_features(near, lower)[-1]


def test_all_pairs_of_an_image_and_no_others():
    layouts = layouts_of(np.random.default_rng(4), 30)
    found, _ = box_pairs(layouts, ASPECT)
    expected = {
        p for i in range(30) for p in itertools.combinations(np.flatnonzero(layouts.image_index == i).tolist(), 2)
    }
    assert len(found) == len(expected) and {tuple(p) for p in found.tolist()} == expected


def test_real_images_are_in_balance_and_sums_add_up():
    rng = np.random.default_rng(5)
    real, other = layouts_of(rng, 60), layouts_of(rng, 20)
    balance = Balance(real, 2, ASPECT)
    assert np.abs(balance.total(real)).max() < 1e-9
    whole = np.zeros(balance.size)
    for image in range(20):
        mine = np.flatnonzero(other.image_index == image)
        whole += balance.total(Layouts(other.boxes.take(mine), other.class_index[mine], np.zeros(len(mine), int), 1))
    np.testing.assert_allclose(balance.total(other), whole, atol=1e-9)


def test_imbalance_is_the_gap_between_the_distributions():
    # One class, one box per image: the area part is a weighted sum of squared gaps of two empirical distributions.
    rng = np.random.default_rng(6)
    one = [Layouts(boxes_of(rng, n), np.zeros(n, int), np.arange(n), n) for n in (40, 25)]
    balance = Balance(one[0], 1, ASPECT)
    part = balance.total(one[1])[balance.box_slices[0]]
    cuts_ = balance.thresholds(0)[0]
    below = [(o.boxes.area[:, None] <= cuts_ + 1e-9).mean(0) for o in one]
    # Tails count more, as Anderson's and Darling's statistic has it, up to a limit.
    expected = (below[1] - below[0]) / np.sqrt(np.maximum(below[0] * (1 - below[0]), 0.02))
    got = part[: len(cuts_)]
    np.testing.assert_allclose(got / np.linalg.norm(got), expected / np.linalg.norm(expected))


@pytest.mark.parametrize(("high", "speaks"), [(1.5, True), (0.6, False)])
def test_whole_boxes_beyond_say_nothing_of_aspects_and_none_does_where_most_are(high, speaks):
    rng = np.random.default_rng(7)
    n = 200
    cut = np.zeros((n, 4), bool)
    cut[:80, 0] = True
    boxes = attrs.evolve(boxes_of(rng, n), aspect=np.exp(rng.uniform(-1.0, 1.0, n)), cut=cut)
    real = Layouts(boxes, np.zeros(n, int), np.arange(n), n)
    balance = Balance(real, 1, ASPECT, aspects=[(0.0, high)])
    assert np.abs(balance.total(real)).max() < 1e-9
    cuts_ = balance.thresholds(0)
    start = sum(len(c) for c in cuts_[:3])
    aspects = slice(start, start + len(cuts_[3]))
    # The first box is cut, the last is whole.
    two = attrs.evolve(boxes.take(np.array([0, n - 1])), aspect=np.array([high + 0.1] * 2))
    beyond = balance.box_vectors(0, two, 1)
    within = balance.box_vectors(0, attrs.evolve(two, aspect=np.array([high - 0.1] * 2)), 1)
    assert beyond[0, aspects].any() and not beyond[1, aspects].any()
    assert within[0, aspects].any() and within[1, aspects].any() == speaks
    # Of all else, they say what they say without limits.
    rest = [slice(0, start), slice(aspects.stop, None)]
    free = Balance(real, 1, ASPECT)
    begun = sum(len(c) for c in free.thresholds(0)[:3])
    other = free.box_vectors(0, two, 1)
    for one, there in zip(rest, [slice(0, begun), slice(begun + len(free.thresholds(0)[3]), None)], strict=True):
        np.testing.assert_allclose(beyond[:, one], other[:, there])
