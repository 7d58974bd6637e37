# SPDX-License-Identifier: GPL-3.0-or-later
"""The CPU cores of this machine, and how many of them libraries see."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def cpus() -> int:
    """CPU cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def one_blas_thread() -> None:
    """Limit linear algebra to one thread: more would busy-wait beside renders and gain little.

    Results then do not depend on the number of cores.
    """
    from threadpoolctl import threadpool_limits

    # For libraries that are loaded later.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    threadpool_limits(1, "blas")


@contextlib.contextmanager
def few_cores(threads: int) -> Iterator[None]:
    """Let libraries that are loaded in this context see only so many cores; 0 for all. Afterwards all are used again.

    Blender's task scheduler starts a thread for each core, whatever the threads of a render. They busy-wait, and those
    of one worker would slow down the others. Linux only; elsewhere nothing changes.
    """
    if not threads or not hasattr(os, "sched_setaffinity") or threads >= cpus():
        yield
        return
    usual = os.sched_getaffinity(0)
    cores = sorted(usual)
    # Workers that start together take different ones.
    first = os.getpid() % len(cores)
    os.sched_setaffinity(0, [*cores, *cores][first : first + threads])
    try:
        yield
    finally:
        for thread in Path("/proc/self/task").iterdir():
            with contextlib.suppress(OSError):  # it has ended
                os.sched_setaffinity(int(thread.name), usual)
