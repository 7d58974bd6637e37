# SPDX-License-Identifier: GPL-3.0-or-later
"""Vignettes and colour fringes against their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from effect_pictures import HEIGHT, WIDTH, flat, linear_of, raw
from twinset.plugins.effects.chromatic_aberration import ChromaticAberration
from twinset.plugins.effects.vignette import Vignette


@pytest.mark.parametrize("falloff", [0.1, 0.5, 1.0])
def test_a_vignette_falls_with_the_squared_radius(falloff: float) -> None:
    out = linear_of(raw(Vignette(), flat(0.6), falloff=falloff))[..., 0] / linear_of(0.6)
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    radius = np.hypot(x - WIDTH / 2, y - HEIGHT / 2) / math.hypot(WIDTH / 2, HEIGHT / 2)
    np.testing.assert_allclose(out, 1 - falloff * radius**2, atol=3e-3)
    order = np.argsort(radius, axis=None)
    assert (np.diff(out.ravel()[order][::50]) <= 1e-6).all()


def test_colour_fringes_are_as_wide_as_said_in_the_corners() -> None:
    dot = np.zeros((120, 160, 3), np.float32)
    y, x = np.mgrid[:120, :160]
    # A soft dot at three quarters of the way to the corner.
    dot[...] = np.exp(-((x + 0.5 - 140) ** 2 + (y + 0.5 - 105) ** 2) / 18)[..., None]
    out = raw(ChromaticAberration(), dot, red=3.0, blue=-2.0)

    def centre(channel: np.ndarray) -> np.ndarray:
        return np.array([(channel * (x + 0.5)).sum(), (channel * (y + 0.5)).sum()]) / channel.sum()

    way = np.array([60.0, 45.0])
    for channel, corner in ((0, 3.0), (1, 0.0), (2, -2.0)):
        want = way * corner / 100  # 100 pixels from the middle to the corner
        # OpenCV takes source coordinates to a thirty-second of a pixel.
        np.testing.assert_allclose(centre(out[..., channel]) - centre(dot[..., 0]), want, atol=0.08)
    assert (out[..., 1] == dot[..., 1]).all()
