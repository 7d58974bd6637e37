# SPDX-License-Identifier: GPL-3.0-or-later
"""Exposure as a camera sets it, to the brightness of the real photos."""

from __future__ import annotations

import math

import numpy as np

from ...dataset.materials.photo_brightness import brightness, photo_brightness
from ...engine.errors import DataError
from ...engine.plugin import Range, param, plugin
from ...engine.stage import Stage

_SLOPE = 0.45 * math.log(2.0)
"""Change of the logarithm of the brightness per stop: what sRGB's curve gives where nothing is overexposed."""
_DARKEST = 1e-3
_SMALLEST_STEP = 0.05
"""Stops between drafts below which another one would tell nothing."""


@plugin("appearance")
class AutoExposure:
    """Expose each frame so that it is as bright as a random real photo.

    The exposure, which scales all light alike, is solved: drafts of few samples are rendered, and each step follows
    from the brightness of the last two. It runs after all other appearances.
    """

    brightness_range: Range | None = param(
        None,
        min=0.0,
        max=1.0,
        doc="Mean brightness of the image to draw from; default is the distribution of image_brightness in the photos "
        "of [real]",
        moves={"brightness": "+"},
    )
    max_stops: float = param(4.0, min=0.0, soft_max=8.0, doc="Largest change of the exposure, either way")
    drafts: int = param(3, min=1, max=8, doc="Number of drafts")
    draft_scale: float = param(0.2, min=0.02, max=1.0, doc="Size of the drafts relative to the image")
    draft_samples: int = param(2, min=1, max=64, doc="Samples per pixel of the drafts")
    tolerance: float = param(0.01, min=0.0, max=0.5, doc="Difference in brightness at which no further draft is made")

    recipe_example = "brightness_range = [0.3, 0.6]"
    runs = "last"
    follows_camera = True

    def vary(self, stage: Stage, rng: np.random.Generator) -> None:
        """Set the exposure of this frame."""
        share, seed = rng.random(), int(rng.integers(2**31))
        wanted = max(self._wanted(stage, share), _DARKEST)
        tried: list[tuple[float, float]] = []
        stops = 0.0
        for _ in range(self.drafts):
            stage.set_exposure(stops)
            shown = brightness(stage.draft(seed, scale=self.draft_scale, samples=self.draft_samples))
            tried.append((stops, math.log(max(shown, _DARKEST) / wanted)))
            if abs(shown - wanted) <= self.tolerance:
                break
            following = _step(tried, self.max_stops)
            if abs(following - stops) < _SMALLEST_STEP:
                stops = following
                break
            stops = following
        stage.set_exposure(round(stops, 4))

    def _wanted(self, stage: Stage, share: float) -> float:
        if self.brightness_range is not None:
            low, high = self.brightness_range
            return low + share * (high - low)
        if stage.real_photos is None:
            raise DataError(
                "Appearance 'auto_exposure' needs photos to learn from: add [real], or give brightness_range."
            )
        return float(np.quantile(photo_brightness(stage.real_photos), share))


def _step(tried: list[tuple[float, float]], limit: float) -> float:
    """Stops at which the logarithm of shown over wanted brightness should be 0, from (stops, logarithm) of drafts."""
    below = [entry for entry in tried if entry[1] < 0]
    above = [entry for entry in tried if entry[1] >= 0]
    if below and above:
        (x0, y0), (x1, y1) = max(below, key=lambda e: e[1]), min(above, key=lambda e: e[1])
    else:
        x1, y1 = min(tried, key=lambda e: abs(e[1]))
        x0, y0 = next((e for e in reversed(tried) if e[0] != x1), (x1, y1))
    slope = (y1 - y0) / (x1 - x0) if x1 != x0 else _SLOPE
    # Overexposed pictures hardly change; the slope of others limits the step.
    slope = min(max(slope, 0.2 * _SLOPE), 3.0 * _SLOPE)
    return min(max(x1 - y1 / slope, -limit), limit)
