# SPDX-License-Identifier: GPL-3.0-or-later
"""Fills holes of photos with parts of photos that fit at the rim: of the same photo, or of others of the set."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import attrs
import numpy as np

_SIDE = 320
"""Longer side in pixels of the reduced photos in which parts are searched."""
_RIM = 0.2
"""Width of the rim that must fit, as a share of the hole's side."""
_MOVED_ROWS = 30.0
"""Difference of colours (8-bit Lab) that a part costs which is moved up or down by the height of the photo: floors lie
below walls."""
_OTHER_PHOTO = 5.5
"""The same for a part of another photo, whose light and sharpness differ."""
_SMOOTHING = 0.35
"""Standard deviation with which differences at the rim are continued into the hole, as a share of the hole's side."""
_TELEA_RADIUS = 4
"""Of the neighbourhood, in pixels."""


@attrs.frozen(eq=False)
class HoledPhoto:
    """A photo of which parts are not to be seen.

    Attributes
    ----------
    read : callable
        Gives its pixels (H, W, 3) uint8.
    holes : (H, W) bool
    """

    read: Callable[[], np.ndarray]
    holes: np.ndarray

    @property
    def reduction(self) -> float:
        """Of the photo in which parts are searched."""
        return min(1.0, _SIDE / max(self.holes.shape))

    @functools.cached_property
    def reduced(self) -> tuple[np.ndarray, np.ndarray]:
        """The reduced photo (h, w, 3) in 8-bit Lab, as float32, and its holes (h, w) uint8."""
        import cv2

        photo = self.read()
        size = tuple(max(round(side * self.reduction), 1) for side in photo.shape[1::-1])
        small = cv2.cvtColor(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2LAB)
        covered = cv2.resize(self.holes.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
        return small.astype(np.float32), covered.astype(np.uint8)


@attrs.frozen(eq=False)
class _Part:
    """A part of a photo that fits: the photo, whether it is flipped, and where (x, y) the origin of the hole's photo
    lies in it, in pixels of the reduced photos."""

    photo: HoledPhoto
    flipped: bool
    origin: tuple[int, int]
    cost: float


def fill_holes(photo: HoledPhoto, others: Sequence[HoledPhoto] = ()) -> np.ndarray:
    """The photo (H, W, 3) uint8 without its holes.

    Each hole gets the part of a photo, flipped or not, whose colours differ least at the hole's rim, and that has no
    hole itself; what still differs at the rim is continued into the hole. It stays a photo that way: sharp, with floors
    below walls. Where no part is large enough, the colours around march inwards [Telea, "An image inpainting technique
    based on the fast marching method", 2004], so that the inside becomes smooth.
    """
    import cv2

    pixels = photo.read()
    if not photo.holes.any():
        return pixels
    covered = photo.reduced[1]
    count, labels = cv2.connectedComponents(covered, connectivity=8)
    sources = [photo, *(other for other in others if other is not photo)]
    made, left = np.ascontiguousarray(pixels), photo.holes.copy()
    size = photo.holes.shape[1::-1]
    for number in range(1, count):
        hole = labels == number
        whole = cv2.resize(hole.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        whole &= photo.holes
        found = _best_part(photo, hole, sources)
        if found is not None:
            made = np.where(whole[..., None], _adapted(_moved(found, photo), made, whole, photo.holes), made)
            left &= ~whole
    # All at once: none may get the colours of what is not painted out yet.
    return cv2.inpaint(made, left.astype(np.uint8), _TELEA_RADIUS, cv2.INPAINT_TELEA) if left.any() else made


def _best_part(photo: HoledPhoto, hole: np.ndarray, sources: Sequence[HoledPhoto]) -> _Part | None:
    """The part that fits best around a hole (h, w) of the reduced photo; None where none is large enough."""
    import cv2

    small, covered = photo.reduced
    width = max(3, round(_RIM * float(np.sqrt(hole.sum()))))
    near = cv2.dilate(hole.astype(np.uint8), np.ones((2 * width + 1,) * 2, np.uint8)) > 0
    rows, columns = np.flatnonzero(near.any(1)), np.flatnonzero(near.any(0))
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    rim = (near & (covered == 0))[window].astype(np.float32)
    if not rim.any():
        return None
    needed = rim + hole[window]
    wanted, mask = small[window], np.dstack([rim] * 3)
    best = None
    for source in sources:
        if best is not None and best.cost <= _OTHER_PHOTO**2:
            break  # no other photo can cost less
        for flipped in (False, True):
            colors, bad = (np.ascontiguousarray(a[:, ::-1] if flipped else a) for a in source.reduced)
            if any(have < want for have, want in zip(bad.shape, needed.shape, strict=True)):
                continue
            cost = cv2.matchTemplate(colors, wanted, cv2.TM_SQDIFF, mask=mask) / (3 * rim.sum())
            cost = np.maximum(cost, 0) + (_MOVED_ROWS * (np.arange(len(cost))[:, None] - rows[0]) / len(small)) ** 2
            cost += 0.0 if source is photo else _OTHER_PHOTO**2
            cost[cv2.matchTemplate(bad.astype(np.float32), needed, cv2.TM_CCORR) > 0.5] = np.inf
            y, x = np.unravel_index(int(cost.argmin()), cost.shape)
            if np.isfinite(cost[y, x]) and (best is None or cost[y, x] < best.cost):
                best = _Part(source, flipped, (int(x - columns[0]), int(y - rows[0])), float(cost[y, x]))
    return best


def _moved(part: _Part, photo: HoledPhoto) -> np.ndarray:
    """The part's photo, moved to where it fits, in the size of the photo (H, W, 3)."""
    import cv2

    pixels = part.photo.read()
    pixels = np.ascontiguousarray(pixels[:, ::-1] if part.flipped else pixels)
    scale = part.photo.reduction / photo.reduction
    x, y = (start / photo.reduction for start in part.origin)
    matrix = np.array([[scale, 0.0, -x], [0.0, scale, -y]])
    return cv2.warpAffine(pixels, matrix, photo.holes.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)


def _adapted(part: np.ndarray, made: np.ndarray, hole: np.ndarray, holes: np.ndarray) -> np.ndarray:
    """The part (H, W, 3) with the differences at the hole's rim continued into the hole."""
    import cv2

    rim = (cv2.dilate(hole.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0) & ~holes
    sigma = max(3.0, _SMOOTHING * float(np.sqrt(hole.sum())))
    weight = rim.astype(np.float32)[..., None]
    difference = (made.astype(np.float32) - part) * weight
    blurred, total = (cv2.GaussianBlur(a, (0, 0), sigma) for a in (difference, weight))
    return np.clip(np.rint(part + blurred / np.maximum(total[..., None], 1e-6)), 0, 255).astype(np.uint8)
