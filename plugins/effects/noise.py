# SPDX-License-Identifier: GPL-3.0-or-later
"""Noise of image sensors: that of the light itself, and that of reading it out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...alignment.camera.drawn_photo import draw_photo, length_scale
from ...alignment.camera.linear_light import luma, to_encoded, to_linear
from ...alignment.columns.color_statistics import gradient, noise_response, plain_noise
from ...engine.plugin import Range, param, plugin
from ...engine.stage import Shot

FULL_WELL = 20_000.0
"""Electrons that make white at ISO 100: between those of a phone's and of a large sensor's pixel."""
READ_ELECTRONS = 4.0
"""Standard deviation of reading one pixel, in electrons."""
_NO_GRAIN = 0.05
"""Pixels: a narrower Gaussian leaves neighbours independent."""


@plugin("effect")
class Noise:
    """Add the noise of a sensor in linear light: a value I in [0, 1] gets the variance shot · I + read².

    By default the values are those of `iso`.
    """

    iso: Range | None = param(
        None,
        min=1.0,
        max=1_000_000.0,
        soft_max=12_800.0,
        doc="Speed of a sensor that 20,000 electrons saturate at ISO 100 and that reads with 4 electrons of noise, "
        "drawn log-uniformly: shot is iso / 2,000,000, read is iso / 500,000; default is 100 to 1600",
        moves={"sharpness": "+", "entropy": "+"},
    )
    shot: Range | None = param(
        None, min=0.0, max=1.0, soft_max=0.01, doc="Variance per linear light; use it instead of iso, with `read`"
    )
    read: Range | None = param(
        None,
        min=0.0,
        max=1.0,
        soft_max=0.05,
        doc="Standard deviation where there is no light; use it instead of iso, with `shot`",
    )
    grain: Range = param(
        (0.0, 0.0),
        min=0.0,
        max=20.0,
        soft_max=2.0,
        unit="px",
        doc="Standard deviation of a Gaussian that makes neighbours' noise alike, without changing its variance",
    )
    color: float = param(
        1.0, min=0.0, max=1.0, doc="Share of the variance that differs between channels; 0 gives grey noise"
    )
    blotches: Range = param(
        (0.0, 0.0),
        min=0.0,
        max=0.5,
        soft_max=0.05,
        doc="Standard deviation of faint patches of colour, as noise reduction leaves them, in sRGB values of 0 to 1",
    )
    blotch_size: float = param(
        8.0, min=1.0, max=200.0, unit="px", doc="Standard deviation of the Gaussian that shapes these patches"
    )
    fit: str = param(
        "",
        path=True,
        doc="File of `twinset fit-camera`: shot, read and grain are those of a photo drawn for the frame; noise that "
        "the picture has already counts",
    )
    probability: float = param(1.0, min=0.0, max=1.0, doc="Share of the images that get noise")

    def __attrs_post_init__(self) -> None:
        given = [name for name in ("iso", "shot", "read") if getattr(self, name)]
        if self.fit and given:
            raise ValueError(f"'fit' says how much noise there is. Remove 'fit' or '{given[0]}'.")
        if self.iso and len(given) > 1:
            raise ValueError(f"'iso' and '{given[1]}' both say how much noise there is. Remove one of them.")

    def draw(
        self, shot: Shot, rng: np.random.Generator, common: Callable[[str], np.random.Generator]
    ) -> dict[str, Any]:
        """Noise of this frame."""
        out: dict[str, Any] = {}
        level, grain, blotches = rng.random(3)
        if self.fit:
            photo = draw_photo(self.fit, common)
            # Photos are compared at the size of the images: shrinking one averages its noise.
            shrunk = min(length_scale(photo, shot.labels.ids.shape), 1.0)
            left = noise_left(shrunk, photo.noise.grain) if photo.noise else 0.0
            out["photo"] = photo.file
            out["shot"] = photo.noise.shot * left**2 if photo.noise else 0.0
            out["read"] = photo.noise.read * left if photo.noise else 0.0
            out["grain"] = photo.noise.grain * shrunk if photo.noise else 0.0
        elif self.shot or self.read:
            out["shot"], out["read"] = (
                _between(self.shot or (0.0, 0.0), level),
                _between(self.read or (0.0, 0.0), level),
            )
        else:
            low, high = self.iso or (100.0, 1600.0)
            iso = low * math.exp(level * math.log(high / low))
            out["iso"] = iso
            out["shot"] = iso / 100.0 / FULL_WELL
            out["read"] = iso / 100.0 * READ_ELECTRONS / FULL_WELL
        return {"grain": _between(self.grain, grain), "blotches": _between(self.blotches, blotches)} | out

    def apply(self, image: np.ndarray, shot: Shot, rng: np.random.Generator, drawn: Mapping[str, Any]) -> np.ndarray:
        """See the class. A draft gets what is left of the noise when the frame is shrunk to its size."""
        import cv2

        if drawn["shot"] > 0 or drawn["read"] > 0:
            linear = to_linear(image)
            variance = linear * np.float32(drawn["shot"])
            variance += np.float32(drawn["read"] ** 2)
            deviation = np.sqrt(variance, out=variance)
            deviation *= self._pattern(image.shape, drawn["grain"] * shot.scale, rng)
            deviation *= np.float32(noise_left(shot.scale, drawn["grain"]))
            noisy = to_encoded(linear + deviation)
            if self.fit:
                share = _share_to_add(image, noisy)
                noisy = noisy if share == 1.0 else to_encoded(linear + np.float32(share) * deviation)
            image = noisy
        if drawn["blotches"] > 0:
            height, width = image.shape[:2]
            sigma = self.blotch_size * shot.scale
            # Blotches are smooth, so they are drawn small.
            small = max(2, math.ceil(2 * width / sigma)), max(2, math.ceil(2 * height / sigma))
            drawn_small = rng.standard_normal((small[1], small[0], 3), dtype=np.float32)
            smooth = cv2.GaussianBlur(drawn_small, (0, 0), 2.0)
            patches = np.asarray(cv2.resize(smooth, (width, height), interpolation=cv2.INTER_CUBIC))
            patches = patches - patches.mean(-1, keepdims=True)
            image = image + patches * np.float32(drawn["blotches"] / max(float(patches.std()), 1e-9))
        return image

    def _pattern(self, shape: tuple[int, ...], grain: float, rng: np.random.Generator) -> np.ndarray:
        """Noise (H, W, 3) of variance 1."""
        import cv2

        noise: np.ndarray
        if self.color > 0:
            noise = rng.standard_normal(shape, dtype=np.float32)
            noise *= np.float32(math.sqrt(self.color))
        else:
            noise = np.zeros(shape, np.float32)
        if self.color < 1:
            noise += np.float32(math.sqrt(1 - self.color)) * rng.standard_normal((*shape[:2], 1), dtype=np.float32)
        if grain > _NO_GRAIN:
            size = 2 * math.ceil(4 * grain) + 1
            kernel = cv2.getGaussianKernel(size, grain, cv2.CV_32F)
            noise = cv2.sepFilter2D(noise, -1, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)
            noise = noise * np.float32(1.0 / float((kernel**2).sum()))
        return noise


def noise_left(scale: float, grain: float) -> float:
    """Share of the standard deviation of noise that is left when a picture is shrunk to ``scale`` by averaging areas.

    White noise keeps ``scale``. Noise with grain, a Gaussian's standard deviation in pixels, keeps more, since
    neighbours are alike: the mean of L = 1 / ``scale`` pixels has in each direction the variance
    Σ (L - abs(k)) / L² · autocorrelation(k) over distances k in pixels; that of white noise behind a kernel is the
    kernel's own.
    """
    if scale >= 1.0:
        return 1.0
    length = 1.0 / scale
    apart = np.arange(1, math.ceil(length))
    alike = np.zeros(len(apart))
    if grain > _NO_GRAIN:
        reach = np.arange(-math.ceil(4 * grain), math.ceil(4 * grain) + 1)
        kernel = np.exp(-(reach**2) / (2.0 * grain**2))
        correlation = np.correlate(kernel, kernel, "full")[len(kernel) - 1 :]
        alike = np.interp(apart, np.arange(len(correlation)), correlation / correlation[0], right=0.0)
    return float((length + 2.0 * ((length - apart) @ alike)) / length**2)


def _share_to_add(image: np.ndarray, noisy: np.ndarray) -> float:
    """How much of the noise to add so that a picture (H, W, 3) has as much as was added, with what it has already.

    Noise is measured where the picture is plain. That of renders is what denoising leaves, and what steep tone curves
    make of it.
    """
    before, added = luma(image), luma(noisy - image)
    plain = gradient(before)
    own, wanted = (plain_noise(noise_response(part), plain) for part in (before, added))
    return math.sqrt(max(0.0, 1.0 - (own / wanted) ** 2)) if wanted > 0 else 1.0


def _between(ends: tuple[float, float], share: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * float(share)
