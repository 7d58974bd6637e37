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

LEVELS = (0.0, 0.6, 1.2, 2.0, 3.2, 5.0, 8.0, 13.0, 20.0, 32.0)
"""Standard deviations in pixels at which layers are blurred; pixels between two are shared by them."""


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
        mask = shot.labels.ids == seen[int(which * len(seen))] if seen else np.isfinite(shot.labels.depth)
        depth = shot.labels.depth[mask & np.isfinite(shot.labels.depth)]
        # Where everything is infinitely far away, so is the focus.
        return {"focus": float(np.median(depth)) if depth.size else 10_000.0, "aperture": aperture}

    def apply(self, image: np.ndarray, shot: Shot, rng: np.random.Generator, drawn: Mapping[str, Any]) -> np.ndarray:
        """See the class."""
        import cv2

        lens = shot.camera.lens / 1000
        blur = signed_blur(shot.labels.depth, drawn["focus"], drawn["aperture"], lens)
        blur *= 1000 / shot.camera.sensor_width * image.shape[1]
        blur = np.clip(blur, -self.max_blur, self.max_blur).astype(np.float32)
        if np.abs(blur).max() < LEVELS[1] / 2:
            return image
        linear = to_linear(image)
        total = np.zeros_like(linear)
        share = np.zeros(linear.shape[:2], np.float32)
        # Behind the focus blur counts as positive; the farthest is the most positive.
        for level in (*LEVELS[:0:-1], *(-x for x in LEVELS)):
            weight = _tent(blur, level)
            if not weight.any():
                continue
            color = linear * weight[..., None]
            if level:
                sigma = abs(level)
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


def _tent(blur: np.ndarray, level: float) -> np.ndarray:
    """The share (H, W) of each pixel that belongs to the layer of a signed level."""
    levels = np.array(sorted({*LEVELS, *(-x for x in LEVELS)}))
    k = int(np.argmin(np.abs(levels - level)))
    around = levels[max(k - 1, 0) : k + 2]
    return np.interp(blur, around, (around == levels[k]).astype(float)).astype(np.float32)


def _log_between(ends: tuple[float, float], share: float) -> float:
    return ends[0] * math.exp(float(share) * math.log(ends[1] / ends[0]))
