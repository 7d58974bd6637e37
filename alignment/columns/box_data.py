# SPDX-License-Identifier: GPL-3.0-or-later
"""What columns are measured from: boxes, and of the boxes of one image its pixels, outlines and depth."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeVar, cast

import numpy as np

from .id_map import crop, depths_under
from .image_statistics import NAMES, grey, statistics

T = TypeVar("T")


class BoxData:
    """Boxes with all that is known of them; what several columns share is computed once.

    Parameters
    ----------
    bboxes : (n, 4) float
        [x, y, w, h] in pixels.
    width, height : float, or (n,) float
        Size of the image of each box in pixels.
    image : (H, W, 3) uint8, optional
        RGB picture that all boxes are in.
    masks : sequence of (H, W) bool or None, optional
        Visible pixels of each object; None where they are not known.
    extents : sequence of [x, y, w, h], optional
        The masks' extents in whole pixels; not read where there is no mask.
    depth : (H, W) float, optional
        Planar metres; NaN where nothing is seen.
    """

    def __init__(
        self,
        bboxes: np.ndarray,
        width: np.ndarray | float,
        height: np.ndarray | float,
        *,
        image: np.ndarray | None = None,
        masks: Sequence[np.ndarray | None] | None = None,
        extents: Sequence[Sequence[int]] = (),
        depth: np.ndarray | None = None,
    ) -> None:
        self.bboxes = np.asarray(bboxes, dtype=float).reshape(-1, 4)
        self.width, self.height = width, height
        self.image, self.masks, self.extents, self.depth = image, masks, extents, depth
        self._shared: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self.bboxes)

    def shared(self, name: str, compute: Callable[[BoxData], T]) -> T:
        """What ``compute(self)`` returns, computed once for all columns that ask for it by the same name."""
        if name not in self._shared:
            self._shared[name] = compute(self)
        return cast(T, self._shared[name])

    @property
    def available(self) -> frozenset[str]:
        """Which of :data:`...engine.plugin.columns.NEEDS` can be met."""
        given = {"pixels": self.image, "masks": self.masks, "depth": self.depth}
        return frozenset(name for name, value in given.items() if value is not None)

    @cached_property
    def luma(self) -> np.ndarray:
        """Luma (H, W) uint8 of the picture."""
        assert self.image is not None, "a column that reads pixels must say that it needs them"
        return grey(self.image)

    @cached_property
    def image_statistics(self) -> dict[str, float]:
        """Statistics of the whole picture, by :data:`.image_statistics.NAMES`."""
        return statistics(self.luma)

    @cached_property
    def box_statistics(self) -> dict[str, np.ndarray]:
        """The same of the crop of each box, (n,); a crop has every pixel that its box meets."""
        crops = [statistics(self.luma[crop(whole_pixels(bbox), self.luma.shape)]) for bbox in self.bboxes]
        return {name: np.array([one[name] for one in crops], dtype=float) for name in NAMES}

    @cached_property
    def outlines(self) -> list[tuple[int, np.ndarray]]:
        """Number and mask of each box with a mask."""
        return [(i, np.asarray(mask)) for i, mask in enumerate(self.masks or ()) if mask is not None]

    @cached_property
    def visible_pixels(self) -> np.ndarray:
        """Pixels of each mask, (n,) float; NaN without a mask."""
        counts = np.full(len(self), np.nan)
        for i, mask in self.outlines:
            counts[i] = np.count_nonzero(mask)
        return counts

    @cached_property
    def median_depth(self) -> np.ndarray:
        """Median depth under each mask in metres, (n,); NaN without a mask."""
        assert self.depth is not None, "a column that reads depth must say that it needs it"
        values = np.full(len(self), np.nan)
        for i, mask in self.outlines:
            values[i] = depths_under(mask, self.depth, [1], np.asarray([self.extents[i]]))[0]
        return values


def whole_pixels(bbox: Sequence[float]) -> tuple[int, int, int, int]:
    """The box [x, y, w, h] of all pixels that a box meets, but for slivers under a hundredth of a pixel."""
    x, y, w, h = (float(v) for v in bbox)
    left, top = math.floor(x + 0.01), math.floor(y + 0.01)
    return left, top, max(1, math.ceil(x + w - 0.01) - left), max(1, math.ceil(y + h - 0.01) - top)
