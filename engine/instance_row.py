# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of one instance in a frame: metrics add to its row, filters judge it, records keep it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

InstanceRow = TypedDict(
    "InstanceRow",
    {
        "id": int,
        "class": str,
        "annotated": bool,
        # [x, y, w, h] in pixels of what is visible; None if nothing is.
        "bbox": Sequence[float] | None,
        # The asset's name.
        "shape": NotRequired[str],
        # Whether the instance is meant to meet the frame's main goal.
        "main": NotRequired[bool],
        # Visible pixels.
        "area": NotRequired[int],
        # Why the instance is not annotated; "" if it is.
        "reason": NotRequired[str],
        # Whether it is annotated as a crowd, which evaluators and trainers skip; not there where it is not.
        "ignored": NotRequired[bool],
        "columns": NotRequired[dict[str, Any]],
        # Index of its goal among those of a layout; None if it has none.
        "goal": NotRequired[int | None],
    },
)
"""A row of the sampler has all keys (``goal`` only where a layout was asked for); one read from a file at least the
first four."""
