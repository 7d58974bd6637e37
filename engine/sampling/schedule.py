# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose turn a frame is: its room and part of the dataset, the variant and camera that make it, the target's draw."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from ..rng import low_discrepancy, stream


@attrs.frozen
class Turn:
    """What makes a frame. ``draw`` counts the frames before it that have drawn from the same target."""

    variant: int
    camera: int
    draw: int
    part: int = 0


@attrs.frozen
class Place:
    """Where a frame belongs. ``number`` counts the frames before it that are in the same room and part."""

    room: int
    part: int
    number: int


class Plan:
    """The places of all frames: rooms share the blocks, and parts of the dataset the frames, by weights."""

    def __init__(self, block: int, rooms: Sequence[float], parts: Sequence[float]) -> None:
        self._rooms, self._parts, self._block = tuple(rooms) or (1.0,), tuple(parts) or (1.0,), block
        self._places = np.empty((3, 0), int)

    def __call__(self, index: int) -> Place:
        """The place of one frame (>= 0)."""
        if len(self._rooms) == len(self._parts) == 1:
            return Place(0, 0, index)
        if self._places.shape[1] <= index:
            self._places = self._up_to(2 * index + 64)
        return Place(*(int(v) for v in self._places[:, index]))

    def _up_to(self, size: int) -> np.ndarray:
        room = np.repeat(deal(self._rooms, -(-size // self._block)), self._block)[:size]
        part = deal(self._parts, size)
        number = np.zeros(size, int)
        for own in np.unique(np.stack([room, part]), axis=1).T:
            mine = (room == own[0]) & (part == own[1])
            number[mine] = np.arange(mine.sum())
        return np.stack([room, part, number])


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


def deal(weights: Sequence[float], size: int) -> np.ndarray:
    """Which of some shares each of ``size`` turns goes to, (size,): the first n of them are dealt as n seats of a
    parliament are by votes, so few frames have all shares, too [Webster; Sainte-Lague, 1910].
    """
    shares = np.asarray(weights, float) / np.sum(weights)
    counts = np.ceil(size * shares).astype(int) + len(shares) + 1
    owner = np.repeat(np.arange(len(shares)), counts)
    when = np.concatenate([(np.arange(n) + 0.5) / share for n, share in zip(counts, shares, strict=True)])
    return owner[np.argsort(when, kind="stable")[:size]]


def _pick(weights: Sequence[float], size: int, offset: float) -> np.ndarray:
    """Which of some shares each of ``size`` turns goes to, (size,)."""
    ends = np.cumsum(weights) / np.sum(weights)
    points = low_discrepancy(np.arange(size), offset)
    return np.minimum(np.searchsorted(ends, points, side="right"), len(ends) - 1)
