# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a frame as types: :mod:`.record` builds it, :mod:`.record_check` checks files against it."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Required, TypedDict

try:
    from msgspec import Meta
except ModuleNotFoundError:
    Meta = dict  # type: ignore[assignment,misc]  # records are read unchecked then, see :mod:`.record_check`

from ...engine.instance_row import InstanceRow
from ..formats.rle_masks import Rle

ACCEPTED: Final = "accepted"
GIVEN_UP: Final = "given up"
FILTERED: Final = "filtered"
"""Verdict of a frame that was accepted and later removed from its dataset, and reason of an annotation removed so.

Both still count for the later frames of their block, which were sampled while they were there."""

Verdict = Literal["accepted", "given up", "filtered"]
Count = Annotated[int, Meta(ge=0, lt=2**31)]
Matrix = Annotated[list[float], Meta(min_length=16, max_length=16)]
"""A matrix (4, 4), row by row."""


class FileEntry(TypedDict):
    """A file of the frame; ``path`` is relative to the output folder."""

    path: str
    sha256: str


class ImageEntry(TypedDict, total=False):
    """File name and size in pixels, as in COCO."""

    file_name: str
    width: Count
    height: Count


class IntrinsicsEntry(TypedDict, total=False):
    """The optics of a real camera in pixels, see :class:`...engine.scene.intrinsics.Intrinsics`."""

    focal: list[float]
    center: list[float]
    distortion: str
    coefficients: list[float]


class CameraEntry(TypedDict, total=False):
    """The camera in the scene; lens and sensor in millimetres, focal length in pixels, near plane in metres."""

    matrix: Required[Matrix]
    lens: float
    sensor_width: float
    focal: float
    near: float
    intrinsics: IntrinsicsEntry


class Call(TypedDict):
    """A recorded call of an appearance plugin; its arguments are further keys."""

    call: str


class DrawnEffect(TypedDict):
    """An effect that a picture got, by its id; what it drew are further keys."""

    effect: str


class SequenceEntry(TypedDict, total=False):
    """What a frame is in its sequence, see :class:`...engine.sequences.groups.FrameRole`; ``time`` is in seconds,
    ``camera`` names that of a rig."""

    number: Required[Count]
    step: Required[Count]
    view: Required[Count]
    time: float
    camera: str


class LayoutEntry(TypedDict):
    """The frame for which a frame's layout was made, and which view of it the frame is, from 0."""

    frame: Count
    view: Count


class Draws(TypedDict, total=False):
    """What was drawn for a frame: variant, room and part where the recipe has several, camera, appearance, effects, and
    what it is in its sequence; in a recipe with views, which layout it shows."""

    camera: str
    variant: str
    room: str
    part: str
    appearance: list[Call]
    effects: list[DrawnEffect]
    sequence: SequenceEntry
    layout: LayoutEntry


class GoalEntry(TypedDict, total=False):
    """What a box was meant to be, see :class:`...engine.goals.Goal`."""

    class_name: str
    area: float
    center: list[float]
    component: int
    aspect: float | None
    cut: list[str]


class GoalsEntry(GoalEntry, total=False):
    """The main goal, and under ``boxes`` all goals of a layout; rows refer to these by index."""

    boxes: list[GoalEntry]


class RefusedAttempt(TypedDict, total=False):
    """An attempt that a gate refused, see :class:`...engine.sampling.gates.Refusal`.

    ``boxes`` holds class, shape, score and relative area of each.
    """

    attempt: Required[Count]
    stage: Required[str]
    reason: str
    score: Required[float | None]
    boxes: Required[list[tuple[str, str, float | None, float]]]
    elevation: Required[float]
    appearance: Required[list[Call]]


class GateEntry(TypedDict):
    """What a gate said of an accepted frame."""

    score: float | None
    traits: list[Any]


class GoalColumn(TypedDict):
    """The values that a frame shows of one column goal, and how they were steered."""

    way: str
    values: list[float]


class ColumnGoals(TypedDict):
    """How many attempts were compared, and what the chosen one shows of each column goal."""

    compared: Count
    shown: list[GoalColumn]


class InstanceRecord(InstanceRow, total=False):
    """The row of an instance with its pose and visible mask, and the entries that annotation sources declare."""

    matrix: Matrix
    segmentation: Rle


class Bystander(TypedDict, total=False):
    """A placed object that is never annotated, such as a distractor."""

    id: int
    shape: str
    matrix: Matrix


class FrameContent(TypedDict, total=False):
    """All that is known of a frame before it is stored.

    Only frames with a shot have ``image``, ``camera``, ``columns`` and ``bystanders``. ``twinset`` is the version.
    ``exposure`` is ``"black"`` or ``"white"`` for pictures that nearly are.
    """

    twinset: str
    seed: int
    verdict: Required[Verdict]
    attempts: Count
    rejected: list[str]
    refused: list[RefusedAttempt]
    goals: GoalsEntry
    draws: Draws
    gate: GateEntry
    aims: ColumnGoals
    image: ImageEntry
    exposure: str
    camera: CameraEntry
    columns: dict[str, Any]
    instances: list[InstanceRecord]
    bystanders: list[Bystander]


class FrameRecord(FrameContent):
    """A stored frame: its index, and its files by kind: ``image``, ``ids`` and ``depth``, as far as there are any."""

    frame: int
    files: dict[str, FileEntry]
