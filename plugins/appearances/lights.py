# SPDX-License-Identifier: GPL-3.0-or-later
"""Power and colour of the scene's lights, and extra lights."""

from __future__ import annotations

import math

import numpy as np

from ...alignment.camera.color_temperature import blackbody
from ...engine.geometry.free_air import free_position
from ...engine.plugin import Range, param, plugin
from ...engine.stage import Stage

_TRIES = 16


@plugin("appearance")
class Lights:
    """Scale and tint the scene's lights together, and add lights at random positions in free air."""

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
            position = free_position(stage, 2 * self.extra_radius, self.extra_height_range, rng, _TRIES)
            power = rng.uniform(*self.extra_power_range)
            color = blackbody(rng.uniform(*self.temperature_range))
            if position is not None:
                stage.add_light(position, power=power, color=color, radius=self.extra_radius)
