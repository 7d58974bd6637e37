# SPDX-License-Identifier: GPL-3.0-or-later
"""Boxes stay on what they show when pictures are varied, and folds keep near-duplicates together."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def pictures(detector_module):
    return detector_module("pictures")


def held(pictures, boxes, ignored=()):
    pixels = np.zeros((150, 200, 3), np.uint8)
    for x0, y0, x1, y1 in boxes:
        pixels[y0:y1, x0:x1] = 255
    flags = np.isin(np.arange(len(boxes)), ignored)
    return pictures.Held(pixels, np.array(boxes, float).reshape(-1, 4), np.zeros(len(boxes), int), flags)


@pytest.mark.parametrize("seed", range(30))
def test_a_box_stays_around_its_pixels(pictures, seed):
    picture, truth = pictures.varied(held(pictures, [(60, 40, 120, 100)]), (256, 192), np.random.default_rng(seed))
    assert picture.shape == (192, 256, 3)
    rows = np.concatenate([truth.boxes, truth.ignored])
    assert len(rows) == 1
    x0, y0, x1, y1 = rows[0]
    white = picture[math.ceil(y0) + 1 : int(y1) - 1, math.ceil(x0) + 1 : int(x1) - 1]
    assert white.size and (white.min((0, 1)) == white.max((0, 1))).all()
    # Just outside it is darker, by whatever the colours were changed: the background is black or grey.
    x, y = int((x0 + x1) / 2), int((y0 + y1) / 2)
    for column, row in ((x0 - 2, y), (x1 + 1, y), (x, y0 - 2), (x, y1 + 1)):
        if 0 <= column < 256 and 0 <= row < 192:
            assert picture[int(row), int(column)].mean() < white.mean() - 20


def test_crowds_and_cut_boxes_are_ignored(pictures):
    rng = np.random.default_rng(0)
    cut = 0
    for _ in range(100):
        _, truth = pictures.varied(held(pictures, [(0, 0, 30, 30), (100, 60, 140, 100)], [1]), (128, 96), rng)
        assert len(truth.boxes) + len(truth.ignored) <= 2 and len(truth.boxes) <= 1
        assert (truth.boxes >= 0).all() and (truth.boxes[:, 2:].numpy() <= [128, 96]).all()
        cut += len(truth.ignored) == 2
    assert 0 < cut < 60


def test_a_test_picture_keeps_its_shape(pictures):
    pixels = np.full((300, 100, 3), 255, np.uint8)
    whole, scale = pictures.fitted(pixels, (64, 48))
    assert whole.shape == (48, 64, 3) and scale == pytest.approx(48 / 300)
    assert (whole[:, :16] == 255).all() and (whole[:, 16:] == pictures.GREY).all()


def test_folds_share_the_boxes_and_keep_groups(detector_module):
    domains = detector_module("domains")
    rng = np.random.default_rng(1)
    photos = []
    for number in range(1, 41):
        n = int(rng.integers(0, 4))
        crowd = np.zeros(n, bool)
        photos.append(domains.Photo(number, Path(f"{number}.jpg"), 9, 9, np.ones((n, 4)), rng.integers(0, 2, n), crowd))
    together = [["1.jpg", "2.jpg", "30.jpg"], ["7.jpg", "8.jpg"]]
    fold = domains.folds(photos, together, 2)
    assert fold[0] == fold[1] == fold[29] and fold[6] == fold[7]
    assert 17 <= fold.sum() <= 23
    for k in (0, 1):
        counts = [sum((p.classes == k).sum() for p, f in zip(photos, fold, strict=True) if f == g) for g in (0, 1)]
        assert abs(counts[0] - counts[1]) <= 0.2 * sum(counts)
    assert (domains.folds(photos, together, 2) == fold).all()


def test_the_real_domains_are_whole(detector_module, data, monkeypatch):
    monkeypatch.setenv("TWINSET_DATA", str(data))
    domains = detector_module("domains")
    apartment, coco = domains.load_domain("apartment"), domains.load_domain("coco")
    assert (len(apartment.photos), len(coco.photos)) == (45, 104)
    for domain in (apartment, coco):
        numbers = [{p.number for p in domain.test_photos(f)} for f in range(domains.FOLDS)]
        assert not numbers[0] & numbers[1] and len(numbers[0] | numbers[1]) == len(domain.photos)
        assert {p.number for p in domain.training_photos(0)} == numbers[1]
        names = {p.path.name for p in domain.photos}
        assert names >= {n for group in domains.load_domains()[domain.name].get("together", ()) for n in group}
        assert all(p.path.is_file() for p in domain.photos)
