# SPDX-License-Identifier: GPL-3.0-or-later
"""Defocus against traced rays and SciPy: its size by depth, its edges, what it focuses on."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
import scipy.ndimage
from effect_pictures import checks, flat, linear_of, shot_of
from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from twinset.engine.rng import stream
from twinset.engine.stage import Labels
from twinset.plugins.effects.defocus import Defocus, signed_blur
from twinset.testing import make_shot


def defocused(image: np.ndarray, depth: np.ndarray | float, aperture: float = 1.4) -> np.ndarray:
    """Seen through a lens of 100 mm, in focus at 2 m."""
    depth = np.broadcast_to(np.float32(depth), image.shape[:2])
    shot = make_shot(np.zeros(image.shape[:2], np.int32), n=0, depth=depth, lens=100.0)
    return Defocus().apply(image, shot, stream(1), {"focus": 2.0, "aperture": aperture})


def test_defocus_grows_with_the_distance_from_the_focus() -> None:
    image = checks()
    assert defocused(image, 2.0).std() == pytest.approx(float(image.std()), rel=1e-3)
    for steps in ((2.0, 2.3, 2.6, 3.5, 6.0), (2.0, 1.7, 1.5, 1.2)):
        assert (np.diff([float(defocused(image, distance).std()) for distance in steps]) < 0).all()
    wide = [float(defocused(image, 3.0, aperture).std()) for aperture in (2.8, 2.0, 1.4)]
    assert (np.diff(wide) < 0).all()
    # One blur all over the picture is the Gaussian that the formula gives.
    sigma = signed_blur(np.array([[3.0]]), 2.0, 1.4, 0.1)[0, 0] / 0.036 * image.shape[1]
    want = scipy.ndimage.gaussian_filter(linear_of(image[..., 0]), sigma, mode="mirror", truncate=6)
    np.testing.assert_allclose(linear_of(defocused(image, 3.0)[..., 0]).std(), want.std(), atol=0.02)


@settings(max_examples=examples(25), deadline=None)
@given(
    focus=st.floats(0.5, 50.0), distance=st.floats(0.3, 100.0), lens=st.floats(0.01, 0.1), number=st.floats(1.0, 16.0)
)
def test_the_circle_of_confusion_is_that_of_traced_rays(
    focus: float, distance: float, lens: float, number: float
) -> None:
    """Two rays from a point through the rim of a thin lens, met by the sensor where the focus is imaged."""
    sensor, image = 1 / (1 / lens - 1 / focus), 1 / (1 / lens - 1 / distance)
    rim = lens / number / 2
    at_sensor = [edge + (0.0 - edge) * sensor / image for edge in (-rim, rim)]
    diameter = abs(at_sensor[1] - at_sensor[0])
    spread = signed_blur(np.array([[distance]]), focus, number, lens)[0, 0]
    assert abs(spread) == pytest.approx(diameter / 4, rel=1e-6, abs=1e-12)
    assert spread == 0 or (spread > 0) == (distance > focus)


def test_something_sharp_in_front_keeps_its_edge_before_a_blurred_wall() -> None:
    image, depth = checks(), np.full((96, 96), 8.0, np.float32)
    image[30:60, 30:60], depth[30:60, 30:60] = 0.9, 2.0
    out = defocused(image, depth)
    np.testing.assert_allclose(out[30:60, 30:60], 0.9, atol=2e-3)
    # Nor does it shine into the wall beside it.
    beside = out[35:55, 22:29].mean()
    assert beside == pytest.approx(float(out[35:55, 2:12].mean()), abs=0.02)


def test_focus_is_on_an_object_in_view_by_default() -> None:
    ids, depth = np.zeros((20, 20), np.int32), np.full((20, 20), 9.0, np.float32)
    ids[2:6, 2:6], ids[10:14, 10:14] = 1, 2
    depth[ids == 1], depth[ids == 2] = 1.5, 3.0
    shot = shot_of(flat(0.5, (20, 20)), depth, ids)
    assert {Defocus().draw(shot, stream(k), stream)["focus"] for k in range(20)} == {1.5, 3.0}
    empty = attrs.evolve(shot, labels=Labels(np.zeros_like(ids), np.full_like(depth, np.inf)))
    assert Defocus().draw(empty, stream(1), stream)["focus"] == 10_000.0
