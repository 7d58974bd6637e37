# SPDX-License-Identifier: GPL-3.0-or-later
"""Encodes and writes a frame in the background, while the next one is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import attrs

from ..engine.events import FrameDone


class FrameWriter:
    """One frame at a time, in order, by a thread of its own; leaving the ``with`` block waits for the last one.

    A frame is told as done once it is on the disk.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="twinset-writer")
        self._waiting: tuple[FrameDone, Future[Path | None]] | None = None

    def __enter__(self) -> FrameWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._thread.shutdown()

    def start(self, event: FrameDone, write: Callable[[], Path | None]) -> Iterator[FrameDone]:
        """Begin to write a frame, whose image ``write`` returns; the event of the one before, or its error."""
        before = self._wait()
        # Whoever stops listening now loses nothing: this frame is on its way.
        self._waiting = event, self._thread.submit(write)
        yield from before

    def done(self) -> Iterator[FrameDone]:
        """Wait for the frame that is being written, if any: its event, or the error that writing it raised."""
        yield from self._wait()

    def _wait(self) -> list[FrameDone]:
        if self._waiting is None:
            return []
        (event, image), self._waiting = self._waiting, None
        return [attrs.evolve(event, image=image.result())]
