# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours of a picture become those asked for, also where black and white take none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from twinset.alignment.camera.tone_matching import match_colors


def lab_of(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2LAB)[..., 1:]


def picture(dark_share: float) -> np.ndarray:
    """Coloured patches; a share of the picture is black, and as much is white."""
    rng = np.random.default_rng(4)
    patches = rng.uniform(0.3, 0.7, (12, 16, 3)) + rng.normal(0.0, 0.03, (12, 16, 3))
    image = np.kron(patches, np.ones((10, 10, 1))).clip(0, 1).astype(np.float32)
    rows = round(dark_share * len(image))
    image[:rows], image[len(image) - rows :] = 0.02, 0.98
    return image


@pytest.mark.parametrize("dark_share", [0.0, 0.15, 0.3])
def test_mean_and_spread_are_those_asked_for(dark_share: float) -> None:
    mean, spread = np.array([3.0, -4.0]), np.array([8.0, 10.0])
    out = match_colors(picture(dark_share), mean, spread)
    have = lab_of(np.clip(out, 0, 1)).reshape(-1, 2)
    np.testing.assert_allclose(have.mean(0), mean, atol=0.5)
    np.testing.assert_allclose(have.std(0), spread, rtol=0.08)


def test_lightness_stays_and_black_stays_black() -> None:
    image = picture(0.2)
    out = match_colors(image, np.array([12.0, 9.0]), np.array([10.0, 10.0]))
    lightness = [cv2.cvtColor(p, cv2.COLOR_RGB2LAB)[..., 0] for p in (image, out)]
    assert np.median(np.abs(lightness[0] - lightness[1])) < 0.1
    assert np.abs(out[:4] - image[:4]).max() < 0.03


def test_nearly_grey_pictures_do_not_become_garish() -> None:
    grey = np.full((40, 40, 3), 0.5, np.float32) + np.random.default_rng(1).normal(0, 0.002, (40, 40, 3)).astype("f4")
    before, after = (lab_of(p).reshape(-1, 2).std(0) for p in (grey, match_colors(grey, np.zeros(2), np.full(2, 20.0))))
    assert (after < 2.7 * before).all()
