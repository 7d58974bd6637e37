# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a function on many images in several processes, in order."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from ..alignment.columns.registry import added_columns, register
from ..engine.errors import DataError
from ..engine.plugin.columns import Column

T = TypeVar("T")
R = TypeVar("R")

_CHUNK = 16

_stopped: Any = None
"""In a worker process: the event that says that no more results are wanted."""


def _nothing() -> None:
    """Prepare nothing."""


@contextmanager
def mapped(
    function: Callable[[T], R],
    tasks: Sequence[T],
    workers: int,
    what: str,
    *,
    prepare: Callable[[], None] = _nothing,
) -> Iterator[Iterator[R]]:
    """The results of all tasks, in their order; leaving early, as with Ctrl-C, waits for the tasks that have begun.

    Parameters
    ----------
    function : callable
        Defined at the top of a module of this package, or a partial of such a function.
    tasks : sequence
    workers : int
        Processes; with one, all is done in this process.
    what : str
        What the processes do, for the error: ``measured images``.
    prepare : callable
        Called once in each process before its first task; as ``function``, it can be pickled.

    Raises
    ------
    DataError
        If a process is killed, as where memory runs out.
    """
    # A process started from inside Blender does not know the name under which Blender installed this package.
    if workers <= 1 or __name__.startswith("bl_ext."):
        prepare()
        yield map(function, tasks)
        return
    context = multiprocessing.get_context("spawn")
    stopped = context.Event()
    start = partial(_start, stopped, added_columns(), prepare)
    pool = ProcessPoolExecutor(workers, context, initializer=start)
    chunk = max(1, min(_CHUNK, len(tasks) // (workers * 4)))
    try:
        with _without_main(), _deaf_to_interrupts():
            results = pool.map(partial(_unless_stopped, function), tasks, chunksize=chunk)
        yield results
    except BrokenProcessPool:
        raise DataError(
            f"A process that {what} was killed, most likely because memory ran out. Use fewer workers."
        ) from None
    finally:
        stopped.set()
        pool.shutdown(wait=True, cancel_futures=True)


def processes_for(wanted: int, most: int) -> int:
    """How many processes to use: those wanted, 0 for one per processor, and at most as many as save time."""
    return max(1, min(wanted or _processors(), most))


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _without_main() -> Iterator[None]:
    """Let processes that start in this context not run the user's script again: their tasks need nothing of it."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Let processes that start in this context not hear Ctrl-C, which is for this process, even while they start."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(stopped: Any, added: Sequence[Column], prepare: Callable[[], None]) -> None:
    """Ignore Ctrl-C, which the parent process handles, and limit OpenCV to one thread.

    ``added`` are columns that were registered where the process was started.
    """
    global _stopped
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _stopped = stopped
    for column in added:
        register(column)
    cv2.setNumThreads(1)
    prepare()


def _unless_stopped(function: Callable[[T], R], task: T) -> R:
    """The result of a task; None, which nobody reads, once no more results are wanted."""
    return function(task) if _stopped is None or not _stopped.is_set() else None  # type: ignore[return-value]
