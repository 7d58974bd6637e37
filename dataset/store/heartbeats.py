# SPDX-License-Identifier: GPL-3.0-or-later
"""Signs of life of the workers of a job: one small file each in the output folder, renewed while they render."""

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
from ..atomic_files import is_number, is_process_running, json_bytes, read_json_object, write_atomic

FOLDER = "workers"
INTERVAL = 10.0
"""Seconds between two signs of life."""
LOST_AFTER = 600.0
"""Seconds without one after which a worker of another machine counts as lost. Clocks of a farm differ a little."""


@attrs.frozen
class Worker:
    """What a worker said last. ``speed`` is frames per second, 0 before its first; ``error`` is why it stopped."""

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
        """``running``, ``lost`` where it ended without a word, or ``failed``."""
        if self.error:
            return "failed"
        # Of this machine's own processes more is known than when they were heard of last.
        gone = not is_process_running(self.pid) if self.host == socket.gethostname() else self.age > LOST_AFTER
        return "lost" if gone else "running"


class Heartbeat:
    """The signs of life of this process; use as a context manager around the frames that it renders.

    The file goes when the work is done; after an error it stays and says which. A disk that takes no signs of life is
    no reason to stop: the frames themselves tell what matters.
    """

    def __init__(self, out: Path, frames: range) -> None:
        self._path = out / FOLDER / f"{socket.gethostname()}-{os.getpid()}.json"
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
        """One more frame is rendered."""
        self._done += 1
        if time.monotonic() - self._beaten >= INTERVAL:
            self._write()

    def _write(self, error: str = "") -> None:
        self._beaten = time.monotonic()
        said = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "first": self._frames.start,
            "last": self._frames.stop - 1,
            "done": self._done,
            "seconds": self._beaten - self._started,
            "error": error,
        }
        with contextlib.suppress(OutputError):
            write_atomic(self._path, json_bytes(said))


def read_workers(out: Path) -> list[Worker]:
    """The workers that have said something in an output folder, by their frames; what cannot be read is left out."""
    return sorted((worker for _, worker in _read_heartbeats(out)), key=lambda w: (w.first, w.host, w.pid))


def remove_heartbeats(out: Path) -> None:
    """Remove what workers have said, once all frames are there."""
    for path in (out / FOLDER).glob("*.json"):
        _remove(path)


def _read_heartbeats(out: Path) -> Iterator[tuple[Path, Worker]]:
    for path in sorted((out / FOLDER).glob("*.json")):
        with contextlib.suppress(OSError, KeyError):
            said = read_json_object(path)
            numbers = [said[key] for key in ("pid", "first", "last", "done", "seconds")]
            if not all(is_number(n) and 0 <= n < 2**53 for n in numbers) or not isinstance(said["host"], str):
                continue
            pid, first, last, done = map(int, numbers[:4])
            # A sign from the future is as old as one from the past: somebody's clock has jumped.
            age = abs(time.time() - path.stat().st_mtime)
            yield path, Worker(said["host"], pid, first, last, done, float(numbers[4]), age, str(said["error"]))


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        path.parent.rmdir()  # only where no other worker has a file in it
