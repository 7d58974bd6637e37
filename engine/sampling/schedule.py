# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a frame: its room and part of the dataset, its variant and camera, and the target's draw."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import numpy as np

from ..recipe.settings import Recipe
from ..rng import low_discrepancy, stream
from ..sequences.groups import groups_of


@attrs.frozen
class Assignment:
    """What makes a frame.

    ``draw`` counts the frames before it that have drawn from the same target. A frame that ``is_empty`` shows none of
    the annotated objects that it was sampled with.
    """

    variant: int
    camera: int
    draw: int
    part: int = 0
    is_empty: bool = False


@attrs.frozen
class FramePlace:
    """The room and part of a frame. ``number`` counts the frames before it that are in the same room and part."""

    room: int
    part: int
    number: int


class FramePlan:
    """The places of all frames: rooms share the blocks, and parts of the dataset the frames, by weights.

    Groups of ``group`` frames, as those of a sequence, have one place and count as one.
    """

    def __init__(self, block: int, rooms: Sequence[float], parts: Sequence[float], group: int = 1) -> None:
        self._rooms, self._parts = tuple(rooms) or (1.0,), tuple(parts) or (1.0,)
        self._block, self._group = max(1, block // group), group
        self._places = np.empty((3, 0), int)

    def __call__(self, index: int) -> FramePlace:
        """The place of one frame (>= 0)."""
        index //= self._group
        if len(self._rooms) == len(self._parts) == 1:
            return FramePlace(0, 0, index)
        if self._places.shape[1] <= index:
            self._places = self._up_to(2 * index + 64)
        return FramePlace(*(int(v) for v in self._places[:, index]))

    def _up_to(self, size: int) -> np.ndarray:
        room = np.repeat(apportion(self._rooms, -(-size // self._block)), self._block)[:size]
        part = apportion(self._parts, size)
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
    takes_goals : sequence of bool
        Which of them take goals.
    target : int
        Which target it draws from: variants with the same number share its draws.
    """

    weight: float
    cameras: Sequence[float]
    takes_goals: Sequence[bool]
    target: int = 0


class Schedule:
    """The assignments of all frames. What a frame gets depends on its index and the seed alone.

    Variants share the frames by a low-discrepancy sequence, so that any run of frames has nearly their shares. Cameras
    share the frames of a variant in the same way, by another counter, since the two would be correlated otherwise.
    """

    def __init__(self, seed: int, shares: Sequence[Share]) -> None:
        self._shares = tuple(shares)
        self._offsets = stream(seed, "variant").uniform(), stream(seed, "camera").uniform()
        self._assignments = np.empty((3, 0), int)

    def __call__(self, index: int) -> Assignment:
        """The assignment of one frame (>= 0)."""
        if self._assignments.shape[1] <= index:
            self._assignments = self._up_to(2 * index + 64)
        variant, camera, draw = self._assignments[:, index].tolist()
        return Assignment(variant, camera, draw)

    def _up_to(self, size: int) -> np.ndarray:
        """Variant, camera and draw of the first ``size`` frames, (3, size)."""
        variant = _share_out([s.weight for s in self._shares], size, self._offsets[0])
        camera, target = np.zeros(size, int), np.full(size, -1)
        for number, share in enumerate(self._shares):
            own = np.flatnonzero(variant == number)
            camera[own] = _share_out(share.cameras, len(own), self._offsets[1])
            target[own] = np.where(np.asarray(share.takes_goals, bool)[camera[own]], share.target, -1)
        draw = np.zeros(size, int)
        for number in {s.target for s in self._shares}:
            mine = np.isin(variant, [k for k, s in enumerate(self._shares) if s.target == number])
            draws = (target == number).astype(int)
            draw[mine] = (np.cumsum(draws) - draws)[mine]
        return np.stack([variant, camera, draw])


class EmptyFrames:
    """Which frames of a room and part show none of the annotated objects.

    They are at random places, so that variants, cameras and draws have the same share of them, but every run of
    :data:`RUN` frames has its exact number.
    """

    RUN = 20

    def __init__(self, seed: int, share: float) -> None:
        self._seed, self._share = seed, share
        self._offset = stream(seed, "empty").uniform()

    def __call__(self, number: int) -> tuple[bool, int]:
        """Whether a frame is empty, and how many of the frames before it are as it is."""
        if not self._share:
            return False, number
        run, place = divmod(number, self.RUN)
        before = self._count(run)
        order = stream(self._seed, "empty", run).permutation(self.RUN)
        are_empty = order < self._count(run + 1) - before
        is_empty = bool(are_empty[place])
        earlier = before if is_empty else run * self.RUN - before
        return is_empty, earlier + int((are_empty[:place] == is_empty).sum())

    def _count(self, runs: int) -> int:
        """Empty frames of the first runs."""
        return math.floor(runs * self.RUN * self._share + self._offset)


def plan_of(recipe: Recipe) -> FramePlan:
    """The room and part of each frame of a recipe."""
    rooms = [room.weight for room in recipe.rooms]
    group = groups_of(recipe).size
    return FramePlan(recipe.render.block_size, rooms, list(recipe.split.shares.values()), group)


def apportion(weights: Sequence[float], size: int) -> np.ndarray:
    """Apportion ``size`` items to shares by their weights; returns the index of the share that gets each, (size,).

    The first n items are apportioned like n seats of a parliament by votes, by the method of Webster and Sainte-Laguë
    (1910), so that all shares get some even of few items. Between equal quotients the rounding of IEEE
    754 divisions decides, which is the same on every machine.
    """
    shares = np.asarray(weights, float) / np.sum(weights)
    counts = np.ceil(size * shares).astype(int) + len(shares) + 1
    owner = np.repeat(np.arange(len(shares)), counts)
    when = np.concatenate([(np.arange(n) + 0.5) / share for n, share in zip(counts, shares, strict=True)])
    return owner[np.argsort(when, kind="stable")[:size]]


def _share_out(weights: Sequence[float], size: int, offset: float) -> np.ndarray:
    """The share that each of ``size`` items goes to, (size,), by a low-discrepancy sequence with this offset."""
    ends = np.cumsum(weights) / np.sum(weights)
    points = low_discrepancy(np.arange(size), offset)
    return np.minimum(np.searchsorted(ends, points, side="right"), len(ends) - 1)
