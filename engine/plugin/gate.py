# SPDX-License-Identifier: GPL-3.0-or-later
"""The protocol of gates: filters that read files, look at cheap drafts first, or learn from a warm-up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs
import numpy as np

from ..stage import Shot
from .results import Verdict


@attrs.frozen
class Draft:
    """The cheap picture that a gate wants to see first: its ``scale`` and ``samples``, see :meth:`..Stage.draft`."""

    scale: float
    samples: int


class Gate(Protocol):
    """What :meth:`.kinds.Filter.open_gate` returns: a filter at work.

    A gate's answers must follow from the arguments alone. Rows are those still to be annotated, see
    :class:`..instance_row.InstanceRow`; their boxes are in pixels of a picture of ``size`` (width, height).

    The engine calls, in this order: :meth:`measure` for each warm-up frame, :meth:`learn` and :meth:`taught` once
    after the warm-up, then for each attempt :meth:`judge_draft` and :meth:`judge`, and :meth:`report` at the end.
    """

    warm_up: int
    """Number of frames to learn from before the first one; 0 for none. They are the same on every machine."""
    draft: Draft | None
    fingerprint: str
    """Changes with the files that were read: frames of two fingerprints do not belong into one dataset."""
    floor: float
    """Share of judged attempts that must pass; below it, the job stops with a message."""

    def measure(self, picture: np.ndarray, rows: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> Any:
        """What is learned from, of one picture of whatever size."""
        ...

    def learn(self, samples: Sequence[tuple[Any, Any]]) -> dict[str, Any]:
        """What the warm-up shows, as JSON values.

        ``samples`` holds for each frame what :meth:`measure` gave for its draft (or None) and for its full picture.
        """
        ...

    def taught(self, learned: Mapping[str, Any]) -> Gate:
        """The gate that applies what :meth:`learn` gave."""
        ...

    def judge_draft(self, picture: np.ndarray, rows: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> Verdict:
        """The verdict on a draft; accepted where only the full picture can decide."""
        ...

    def judge(self, shot: Shot, rows: Sequence[Mapping[str, Any]], seen: Sequence[Any] = ()) -> Verdict:
        """The verdict on a shot; ``seen`` holds the traits of earlier accepted frames of the block."""
        ...

    def report(self) -> dict[str, Any]:
        """Thresholds and related figures, as JSON values, for summaries."""
        ...
