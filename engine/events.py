# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress events of a job, the same for the command line, the add-on and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs


@attrs.frozen
class Started:
    """Stage and target are ready. ``notes`` are sentences for the user, such as which goals are out of reach."""

    frames: int
    present: int
    notes: tuple[str, ...] = ()


@attrs.frozen
class Stepped:
    """A long step has begun; shown as the caption of the progress bar."""

    message: str


@attrs.frozen
class FrameDone:
    """One frame is written (``image``), was there already, or was given up (``image`` None)."""

    frame: int
    done: int
    total: int
    image: Path | None
    attempts: int
    resumed: bool = False


@attrs.frozen
class Funnel:
    """Attempts tried, rejected by stage and reason, accepted, given up."""

    tried: int
    rejected: Mapping[str, int]
    accepted: int
    given_up: int
    rejected_after_render: int
    gate: Mapping[str, Any] = attrs.field(factory=dict)
    """Gates: counts, thresholds, and acceptance ``by`` shape, camera, size, ...; empty without gates."""
    goals: Sequence[Mapping[str, Any]] = ()
    """How well each goal for a column was met, and how it was measured; empty without goals."""
    boxes: Mapping[str, int] = attrs.field(factory=dict)
    """Of accepted frames with layouts: how many boxes were ``asked`` for, ``shown`` and ``left_out``, and how many
    annotated ones are ``no_goal``; empty without any."""
    exposure: Mapping[str, int] = attrs.field(factory=dict)
    """Of accepted frames: how many pictures are nearly ``black`` or ``white``; empty without any."""
    drift: Mapping[str, float] = attrs.field(factory=dict)
    """How far boxes of sequences and rigs are from those of the frame that their layout was made for; empty without."""


@attrs.frozen
class Finished:
    """All frames asked for are done and annotations are written."""

    out: Path
    images: int
    annotations: int
    funnel: Funnel
    contact_sheet: Path | None
    report: Path | None = None
    absent: tuple[int, ...] = ()
    """Frames of the job that have no intact record and picture."""


@attrs.frozen
class ShareDone:
    """All frames of a share, from ``first`` to ``last``, are done; annotations wait for the other shares."""

    out: Path
    first: int
    last: int


Event = Started | Stepped | FrameDone | Funnel | Finished | ShareDone
