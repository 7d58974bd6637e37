# SPDX-License-Identifier: GPL-3.0-or-later
"""The classifier two-sample test: 0.5 for sets of one source, 1 for separate ones, and no luck from shared images."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from twinset.alignment.distances.classifier_test import classifier_auc
from twinset.engine.errors import DataError
from twinset.engine.rng import stream


def test_sets_of_one_source_cannot_be_told_apart() -> None:
    rng = stream(1, "same")
    values = [
        classifier_auc(rng.normal(size=(60, 40)), rng.normal(size=(90, 40)), rng, n_permutations=19) for _ in range(6)
    ]
    assert np.mean([found.value for found in values]) == pytest.approx(0.5, abs=0.06)
    assert sum(found.significant for found in values) <= 2
    assert all(found.low <= found.value <= found.high and abs(found.floor - 0.5) < 0.06 for found in values)


def test_separate_sets_are_told_apart() -> None:
    rng = stream(2, "separate")
    found = classifier_auc(rng.normal(size=(40, 10)), rng.normal(size=(50, 10)) + 6, rng, n_permutations=19)
    assert found.value > 0.999 and found.low > 0.99 and found.significant and found.critical < 0.75


def test_the_value_is_that_of_the_best_classifier_of_two_normal_distributions() -> None:
    """Its area is known: the normal distribution at the distance of the means over the root of 2."""
    rng = stream(3, "normal")
    shift = 1.2
    real, synth = rng.normal(size=(400, 5)), rng.normal(size=(400, 5)) + np.eye(5)[0] * shift
    found = classifier_auc(real, synth, rng, n_permutations=5)
    assert found.value == pytest.approx(float(stats.norm.cdf(shift / np.sqrt(2))), abs=0.04)
    assert found.low < found.value < found.high and found.high - found.low < 0.12


def test_boxes_of_an_image_are_never_tested_by_what_it_trained() -> None:
    """Images that are all alike inside and all different outside tell nothing of their sets."""
    rng = stream(4, "images")
    images = [np.repeat(np.arange(12), 8) for _ in range(2)]
    real, synth = (rng.normal(size=(12, 20))[image] + 0.01 * rng.normal(size=(96, 20)) for image in images)
    whole = classifier_auc(real, synth, rng, images=(images[0], images[1]), n_permutations=39)
    assert not whole.significant and whole.value < 0.8
    split = classifier_auc(real, synth, rng, n_permutations=5)
    assert split.value > 0.9  # what mixing up the images would show


def test_equal_seeds_give_equal_values() -> None:
    rng = np.random.default_rng(0)
    real, synth = rng.normal(size=(30, 6)), rng.normal(size=(30, 6)) + 0.5
    first, second = (classifier_auc(real, synth, stream(9, "x"), n_permutations=9) for _ in range(2))
    assert first == second


def test_too_small_sets_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="5 real boxes in 5 images are too few"):
        classifier_auc(rng.normal(size=(5, 4)), rng.normal(size=(50, 4)), rng)
    one = np.zeros(30, int)
    with pytest.raises(DataError, match="30 synthetic boxes in 1 images"):
        classifier_auc(rng.normal(size=(30, 4)), rng.normal(size=(30, 4)), rng, images=(None, one))
