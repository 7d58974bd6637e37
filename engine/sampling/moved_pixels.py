# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves pictures, labels, amodal masks and rendered passes by a map of where each output pixel comes from."""

from __future__ import annotations

import functools

import attrs
import numpy as np

from ..scene.moved_image import MovedImage
from ..stage import Amodal, Labels, Shot, extent


@attrs.define(eq=False, slots=False)
class PixelMap:
    """Where the centre of each output pixel comes from: ``source`` (H, W, 2), x and y in pixels as in
    :mod:`..stage`."""

    source: np.ndarray
    _indices: dict[tuple[int, int], np.ndarray] = attrs.field(factory=dict, init=False)

    def image(self, image: np.ndarray) -> np.ndarray:
        """A picture (H, W, 3) float32, sampled bilinearly; beyond the border, the border is repeated."""
        import cv2

        # OpenCV's pixel centres are whole numbers, ours are halves.
        x, y = (np.ascontiguousarray(self.source[..., k], np.float32) - np.float32(0.5) for k in range(2))
        return cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def nearest(self, array: np.ndarray) -> np.ndarray:
        """An array (H, W, ...) by the pixel that each source lies in, or the nearest one at the border."""
        height, width = array.shape[:2]
        flat = array.reshape(height * width, *array.shape[2:])
        return np.take(flat, self._index(height, width), axis=0)

    def labels(self, labels: Labels) -> Labels:
        """Labels by nearest pixels."""
        return Labels(self.nearest(labels.ids), self.nearest(labels.depth))

    def amodal(self, alone: Amodal) -> Amodal:
        """An instance seen alone, moved.

        Inside the image the mask follows the map. What lies outside is not in the map, so a side of the box that is
        there moves as the nearest border does, and the pixels outside are magnified as those inside are on average.
        """
        if not alone.pixels:
            return alone
        height, width = alone.mask.shape
        mask = self.nearest(alone.mask)
        seen, inside = int(np.count_nonzero(mask)), extent(mask)
        x, y, w, h = alone.bbox
        low, high = self._moved(x, y, x + w, y + h)
        if inside:
            # Where the map says exactly what is seen, only what it says nothing about is estimated.
            first, last = np.array(inside[:2]), np.add(inside[:2], inside[2:])
            before, beyond = low < 0, high > (width, height)
            if not (before | beyond).any():
                return Amodal(mask, inside, seen)
            # Of what the left border cuts, a sliver may be seen that is less tall than the whole.
            partly = (before | beyond)[::-1]
            low = np.where(before, low, np.where(partly, np.minimum(first, low), first))
            high = np.where(beyond, high, np.where(partly, np.maximum(last, high), last))
        high = np.maximum(high, low + 1)
        pixels = max(seen, round(alone.pixels * self._magnification), 1)
        return Amodal(mask, (int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])), pixels)

    def shot(self, shot: Shot) -> Shot:
        """Labels, amodal masks and rendered passes of a shot; its picture stays."""
        return attrs.evolve(
            shot,
            labels=self.labels(shot.labels),
            amodal={id: self.amodal(alone) for id, alone in shot.amodal.items()},
            rendered={name: self.nearest(array) for name, array in shot.rendered.items()},
            moved=MovedImage((*(shot.moved.maps if shot.moved is not None else ()), self.source)),
        )

    def _index(self, height: int, width: int) -> np.ndarray:
        if (height, width) not in self._indices:
            self._indices[height, width] = self._nearest_index(height, width)
        return self._indices[height, width]

    def _nearest_index(self, height: int, width: int) -> np.ndarray:
        columns = np.clip(np.floor(self.source[..., 0]), 0, width - 1).astype(np.intp)
        rows = np.clip(np.floor(self.source[..., 1]), 0, height - 1).astype(np.intp)
        return rows * width + columns

    def _moved(self, x0: int, y0: int, x1: int, y1: int) -> tuple[np.ndarray, np.ndarray]:
        """Corners (low (2,), high (2,)) of a box where the map takes it, in whole pixels."""
        height, width = self.source.shape[:2]
        corners = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]], dtype=float)
        moved = corners.copy()
        for _ in range(8):  # the inverse of the map, by fixed-point iteration
            at = np.clip(np.floor(moved), 0, (width - 1, height - 1)).astype(int)
            moved = corners - (self.source[at[:, 1], at[:, 0]] - (at + 0.5))
        return np.floor(moved.min(0) + 0.5), np.floor(moved.max(0) + 0.5)

    @functools.cached_property
    def _magnification(self) -> float:
        """How many output pixels a source pixel becomes, on average."""
        across = (self.source[:, 1:] - self.source[:, :-1])[:-1]
        down = (self.source[1:] - self.source[:-1])[:, :-1]
        area = np.abs(across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]).mean() if down.size else 0.0
        return 1.0 / float(area) if area > 0 else 1.0
