# SPDX-License-Identifier: GPL-3.0-or-later
"""What plugins give back to the engine: verdicts, columns, and the refusal of an attempt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np


@attrs.frozen
class Verdict:
    """Accepted, or rejected with a short reason that the funnel counts."""

    accepted: bool
    reason: str = ""
    unannotated: frozenset[int] = frozenset()
    """Ids of instances that stay in the picture without an annotation."""
    painted: frozenset[int] = frozenset()
    """Ids whose boxes are painted black, pixels of other annotated instances excepted; they are unannotated, too."""
    columns: Mapping[str, Mapping[int, Any]] = attrs.field(factory=dict)
    """What was measured on the way: column name to values by instance id."""
    score: float | None = None
    """The score of the whole frame, where one was compared with a threshold."""
    traits: Any = None
    """JSON values by which later frames of the block may be compared with this one."""
    removed: frozenset[int] = frozenset()
    """Ids of instances that are taken out of the picture; they are unannotated, too. Only verdicts on probes can do so:
    after the render, the frame is rejected."""
    ignored: frozenset[int] = frozenset()
    """Ids of instances annotated as crowds, which evaluators and trainers skip; they are unannotated, too."""


ACCEPTED = Verdict(True)


@attrs.frozen
class Columns:
    """What a metric measured: ``image`` name to number, ``bbox`` name to an (n,) array, one per instance."""

    image: Mapping[str, Any] = attrs.field(factory=dict)
    bbox: Mapping[str, np.ndarray | list[Any]] = attrs.field(factory=dict)


class Rejected(Exception):  # noqa: N818 - a verdict, not an error
    """Raised by placement and camera plugins where this attempt cannot continue; the funnel counts ``reason``."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
