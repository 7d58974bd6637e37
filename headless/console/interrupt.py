# SPDX-License-Identifier: GPL-3.0-or-later
"""Ctrl-C: the first stops after the current frame, the second at once.

Python's own KeyboardInterrupt would be raised in Blender's render callbacks, which print and discard it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from types import FrameType
from typing import TypeVar

from .output import Output

T = TypeVar("T")

STOPPED = 130
"""Exit code after Ctrl-C, by the convention of shells."""


@contextlib.contextmanager
def interruptible(output: Output) -> Iterator[Callable[[], bool]]:
    """Defer Ctrl-C; yields a function that says whether it was pressed. Has no effect outside the main thread."""
    stopping = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        if stopping.is_set():
            # Files are written atomically, so nothing is lost; Blender would not abort its render.
            os._exit(STOPPED)
        stopping.set()
        output.message("Stopping after this frame. Press Ctrl-C again to stop at once.")

    if threading.current_thread() is not threading.main_thread():
        yield stopping.is_set
        return
    previous = signal.signal(signal.SIGINT, note)
    try:
        yield stopping.is_set
    finally:
        # None is a handler that Python did not set, such as Blender's own.
        signal.signal(signal.SIGINT, signal.SIG_DFL if previous is None else previous)


def until(is_stopping: Callable[[], bool], events: Iterable[T]) -> Generator[T, None, None]:
    """The events until Ctrl-C, then KeyboardInterrupt."""
    for event in events:
        yield event
        if is_stopping():
            raise KeyboardInterrupt
