# SPDX-License-Identifier: GPL-3.0-or-later
"""Blur of what is not in focus, from depth."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...alignment.camera.linear_light import to_encoded, to_linear
from ...engine.plugin import Range, param, plugin
from ...engine.stage import Shot

LEVELS = (0.4, 0.8, 1.3, 2.0, 3.0, 4.5, 7.0, 11.0, 18.0, 32.0)
"""Standard deviations in pixels at which layers are blurred; pixels between two are shared by them."""
SIGNED = np.array([*(-x for x in LEVELS[::-1]), 0.0, *LEVELS], np.float32)
"""From the nearest to the farthest: below 0 in front of the focus."""


@plugin("effect")
class Defocus:
    """Blur what is nearer or farther than the focus, as a thin lens does, in linear light.

    Layers of similar blur are laid over each other from far to near, so that something sharp in front keeps its edge
    and something blurred in front covers what is behind. What is hidden stays hidden: a lens would see a little of it.
    """

    focus: Range | None = param(
        None,
        min=0.05,
        max=10_000.0,
        soft_max=20.0,
        unit="m",
        doc="Distance that is in focus, drawn log-uniformly; default is that of an annotated object in view, drawn for "
        "each image",
    )
    aperture: Range = param(
        (1.8, 5.6),
        min=0.1,
        max=64.0,
        doc="F-number of a lens on a sensor of the camera's width, by default 36 mm; lower blurs more. Drawn "
        "log-uniformly. For the small sensor of a phone, multiply its f-number by its crop factor, about 5 to 7",
        moves={"sharpness": "+", "blur": "-"},
    )
    max_blur: float = param(
        20.0, min=1.0, max=32.0, unit="px", doc="Largest standard deviation of the blur; it bounds the time taken"
    )
    probability: float = param(1.0, min=0.0, max=1.0, doc="Share of the images with limited depth of field")

    def draw(
        self, shot: Shot, rng: np.random.Generator, common: Callable[[str], np.random.Generator]
    ) -> dict[str, Any]:
        """Focus and aperture of this frame."""
        wide, near, which = rng.random(3)
        aperture = _log_between(self.aperture, wide)
        if self.focus:
            return {"focus": _log_between(self.focus, near), "aperture": aperture}
        seen = [instance.id for instance in shot.instances if (shot.labels.ids == instance.id).any()]
        chosen = seen[int(which * len(seen))] if seen else None
        return {"focus": shot.labels.focus_distance(chosen), "aperture": aperture}

    def apply(self, image: np.ndarray, shot: Shot, rng: np.random.Generator, drawn: Mapping[str, Any]) -> np.ndarray:
        """See the class."""
        import cv2

        lens = shot.camera.lens / 1000
        blur = signed_blur(shot.labels.depth, drawn["focus"], drawn["aperture"], lens)
        blur *= 1000 / shot.camera.sensor_width * image.shape[1]
        blur = np.clip(blur, -self.max_blur, self.max_blur).astype(np.float32)
        if np.abs(blur).max() < LEVELS[0] / 4:
            return image
        linear, variance = to_linear(image), blur * np.abs(blur)
        total = np.zeros_like(linear)
        share = np.zeros(linear.shape[:2], np.float32)
        levels = np.square(SIGNED) * np.sign(SIGNED)
        first = max(int(np.searchsorted(levels, variance.min(), side="right")) - 1, 0)
        last = int(np.searchsorted(levels, variance.max()))
        for k in range(min(last, len(levels) - 1), first - 1, -1):
            weight = _weight(variance, k)
            color, sigma = linear * weight[..., None], abs(float(SIGNED[k]))
            if sigma:
                color = cv2.GaussianBlur(color, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
                weight = cv2.GaussianBlur(weight, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
            total *= (1 - weight)[..., None]
            total += color
            share *= 1 - weight
            share += weight
        return to_encoded(total / np.maximum(share, np.float32(1e-6))[..., None])


def signed_blur(depth: np.ndarray, focus: float, aperture: float, lens: float) -> np.ndarray:
    """Standard deviation of the blur on the sensor in metres, below 0 in front of the focus.

    A thin lens shows a point at depth d as a disc of diameter lens² / aperture · |1/focus - 1/d| · focus / (focus -
    lens) [Potmesil & Chakravarty, SIGGRAPH 1981], whose standard deviation along each axis is a quarter of that.

    Parameters
    ----------
    depth : (H, W)
        Metres; infinite where nothing is hit.
    focus, lens : float
        Distance in focus and focal length, in metres; the focus is at least twice the focal length away.
    aperture : float
        F-number.
    """
    focus = max(focus, 2 * lens)
    nearness = 1 / np.maximum(depth.astype(np.float64), 1e-3)
    return np.asarray((1 / focus - nearness) * (lens**2 / aperture * focus / (focus - lens) / 4))


def _weight(variance: np.ndarray, k: int) -> np.ndarray:
    """The opacity (H, W) of each pixel in the layer of ``SIGNED[k]``.

    A pixel between two levels is opaque in the farther one and lies over itself in the nearer one, as far as its
    variance is nearer to that: so the variance of the mixture is right.
    """
    levels = np.square(SIGNED) * np.sign(SIGNED)
    if k + 1 < len(levels):
        weight = np.clip((levels[k + 1] - variance) / (levels[k + 1] - levels[k]), 0.0, 1.0)
    else:
        weight = np.ones_like(variance)
    if k:
        weight *= variance > levels[k - 1]
    return weight.astype(np.float32, copy=False)


def _log_between(ends: tuple[float, float], share: float) -> float:
    return ends[0] * math.exp(float(share) * math.log(ends[1] / ends[0]))
