# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls that may take so long and no longer."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from typing import Any

_GRACE = 1.0
"""Seconds that a call has to stop once it is told to."""


class Overdue(Exception):  # noqa: N818 - a finding, not an error
    """The call was not done in time."""


class _Stop(BaseException):
    """Raised inside of a call that is overdue."""


def within(seconds: float, function: Callable[[], Any]) -> tuple[Any, float]:
    """What ``function()`` gives and the seconds it took; whatever it raises comes through.

    Raises
    ------
    Overdue
        After ``seconds``. The call is told to stop at its next line of Python; one that sits in compiled code goes on
        in the background until it is done.
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
