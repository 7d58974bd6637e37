# SPDX-License-Identifier: GPL-3.0-or-later
"""How many lines of Python a call executes: what grows with the data where a loop should be numpy's."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def executed_lines(call: Callable[[], Any]) -> tuple[Any, int]:
    """What a call returns, and the number of lines of Python that it executes in this thread.

    It is the same on any machine under any load, which the seconds that a call takes are not.
    """
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        result = call()
    finally:
        sys.settrace(before)
    return result, count
