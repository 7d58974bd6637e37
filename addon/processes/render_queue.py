# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders that wait for the current one, and those of an earlier Blender: a file in the user's folder keeps them."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import attrs
import bpy

from ...dataset.atomic_files import json_bytes, write_atomic
from ...engine.errors import TwinsetError
from .process import ROOT
from .redraw import redraw_panels
from .render_job import FOLDER, current, follow, is_ending, is_running, run

log = logging.getLogger(__name__)

TICK = 1.0
_FILE = "renders.json"
_MOST_PAST = 4


@attrs.frozen
class PastRender:
    """A render of this session that another one has followed: its folder, state and number of frames."""

    out: Path
    state: str
    done: int


_state: dict[str, Any] = {"past": [], "is_started": False}


def waiting() -> list[Path]:
    """The output folders of the renders that wait, in order."""
    return [Path(text) for text in _read()["waiting"]]


def past() -> list[PastRender]:
    """The last renders of this session before the current one."""
    return list(_state["past"])


def is_paused() -> bool:
    """Whether renders wait that only the user starts: those of an earlier Blender."""
    return bool(waiting()) and not _state["is_started"]


def is_busy(out: Path) -> bool:
    """Whether a folder is being rendered into, or waits for it."""
    job = current()
    return (job is not None and job.out == out and (is_running() or is_ending())) or out in waiting()


def add(out: Path) -> None:
    """Render a prepared folder after all others."""
    values = _read()
    _write({**values, "waiting": [*(text for text in values["waiting"] if text != str(out)), str(out)]})
    begin()


def remove(out: Path) -> None:
    """Take a folder out of the queue. Its files stay, and it can be resumed."""
    values = _read()
    _write({**values, "waiting": [text for text in values["waiting"] if text != str(out)]})


def begin() -> None:
    """Start the renders that wait, one after the other."""
    _state["is_started"] = True
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=0.1, persistent=True)


def note_running(out: Path) -> None:
    """Note the folder of the running render, for the next Blender."""
    _write({**_read(), "running": str(out)})


def find_again() -> bool:
    """Follow the render that an earlier Blender has started, if it still runs; returns whether it does."""
    text, job = _read()["running"], current()
    if not text or is_running() or is_ending() or (job is not None and job.out == Path(text)):
        return False
    try:
        return follow(Path(text)) is not None
    except (ImportError, OSError):
        return False


def start_next() -> bool:
    """Start the next render if none is running; returns whether it has been started."""
    outs = waiting()
    if not outs or is_running() or is_ending() or find_again():
        return False
    job = current()
    if job is not None:
        _state["past"] = [*_state["past"], PastRender(job.out, job.state, job.done)][-_MOST_PAST:]
    remove(outs[0])
    if (outs[0] / FOLDER / "job.json").is_file():
        run(outs[0])
        note_running(outs[0])
    return True


def would_stop() -> int:
    """The number of renders that closing Blender would keep from starting."""
    return len(waiting()) if _state["is_started"] else 0


def _tick() -> float | None:
    try:
        if start_next():
            redraw_panels()
    except (OSError, TwinsetError, ValueError, KeyError):
        log.exception("The next render cannot be started.")
    return TICK if _state["is_started"] and waiting() else None


def _file() -> Path:
    try:
        folder = bpy.utils.extension_path_user(ROOT, create=True)
    except ValueError:  # not installed as an extension
        folder = bpy.utils.user_resource("CONFIG", path="twinset", create=True)
    return Path(folder) / _FILE


_known: dict[str, Any] = {"key": None, "values": None}


def _read() -> dict[str, Any]:
    """The file's content; read again only after changes, since panels ask at every redraw."""
    path = _known.get("path") or _known.setdefault("path", _file())
    try:
        status = path.stat()
        key = (status.st_mtime_ns, status.st_size)
        if _known["key"] != key:
            values = json.loads(path.read_text(encoding="utf-8"))
            _known.update(key=key, values={"running": str(values["running"]), "waiting": list(values["waiting"])})
    except (OSError, ValueError, KeyError, TypeError):
        return {"running": "", "waiting": []}
    return dict(_known["values"])


def _write(values: dict[str, Any]) -> None:
    try:
        write_atomic(_file(), json_bytes(values))
    except TwinsetError as error:
        log.warning("The list of renders cannot be kept: %s", error)
    _known["key"] = None


def _look() -> None:
    if find_again():
        redraw_panels()


def register() -> None:
    """Look for a render of an earlier Blender soon."""
    _state.update(past=[], is_started=False)
    bpy.app.timers.register(_look, first_interval=0.5, persistent=True)


def unregister() -> None:
    """Remove the timers. Renders that run continue."""
    for timer in (_tick, _look):
        if bpy.app.timers.is_registered(timer):
            bpy.app.timers.unregister(timer)
    _known.clear()
    _known.update(key=None, values=None)
