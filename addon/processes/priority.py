# SPDX-License-Identifier: GPL-3.0-or-later
"""Priorities of background processes: behind the window, but for what somebody waits for."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

_NICE = 10


def lower_priority(pid: int) -> None:
    """Let the window come first for as long as the process runs, whatever it needs of the processor."""
    if os.name == "posix":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, pid, _NICE)
    set_behind_window(pid, is_behind=True)


def set_behind_window(pid: int, *, is_behind: bool) -> None:
    """Let the window come before a process, or treat both alike.

    macOS lets no process have a higher priority again, so there the priority stays as it is.

    Parameters
    ----------
    pid : int
        A process that leads a session of its own.
    is_behind : bool
        False while somebody waits for the process.
    """
    if sys.platform == "linux":
        # Linux divides the processor among sessions first, so a process in a session of its own is nice to none but
        # itself unless its session is [sched(7), "The autogroup feature"].
        with contextlib.suppress(OSError):
            Path(f"/proc/{pid}/autogroup").write_text(str(_NICE if is_behind else 0), encoding="ascii")
    elif sys.platform == "win32":
        import psutil

        with contextlib.suppress(psutil.Error):
            wanted = psutil.BELOW_NORMAL_PRIORITY_CLASS if is_behind else psutil.NORMAL_PRIORITY_CLASS
            psutil.Process(pid).nice(wanted)
