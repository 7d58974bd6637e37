# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker as its supervisor sees it: a process that renders frames, reports events, and may end at any time."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...engine.errors import StageError
from .memory import resident_memory

log = logging.getLogger(__name__)

Message = tuple["WorkerProcess", dict[str, Any] | None]
"""An event of a worker; None when it has ended."""


class WorkerProcess:
    """A process that renders frames of the job in an output folder.

    Parameters
    ----------
    recipe : Path
        The resolved recipe of the job.
    out : Path
        Output folder.
    messages : queue
        Receives its events, from another thread.
    options : list of str
        More options of ``twinset render``.
    variables : mapping
        More environment variables.
    """

    def __init__(
        self,
        recipe: Path,
        out: Path,
        messages: queue.SimpleQueue[Message],
        options: list[str],
        variables: Mapping[str, str],
    ) -> None:
        command = [*program(), "--json", "render", str(recipe), "-o", str(out), "--serve", *options]
        self.errors: list[str] = []
        """Its own error messages."""
        self.is_closing = False
        self._last_lines: deque[str] = deque(maxlen=5)
        self._messages = messages
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Wide enough for one line per sentence.
            env={**os.environ, "COLUMNS": "10000", "TERM": "dumb", **variables},
        )
        self._threads = [threading.Thread(target=f, daemon=True) for f in (self._read_events, self._read_log)]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def request(self, frames: range) -> None:
        """Request frames. If the process has ended, nothing happens; :meth:`end` returns its exit code."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            line = json.dumps({"first": frames.start, "last": frames.stop - 1}) + "\n"
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()

    def close(self) -> None:
        """Let it end after the current frame."""
        assert self._process.stdin is not None
        self.is_closing = True
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def resident_memory(self) -> int:
        """Its resident memory in bytes; 0 if unknown or if it has ended."""
        return resident_memory(self.pid) if self._process.poll() is None else 0

    def kill(self) -> None:
        """Kill it: files are written atomically, so only the current frame is lost."""
        self._process.kill()

    def end(self, seconds: float = 15.0) -> int:
        """Wait until it has ended, and kill it after some time; returns its exit code, negative for a signal."""
        self.close()
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        for thread in self._threads:
            thread.join(1.0)
        return code

    def failure(self, code: int) -> str:
        """Why it has ended, in words."""
        if self.errors:
            return " ".join(self.errors)
        if code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = str(-code)
            if name == "SIGKILL":
                return (
                    "It was killed (SIGKILL), probably because memory ran out. Start fewer workers, or run the same "
                    "command on a machine with more memory."
                )
            return f"It was ended by the signal {name}."
        output = " ".join(self._last_lines)
        return f"Its exit code was {code}. Its last output: {output}" if output else f"Its exit code was {code}."

    def _read_events(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if "error" in event:
                    self.errors = list(map(str, event["error"]))
                self._messages.put((self, event))
        self._messages.put((self, None))

    def _read_log(self) -> None:
        assert self._process.stderr is not None
        for raw in self._process.stderr:
            line = raw.decode("utf-8", "replace").strip()
            if not line:
                continue
            self._last_lines.append(line)
            level, _, text = line.partition(" ")
            if level == "WARNING":
                self._messages.put((self, {"event": "warning", "message": text.strip()}))
            else:
                log.debug("%d: %s", self.pid, line)


def program() -> list[str]:
    """The command line that starts this program again.

    Raises
    ------
    StageError
        Inside Blender's own Python, which cannot start it.
    """
    name = __package__.rpartition(".")[0]
    if name.split(".")[0] == "bl_ext" or not sys.executable:
        raise StageError("--workers needs the twinset command of a pip installation; omit the option inside Blender.")
    return [sys.executable, "-m", name]
