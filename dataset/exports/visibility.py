# SPDX-License-Identifier: GPL-3.0-or-later
"""What formats say of hidden objects, from the shares that rendered annotations have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_hidden(annotation: Mapping[str, Any]) -> bool:
    """Whether something is in front of an object: less of it is visible than what is inside the image."""
    known = annotation.get("twinset") or {}
    visible, beyond = known.get("visible_share"), known.get("truncated_share") or 0
    return visible is not None and visible < 1 - beyond - 1e-6
