# SPDX-License-Identifier: GPL-3.0-or-later
"""Standard input as a channel from the parent process: requests as JSON lines, and its end as a request to stop."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .interrupt import STOPPED

GRACE = 10.0
"""Seconds from the end of standard input to the end of the process, to complete the current frame."""


class Requests:
    """Lines of JSON on standard input, as a queue.

    Parameters
    ----------
    on_end : callable, optional
        Called, on another thread, when standard input ends: the parent has ended or needs nothing more.
    """

    def __init__(self, on_end: Callable[[], None] = lambda: None) -> None:
        self._on_end = on_end
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._pending: list[str | None] = []
        threading.Thread(target=self._read, name="twinset-requests", daemon=True).start()

    def next(self) -> dict[str, Any] | None:
        """Wait for a request; None at the end. A line that is not a JSON object becomes ``{"unreadable": line}``."""
        line = self._pending.pop(0) if self._pending else self._lines.get()
        if line is None:
            return None
        try:
            request = json.loads(line)
        except ValueError:
            request = None
        return request if isinstance(request, dict) else {"unreadable": line.strip()}

    @property
    def waiting(self) -> bool:
        """Whether another request, or the end, has arrived."""
        while not self._lines.empty():
            self._pending.append(self._lines.get())
        return bool(self._pending)

    def arrives_within(self, seconds: float) -> bool:
        """Wait so long for another request, or the end, at most; whether one has arrived."""
        if not self.waiting:
            try:
                self._pending.append(self._lines.get(timeout=seconds))
            except queue.Empty:
                return False
        return True

    def _read(self) -> None:
        # Unbuffered: a thread blocked in a buffered reader would keep the interpreter from exiting.
        rest = b""
        is_open = True
        while is_open:
            try:
                chunk = os.read(sys.__stdin__.fileno(), 65536) if sys.__stdin__ is not None else b""
            except (OSError, ValueError):
                chunk = b""
            is_open = bool(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line.strip():
                    self._lines.put(line.decode("utf-8", "replace"))
        self._lines.put(None)
        self._on_end()


def watch_stdin() -> Callable[[], bool]:
    """Return a function that says whether standard input has ended. The process exits soon after it has."""
    is_ended = threading.Event()

    def end() -> None:
        is_ended.set()
        exit_later(STOPPED)

    Requests(on_end=end)
    return is_ended.is_set


def watch_file(path: Path) -> Callable[[], bool]:
    """Return a function that says whether a file exists, by which another process asks this one to stop.

    It looks only when it is called: a thread beside Blender's renders could crash them.
    """
    return path.exists


def exit_later(code: int, seconds: float = GRACE) -> None:
    """Exit after some seconds, whatever the process is doing: files are written atomically, so nothing is lost."""
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()
