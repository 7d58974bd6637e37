# SPDX-License-Identifier: GPL-3.0-or-later
"""Blur, sharpening and motion blur against SciPy and geometry."""

from __future__ import annotations

import math

import attrs
import numpy as np
import pytest
import scipy.ndimage
from effect_pictures import edge, linear_of, raw, shot_of
from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from twinset.engine.rng import stream
from twinset.plugins.effects.blur import Blur
from twinset.plugins.effects.motion_blur import MotionBlur, line_kernel
from twinset.plugins.effects.sharpen import Sharpen


@pytest.mark.parametrize("sigma", [0.6, 1.0, 2.5])
def test_blur_of_an_edge_is_that_of_scipy(sigma: float) -> None:
    out = raw(Blur(), edge(), sigma=sigma)[20, :, 1]
    want = scipy.ndimage.gaussian_filter1d(edge()[20, :, 1].astype(float), sigma, mode="mirror", truncate=6)
    np.testing.assert_allclose(out, want, atol=4e-3)
    # The spread of the edge's derivative is sigma itself.
    rise = np.diff(out)
    place = np.arange(len(rise))
    middle = (rise * place).sum() / rise.sum()
    assert math.sqrt((rise * (place - middle) ** 2).sum() / rise.sum()) == pytest.approx(sigma, rel=0.06)


def test_a_draft_is_blurred_by_fewer_pixels() -> None:
    full = edge()
    draft = attrs.evolve(shot_of(edge(40)[:20]), camera=shot_of(full).camera)
    assert draft.scale == 0.5
    out = Blur().apply(edge(40)[:20], draft, stream(1), {"sigma": 2.0})
    np.testing.assert_allclose(out, raw(Blur(), edge(40)[:20], sigma=1.0), atol=1e-6)


def test_sharpening_makes_halos_of_its_radius() -> None:
    out = raw(Sharpen(), edge(), amount=0.8, radius=1.5)[20, :, 0]
    blurred = scipy.ndimage.gaussian_filter1d(edge()[20, :, 0].astype(float), 1.5, mode="mirror", truncate=6)
    want = 1.8 * edge()[20, :, 0] - 0.8 * blurred
    np.testing.assert_allclose(out, want, atol=4e-3)
    assert out.max() > 0.75 and out.min() < 0.15 and np.abs(out[:30] - 0.2).max() < 1e-4


@settings(max_examples=examples(25), deadline=None)
@given(length=st.floats(0.2, 60.0), direction=st.floats(-360, 360))
def test_a_motion_kernel_is_a_line_about_the_middle(length: float, direction: float) -> None:
    kernel = line_kernel(length, direction).astype(float)
    y, x = np.mgrid[: len(kernel), : len(kernel)] - (len(kernel) - 1) / 2
    assert kernel.sum() == pytest.approx(1) and kernel.min() >= 0
    assert abs((kernel * x).sum()) < 1e-5 and abs((kernel * y).sum()) < 1e-5
    angle = math.radians(direction)
    along, across = x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)
    # Variance of a line of that length; dividing points between pixels adds at most a quarter in each direction.
    spread = (kernel * along**2).sum()
    assert length**2 / 12 - 1e-3 <= spread <= length**2 / 12 + 0.51
    assert (kernel * across**2).sum() < 0.51


def test_motion_blur_is_in_linear_light_and_leaves_what_is_along_it() -> None:
    out = raw(MotionBlur(), edge(), length=20.0, direction=0.0)[20, :, 0]
    # The edge lies between two pixels, whose linear light is as far from the middle on either side.
    assert linear_of(out[39:41]).mean() == pytest.approx(float(linear_of(0.2) + linear_of(0.7)) / 2, abs=1e-3)
    assert linear_of(out[40]) - linear_of(out[39]) == pytest.approx(
        float(linear_of(0.7) - linear_of(0.2)) / 20, abs=1e-3
    )
    np.testing.assert_allclose(raw(MotionBlur(), edge(), length=20.0, direction=90.0)[20, 45:], 0.7, atol=1e-3)
