# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts another background behind what a mask shows, with soft edges and without a rim of the old background."""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np

from ...alignment.camera.linear_light import to_encoded, to_linear
from ...engine.scene.material import color_from_text
from ..formats.pixels import read_image

_EDGE_SIGMA = 0.6
"""Standard deviation in pixels of a Gaussian that makes of a mask at pixel centres about the coverage of the pixels."""
_FRONT_REACH, _OLD_REACH = 3.0, 8.0
"""Pure colours of object and background farther from an edge than this, in pixels, say nothing of the edge."""
_THIN_REACH = 2
"""Where an object is so thin that it has no pure pixel, the one in a square of this reach counts that differs most from
the background."""
_CONTRAST = (0.02, 0.12)
"""Distance of two colours in linear light from which on they tell coverage, and from which on they alone do."""
_THIN = 0.8
"""Coverage of masks too thin to have a pixel that is certainly covered whole."""


def replace_background(picture: np.ndarray, mask: np.ndarray, background: np.ndarray) -> np.ndarray:
    """A picture with another background behind what a mask shows.

    Pixels at the mask's edge show both, so their share of the old background is exchanged for the new one, in linear
    light: ``C + (1 - a) (new - old)``, with the colours of the nearest pure pixels as ``old`` and for the coverage
    ``a``, which is where C lies between them [Porter & Duff, "Compositing digital images", 1984]. Where these colours
    are alike, the smoothed mask gives the coverage.

    Parameters
    ----------
    picture, background : (H, W, 3) float32
        sRGB-encoded, in [0, 1].
    mask : (H, W) bool
        Pixels whose centre shows what is kept.

    Returns
    -------
    (H, W, 3) float32
    """
    if not mask.any():
        return background
    color, new = to_linear(picture), to_linear(background)
    coverage, old = _coverage(color, mask)
    mixed = color + (1 - coverage)[..., None] * (new - old)
    outside = coverage <= 0
    mixed[outside] = new[outside]
    return to_encoded(mixed)


def coverage(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The share (H, W) of each pixel that is covered by what a mask shows; arguments as above."""
    return _coverage(to_linear(picture), mask)[0]


def _coverage(color: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coverage (H, W) and the old background's colour (H, W, 3) of a picture in linear light."""
    import cv2

    square = np.ones((3, 3), np.uint8)
    whole = mask.astype(np.uint8)
    inner = cv2.erode(whole, square, borderType=cv2.BORDER_REPLICATE) > 0
    outer = cv2.dilate(whole, square, borderType=cv2.BORDER_REPLICATE) == 0
    band = ~inner & ~outer
    old, is_old_near = _nearest(color, outer, band, _OLD_REACH)
    front, is_front_near = _nearest(color, inner, band, _FRONT_REACH)
    thin_band = band & ~is_front_near
    front[thin_band] = _most_different(color, old, mask, thin_band)
    smooth = cv2.GaussianBlur(whole.astype(np.float32), (0, 0), _EDGE_SIGMA, borderType=cv2.BORDER_REPLICATE)
    thin = np.where(mask, np.maximum(smooth, _THIN), smooth)
    share = np.where(is_front_near, smooth, thin)
    difference = front - old
    squared = (difference**2).sum(-1)
    told = ((color - old) * difference).sum(-1) / np.maximum(squared, 1e-9)
    # The centre of the pixel is on the side that the mask says.
    told = np.clip(told, np.where(mask, 0.4, 0.0), np.where(mask, 1.0, 0.6))
    low, high = _CONTRAST
    trust = np.clip((np.sqrt(squared) - low) / (high - low), 0.0, 1.0) * is_old_near
    share = (trust * told + (1 - trust) * share).astype(np.float32)
    share[inner], share[outer] = 1.0, 0.0
    return share, np.where(is_old_near[..., None], old, color)


def _most_different(color: np.ndarray, old: np.ndarray, mask: np.ndarray, where: np.ndarray) -> np.ndarray:
    """For the pixels (n,) of ``where``, the colour (n, 3) of the mask's pixel nearby that differs most from ``old``."""
    contrast = np.where(mask, ((color - old) ** 2).sum(-1), -1.0)
    rows, columns = np.nonzero(where)
    step = np.arange(-_THIN_REACH, _THIN_REACH + 1)
    near_rows = np.clip(rows[:, None] + np.repeat(step, len(step)), 0, mask.shape[0] - 1)
    near_columns = np.clip(columns[:, None] + np.tile(step, len(step)), 0, mask.shape[1] - 1)
    best = contrast[near_rows, near_columns].argmax(1)[:, None]
    return color[np.take_along_axis(near_rows, best, 1)[:, 0], np.take_along_axis(near_columns, best, 1)[:, 0]]


def _nearest(color: np.ndarray, pure: np.ndarray, band: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """For pixels of the band, the colour of the nearest pure pixel; for all, whether one is near enough."""
    from scipy.ndimage import distance_transform_edt

    if not pure.any():
        return color, np.zeros(pure.shape, dtype=bool)
    distance, index = distance_transform_edt(~pure, return_indices=True)
    found = color.copy()
    found[band] = color[index[0][band], index[1][band]]
    return found, distance <= reach


@attrs.frozen
class PhotoPart:
    """Which part of a photo becomes a background.

    Attributes
    ----------
    place : tuple of float
        Where it lies in the photo, in [0, 1] from left to right and from top to bottom.
    zoom : float
        Its size, as a share in (0, 1] of the largest part that has the picture's shape.
    flipped : bool
        Whether left and right change sides.
    """

    place: tuple[float, float] = (0.5, 0.5)
    zoom: float = 1.0
    flipped: bool = False

    @classmethod
    def draw(cls, rng: np.random.Generator, zoom: tuple[float, float], flip: float) -> PhotoPart:
        """A part at random, whose zoom lies in a range; ``flip`` is the probability that it is flipped."""
        x, y, size, side = (float(v) for v in rng.random(4))
        return cls((x, y), zoom[0] + (zoom[1] - zoom[0]) * size, side < flip)


def covering(photo: np.ndarray, size: tuple[int, int], part_of: PhotoPart) -> np.ndarray:
    """The part of a photo (h, w, 3), at the size (width, height) of a picture."""
    import cv2

    height, width = photo.shape[:2]
    scale = min(width / size[0], height / size[1]) * part_of.zoom
    part = max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)
    place = part_of.place
    left, top = round(place[0] * (width - part[0])), round(place[1] * (height - part[1]))
    cut = photo[top : top + part[1], left : left + part[0]]
    cut = np.ascontiguousarray(cut[:, ::-1]) if part_of.flipped else cut
    return cv2.resize(cut, size, interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR)


def plain_background(color: str, size: tuple[int, int]) -> np.ndarray:
    """A background (H, W, 3) float32 in [0, 1] of one colour, such as '#ffffff', for a picture (width, height)."""
    encoded = to_encoded(np.array(color_from_text(color), np.float32))
    return np.broadcast_to(encoded, (size[1], size[0], 3))


def photo_background(path: Path, size: tuple[int, int], part: PhotoPart) -> np.ndarray:
    """The same from a part of a photo."""
    photo = read_image(path, upright=True)
    return covering(photo, size, part).astype(np.float32) / np.float32(255)
