# SPDX-License-Identifier: GPL-3.0-or-later
"""A command tied to the program that started it: requests come on standard input, and its end ends the command."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any

from .interrupt import STOPPED

GRACE = 10.0
"""Seconds between the end of standard input and the end of the process, for the frame at hand."""


class Requests:
    """Lines of JSON on standard input, as a queue.

    Parameters
    ----------
    on_end : callable, optional
        Called, on another thread, when standard input ends: the program that asked is gone, or wants no more.
    """

    def __init__(self, on_end: Callable[[], None] = lambda: None) -> None:
        self._on_end = on_end
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._waiting: list[str | None] = []
        threading.Thread(target=self._read, name="twinset-requests", daemon=True).start()

    def next(self) -> dict[str, Any] | None:
        """Wait for a request; None at the end. What is no JSON object comes as ``{"unreadable": line}``."""
        line = self._waiting.pop(0) if self._waiting else self._lines.get()
        if line is None:
            return None
        try:
            request = json.loads(line)
        except ValueError:
            request = None
        return request if isinstance(request, dict) else {"unreadable": line.strip()}

    @property
    def waiting(self) -> bool:
        """Whether another request, or the end, has come."""
        while not self._lines.empty():
            self._waiting.append(self._lines.get())
        return bool(self._waiting)

    def _read(self) -> None:
        # Bytes by hand: a thread that is stuck in a buffered reader would keep the interpreter from ending.
        rest = b""
        with_end = True
        while with_end:
            try:
                chunk = os.read(sys.__stdin__.fileno(), 65536) if sys.__stdin__ is not None else b""
            except (OSError, ValueError):
                chunk = b""
            with_end = bool(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line.strip():
                    self._lines.put(line.decode("utf-8", "replace"))
        self._lines.put(None)
        self._on_end()


def ended() -> Callable[[], bool]:
    """A function that tells whether standard input has ended. Some time after that the process ends in any case."""
    over = threading.Event()

    def end() -> None:
        over.set()
        end_soon(STOPPED)

    Requests(on_end=end)
    return over.is_set


def end_soon(code: int, seconds: float = GRACE) -> None:
    """End the process after a while, whatever it is doing: files appear whole or not at all, so nothing is lost."""
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()
