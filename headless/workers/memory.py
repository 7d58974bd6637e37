# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory this machine, or the container or job around this process, has, and how much a process takes."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path


def memory() -> tuple[int | None, int | None]:
    """Bytes of memory in all and free for programs; None where the system does not tell.

    Containers and batch systems give a process less than the machine has (control groups of Linux); then that counts.
    """
    total, free = _machine()
    limit = group_limit()
    if total is not None and limit is not None and limit < total:
        return limit, free if free is None else min(free, limit)
    return total, free


def _machine() -> tuple[int | None, int | None]:
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        return tuple(int(lines[key].split()[0]) * 1024 for key in ("MemTotal", "MemAvailable"))  # type: ignore[return-value]
    except (OSError, KeyError, ValueError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), None
    except (AttributeError, ValueError, OSError):
        return None, None


def group_limit(proc: Path = Path("/proc/self/cgroup"), mount: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes that the control groups around this process let it take; None where there is no such limit.

    A group cannot take more than any above it. Containers see their own group as the topmost.
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


def resident(pid: int | None = None) -> int:
    """Bytes of memory that a process has now, default this one; 0 where the system does not tell.

    Of this process it is the peak where the system tells no more.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid or 'self'}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    if pid is None:
        with contextlib.suppress(ImportError):
            import resource

            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return 0


def end_this_first() -> None:
    """Let the system, where it runs out of memory, end this process rather than others of its user."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
