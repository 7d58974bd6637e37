# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose turn a frame is: which variant and which camera make it, and which draw of its target it is."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from .rng import low_discrepancy, stream


@attrs.frozen
class Turn:
    """What makes a frame. ``draw`` counts the frames before it that have drawn from the same target."""

    variant: int
    camera: int
    draw: int


@attrs.frozen
class Share:
    """One variant as the schedule sees it.

    Attributes
    ----------
    weight : float
        Its share of the frames.
    cameras : sequence of float
        Their shares of its frames.
    aims : sequence of bool
        Which of them take goals.
    target : int
        Which target it draws from: variants with the same number take turns at its draws.
    """

    weight: float
    cameras: Sequence[float]
    aims: Sequence[bool]
    target: int = 0


class Schedule:
    """The turns of all frames. What a frame gets depends on its index and the seed alone.

    Variants share the frames by a low-discrepancy sequence, so that any run of frames has nearly their shares. Cameras
    share the frames of a variant in the same way, by another counter: the two would be tied to each other otherwise.
    """

    def __init__(self, seed: int, shares: Sequence[Share]) -> None:
        self._shares = tuple(shares)
        self._offsets = stream(seed, "variant").uniform(), stream(seed, "camera").uniform()
        self._turns = np.empty((3, 0), int)

    def __call__(self, index: int) -> Turn:
        """The turn of one frame (>= 0)."""
        if self._turns.shape[1] <= index:
            self._turns = self._up_to(2 * index + 64)
        return Turn(*(int(v) for v in self._turns[:, index]))

    def _up_to(self, size: int) -> np.ndarray:
        """Variant, camera and draw of the first ``size`` frames, (3, size)."""
        variant = _pick([s.weight for s in self._shares], size, self._offsets[0])
        camera, target = np.zeros(size, int), np.full(size, -1)
        for number, share in enumerate(self._shares):
            own = np.flatnonzero(variant == number)
            camera[own] = _pick(share.cameras, len(own), self._offsets[1])
            target[own] = np.where(np.asarray(share.aims, bool)[camera[own]], share.target, -1)
        draw = np.zeros(size, int)
        for number in {s.target for s in self._shares}:
            mine = np.isin(variant, [k for k, s in enumerate(self._shares) if s.target == number])
            draws = (target == number).astype(int)
            draw[mine] = (np.cumsum(draws) - draws)[mine]
        return np.stack([variant, camera, draw])


def _pick(weights: Sequence[float], size: int, offset: float) -> np.ndarray:
    """Which of some shares each of ``size`` turns goes to, (size,)."""
    ends = np.cumsum(weights) / np.sum(weights)
    points = low_discrepancy(np.arange(size), offset)
    return np.minimum(np.searchsorted(ends, points, side="right"), len(ends) - 1)
