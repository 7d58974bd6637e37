# SPDX-License-Identifier: GPL-3.0-or-later
"""A twinset command in a Blender of its own, beside this window: JSON lines go in and out, its messages to a log."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import bpy

log = logging.getLogger(__name__)

ROOT = __package__.rsplit(".", 2)[0]
"""The package as Blender or Python knows it: ``bl_ext.user_default.twinset``, or ``twinset``."""

_INSIDE_WHEEL = """
import sys, bpy, addon_utils
addon_utils.enable({root!r})
sys.exit(sys.modules[{root!r} + ".headless.blender_command"].execute(sys.argv[1:]))
"""

_running: list[Process] = []


def command_line(*arguments: str | Path) -> list[str]:
    """The command that runs ``twinset`` with these arguments on the Blender, packages and extension of this process.

    Scripts inside .blend files do not run there, whatever the preferences say.
    """
    words = [str(a) for a in arguments]
    if bpy.app.binary_path:
        python = [] if sys.flags.ignore_environment else ["--python-use-system-env"]
        start = [bpy.app.binary_path, "--background", "--disable-autoexec", *python, "--addons", ROOT]
        return [*start, "--command", "twinset", *words]
    if ROOT.startswith("bl_ext."):
        return [sys.executable, "-c", _INSIDE_WHEEL.format(root=ROOT), *words]
    return [sys.executable, "-m", f"{ROOT}.headless", *words]


class Process:
    """A running command.

    Its standard input ties it to this one: when that ends, by :meth:`close` or because Blender is gone, however that
    came about, it ends too.

    Parameters
    ----------
    command : list of str
    log_file : Path
        Where its messages go; begun anew.
    """

    def __init__(self, command: list[str], log_file: Path) -> None:
        self.log_file = log_file
        self.strays: list[str] = []
        self._lines: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        log_file.parent.mkdir(parents=True, exist_ok=True)
        log.info("Starting %s", command)
        with open(log_file, "wb") as messages:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=messages,
                env=_environment(),
                # Neither Ctrl-C in Blender's terminal nor a console window on Windows is meant for it.
                start_new_session=os.name != "nt",
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        self._reader = threading.Thread(target=self._read, name="twinset-answers", daemon=True)
        self._reader.start()
        _running.append(self)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs, or while not all of its lines are read."""
        return None if self._reader.is_alive() else self._process.poll()

    def send(self, **request: Any) -> bool:
        """Send a request; False where the process does not listen any more."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError):
            return False
        return True

    def received(self) -> list[dict[str, Any]]:
        """All that came since the last call."""
        out = []
        while not self._lines.empty():
            out.append(self._lines.get())
        return out

    def close(self, patience: float = 15.0) -> None:
        """End it soon: it may finish what is at hand, but is killed after ``patience`` seconds. Does not wait."""
        if self in _running:
            _running.remove(self)
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.close()  # type: ignore[union-attr]
        threading.Thread(target=self._see_off, args=(patience,), daemon=True).start()

    def last_words(self, lines: int = 20) -> list[str]:
        """The end of its log."""
        try:
            text = self.log_file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return []
        return [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]

    def _see_off(self, patience: float) -> None:
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                values = json.loads(line)
            except ValueError:
                values = None
            if isinstance(values, dict):
                self._lines.put(values)
            elif line.strip():
                # Blender's own chatter.
                self.strays = [*self.strays[-19:], line.decode("utf-8", "replace").rstrip()]
        # Reaps it, so that no zombie stays.
        self._process.wait()


def farewell(process: Process) -> str:
    """How a process came to its end that nobody asked for, in a sentence or two."""
    code = process.code or 0
    how = f"was killed (signal {-code})" if code < 0 else f"ended unexpectedly (code {code})"
    # What is killed does not know why.
    words = [] if code < 0 else process.last_words() or process.strays
    said = f" Its last words: {words[-1]}" if words else ""
    return f"The background Blender {how}.{said}"


def _environment() -> dict[str, str]:
    """This process's own, with the folder of this very package on the path where Python takes it from there."""
    out = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    if not ROOT.startswith("bl_ext."):
        home = str(Path(__file__).resolve().parents[3])
        out["PYTHONPATH"] = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH", "")]))
    return out


def end_all(patience: float = 5.0) -> None:
    """End all processes that run."""
    for process in list(_running):
        process.close(patience)


def register() -> None:
    """Nothing to add: processes start when they are needed."""


def unregister() -> None:
    """End all processes."""
    end_all()
