# SPDX-License-Identifier: GPL-3.0-or-later
"""A twinset command that continues when Blender is closed, and is found again by the files that it writes."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from ...dataset.atomic_files import json_bytes, write_atomic
from .priority import lower_priority
from .process import environment, last_lines

log = logging.getLogger(__name__)

STOP_FILE = "stop"
"""File in the job's folder that asks the command to end after the current frame."""

UNKNOWN = 1
"""Exit code of a process that another Blender has started: the system tells its code to nobody else."""

_EVENTS, _LOG, _PROCESS = "events.jsonl", "log.txt", "process.json"
_CREATION_TOLERANCE = 2.0
"""Seconds by which the noted start of a process may differ from the system's."""


class DetachedProcess:
    """A running command whose output goes to files in a folder, so that it needs no other process.

    Parameters
    ----------
    folder : Path
        For its events, its log and the notes by which it is found.
    command : list of str, optional
        Starts this command; without it, the process that the folder's notes name is followed.
    """

    def __init__(self, folder: Path, command: list[str] | None = None) -> None:
        self.folder, self.log_file = folder, folder / _LOG
        self.other_output: list[str] = []
        self._popen: subprocess.Popen[bytes] | None = None
        self._at, self._rest = 0, b""
        self._last_event = ""
        if command is not None:
            self._start(command)
        notes = json.loads((folder / _PROCESS).read_text(encoding="utf-8"))
        self._pid, self._created = int(notes["pid"]), float(notes["created"])

    @property
    def pid(self) -> int:
        return self._pid

    @property
    def _process(self) -> subprocess.Popen[bytes]:
        assert self._popen is not None, "another Blender has started it"
        return self._popen

    @property
    def code(self) -> int | None:
        """The exit code, negative for a signal; None while the process runs or has unread output."""
        code = self._popen.poll() if self._popen is not None else self._code_by_notes()
        return None if code is None or self._has_unread() else code

    def take_messages(self) -> list[dict[str, Any]]:
        """The messages since the last call."""
        try:
            with open(self.folder / _EVENTS, "rb") as file:
                file.seek(self._at)
                data = file.read()
        except OSError:
            return []
        self._at += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        out = []
        for line in lines:
            try:
                values = json.loads(line)
            except ValueError:
                values = None
            if isinstance(values, dict):
                out.append(values)
                self._last_event = str(values.get("event", "error"))
            elif line.strip():
                self.other_output = [*self.other_output[-19:], line.decode("utf-8", "replace").rstrip()]
        return out

    def close(self, timeout: float = 30.0) -> None:
        """Ask the process to end after its frame, and kill it after ``timeout`` seconds. Returns at once."""
        if not self.is_alive:
            return
        with contextlib.suppress(OSError):
            (self.folder / STOP_FILE).touch()
        threading.Thread(target=self._wait_or_kill, args=(timeout,), daemon=True).start()

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        if self._popen is not None:
            return self._popen.poll() is None
        return self._code_by_notes() is None

    def log_tail(self, lines: int = 20) -> list[str]:
        """The last lines of its log."""
        return last_lines(self.log_file, lines)

    def _start(self, command: list[str]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / STOP_FILE).unlink(missing_ok=True)
        log.info("Starting %s", command)
        with open(self.folder / _EVENTS, "wb") as events, open(self.log_file, "wb") as messages:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=events,
                stderr=messages,
                env=environment(),
                # A group of its own: neither Ctrl-C in Blender's terminal nor the end of Blender reaches it.
                start_new_session=os.name != "nt",
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0)
                | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
                | getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0),
            )
        lower_priority(self._popen.pid)
        notes = {"pid": self._popen.pid, "created": _creation_time(self._popen.pid) or 0.0}
        write_atomic(self.folder / _PROCESS, json_bytes(notes))

    def _code_by_notes(self) -> int | None:
        created = _creation_time(self._pid)
        if created is not None and abs(created - self._created) < _CREATION_TOLERANCE:
            return None
        return 0 if self._last_event == "finished" else 130 if self._last_event == "stopped" else UNKNOWN

    def _has_unread(self) -> bool:
        try:
            return (self.folder / _EVENTS).stat().st_size > self._at
        except OSError:
            return False

    def _wait_or_kill(self, timeout: float) -> None:
        end = time.monotonic() + timeout
        while self.is_alive and time.monotonic() < end:
            time.sleep(0.1)
        if self.is_alive:
            _kill(self._pid)


def running_in(folder: Path) -> DetachedProcess | None:
    """The process that a job's folder notes; None if there is none or it has ended."""
    try:
        found = DetachedProcess(folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found.is_alive else None


def _creation_time(pid: int) -> float | None:
    """When a process was started, in seconds since the system was; None if there is none with this number.

    Not by the clock, which may be set meanwhile.
    """
    import psutil

    try:
        booted = psutil.boot_time()  # read now, and what the next line starts from
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time() - booted)
    except psutil.Error:
        return None


def _kill(pid: int) -> None:
    """Kill a process with those that it has started."""
    import psutil

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for each in (*process.children(recursive=True), process):
            with contextlib.suppress(psutil.Error):
                each.kill()
