# SPDX-License-Identifier: GPL-3.0-or-later
"""Calibration files, whichever program wrote them."""

from __future__ import annotations

from pathlib import Path

from ...engine.errors import DataError
from ...engine.scene.intrinsics import Intrinsics


def read_calibration(path: Path, camera: str = "", size: tuple[int, int] | None = None) -> Intrinsics:
    """The optics that a calibration file describes."""
    raise DataError(f"The calibration file '{path}' has a format that is not known.")
