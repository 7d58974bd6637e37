# SPDX-License-Identifier: GPL-3.0-or-later
"""The preview session of the open file: a background Blender with a saved copy of the scene, and its results."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import attrs
import bpy
from bpy.app.handlers import persistent

from ...engine.errors import RecipeError, StageError, TwinsetError
from ..settings.recipe import recipe_text, table_of
from .process import Process, command_line, exit_message
from .redraw import redraw_panels
from .scene_copy import save_copy
from .scene_digest import scene_digest

log = logging.getLogger(__name__)

TICK = 0.1
CHECK_INTERVAL = 0.3
"""Seconds between two checks of all settings for changes; a check takes a few milliseconds."""
DEBOUNCE = 0.5
"""Seconds without a change of settings before the prediction is updated."""
IDLE_TIMEOUT = 900.0
"""Seconds without a request after which the background Blender is closed, to free its memory."""

_FINAL_EVENTS = ("answered", "superseded", "failed")


@attrs.define(eq=False)
class Session:
    """Requests and results.

    Attributes
    ----------
    step : str
        What the server is doing, for display; "" without a request.
    problems : list of str
        Why the last request failed.
    place : str
        The button that it came from: ``sample``, ``prediction`` or ``render``.
    notes : list of str
        Messages about the target, such as which real boxes cannot be reached.
    gap : dict or None
        The latest prediction.
    samples : dict of int to dict
        Answers to requests for single frames, by request number, until they are fetched.
    """

    process: Process | None = None
    folder: Path | None = None
    scene: str = ""
    text: str = ""
    digest: str = ""
    step: str = ""
    problems: list[str] = attrs.field(factory=list)
    place: str = "sample"
    notes: list[str] = attrs.field(factory=list)
    gap: dict[str, Any] | None = None
    samples: dict[int, dict[str, Any]] = attrs.field(factory=dict)
    predicted: str = ""
    wants_gap: bool = False
    waiting: set[int] = attrs.field(factory=set)
    gap_request: int = 0
    count: int = 0
    changed: tuple[str, float] = ("", 0.0)
    last_check: float = 0.0
    last_used: float = 0.0

    @property
    def is_busy(self) -> bool:
        return bool(self.waiting)


session = Session()


class RequestSuperseded(Exception):  # noqa: N818 - not an error: another request was sent, or the preview was stopped
    """Raised if a request will not be answered."""


def ask(context: bpy.types.Context, **request: Any) -> int:
    """Send a request about the current scene; starts the server and saves a copy of the scene if needed.

    Returns
    -------
    int
        The request's number, for :func:`answer`.

    Raises
    ------
    TwinsetError
        If the recipe is invalid or the copy cannot be saved.
    """
    scene = context.scene
    is_new = session.process is None or session.process.code is not None or session.folder is None
    if is_new:
        stop()
        session.folder = Path(tempfile.mkdtemp(prefix="twinset-preview-", dir=bpy.app.tempdir))
    assert session.folder is not None
    digest = scene_digest(context)
    reopen = is_new or session.digest != digest or session.scene != scene.name
    blend = session.folder / "scene.blend"
    if reopen:
        save_copy(blend)
    text = recipe_text(scene, session.folder, blend=blend)
    if is_new:
        recipe = session.folder / "recipe.toml"
        recipe.write_text(text, encoding="utf-8")
        command = command_line("preview", recipe, "--serve", session.folder / "files")
        session.process = Process(command, session.folder / "log.txt", is_waited_for=True)
        _start_ticking()
    session.scene, session.text, session.digest = scene.name, text, digest
    session.count += 1
    session.problems = []
    session.last_used = time.monotonic()
    session.waiting.add(session.count)
    session.step = "Starting Blender in the background" if is_new else "Waiting for the preview"
    assert session.process is not None
    session.process.set_waited_for("frame" in request)  # predictions and pictures keep the processor busy for longer
    session.process.send(id=session.count, recipe=text, reopen=reopen and not is_new, **request)
    return session.count


def ask_gap(context: bpy.types.Context) -> None:
    """Request a prediction, which is updated when settings change."""
    count = context.window_manager.twinset_live.count
    session.wants_gap = True
    if session.waiting - {session.gap_request}:
        # A sample is pending; the timer sends the request after it.
        session.predicted = ""
        return
    session.predicted = json.dumps(table_of(context.scene))
    session.gap_request = ask(context, frames=[0, count - 1])


def stop_gap() -> None:
    """Stop the prediction, also after changes of settings; the server stays ready."""
    session.wants_gap = False
    if session.gap_request in session.waiting and session.process is not None:
        session.count += 1
        session.process.send(id=session.count)  # any other request ends a prediction
        session.waiting.add(session.count)
        session.step = "Stopping"


def answer(number: int) -> dict[str, Any] | None:
    """The answer to a request about a frame; None while it is pending, TwinsetError or RequestSuperseded on failure."""
    receive()
    if number in session.samples:
        return session.samples.pop(number)
    if number in session.waiting:
        return None
    if session.problems:
        raise StageError(" ".join(session.problems))
    raise RequestSuperseded


def receive() -> bool:
    """Process the server's messages; returns whether there were any."""
    process = session.process
    if process is None:
        return False
    lines = process.take_messages()
    for line in lines:
        _process_message(line)
    if process.code is not None and session.waiting:
        session.problems = [exit_message(process)]
        session.waiting.clear()
        session.step = ""
        return True
    return bool(lines)


def stop() -> None:
    """End the server and discard everything except the latest prediction."""
    if session.process is not None:
        session.process.close()
    if session.folder is not None:
        shutil.rmtree(session.folder, ignore_errors=True)  # what the process still writes goes when Blender closes
    session.process, session.folder, session.digest = None, None, ""
    session.waiting.clear()
    session.step = ""


def _process_message(line: dict[str, Any]) -> None:
    event, number = line.get("event"), line.get("id") or 0
    if event == "stepped":
        session.step = line["message"]
    elif event == "notes":
        session.notes = line["notes"]
    elif event == "gap" and number == session.gap_request:
        session.gap = line
        session.step = f"Probed {line['done']} of {line['total']}"
    elif event in ("sample", "picture"):
        session.samples[number] = line
    elif event in _FINAL_EVENTS:
        session.waiting.discard(number)
        if event == "failed":
            session.problems = line["problems"]
            session.place = "prediction" if number == session.gap_request else "sample"
        if not session.waiting:
            session.step = ""


def _start_ticking() -> None:
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=TICK, persistent=True)


def _tick() -> float | None:
    if session.process is None:
        return None
    try:
        if receive():
            redraw_panels()
        _update_prediction()
    except Exception:
        log.exception("The preview has stopped updating.")
        return None
    if not session.waiting and time.monotonic() - session.last_used > IDLE_TIMEOUT:
        stop()
        return None
    return TICK


def _update_prediction() -> None:
    """Update the prediction after settings have changed, and complete one that another request has interrupted."""
    context = bpy.context
    if not session.wants_gap or not context.window_manager.twinset_live.is_live or context.scene is None:
        return
    if session.process is None or session.scene != context.scene.name or session.folder is None:
        return
    now = time.monotonic()
    if now - session.last_check < CHECK_INTERVAL:
        return
    session.last_check = now
    settings = json.dumps(table_of(context.scene))
    if settings != session.changed[0]:
        session.changed = settings, now
    if session.waiting - {session.gap_request}:
        return
    is_interrupted = not session.waiting and (session.gap is None or session.gap["done"] < session.gap["total"])
    is_new = settings != session.predicted
    if (is_new or (is_interrupted and not session.problems)) and now - session.changed[1] >= DEBOUNCE:
        # Also if it fails, so that the error is reported only once.
        session.predicted = settings
        try:
            ask_gap(context)
        except TwinsetError as error:
            session.problems = error.problems if isinstance(error, RecipeError) else [str(error)]
            session.place = "prediction"
        redraw_panels()


@persistent
def _on_load(*_: Any) -> None:
    """Discard the results of the previous file."""
    stop()
    session.gap, session.problems, session.notes, session.wants_gap = None, [], [], False


def register() -> None:
    """Add the handler for loading files."""
    bpy.app.handlers.load_post.append(_on_load)


def unregister() -> None:
    """Remove the handler, and end the server."""
    bpy.app.handlers.load_post.remove(_on_load)
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    _on_load()
