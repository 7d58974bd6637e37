# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours of black bodies, by which light and white balance are named."""

from __future__ import annotations

import numpy as np

from ...engine.scene.srgb import LUMINANCE

_XYZ_TO_LINEAR_SRGB = np.array(
    [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]  # IEC 61966-2-1
)


def blackbody(temperature: float) -> tuple[float, float, float]:
    """Colour of a black body beside one of 6500 K, in linear RGB.

    Parameters
    ----------
    temperature : float
        Kelvin, in [1667, 25000].

    Returns
    -------
    tuple of float
        Scaled to luminance 1, so that it tints without brightening; (1, 1, 1) at 6500 K.
    """
    rgb = _linear_rgb(temperature) / _linear_rgb(6500.0)
    rgb /= rgb @ LUMINANCE
    return float(rgb[0]), float(rgb[1]), float(rgb[2])


def _linear_rgb(temperature: float) -> np.ndarray:
    x, y = planckian_chromaticity(temperature)
    # Below 1,900 K blue is outside the gamut.
    return np.maximum(_XYZ_TO_LINEAR_SRGB @ np.array([x / y, 1.0, (1.0 - x - y) / y]), 0.0)


def planckian_chromaticity(temperature: float) -> tuple[float, float]:
    """CIE 1931 (x, y) of a black body at ``temperature`` kelvin in [1667, 25000].

    The cubic approximation of the Planckian locus [Kim et al., US patent 7024034, 2002].
    """
    t = 1e3 / temperature
    if temperature <= 4000.0:
        x = -0.2661239 * t**3 - 0.2343589 * t**2 + 0.8776956 * t + 0.179910
    else:
        x = -3.0258469 * t**3 + 2.1070379 * t**2 + 0.2226347 * t + 0.240390
    if temperature <= 2222.0:
        y = -1.1063814 * x**3 - 1.34811020 * x**2 + 2.18555832 * x - 0.20219683
    elif temperature <= 4000.0:
        y = -0.9549476 * x**3 - 1.37418593 * x**2 + 2.09137015 * x - 0.16748867
    else:
        y = 3.0817580 * x**3 - 5.87338670 * x**2 + 3.75112997 * x - 0.37001483
    return x, y
