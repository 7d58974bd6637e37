# SPDX-License-Identifier: GPL-3.0-or-later
"""Colour and noise columns against values known from outside, for pictures and for boxes in them."""

from __future__ import annotations

import numpy as np
import pytest
from twinset.alignment.columns.box_data import BoxData
from twinset.alignment.columns.color_statistics import NAMES, ColorMaps
from twinset.alignment.columns.metadata import picture_columns
from twinset.alignment.columns.registry import find_column

WHOLE = (slice(None), slice(None))


def plain(*color: int, size: tuple[int, int] = (40, 60)) -> np.ndarray:
    return np.full((*size, 3), color, np.uint8)


def test_colours_are_those_of_cie_lab() -> None:
    """sRGB red and blue under D65, as colour calculators give them."""
    red, blue = (ColorMaps(plain(*color)).statistics(WHOLE) for color in ((255, 0, 0), (0, 0, 255)))
    assert (red["lab_a"], red["lab_b"]) == pytest.approx((80.09, 67.20), abs=0.05)
    assert (blue["lab_a"], blue["lab_b"]) == pytest.approx((79.19, -107.86), abs=0.05)
    assert red["lab_spread"] == pytest.approx(0, abs=1e-3) and red["saturation"] == pytest.approx(1)
    both = ColorMaps(np.concatenate([plain(255, 0, 0), plain(0, 0, 255)])).statistics(WHOLE)
    assert both["lab_spread"] == pytest.approx(np.hypot(80.09 - 79.19, 67.20 + 107.86) / 2, abs=0.05)


def test_saturation_is_that_of_hsv() -> None:
    assert ColorMaps(plain(200, 100, 150)).statistics(WHOLE)["saturation"] == pytest.approx(0.5)
    assert ColorMaps(plain(90, 90, 90)).statistics(WHOLE)["saturation"] == 0
    assert ColorMaps(plain(0, 0, 0)).statistics(WHOLE)["saturation"] == 0


@pytest.mark.parametrize("sigma", [2.0, 8.0])
def test_noise_is_found_beside_edges_and_slopes(sigma: float) -> None:
    rng = np.random.default_rng(0)
    scene = np.linspace(60, 180, 400)[None, :] * np.ones((300, 1))
    scene[:, 300:] -= 40
    noisy = np.clip(np.rint(scene + rng.normal(0, sigma, scene.shape)), 0, 255).astype(np.uint8)
    found = ColorMaps(np.repeat(noisy[..., None], 3, 2)).statistics(WHOLE)["noise"]
    assert found == pytest.approx(sigma, rel=0.12)


def test_boxes_have_their_own_values() -> None:
    image = plain(128, 128, 128, size=(80, 120))
    image[20:60, 30:90] = (200, 60, 60)
    of_image, of_boxes = picture_columns(BoxData(np.array([[30, 20, 60, 40], [0, 0, 20, 15]]), 120, 80, image=image))
    assert set(NAMES) <= set(of_image) & set(of_boxes)
    assert of_boxes["saturation"] == pytest.approx([0.7, 0.0])
    assert of_boxes["lab_a"][0] > 40 and of_boxes["lab_a"][1] == pytest.approx(0, abs=0.1)
    assert 0 < of_image["saturation"] < 0.7


def test_the_columns_are_declared_for_boxes_and_images() -> None:
    for name in NAMES:
        assert find_column(name).levels == ("bbox", "image") and find_column(f"image_{name}").definition


def test_empty_parts_have_no_value() -> None:
    assert np.isnan(list(ColorMaps(plain(1, 2, 3)).statistics((slice(5, 5), slice(None))).values())).all()
