# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the files of a dataset with ``twinset verify`` in the background."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import attrs
import bpy

from .process import Process, command_line, exit_message
from .redraw import redraw_panels

TICK = 0.25
_INTACT, _DAMAGED = 0, 3
"""Exit codes of ``twinset verify``."""


@attrs.define(eq=False)
class Check:
    """A check of a dataset: ``lines`` has its result in sentences, ``is_right`` whether all files are intact."""

    out: Path
    process: Process | None = None
    lines: list[str] = attrs.field(factory=list)
    is_right: bool = False


_checks: list[Check] = []


def latest() -> Check | None:
    """The check that runs or has ended last."""
    return _checks[0] if _checks else None


def check(out: Path) -> Check:
    """Check the files of a folder against their checksums; OSError if Blender cannot be started."""
    log_file = Path(tempfile.mkdtemp(prefix="twinset-check-", dir=bpy.app.tempdir)) / "log.txt"
    _checks[:] = [Check(out, Process(command_line("--json", "verify", out, "--sample", "0"), log_file))]
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=TICK, persistent=True)
    return _checks[0]


def process_messages() -> bool:
    """Process the result; returns whether the check has ended."""
    current = latest()
    if current is None or current.process is None:
        return True
    for line in current.process.take_messages():
        current.lines = _sentences(line)
    code = current.process.code
    if code is None:
        return False
    current.is_right = code == _INTACT
    if code not in (_INTACT, _DAMAGED) and not current.lines:
        current.lines = [exit_message(current.process)]
    current.process.close()
    current.process = None
    return True


def _sentences(values: dict[str, Any]) -> list[str]:
    """The result of the command in sentences."""
    if "error" in values:
        return list(values["error"])
    damaged, changed = values["damaged"], values["changed"]
    out = []
    if damaged:
        shown = ", ".join(map(str, damaged[:8])) + (", ..." if len(damaged) > 8 else "")
        out.append(f"Damaged frames: {shown}. Resume the render to replace them.")
    out += [f"{name} {clause}." for name, clause in list(changed.items())[:4]]
    return out or [f"All files of {values['accepted']} images are intact."]


def _tick() -> float | None:
    if process_messages():
        redraw_panels()
        return None
    return TICK


def register() -> None:
    """Nothing to do: checks are started by an operator."""


def unregister() -> None:
    """Remove the timer and forget the check."""
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    _checks.clear()
