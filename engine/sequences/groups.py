# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames share one layout, and which moment, camera or view each of them is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from ..recipe.settings import Recipe


TRACKS = 10_000
"""Numbers of tracks that each sequence has; an image shows fewer instances."""


@attrs.frozen
class FrameRole:
    """What a frame is in its group: the group's ``number``, the moment (``step``), and the camera (``view``), each from
    0. ``key`` is the first frame of the group, for which its layout is made."""

    number: int
    step: int
    view: int
    key: int

    @property
    def is_key(self) -> bool:
        return not (self.step or self.view)


@attrs.frozen
class FrameGroups:
    """Groups of consecutive frames: all moments of a sequence in order, and of each moment all cameras; or ``views`` of
    one layout, each by a camera that is posed for it."""

    length: int = 1
    cameras: tuple[str, ...] = ("1",)
    fps: float = 1.0
    views: int = 1

    @property
    def size(self) -> int:
        """Frames in a group; 1 where frames are independent."""
        return self.length * len(self.cameras) * self.views

    @property
    def has_takes(self) -> bool:
        """Whether groups are sequences, or seen by rigs."""
        return self.size > self.views

    def role(self, frame: int) -> FrameRole:
        """What a frame is in its group."""
        number, place = divmod(frame, self.size)
        step, view = (0, place) if self.views > 1 else divmod(place, len(self.cameras))
        return FrameRole(number, step, view, number * self.size)

    def record(self, role: FrameRole) -> dict[str, Any]:
        """What records say of a frame's role in a sequence or rig; empty where it is in none."""
        if not self.has_takes:
            return {}
        named = {"camera": self.cameras[role.view]} if len(self.cameras) > 1 else {}
        timed = {"time": role.step / self.fps} if self.length > 1 else {}
        return {"number": role.number, "step": role.step, "view": role.view, **timed, **named}


def groups_of(recipe: Recipe) -> FrameGroups:
    """How the frames of a recipe share layouts."""
    further = (each.name or str(number) for number, each in enumerate(recipe.rig, 2))
    return FrameGroups(recipe.sequence.length, ("1", *further), recipe.sequence.fps, recipe.views)


def track_of(draws: Mapping[str, Any], instance: int) -> int | None:
    """The number by which an instance is known in all frames of its sequence, and in no other one; None where frames
    are independent."""
    role = draws.get("sequence")
    return role["number"] * TRACKS + instance if role else None


def is_key_record(draws: Mapping[str, Any]) -> bool:
    """Whether the layout was made for a recorded frame, from its ``draws``; always where frames are independent."""
    role = draws.get("sequence")
    return not role or not (role["step"] or role["view"])
