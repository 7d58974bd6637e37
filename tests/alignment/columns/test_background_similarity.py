# SPDX-License-Identifier: GPL-3.0-or-later
"""Background similarity against its definition written as plain loops, and colours whose cosine is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from property_examples import examples
from twinset.alignment.columns.background_similarity import (
    background_similarity,
    boundary_pairs,
    dilate,
)
from twinset.plugins.metrics.background_similarity import BackgroundSimilarity
from twinset.testing.fixtures.shots import disc, make_shot

masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8))


def by_loops(image, mask):
    """The definition, pixel by pixel."""
    height, width = mask.shape
    order = [(-1, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)]
    objects, backgrounds = [], []
    for y in range(height):
        for x in range(width):
            if mask[y, x]:
                continue
            for dy, dx in order:
                v, u = y + dy, x + dx
                if 0 <= v < height and 0 <= u < width and mask[v, u]:
                    objects += [int(c) for c in image[v, u]]
                    backgrounds += [int(c) for c in image[y, x]]
                    break
    if not objects:
        return math.nan
    dot = sum(a * b for a, b in zip(objects, backgrounds, strict=True))
    norms = math.sqrt(sum(a * a for a in objects)) * math.sqrt(sum(b * b for b in backgrounds))
    return dot / norms if norms else None


@settings(max_examples=examples(80))
@given(masks, st.integers(0, 2**32 - 1))
def test_equals_the_definition_by_loops(mask, seed):
    image = np.random.default_rng(seed).integers(0, 256, (*mask.shape, 3), dtype=np.uint8)
    expected = by_loops(image, mask)
    assume(expected is not None)
    assert background_similarity(image, mask) == pytest.approx(expected, nan_ok=True, abs=1e-12)


@settings(max_examples=examples(40))
@given(masks)
def test_dilation_is_that_of_scipy(mask):
    ndimage = pytest.importorskip("scipy.ndimage")
    np.testing.assert_array_equal(dilate(mask), ndimage.binary_dilation(mask, np.ones((3, 3))))


@settings(max_examples=examples(40))
@given(masks)
def test_pairs_are_neighbours_across_the_outline(mask):
    inner, outer = boundary_pairs(mask)
    assert mask[tuple(inner.T)].all()
    assert not mask[tuple(outer.T)].any()
    assert (np.abs(inner - outer).max(1, initial=0) <= 1).all()
    assert len(outer) == (dilate(mask) & ~mask).sum()


def two_colours(inside, outside):
    mask = disc((40, 50), (25.0, 20.0), 9.0)
    return np.where(mask[..., None], np.array(inside), np.array(outside)).astype(np.uint8), mask


@pytest.mark.parametrize(
    ("inside", "outside", "expected"),
    [
        ((255, 0, 0), (0, 0, 255), 0.0),
        ((200, 100, 50), (200, 100, 50), 1.0),
        ((40, 40, 40), (200, 200, 200), 1.0),
        ((255, 255, 0), (255, 0, 0), math.sqrt(0.5)),
        ((0, 0, 0), (0, 0, 0), 1.0),
        ((0, 0, 0), (9, 9, 9), 0.0),
    ],
)
def test_cosine_of_two_colours(inside, outside, expected):
    assert background_similarity(*two_colours(inside, outside)) == pytest.approx(expected)


def test_half_the_outline_on_another_colour():
    """Two sides of a square meet their own colour, two an orthogonal one of the same length."""
    mask = np.zeros((30, 30), bool)
    mask[10:20, 10:20] = True
    image = np.zeros((30, 30, 3), np.uint8)
    image[..., 0] = 255
    image[:, :10] = image[20:] = (0, 255, 0)
    # 44 ring pixels: 11 on the left edge without its lower corner, and 12 at the bottom, are green.
    assert background_similarity(image, mask) == pytest.approx((44 - 23) / 44)


def test_only_pixels_along_the_outline_count():
    image, mask = two_colours((10, 200, 30), (90, 80, 70))
    expected = background_similarity(image, mask)
    ring = dilate(mask) & ~mask
    away = ~dilate(ring)
    image[away] = np.random.default_rng(0).integers(0, 256, (away.sum(), 3))
    assert background_similarity(image, mask) == expected


def test_object_that_fills_the_image_or_is_not_in_it():
    image = np.full((5, 5, 3), 9, np.uint8)
    assert math.isnan(background_similarity(image, np.ones((5, 5), bool)))
    assert math.isnan(background_similarity(image, np.zeros((5, 5), bool)))


def test_object_cut_by_the_border_is_compared_along_the_rest():
    mask = np.zeros((6, 6), bool)
    mask[:, :3] = True
    inner, outer = boundary_pairs(mask)
    assert outer.tolist() == [[y, 3] for y in range(6)]
    assert inner.tolist() == [[y, 2] for y in range(6)]


def test_metric_on_crops_is_that_on_the_whole_image():
    rng = np.random.default_rng(1)
    ids = np.zeros((60, 80), np.int32)
    for id, (x, y) in enumerate([(5, 5), (40, 30), (79, 59), (60, 20)], start=1):
        ids[disc(ids.shape, (x, y), 12.0)] = id
    image = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    found = BackgroundSimilarity().measure(make_shot(ids, n=5, image=image)).bbox["background_similarity"]
    for id in range(1, 5):
        assert found[id - 1] == pytest.approx(by_loops(image, ids == id))
    assert np.isnan(found[4])


def test_brightness_of_the_picture_does_not_matter_but_colour_does():
    image, mask = two_colours((60, 90, 30), (50, 20, 80))
    assert background_similarity(image * 2, mask) == pytest.approx(background_similarity(image, mask))
    assert background_similarity(image[..., ::-1], mask) == pytest.approx(background_similarity(image, mask))
    closer, _ = two_colours((60, 90, 30), (55, 60, 50))
    assert background_similarity(closer, mask) > background_similarity(image, mask)
