# SPDX-License-Identifier: GPL-3.0-or-later
"""Heartbeats of a job's workers: each keeps a small file in the output folder up to date while it renders."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import attrs

from ...engine.errors import OutputError
from ..atomic_files import (
    PendingFiles,
    is_number,
    is_process_running,
    json_bytes,
    read_json_object,
    temporary_name,
    write_atomic,
)

FOLDER = "workers"
INTERVAL = 10.0
"""Seconds between two heartbeats."""
LOST_AFTER = 600.0
"""A worker of another machine counts as lost after so many seconds without a heartbeat; clocks may differ."""


@attrs.frozen
class Worker:
    """The last heartbeat of a worker. ``speed`` is in frames per second, 0 at first; ``error`` is why it stopped."""

    host: str
    pid: int
    first: int
    last: int
    done: int
    seconds: float
    age: float
    error: str = ""

    @property
    def speed(self) -> float:
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def state(self) -> str:
        """``running``, ``failed`` with an error, or ``lost`` if it ended without one."""
        if self.error:
            return "failed"
        gone = not is_process_running(self.pid) if self.host == socket.gethostname() else self.age > LOST_AFTER
        return "lost" if gone else "running"


class Presence:
    """A file that keeps others from removing a folder in which this process begins to work; use as a context manager.

    From :meth:`show` on until the heartbeat takes over, or until the context ends. If the process is killed, the next
    one that uses the folder removes the file, as all temporary ones.
    """

    def __init__(self, out: Path) -> None:
        self._path = out / temporary_name("presence")
        self._is_wanted = False

    def __enter__(self) -> Presence:
        self._is_wanted = True
        return self

    def __exit__(self, *_: object) -> None:
        self._is_wanted = False
        self.end()

    def show(self) -> None:
        """Write the file, inside the context; raises OutputError if it cannot be written."""
        if self._is_wanted:
            with PendingFiles() as pending:
                pending.add(self._path, b"")
                pending.commit()

    def end(self) -> None:
        """Remove the file."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


class Heartbeat:
    """Writes the heartbeat of this process; use as a context manager around the frames that it renders.

    The file is removed when the work is done, and keeps the message after an error. Failed writes are ignored, as
    progress shows in the frames themselves.
    """

    def __init__(self, out: Path, frames: range) -> None:
        self._path = heartbeat_path(out, os.getpid())
        self._frames = frames
        self._started = self._beaten = time.monotonic()
        self._done = 0

    def __enter__(self) -> Heartbeat:
        for path, worker in _read_heartbeats(self._path.parents[1]):
            if worker.state == "lost":
                _remove(path)
        self._write()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            self._write(str(error))
            return
        _remove(self._path)

    def beat(self) -> None:
        """Count a rendered frame."""
        self._done += 1
        if time.monotonic() - self._beaten >= INTERVAL:
            self._write()

    def _write(self, error: str = "") -> None:
        self._beaten = time.monotonic()
        heartbeat = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "first": self._frames.start,
            "last": self._frames.stop - 1,
            "done": self._done,
            "seconds": self._beaten - self._started,
            "error": error,
        }
        with contextlib.suppress(OutputError):
            write_atomic(self._path, json_bytes(heartbeat))


def heartbeat_path(out: Path, pid: int) -> Path:
    """The heartbeat file of a process of this machine."""
    return out / FOLDER / f"{socket.gethostname()}-{pid}.json"


def read_workers(out: Path) -> list[Worker]:
    """The workers of an output folder, ordered by their frames; unreadable heartbeats are skipped."""
    return sorted((worker for _, worker in _read_heartbeats(out)), key=lambda w: (w.first, w.host, w.pid))


def remove_heartbeats(out: Path) -> None:
    """Remove all heartbeats, once all frames are there."""
    for path in (out / FOLDER).glob("*.json"):
        _remove(path)


def _read_heartbeats(out: Path) -> Iterator[tuple[Path, Worker]]:
    for path in sorted((out / FOLDER).glob("*.json")):
        with contextlib.suppress(OSError, KeyError):
            heartbeat = read_json_object(path)
            numbers = [heartbeat[key] for key in ("pid", "first", "last", "done", "seconds")]
            if not all(is_number(n) and 0 <= n < 2**53 for n in numbers) or not isinstance(heartbeat["host"], str):
                continue
            pid, first, last, done = map(int, numbers[:4])
            # A heartbeat from the future means that a clock was changed.
            age = abs(time.time() - path.stat().st_mtime)
            error = str(heartbeat["error"])
            yield path, Worker(heartbeat["host"], pid, first, last, done, float(numbers[4]), age, error)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        path.parent.rmdir()  # only where no other worker has a file in it
