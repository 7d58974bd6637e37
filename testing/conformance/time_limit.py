# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls with a time limit."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from typing import Any

_GRACE = 1.0
"""Seconds that a call gets to stop after it was asked to."""


class Overdue(Exception):  # noqa: N818 - a finding, not an error
    """The call did not finish in time."""


class _Stop(BaseException):
    """Raised inside a call that is overdue."""


def call_within(seconds: float, function: Callable[[], Any]) -> tuple[Any, float]:
    """The result of ``function()`` and the seconds it took; its exceptions pass through.

    Raises
    ------
    Overdue
        After ``seconds``. The call is stopped at its next line of Python; compiled code continues in the background
        until it returns.
    """
    box: list[Any] = []

    def work() -> None:
        try:
            box[:] = [True, function()]
        except BaseException as error:
            box[:] = [False, error]

    thread = threading.Thread(target=work, daemon=True)
    start = time.perf_counter()
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_Stop))
        thread.join(_GRACE)
        raise Overdue
    took = time.perf_counter() - start
    done, value = box
    if not done:
        raise value
    return value, took
