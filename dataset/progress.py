# SPDX-License-Identifier: GPL-3.0-or-later
"""How functions that take long report their progress. A callback that raises ends the work."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with how much is done, and of how much."""

StepProgress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""
