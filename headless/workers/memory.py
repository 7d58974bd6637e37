# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory of this machine, or of the container or job around this process, and the memory that a process uses."""

from __future__ import annotations

import contextlib
from pathlib import Path


def memory() -> tuple[int, int]:
    """Memory in bytes: in total, and available to programs.

    Containers and batch systems give a process less than the machine has (control groups of Linux); then that counts.
    """
    import psutil

    machine = psutil.virtual_memory()
    limit = group_limit() or machine.total
    return min(machine.total, limit), min(machine.available, limit)


def group_limit(proc: Path = Path("/proc/self/cgroup"), mount: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Memory limit in bytes of the control groups around this process; None if there is no such limit.

    A group is limited by all groups above it. Containers see their own group as the topmost. psutil does not know them.
    """
    limits = []
    with contextlib.suppress(OSError):
        for line in proc.read_text().splitlines():
            _, controllers, name = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            root, file = (mount / "memory", "memory.limit_in_bytes") if controllers else (mount, "memory.max")
            group = Path("/", name.lstrip("/"))
            for folder in (group, *group.parents):
                with contextlib.suppress(OSError, ValueError):  # "max" is no limit
                    limits.append(int((root / folder.relative_to("/") / file).read_text()))
    return min(limits, default=None)


def resident_memory(pid: int | None = None) -> int:
    """Resident memory of a process in bytes, by default of this one; 0 if it has ended."""
    import psutil

    try:
        return psutil.Process(pid).memory_info().rss
    except psutil.Error:
        return 0


def prefer_as_oom_victim() -> None:
    """Let Linux, when it runs out of memory, kill this process before others of its user."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
