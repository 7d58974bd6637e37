# SPDX-License-Identifier: GPL-3.0-or-later
"""Another background behind a mask, against pictures that were composed at eight times their size."""

from __future__ import annotations

import numpy as np
import pytest
from twinset.dataset.images.repaint import PhotoPart, coverage, covering, replace_background

FINE = 8
SIZE = 96


def encode(linear):
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


def averaged(fine):
    """The box filter of a renderer, in linear light."""
    return fine.reshape(SIZE, FINE, SIZE, FINE, -1).mean((1, 3))


def shapes():
    """Coverage at the fine size: a disc, a slanted bar and a leg of a pixel and a half."""
    y, x = (np.mgrid[: SIZE * FINE, : SIZE * FINE] + 0.5) / FINE
    disc = (x - 30.3) ** 2 + (y - 33.7) ** 2 < 19.2**2
    bar = np.abs((x - 70) * 0.8 + (y - 40) * 0.6) < 6.4
    leg = np.abs(x - 20.2 - 0.1 * (y - 60)) < 0.75
    return disc | (bar & (y < 80)) | (leg & (y > 50) & (y < 90))


def scene(front, old, new):
    """The picture on the old background, its mask at pixel centres, the new background, and the true result."""
    whole = shapes()[..., None]
    y = np.linspace(0, 1, SIZE * FINE)[:, None, None]
    shading = 0.7 + 0.3 * y

    def over(background):
        return encode(averaged(np.where(whole, np.array(front) * shading, np.array(background) * (1 - 0.2 * y))))

    centres = whole[FINE // 2 :: FINE, FINE // 2 :: FINE, 0]
    fresh = encode(averaged(np.broadcast_to(np.array(new) * (1 - 0.2 * y), (SIZE * FINE, SIZE * FINE, 3))))
    return over(old).astype(np.float32), centres, fresh.astype(np.float32), over(new)


CASES = [
    ([0.5, 0.3, 0.2], [0.05, 0.07, 0.08], [1.0, 1.0, 1.0]),
    ([0.05, 0.04, 0.04], [0.7, 0.7, 0.65], [1.0, 1.0, 1.0]),
    ([0.3, 0.25, 0.2], [0.35, 0.27, 0.2], [1.0, 1.0, 1.0]),
    ([0.6, 0.1, 0.1], [0.2, 0.5, 0.7], [0.0, 0.0, 0.0]),
]


@pytest.mark.parametrize("case", CASES, ids=["bright on dark", "dark on bright", "alike", "coloured"])
def test_edges_are_those_of_a_picture_composed_on_the_new_background(case):
    picture, mask, new, truth = scene(*case)
    made = replace_background(picture, mask, new)
    cut = np.where(mask[..., None], picture, new)
    edge = np.abs(truth - cut).max(-1) > 0.02
    error, cut_error = (np.sqrt(np.mean((image - truth)[edge] ** 2)) for image in (made, cut))
    assert edge.sum() > 150
    assert error < 0.4 * cut_error
    assert np.abs(np.mean((made - truth)[edge])) < 0.05, "no rim of the old background"


def test_pure_pixels_stay_and_the_rest_is_the_background():
    picture, mask, new, _ = scene(*CASES[0])
    made = replace_background(picture, mask, new)
    share = coverage(picture, mask)
    assert np.abs(made - picture)[share == 1].max() < 1e-3
    assert np.abs(made - new)[share == 0].max() < 1e-3
    assert (share == 0).mean() > 0.4 and (share == 1).mean() > 0.2
    assert made.dtype == np.float32


def test_coverage_is_that_of_the_fine_picture():
    picture, mask, _, _ = scene(*CASES[1])
    truth = averaged(shapes()[..., None].astype(float))[..., 0]
    error = np.abs(coverage(picture, mask) - truth)
    assert error.mean() < 0.5 * np.abs(mask - truth).mean()
    assert np.quantile(error[(truth > 0.02) & (truth < 0.98)], 0.9) < 0.35


def test_without_a_mask_all_is_background_and_with_a_full_one_nothing_is():
    picture, _, new, _ = scene(*CASES[0])
    nothing = np.zeros((SIZE, SIZE), bool)
    assert np.array_equal(replace_background(picture, nothing, new), new)
    assert np.abs(replace_background(picture, ~nothing, new) - picture).max() < 1e-3


def test_the_part_of_a_photo_has_its_shape_and_place():
    photo = np.zeros((100, 300, 3), np.uint8)
    photo[:, :, 0] = np.arange(300) * 255 // 299
    left, right = (covering(photo, (80, 60), PhotoPart((x, 0.5))) for x in (0.0, 1.0))
    assert left.shape == right.shape == (60, 80, 3)
    assert left[:, 0, 0].max() < 4 and right[:, -1, 0].min() > 251
    assert left[..., 0].max() < 255 * 140 / 299, "133 of 300 columns keep the shape of the picture"
    mirrored = covering(photo, (80, 60), PhotoPart((0.0, 0.5), flipped=True))
    assert np.array_equal(mirrored, left[:, ::-1])
    near = covering(photo, (80, 60), PhotoPart((1.0, 0.5), zoom=0.5))[..., 0].astype(float)
    assert near[:, 0].max() - 255 * 233 / 299 < 4 and near[:, -1].min() > 251, "the last 67 of 300 columns"
    assert near[:, 0].min() > 255 * 230 / 299


def test_parts_are_drawn_within_their_ranges():
    rng = np.random.default_rng(3)
    parts = [PhotoPart.draw(rng, (0.6, 0.9), 0.3) for _ in range(2_000)]
    zooms, places = np.array([p.zoom for p in parts]), np.array([p.place for p in parts])
    assert 0.6 <= zooms.min() < 0.61 and 0.89 < zooms.max() <= 0.9
    assert places.min() < 0.01 and places.max() > 0.99 and abs(np.corrcoef(places.T)[0, 1]) < 0.1
    assert np.mean([p.flipped for p in parts]) == pytest.approx(0.3, abs=0.04)
