# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos as tensors: scaled to the detector's size for tests, and varied at random for training, alike in all arms."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import numpy as np
import torch
from twinset.dataset.formats.pixels import read_image

from .domains import Photo
from .models.truth import Truth

GREY = 127
"""Fills what lies beyond a picture; about zero for the network."""

_HELD = 1.5
"""Pictures are held in memory at this multiple of the detector's size, so that crops may enlarge."""

_LEFT = 0.35
"""A box of which a crop leaves less than this share is ignored in the loss."""

_SMALLEST = 4.0
"""So is one with a side below this many pixels after scaling."""


@attrs.frozen(eq=False)
class Held:
    """A picture (h, w, 3) in memory, and its boxes (n, 4) as corners in its own pixels; see Photo for the rest."""

    pixels: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    ignored: np.ndarray


def hold(photo: Photo, size: tuple[int, int]) -> Held:
    """Read a photo for training at a size (width, height)."""
    import cv2

    pixels = read_image(photo.path, upright=True)
    height, width = pixels.shape[:2]
    scale = min(1.0, _HELD * min(size[0] / width, size[1] / height))
    if scale < 1:
        pixels = cv2.resize(pixels, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    corners = photo.boxes.copy()
    corners[:, 2:] += corners[:, :2]
    corners *= np.tile([pixels.shape[1] / photo.width, pixels.shape[0] / photo.height], 2)
    return Held(pixels, corners, photo.classes, photo.crowd)


def fitted(pixels: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, float]:
    """A picture scaled into the upper left corner of a grey one of ``size``, for tests, and the scale."""
    import cv2

    height, width = pixels.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    small = cv2.resize(
        pixels,
        (max(1, round(width * scale)), max(1, round(height * scale))),
        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR,
    )
    whole = np.full((size[1], size[0], 3), GREY, np.uint8)
    whole[: small.shape[0], : small.shape[1]] = small
    return whole, scale


def to_tensor(pictures: Sequence[np.ndarray]) -> torch.Tensor:
    """A batch (n, 3, h, w) in [-1, 1] of pictures (h, w, 3) of 0 to 255."""
    stacked = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    return (stacked.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def varied(held: Held, size: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, Truth]:
    """A picture at random scale, place, flip and colours, and its boxes: the augmentation of all arms."""
    import cv2

    height, width = held.pixels.shape[:2]
    scale = min(size[0] / width, size[1] / height) * math.exp(rng.uniform(math.log(0.65), math.log(1.5)))
    stretch = math.exp(rng.uniform(-0.1, 0.1))
    sx, sy = scale * stretch, scale / stretch
    # Any place where the picture covers all that it can of the canvas, or lies wholly in it.
    dx, dy = (rng.uniform(min(0.0, s - w), max(0.0, s - w)) for s, w in ((size[0], sx * width), (size[1], sy * height)))
    flip = rng.random() < 0.5
    matrix = np.array([[-sx, 0, size[0] - dx], [0, sy, dy]] if flip else [[sx, 0, dx], [0, sy, dy]])
    # OpenCV counts from the centres of pixels, boxes from their corners.
    centred = matrix + np.array([[0, 0, matrix[0, 0] / 2 - 0.5], [0, 0, sy / 2 - 0.5]])
    picture = cv2.warpAffine(
        held.pixels, centred, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(GREY,) * 3
    )
    boxes = held.boxes * [matrix[0, 0], sy, matrix[0, 0], sy] + [matrix[0, 2], dy, matrix[0, 2], dy]
    if flip:
        boxes = boxes[:, [2, 1, 0, 3]]
    inside = np.clip(boxes, 0, [size[0], size[1]] * 2)
    sides = inside[:, 2:] - inside[:, :2]
    left = sides.prod(1) / np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(1), 1e-6)
    seen = left > 0
    learned = seen & ~held.ignored & (left >= _LEFT) & (sides.min(1) >= _SMALLEST)
    truth = Truth(
        torch.from_numpy(inside[learned]).float(),
        torch.from_numpy(held.classes[learned]),
        torch.from_numpy(inside[seen & ~learned]).float(),
    )
    return recoloured(picture, rng), truth


def recoloured(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A picture with random brightness, contrast, saturation and colour cast, as floats of 0 to 255."""
    x = picture.astype(np.float32)
    grey = x.mean(2, keepdims=True)
    x = grey + (x - grey) * np.float32(rng.uniform(0.5, 1.4))
    gain = np.exp(rng.normal(0, 0.05, 3)) * rng.uniform(0.7, 1.3)
    middle = np.float32(grey.mean())
    x = (x - middle) * gain.astype(np.float32) + middle + np.float32(rng.uniform(-30, 30))
    return np.clip(x, 0, 255, out=x)
