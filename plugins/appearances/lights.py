# SPDX-License-Identifier: GPL-3.0-or-later
"""Power and colour of the scene's lights, and extra lights."""

from __future__ import annotations

import math

import numpy as np

from ...engine.plugin import Range, param, plugin
from ...engine.stage import Stage

_XYZ_TO_LINEAR_SRGB = np.array(
    [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]  # IEC 61966-2-1
)
_TRIES = 16


@plugin("appearance")
class Lights:
    """Scale and tint the scene's lights together, and add lights at random positions."""

    factor_range: Range = param(
        (0.5, 2.0),
        min=0.0,
        min_exclusive=True,
        soft_max=5.0,
        doc="Factor for the power of all lights; drawn log-uniformly",
        moves={"brightness": "+", "background_similarity": "?"},
    )
    temperature_range: Range = param(
        (6500.0, 6500.0), min=1700.0, max=25000.0, unit="K", doc="Colour temperature of the tint; 6500 is neutral"
    )
    extra_range: tuple[int, int] = param(
        (0, 0), min=0, max=64, doc="Minimum and maximum number of extra lights", moves={"contrast": "-"}
    )
    extra_power_range: Range = param((20.0, 100.0), min=0.0, unit="W", doc="Power of an extra light")
    extra_height_range: Range = param(
        (1.8, 2.6), min=0.0, unit="m", doc="Height of an extra light above the surface below it"
    )
    extra_radius: float = param(
        0.1, min=0.0, unit="m", doc="Radius of an extra light; larger gives softer shadows", moves={"contrast": "-"}
    )

    def __attrs_post_init__(self) -> None:
        if self.extra_range[0] > self.extra_range[1]:
            raise ValueError(f"extra_range must be [minimum, maximum]. Got {list(self.extra_range)} instead.")

    @property
    def lights_scene(self) -> bool:
        """Whether every frame has an extra light."""
        return self.extra_range[0] > 0

    def vary(self, stage: Stage, rng: np.random.Generator) -> None:
        """Set the lights of this frame."""
        low, high = self.factor_range
        factor = low * math.exp(rng.random() * math.log(high / low))
        stage.scale_lights(factor, blackbody(rng.uniform(*self.temperature_range)))
        for _ in range(int(rng.integers(self.extra_range[0], self.extra_range[1], endpoint=True))):
            position = self._free_place(stage, rng)
            power = rng.uniform(*self.extra_power_range)
            color = blackbody(rng.uniform(*self.temperature_range))
            if position is not None:
                stage.add_light(position, power=power, color=color, radius=self.extra_radius)

    def _free_place(self, stage: Stage, rng: np.random.Generator) -> tuple[float, ...] | None:
        """A position above a surface, with nothing in between; None if none was found."""
        low, high = (np.asarray(b, dtype=float) for b in stage.bounds)
        grounds = rng.uniform(low[:2], high[:2], size=(_TRIES, 2))
        heights = rng.uniform(*self.extra_height_range, size=_TRIES)
        # From the middle of the scene's height down: a ray from the top would find the roof of a house.
        start = np.column_stack([grounds, np.full(_TRIES, (low[2] + high[2]) / 2)])
        down = stage.cast(start, np.tile([0.0, 0.0, -1.0], (_TRIES, 1)))
        floor = start[:, 2] - down.distance
        for i in np.flatnonzero(np.isfinite(down.distance)):
            up = stage.cast(np.array([[*grounds[i], floor[i] + 1e-3]]), np.array([[0.0, 0.0, 1.0]]))
            if up.distance[0] > heights[i] + self.extra_radius:
                return (*grounds[i].tolist(), float(floor[i] + heights[i]))
        return None


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
    rgb /= rgb @ np.array([0.2126, 0.7152, 0.0722])
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
