# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a twinset command in a background Blender, with JSON lines as input and output and a log file."""

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

from .priority import lower_priority, set_behind_window

log = logging.getLogger(__name__)

ROOT = __package__.rsplit(".", 2)[0]
"""The name of the package: ``bl_ext.user_default.twinset`` as an extension, or ``twinset``."""

_SCRIPT_FOR_BPY_MODULE = """
import sys, bpy, addon_utils
addon_utils.enable({root!r})
sys.exit(sys.modules[{root!r} + ".headless.blender_command"].execute(sys.argv[1:]))
"""

_running: list[Process] = []


def command_line(*arguments: str | Path) -> list[str]:
    """The command that runs ``twinset`` with these arguments, with this process's Blender, packages and extension.

    Scripts in .blend files never run there, regardless of the preferences.
    """
    texts = [str(a) for a in arguments]
    if bpy.app.binary_path:
        python = [] if sys.flags.ignore_environment else ["--python-use-system-env"]
        start = [bpy.app.binary_path, "--background", "--disable-autoexec", *python, "--addons", ROOT]
        return [*start, "--command", "twinset", *texts]
    if ROOT.startswith("bl_ext."):
        return [sys.executable, "-c", _SCRIPT_FOR_BPY_MODULE.format(root=ROOT), *texts]
    return [sys.executable, "-m", f"{ROOT}.headless", *texts]


class Process:
    """A running command.

    It ends when its standard input is closed: by :meth:`close`, or because this Blender has ended or crashed.

    Parameters
    ----------
    command : list of str
    log_file : Path
        File for its messages; overwritten.
    is_waited_for : bool
        Whether somebody waits for it now, so that it does not come after the window; :meth:`set_waited_for` changes it.
    """

    def __init__(self, command: list[str], log_file: Path, *, is_waited_for: bool = False) -> None:
        self.log_file = log_file
        self.other_output: list[str] = []
        self._lines: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        log_file.parent.mkdir(parents=True, exist_ok=True)
        log.info("Starting %s", command)
        with open(log_file, "wb") as messages:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=messages,
                env=environment(),
                # Do not pass on Ctrl-C in Blender's terminal, and open no console window on Windows.
                start_new_session=os.name != "nt",
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0)
                | (0 if is_waited_for else getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)),
            )
        self._is_waited_for = is_waited_for
        if not is_waited_for:
            lower_priority(self._process.pid)
        self._reader = threading.Thread(target=self._read, name="twinset-answers", daemon=True)
        self._reader.start()
        _running.append(self)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """The exit code, negative for a signal; None while the process runs or has unread output."""
        return None if self._reader.is_alive() else self._process.poll()

    def send(self, **request: Any) -> bool:
        """Send a request; False if the process no longer accepts input."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError):
            return False
        return True

    def set_waited_for(self, is_waited_for: bool) -> None:
        """Let the window come first, or, while somebody waits for an answer, treat the process like the window."""
        if is_waited_for != self._is_waited_for:
            self._is_waited_for = is_waited_for
            set_behind_window(self.pid, is_behind=not is_waited_for)

    def take_messages(self) -> list[dict[str, Any]]:
        """The messages since the last call."""
        out = []
        while not self._lines.empty():
            out.append(self._lines.get())
        return out

    def close(self, timeout: float = 15.0) -> None:
        """Ask the process to end, and kill it after ``timeout`` seconds. Returns at once."""
        if self in _running:
            _running.remove(self)
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.close()  # type: ignore[union-attr]
        threading.Thread(target=self._wait_or_kill, args=(timeout,), daemon=True).start()

    def log_tail(self, lines: int = 20) -> list[str]:
        """The last lines of its log."""
        return last_lines(self.log_file, lines)

    def _wait_or_kill(self, timeout: float) -> None:
        try:
            self._process.wait(timeout)
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
                # Blender's own output.
                self.other_output = [*self.other_output[-19:], line.decode("utf-8", "replace").rstrip()]
        # Collect the exit status, so that no zombie process remains.
        self._process.wait()


def last_lines(file: Path, lines: int) -> list[str]:
    """The last lines of a log that are not empty; none if it cannot be read."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]


def exit_message(process: Any) -> str:
    """A message for a process that has ended unexpectedly, with the last line of its log."""
    code = process.code or 0
    how = f"was killed (signal {-code})" if code < 0 else f"ended unexpectedly (code {code})"
    # The log of a killed process does not contain the cause.
    lines = [] if code < 0 else process.log_tail() or process.other_output
    last_line = f" Its last message: {lines[-1]}" if lines else ""
    return f"The background Blender {how}.{last_line}"


def environment() -> dict[str, str]:
    """This process's environment, with the folder of the package on the path if it is not an extension."""
    out = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    if not ROOT.startswith("bl_ext."):
        folder = str(Path(__file__).resolve().parents[3])
        out["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH", "")]))
    return out


def end_all(timeout: float = 5.0) -> None:
    """End all running processes."""
    for process in list(_running):
        process.close(timeout)


def register() -> None:
    """Nothing to do: processes are started when they are needed."""


def unregister() -> None:
    """End all processes."""
    end_all()
