# SPDX-License-Identifier: GPL-3.0-or-later
"""Exposure against the definition of sRGB: stops, white balance, contrast."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from effect_pictures import applied, encoded_of, flat, linear_of, raw
from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from twinset.plugins.effects.exposure import Exposure, contrast_curve


@settings(max_examples=examples(25), deadline=None)
@given(value=st.floats(0.02, 0.6), stops=st.floats(-2.0, 1.0))
def test_a_stop_doubles_linear_light(value: float, stops: float) -> None:
    image = flat(value, (40, 40))
    out = raw(Exposure(), image, stops=stops, contrast=1.0, temperature=6500.0, tint=0.0)
    want = encoded_of(np.minimum(linear_of(value) * 2.0**stops, 1.0))
    assert float(out.mean()) == pytest.approx(float(want), abs=1.5e-3)


def test_more_exposure_is_brighter_everywhere(scenery: np.ndarray) -> None:
    pictures = [applied(Exposure(stops=(s, s)), scenery).astype(int) for s in (-2.0, -0.5, 0.5, 1.5)]
    for darker, brighter in itertools.pairwise(pictures):
        assert (brighter >= darker).all() and brighter.mean() > darker.mean() + 10


def test_a_lower_temperature_is_warmer_and_tint_is_magenta_at_equal_luminance() -> None:
    grey = flat(0.4, (64, 64))
    for values, sign in (
        ({"temperature": 3500.0, "tint": 0.0}, (1, -1)),
        ({"temperature": 9000.0, "tint": 0.0}, (-1, 1)),
    ):
        red, green, blue = raw(Exposure(), grey, stops=0.0, contrast=1.0, **values).mean((0, 1))
        assert np.sign(red - green) == sign[0] and np.sign(blue - green) == sign[1]
    out = raw(Exposure(), grey, stops=0.0, contrast=1.0, temperature=6500.0, tint=0.5).mean((0, 1))
    assert out[0] > out[1] + 0.02 and out[2] > out[1] + 0.02
    assert linear_of(out) @ (0.2126, 0.7152, 0.0722) == pytest.approx(float(linear_of(0.4)), rel=0.02)


@pytest.mark.parametrize("slope", [0.3, 0.8, 1.2, 2.0, 4.0])
def test_the_contrast_curve_keeps_its_ends_and_has_its_slope(slope: float) -> None:
    curve = contrast_curve(slope, 10001)
    assert curve[0] == pytest.approx(0, abs=1e-9) and curve[-1] == pytest.approx(1, abs=1e-9)
    assert curve[5000] == pytest.approx(0.5, abs=1e-6)
    assert (np.diff(curve) > 0).all()
    assert (curve[5010] - curve[4990]) / 0.002 == pytest.approx(slope, rel=1e-3)
