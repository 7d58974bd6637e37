# SPDX-License-Identifier: GPL-3.0-or-later
"""Slices with more errors: those of simulated detectors are found, and a random one has none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import fisher_exact
from twinset.alignment.evaluation.detection import outcomes
from twinset.alignment.evaluation.slices import find_slices, leading_slices
from twinset.engine.errors import DataError
from twinset.engine.rng import stream


def boxes(seed: int, images: int = 60, each: int = 3) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Columns of boxes, and their images; brightness is one value per image."""
    rng = stream(seed, "boxes")
    image = np.repeat(np.arange(images), each)
    n = len(image)
    columns = {
        "bbox_area": np.exp(rng.normal(-3, 1, n)),
        "center_x": rng.random(n),
        "center_y": rng.random(n),
        "image_brightness": rng.random(images)[image],
        "touches_border": rng.random(n) < 0.3,
        "class": rng.choice(["chair", "table"], n),
    }
    return columns, image


@pytest.mark.parametrize("column", ["bbox_area", "center_x", "image_brightness", "class"])
def test_the_slice_that_a_detector_misses_is_the_most_significant(column: str) -> None:
    columns, image = boxes(1)
    values = columns[column]
    worse = values == "table" if column == "class" else values < np.quantile(values, 1 / 3)
    missed = stream(4, column).random(len(image)) < np.where(worse, 0.7, 0.2)
    found = find_slices(columns, missed, image)
    assert (found[0].column, found[0].significant) == (column, True)
    assert found[0].name == {"center_x": "left third", "class": "table"}.get(column, "low")
    assert found[0].share == pytest.approx(0.7, abs=0.15)
    assert found[0].rest == pytest.approx(0.2, abs=0.15)
    assert not any(one.significant for one in found if one.column != column)
    assert all(one.share_low <= one.share <= one.share_high for one in found)


def test_random_errors_give_a_significant_slice_in_one_case_of_twenty() -> None:
    families = 0
    for seed in range(200):
        columns, image = boxes(seed, images=25)
        missed = stream(seed, "random").random(len(image)) < 0.4
        families += any(one.significant for one in find_slices(columns, missed, image))
    # 5 % of 200 are 10; more than 22 happen once in 10,000.
    assert families <= 22


def test_errors_that_come_by_image_do_not_make_values_of_images_significant() -> None:
    # Whole images are missed at random: by boxes, the brightness of images would often look guilty.
    families = 0
    for seed in range(150):
        columns, image = boxes(seed, images=20, each=10)
        missed = (stream(seed, "whole").random(20) < 0.4)[image]
        families += any(
            one.significant for one in find_slices({"image_brightness": columns["image_brightness"]}, missed, image)
        )
    assert families <= 18


def test_without_common_images_the_p_value_is_near_that_of_fisher() -> None:
    rng = stream(3, "fisher")
    inside = np.arange(120) < 40
    missed = rng.random(120) < np.where(inside, 0.5, 0.25)
    (one,) = [s for s in find_slices({"touches_border": inside}, missed, np.arange(120)) if s.name == "yes"]
    table = [[(missed & side).sum(), (~missed & side).sum()] for side in (inside, ~inside)]
    exact = fisher_exact(table, alternative="greater").pvalue
    assert exact / 3 < one.p_value < exact * 2
    assert one.adjusted == pytest.approx(2 * one.p_value)


def test_intervals_are_wilsons_and_wider_for_boxes_of_common_images() -> None:
    missed = np.arange(40) % 4 == 0
    flag = np.arange(40) < 20
    single = find_slices({"touches_border": flag}, missed, np.arange(40))[0]
    # Wilson's interval of 5 of 20, as tables give it.
    assert (single.share_low, single.share_high) == pytest.approx((0.1119, 0.4687), abs=1e-4)
    whole = np.repeat([True, False, False, False], 5)
    common = find_slices({"touches_border": flag}, np.tile(whole, 2), np.repeat(np.arange(8), 5))[0]
    assert common.share_high - common.share_low > 1.5 * (single.share_high - single.share_low)


def test_small_or_constant_columns_are_not_tested() -> None:
    found = find_slices(
        {"aspect": np.ones(30), "depth": [None] * 26 + [1.0, 2.0, 3.0, 4.0]}, np.zeros(30), np.arange(30)
    )
    assert {one.column for one in found} == {"depth"}
    assert all(math.isnan(one.p_value) and not one.significant for one in found)
    with pytest.raises(DataError, match="one outcome"):
        find_slices({"aspect": np.ones(3)}, np.zeros(4), np.zeros(4))


def test_outcomes_are_those_of_greedy_matching_above_the_score() -> None:
    images = [{"id": 7, "width": 100, "height": 100}]
    real = [
        {"id": 1, "image_id": 7, "category_id": 2, "bbox": [0, 0, 20, 20]},
        {"id": 2, "image_id": 7, "category_id": 2, "bbox": [50, 50, 20, 20]},
        {"id": 3, "image_id": 7, "category_id": 2, "bbox": [0, 80, 100, 20], "iscrowd": 1},
        {"id": 4, "image_id": 7, "category_id": 2, "bbox": [30, 0, 10, 10]},
    ]

    def prediction(bbox: list[float], score: float) -> dict[str, object]:
        return {"image_id": 7, "category_id": 2, "bbox": bbox, "score": score}

    predicted = [
        prediction([1, 0, 20, 20], 0.6),
        prediction([0, 0, 20, 20], 0.9),  # takes the first box; the one above is a duplicate
        prediction([50, 50, 20, 20], 0.3),  # right, but below the score
        prediction([0, 85, 20, 10], 0.8),  # in the crowd
        prediction([80, 20, 10, 10], 0.7),
    ]
    found = outcomes(images, real, [{"id": 2, "name": "chair"}], predicted)
    assert found.found == {0: True, 1: False, 3: False}
    assert found.wrong == {0: True, 1: False, 4: True}


def test_a_slice_that_another_one_explains_does_not_lead() -> None:
    columns, image = boxes(7, images=150)
    area = columns["bbox_area"]
    rng = stream(7, "echo")
    columns["depth"] = -np.log(area) + rng.normal(0, 0.5, len(area))  # small boxes are far away
    small = area < np.quantile(area, 1 / 3)
    left = columns["center_x"] < 1 / 3
    missed = rng.random(len(image)) < np.where(small, 0.8, np.where(left, 0.5, 0.1))
    found = find_slices(columns, missed, image)
    assert {("depth", "high"), ("bbox_area", "low"), ("center_x", "left third")} <= {
        (one.column, one.name) for one in found if one.significant
    }
    assert {one.column for one in leading_slices(found, missed, image)} == {"bbox_area", "center_x"}
