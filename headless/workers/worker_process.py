# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker as its supervisor sees it: a process that takes shares, tells events, and may end at any time."""

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
from .memory import resident

log = logging.getLogger(__name__)

Heard = tuple["WorkerProcess", dict[str, Any] | None]
"""What a worker said; None when it says no more."""


class WorkerProcess:
    """A process that renders shares of the job in an output folder.

    Parameters
    ----------
    out : Path
        Output folder; the recipe in it is what is rendered.
    heard : queue
        Where its events go, from another thread.
    options : list of str
        More options of ``twinset render``.
    variables : mapping
        More environment variables.
    """

    def __init__(
        self, out: Path, heard: queue.SimpleQueue[Heard], options: list[str], variables: Mapping[str, str]
    ) -> None:
        command = [*program(), "--json", "render", str(out / "recipe.toml"), "-o", str(out), "--serve", *options]
        self.errors: list[str] = []
        """Why it cannot go on, in its own words."""
        self.is_closing = False
        self._said: deque[str] = deque(maxlen=5)
        self._heard = heard
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # So wide that no sentence is broken into lines.
            env={**os.environ, "COLUMNS": "10000", "TERM": "dumb", **variables},
        )
        self._threads = [threading.Thread(target=f, daemon=True) for f in (self._listen, self._overhear)]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, share: range) -> None:
        """Ask for the frames of a share. Nothing happens where the process has ended, which :meth:`end` tells."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            line = json.dumps({"first": share.start, "last": share.stop - 1}) + "\n"
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()

    def close(self) -> None:
        """Let it end after the frame at hand."""
        assert self._process.stdin is not None
        self.is_closing = True
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def resident(self) -> int:
        """Bytes of memory that it has now; 0 where the system does not tell, or it has ended."""
        return resident(self.pid) if self._process.poll() is None else 0

    def kill(self) -> None:
        """End it at once: files appear whole or not at all, so nothing is lost but the frame at hand."""
        self._process.kill()

    def end(self, seconds: float = 15.0) -> int:
        """Wait until it has ended, by force after some time; its exit code, negative for a signal."""
        self.close()
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        for thread in self._threads:
            thread.join(1.0)
        return code

    def why(self, code: int) -> str:
        """Why it has ended, for people."""
        if self.errors:
            return " ".join(self.errors)
        if code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = str(-code)
            if name == "SIGKILL":
                return (
                    "It was ended by SIGKILL, as systems do where memory runs out. If that is why, start fewer "
                    "workers, or run the same command on a machine with more memory."
                )
            return f"It was ended by {name}."
        said = " ".join(self._said)
        return f"Its exit code was {code}. It said last: {said}" if said else f"Its exit code was {code}."

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if "error" in event:
                    self.errors = list(map(str, event["error"]))
                self._heard.put((self, event))
        self._heard.put((self, None))

    def _overhear(self) -> None:
        assert self._process.stderr is not None
        for raw in self._process.stderr:
            line = raw.decode("utf-8", "replace").strip()
            if not line:
                continue
            self._said.append(line)
            level, _, text = line.partition(" ")
            if level == "WARNING":
                self._heard.put((self, {"event": "warning", "message": text.strip()}))
            else:
                log.debug("%d: %s", self.pid, line)


def program() -> list[str]:
    """The command line that starts this program once more.

    Raises
    ------
    StageError
        Inside Blender's own Python, where only Blender can start it.
    """
    name = __package__.rpartition(".")[0]
    if name.split(".")[0] == "bl_ext" or not sys.executable:
        raise StageError("--workers needs the twinset command of a pip installation; leave the option out here.")
    return [sys.executable, "-m", name]
