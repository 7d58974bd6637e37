# SPDX-License-Identifier: GPL-3.0-or-later
"""Ctrl-C: the first stops after the frame at hand, the second at once.

Python's own KeyboardInterrupt would be raised inside Blender's render callbacks, which print and drop it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import TypeVar

from .output import Output

T = TypeVar("T")

STOPPED = 130
"""Exit code of a command that Ctrl-C has stopped, as shells have it."""


@contextlib.contextmanager
def interruptible(output: Output) -> Iterator[Callable[[], bool]]:
    """Meanwhile Ctrl-C is only noted; gives a function that tells whether it came. Outside the main thread, nothing."""
    stopping = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        if stopping.is_set():
            # Files appear whole or not at all, so nothing is lost; Blender would not let go of its render.
            os._exit(STOPPED)
        stopping.set()
        output.message("Stopping after this frame. Ctrl-C once more stops at once.")

    if threading.current_thread() is not threading.main_thread():
        yield stopping.is_set
        return
    previous = signal.signal(signal.SIGINT, note)
    try:
        yield stopping.is_set
    finally:
        signal.signal(signal.SIGINT, previous)


def until(is_stopping: Callable[[], bool], events: Iterable[T]) -> Iterator[T]:
    """The events until Ctrl-C, then KeyboardInterrupt."""
    for event in events:
        yield event
        if is_stopping():
            raise KeyboardInterrupt
