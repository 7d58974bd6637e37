# SPDX-License-Identifier: GPL-3.0-or-later
"""Goals of a frame: the boxes that the target draws for it; and the real boxes that it learns from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

SIDES = ("left", "top", "right", "bottom")
"""Borders of an image, in the order of arrays that have a column for each."""


def contiguous(values: np.ndarray) -> np.ndarray:
    """The values (N, ...) in one piece of memory.

    Functions such as ``np.log`` and ``np.arctan2`` round the last bit of a column of a larger array one way or the
    other, by where their result happens to be allocated: NumPy takes slower code if it might overlap the column.
    """
    return np.ascontiguousarray(values)


@attrs.frozen(eq=False)
class Boxes:
    """Boxes of one class in image units, the common currency of real and synthetic data.

    Attributes
    ----------
    area : (N,) float
        Box area relative to its image, in (0, 1].
    center : (N, 2) float
        Centre x, y in image units, in [0, 1], y down.
    aspect : (N,) float
        Width over height, both in pixels.
    image : (N,) int
        Which image each box is in.
    image_aspect : (N,) float, optional
        Width over height of that image in pixels; None where all images are like those to come.
    """

    area: np.ndarray = attrs.field(converter=contiguous)
    center: np.ndarray
    aspect: np.ndarray = attrs.field(converter=contiguous)
    image: np.ndarray
    image_aspect: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.area)

    def take(self, index: np.ndarray) -> Boxes:
        """Some of the boxes."""
        shape = None if self.image_aspect is None else self.image_aspect[index]
        return Boxes(self.area[index], self.center[index], self.aspect[index], self.image[index], shape)


@attrs.frozen
class Reach:
    """What boxes of a class a scene can show, as closed intervals; by default they are open.

    Attributes
    ----------
    area : (float, float)
        Smallest and largest relative area.
    aspect : (float, float)
        Least and greatest width over height, in pixels, of boxes that no border of the image cuts.
    reason : str
        Why the scene shows no box at all; empty where it shows some.
    """

    area: tuple[float, float] = (0.0, 1.0)
    aspect: tuple[float, float] = (0.0, math.inf)
    reason: str = ""

    def with_all_of(self, other: Reach) -> Reach:
        """The smallest intervals that contain those of both."""
        if self.reason or other.reason:
            return other if self.reason else self
        return Reach(_hull(self.area, other.area), _hull(self.aspect, other.aspect))

    def to_json(self) -> dict[str, Any]:
        """As JSON values; None for an aspect that is open."""
        return {"area": list(self.area), "aspect": list(self.aspect) if math.isfinite(self.aspect[1]) else None}


def _hull(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return min(one[0], other[0]), max(one[1], other[1])


@attrs.frozen
class Goal:
    """Goal of one box of a frame: the visible box of an instance, clipped to the image.

    Attributes
    ----------
    area : float
        Relative area, in (0, 1].
    center : (float, float)
        x, y in image units, y down.
    component : int
        Which component of the target's mixture it was drawn from.
    aspect : float, optional
        Width over height in pixels; None for any.
    cut : sequence of str
        Borders of the image that cut through the object, of :data:`SIDES`.
    """

    class_name: str
    area: float
    center: tuple[float, float]
    component: int = 0
    aspect: float | None = None
    cut: tuple[str, ...] = ()

    def slack(self, pixels: int, tolerance: float) -> float:
        """Largest relative error that its area may have in an image of so many pixels: ``tolerance``, or more for a box
        of few, since whole pixels cannot always come closer than half a pixel on each side."""
        return max(tolerance, float(1.0 / np.sqrt(self.area * pixels)))


@attrs.frozen
class Goals:
    """The goals of a frame. ``main`` is None where the recipe has no target.

    ``boxes`` is the whole layout, the main one first, where the target draws more than that one.
    """

    main: Goal | None = None
    frame: int = 0
    open_area: Sequence[tuple[float, float]] = ()
    """(square root of relative area, weight) of the bins in which the block has fewer boxes than the target."""
    boxes: tuple[Goal, ...] = ()

    def gain(self, sqrt_area: np.ndarray) -> np.ndarray:
        """How much boxes of these square-root areas, any shape, help to fill the block's gaps: weight of their bin."""
        values = np.asarray(sqrt_area, dtype=float)
        if not self.open_area:
            return np.zeros_like(values)
        centers = np.array([c for c, _ in self.open_area])
        weights = np.array([w for _, w in self.open_area])
        return weights[np.abs(values[..., None] - centers).argmin(-1)]
