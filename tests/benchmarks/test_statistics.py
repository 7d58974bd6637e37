# SPDX-License-Identifier: GPL-3.0-or-later
"""Intervals hold what they promise on simulated detectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

PHOTOS = 30
SEEDS = 4


@pytest.fixture(scope="module")
def statistics(detector_module):
    return detector_module("statistics")


def real_photos(detector_module, rng):
    """Photos of one or two objects, and how hard each object is to find."""
    photo = detector_module("domains").Photo
    made, hard = [], []
    for number in range(1, PHOTOS + 1):
        n = int(rng.integers(1, 3))
        boxes = np.column_stack([np.arange(n) * 50.0, np.zeros(n), np.full((n, 2), 20.0)])
        made.append(photo(number, Path(), 100, 100, boxes, np.zeros(n, int), np.zeros(n, bool)))
        hard.append(rng.normal(0, 1, n))
    return made, hard


def arm(detector_module, made, hard, skill, rng):
    """Matches of several seeds: each finds objects by their difficulty, its own skill and luck, and makes mistakes."""
    matches = detector_module("precision").matches
    runs = {}
    for seed in range(SEEDS):
        of_seed = skill + rng.normal(0, 0.3)
        found = []
        for photo, difficulty in zip(made, hard, strict=True):
            for box, h in zip(photo.boxes, difficulty, strict=True):
                if rng.normal(0, 1) < of_seed - h:
                    found.append({"bbox": box.tolist(), "score": rng.normal(1, 1), "image_id": photo.number})
            found += [
                {"bbox": [0.0, 60.0, 20.0, 20.0], "score": rng.normal(0, 1), "image_id": photo.number}
                for _ in range(rng.poisson(0.7))
            ]
        found = [{**d, "category_id": 1} for d in found]
        runs[0, seed] = [[matches(part, found, 1)] for part in (made[:15], made[15:])]
    return runs


def estimate(detector_module, statistics, seed, gap):
    rng = np.random.default_rng([seed, 3])
    made, hard = real_photos(detector_module, rng)
    draws = statistics.photo_draws([15, 15], rng, 300)
    first, second = (
        statistics.resample(arm(detector_module, made, hard, skill, rng), draws, rng) for skill in (gap, 0.0)
    )
    return statistics.difference(first, second)


def test_intervals_hold_the_true_difference_of_equal_arms(detector_module, statistics):
    found = [estimate(detector_module, statistics, seed, 0.0) for seed in range(100)]
    held = np.mean([e.low <= 0 <= e.high for e in found])
    assert 0.88 <= held <= 1.0  # 0.95 is meant; 100 trials are 0.02 off
    assert np.mean([e.p < 0.05 for e in found]) <= 0.12


def test_a_large_difference_is_seen(detector_module, statistics):
    found = [estimate(detector_module, statistics, seed, 2.5) for seed in range(6)]
    assert all(e.low > 0 and e.p < 0.05 for e in found)


def test_few_seeds_keep_the_variance_of_their_mean(detector_module, statistics):
    rng = np.random.default_rng(0)
    values = np.array([0.1, 0.2, 0.4])
    drawn = statistics._drawn_mean(np.repeat(values[:, None], 100_000, 1), rng)
    assert drawn.mean() == pytest.approx(values.mean(), abs=0.002)
    assert drawn.var() == pytest.approx(values.var(ddof=1) / 3, rel=0.03)
