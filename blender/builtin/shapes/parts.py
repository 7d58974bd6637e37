# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a built-in shape."""

from __future__ import annotations

from .materials import Finish
from .solid_geometry import Solid

Parts = list[tuple[Finish, Solid]]
"""Solids in metres, standing on z = 0, each with its finish."""
