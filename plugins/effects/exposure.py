# SPDX-License-Identifier: GPL-3.0-or-later
"""Exposure, contrast and white balance, or the tones of a real photo."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...alignment.camera.color_temperature import blackbody
from ...alignment.camera.drawn_photo import draw_photo, fitted_photos
from ...alignment.camera.linear_light import apply_curve, luma, to_encoded, to_linear
from ...alignment.camera.tone_matching import match_colors, match_luma, tone_curve
from ...engine.plugin import Range, param, plugin
from ...engine.scene.srgb import LUMINANCE
from ...engine.stage import Shot


@plugin("effect")
class Exposure:
    """Change exposure, white balance and contrast; with `fit`, give the picture the tones of a real photo instead.

    What is drawn is applied in this order: linear light is multiplied by a power of 2 and by the colour of the light,
    then the sRGB values go through a curve from black to white.
    """

    stops: Range | None = param(
        None,
        min=-10.0,
        max=10.0,
        soft_min=-3.0,
        soft_max=3.0,
        doc="Exposure: each stop doubles linear light; default is -0.5 to 0.5",
        moves={"brightness": "+"},
    )
    contrast: Range | None = param(
        None,
        min=0.2,
        max=5.0,
        doc="Slope of the tone curve in the middle; its ends stay black and white; default is 0.9 to 1.3",
        moves={"contrast": "+"},
    )
    temperature: Range | None = param(
        None,
        min=1700.0,
        max=25000.0,
        unit="K",
        doc="Colour temperature of light that is taken for 6500 K: a lower one makes the picture warmer; default is "
        "5500 to 7500",
    )
    tint: Range | None = param(
        None,
        min=-2.0,
        max=2.0,
        doc="Green (below 0) or magenta (above 0) in stops of green; default is -0.05 to 0.05",
    )
    fit: str = param(
        "",
        path=True,
        doc="File of `twinset fit-camera`: the picture's tones become those of a photo drawn for the frame",
    )
    match: str = param(
        "luma",
        choices=("luma", "lab", "channels"),
        doc="With fit: 'luma' gives luma the photo's quantiles and leaves hues; 'lab' also gives a* and b* of CIE Lab "
        "the photo's mean and spread, its colour cast; 'channels' gives red, green and blue the photo's quantiles",
    )
    strength: Range = param(
        (1.0, 1.0), min=0.0, max=1.0, doc="With fit: how far tones move towards the photo's; 1 is all the way"
    )
    max_slope: float = param(
        3.0,
        min=1.0,
        max=20.0,
        doc="With fit: highest slope of the tone curve; a higher one matches better and shows bands in flat regions",
    )
    probability: float = param(1.0, min=0.0, max=1.0, doc="Share of the images that are changed")

    def __attrs_post_init__(self) -> None:
        given = [name for name in ("stops", "contrast", "temperature", "tint") if getattr(self, name)]
        if self.fit and given:
            raise ValueError(f"'fit' says the tones. Remove 'fit' or '{given[0]}', or use the effect twice.")

    def draw(
        self, shot: Shot, rng: np.random.Generator, common: Callable[[str], np.random.Generator]
    ) -> dict[str, Any]:
        """Exposure of this frame."""
        if self.fit:
            return {"photo": draw_photo(self.fit, common).file, "strength": float(rng.uniform(*self.strength))}
        # What is given alone changes; without anything, all do.
        given = bool(self.stops or self.contrast or self.temperature or self.tint)
        neutral = {"stops": 0.0, "contrast": 1.0, "temperature": 6500.0, "tint": 0.0}
        usual = {
            "stops": (-0.5, 0.5),
            "contrast": (0.9, 1.3),
            "temperature": (5500.0, 7500.0),
            "tint": (-0.05, 0.05),
        }
        out = {}
        for name, share in zip(neutral, rng.random(4), strict=True):
            low, high = getattr(self, name) or ((neutral[name],) * 2 if given else usual[name])
            out[name] = low + (high - low) * float(share)
        return out

    def apply(self, image: np.ndarray, shot: Shot, rng: np.random.Generator, drawn: Mapping[str, Any]) -> np.ndarray:
        """See the class."""
        # Pictures come in steps of 1/255, which curves would spread to a comb; this fills the gaps.
        image = image + (rng.random((*image.shape[:2], 1), dtype=np.float32) - np.float32(0.5)) / np.float32(255)
        if "photo" in drawn:
            return self._matched(image, drawn)
        gains = 2.0 ** drawn["stops"] * self._balance(drawn["temperature"], drawn["tint"])
        if np.any(np.abs(gains - 1) > 1e-6):
            image = to_encoded(to_linear(image) * gains.astype(np.float32))
        return image if abs(drawn["contrast"] - 1) < 1e-6 else apply_curve(image, contrast_curve(drawn["contrast"]))

    def _balance(self, temperature: float, tint: float) -> np.ndarray:
        """Factors (3,) of the channels, which leave the luminance of grey as it is."""
        gains = np.array(blackbody(temperature)) * (1.0, 2.0**-tint, 1.0)
        return np.asarray(gains / (gains @ LUMINANCE))

    def _matched(self, image: np.ndarray, drawn: Mapping[str, Any]) -> np.ndarray:
        photo = next(p for p in fitted_photos(self.fit) if p.file == drawn["photo"])
        straight, slopes = np.linspace(0, 1, 33), (0.1, self.max_slope)
        strength = drawn["strength"]
        if self.match != "channels":
            curve = tone_curve(luma(image), np.array(photo.luma_quantiles), slopes)
            toned = match_luma(image, straight + strength * (curve - straight), self.max_slope)
            if self.match == "luma":
                return toned
            mean, spread = np.array(photo.lab_mean[1:]), np.array(photo.lab_std[1:])
            return toned + np.float32(strength) * (match_colors(toned, mean, spread) - toned)
        out = np.empty_like(image)
        for k, name in enumerate("rgb"):
            curve = tone_curve(image[..., k], np.array(getattr(photo.channel_quantiles, name)), slopes)
            out[..., k] = apply_curve(image[..., k], straight + strength * (curve - straight))
        return out


def contrast_curve(slope: float, points: int = 1025) -> np.ndarray:
    """A curve (N,) through black, the middle and white, with this slope in the middle: a logistic one, or its inverse.

    With steepness k, the slope in the middle is (k / 4) / tanh(k / 4).
    """
    steep = max(slope, 1.0 / slope)
    low, high = 1e-3, 4.0 * steep
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if (middle / 4) / math.tanh(middle / 4) < steep else (low, middle)
    x = np.linspace(0, 1, points)
    end = math.tanh(low / 4)
    rising = 0.5 + 0.5 * np.tanh(low / 2 * (x - 0.5)) / end
    return rising if slope >= 1 else np.interp(x, rising, x)
