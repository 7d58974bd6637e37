# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws of images do not depend on how a dataset numbers and orders them."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from twinset.alignment.distances.bootstrap import estimate
from twinset.alignment.distances.classifier_test import classifier_auc
from twinset.alignment.distances.feature_estimates import estimate_features
from twinset.alignment.distances.image_order import image_numbers


def another_form(values: np.ndarray, images: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The same values and images in another order and with other ids, rounded as formats do."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(values))
    ids = rng.permutation(10 * (int(images.max()) + 1))
    return values[order] * (1 + 1e-13), ids[images][order]


@settings(max_examples=examples(60))
@given(st.lists(st.tuples(st.integers(0, 9), st.floats(-5, 5)), min_size=1, max_size=60), st.integers(0, 99))
def test_images_are_ordered_by_what_they_hold(rows: list[tuple[int, float]], seed: int) -> None:
    images, values = np.array([r[0] for r in rows]), np.array([round(r[1], 3) for r in rows])
    other_values, other_images = another_form(values, images, seed)

    def in_order(numbers: np.ndarray, held: np.ndarray) -> list[list[float]]:
        return [sorted(held[numbers == k].round(6).tolist()) for k in range(int(numbers.max()) + 1)]

    numbers = image_numbers(values, images)
    assert in_order(numbers, values) == in_order(image_numbers(other_values, other_images), other_values)
    # A number for each image, and no other.
    assert len({(a, b) for a, b in zip(images, numbers, strict=True)}) == len(set(images)) == numbers.max() + 1


def test_nothing_has_no_images() -> None:
    assert image_numbers(np.empty(0)).shape == (0,) and image_numbers(np.empty((0, 4))).shape == (0,)


@pytest.fixture
def boxes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    images = np.sort(rng.integers(30, size=90))
    return rng.normal(size=90), images, rng.normal(size=(90, 6)) + 0.3 * rng.normal(size=(30, 6))[images]


def test_intervals_and_floors_are_those_of_the_same_images(boxes: tuple[np.ndarray, ...]) -> None:
    values, images, _ = boxes
    others = np.linspace(-1, 2, 50)

    def drawn(held: np.ndarray, own: np.ndarray) -> list[float]:
        made = estimate(held, others, np.random.default_rng(1), images=(own, None), range=(-4, 4), n_bootstrap=50)
        return [v for of in made.values() for v in attrs.astuple(of)]

    assert np.allclose(drawn(values, images), drawn(*another_form(values, images, 3)), rtol=1e-9)


@pytest.mark.parametrize("compare", [estimate_features, classifier_auc])
def test_distances_of_features_are_those_of_the_same_images(compare, boxes: tuple[np.ndarray, ...]) -> None:
    _, images, features = boxes
    synth = np.random.default_rng(9).normal(size=(60, 6)) + 0.4

    def drawn(held: np.ndarray, own: np.ndarray) -> list[float]:
        made = compare(held, synth, np.random.default_rng(1), images=(own, None))
        return [v for of in (made.values() if isinstance(made, dict) else [made]) for v in attrs.astuple(of)]

    assert np.allclose(drawn(features, images), drawn(*another_form(features, images, 3)), rtol=1e-6)
