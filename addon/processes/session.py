# SPDX-License-Identifier: GPL-3.0-or-later
"""The preview server of the open file: a background Blender with a saved copy, and what it has told so far."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import bpy
from bpy.app.handlers import persistent

from ...engine.errors import OutputError, RecipeError, StageError, TwinsetError
from ..settings.recipe import recipe_text, table_of
from .process import Process, command_line, farewell
from .sample import ASSETS, remove_assets, restore, show_sample, shown_sample

log = logging.getLogger(__name__)

TICK = 0.1
LOOK = 0.3
"""Seconds between two looks at all settings, each of which takes a few milliseconds."""
DEBOUNCE = 0.5
"""Seconds that settings must have stood still before they are predicted again."""
IDLE = 900.0
"""Seconds without a question after which the background Blender goes, and gives its memory back."""

_ENDS = ("answered", "superseded", "failed")


@attrs.define(eq=False)
class Session:
    """What is asked and known.

    Attributes
    ----------
    step : str
        What the server is doing, for people; "" when nothing is asked.
    problems : list of str
        Why the last answer failed.
    notes : list of str
        Sentences about the target, such as which real boxes are out of reach.
    gap : dict or None
        The latest prediction.
    samples : dict of int to dict
        Answers about single frames, by request, until they are fetched.
    """

    process: Process | None = None
    folder: Path | None = None
    scene: str = ""
    text: str = ""
    is_stale: bool = True
    step: str = ""
    problems: list[str] = attrs.field(factory=list)
    notes: list[str] = attrs.field(factory=list)
    gap: dict[str, Any] | None = None
    samples: dict[int, dict[str, Any]] = attrs.field(factory=dict)
    predicted: str = ""
    wants_gap: bool = False
    waiting: set[int] = attrs.field(factory=set)
    gap_request: int = 0
    count: int = 0
    changed: tuple[str, float] = ("", 0.0)
    looked: float = 0.0
    last_used: float = 0.0
    quiet_until: float = 0.0

    @property
    def is_busy(self) -> bool:
        return bool(self.waiting)


session = Session()


class Replaced(Exception):  # noqa: N818 - no error: another question was asked, or the preview was stopped
    """Raised for an answer that will not come."""


def ask(context: bpy.types.Context, **request: Any) -> int:
    """Ask the server about the open scene as it is now; starts it, and saves a copy of the scene, where needed.

    Returns
    -------
    int
        The request's number; :func:`answer` tells when it is answered.

    Raises
    ------
    TwinsetError
        Where the recipe or the copy will not do.
    """
    scene = context.scene
    is_new = session.process is None or session.process.code is not None or session.folder is None
    if is_new:
        stop()
        session.folder = Path(tempfile.mkdtemp(prefix=ASSETS, dir=bpy.app.tempdir))
    assert session.folder is not None
    reopen = is_new or session.is_stale or session.scene != scene.name
    blend = session.folder / "scene.blend"
    if reopen:
        save_copy(context, blend)
    text = recipe_text(scene, session.folder, blend=blend)
    if is_new:
        recipe = session.folder / "recipe.toml"
        recipe.write_text(text, encoding="utf-8")
        command = command_line("preview", recipe, "--serve", session.folder / "files")
        session.process = Process(command, session.folder / "log.txt")
        _start_ticking()
    session.scene, session.text, session.is_stale = scene.name, text, False
    session.count += 1
    session.problems = []
    session.last_used = time.monotonic()
    session.waiting.add(session.count)
    session.step = "Starting Blender in the background" if is_new else "Asking"
    assert session.process is not None
    session.process.send(id=session.count, recipe=text, reopen=reopen and not is_new, **request)
    return session.count


def ask_gap(context: bpy.types.Context) -> None:
    """Predict the histogram anew, and keep it up to date while settings change."""
    count = context.window_manager.twinset_live.count
    session.wants_gap = True
    if session.waiting - {session.gap_request}:
        # Somebody waits for a sample; the timer asks once it is there.
        session.predicted = ""
        return
    session.predicted = json.dumps(table_of(context.scene))
    session.gap_request = ask(context, frames=[0, count - 1])


def answer(number: int) -> dict[str, Any] | None:
    """The answer to a request about one frame; None while it is awaited. TwinsetError or Replaced without one."""
    receive()
    if number in session.samples:
        return session.samples.pop(number)
    if number in session.waiting:
        return None
    if session.problems:
        raise StageError(" ".join(session.problems))
    raise Replaced


def receive() -> bool:
    """Take in what the server has said; whether there was anything."""
    process = session.process
    if process is None:
        return False
    lines = process.received()
    for line in lines:
        _take(line)
    if process.code is not None and session.waiting:
        session.problems = [farewell(process)]
        session.waiting.clear()
        session.step = ""
        return True
    return bool(lines)


def stop() -> None:
    """End the server and forget all but the latest prediction."""
    if session.process is not None:
        session.process.close()
    if session.folder is not None:
        # Assets stay, a sample that is shown is linked to them; all goes with Blender's own temporary folder.
        (session.folder / "scene.blend").unlink(missing_ok=True)
    session.process, session.folder, session.is_stale = None, None, True
    session.waiting.clear()
    session.step = ""


def save_copy(context: bpy.types.Context, path: Path) -> None:
    """Save the open file as a copy, a shown sample left out; the file stays what it was."""
    scene = context.scene
    message = shown_sample(scene)
    with own_changes(context):
        if message is not None:
            hidden = [(e.object.name, e.object.library is not None) for e in scene.twinset_preview.hidden if e.object]
            restore(scene)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            bpy.ops.wm.save_as_mainfile(
                filepath=str(path), copy=True, relative_remap=True, compress=False, check_existing=False
            )
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error).removeprefix("Error: ").split())
            raise OutputError(f"A copy of the scene cannot be saved to {path}: {reason}") from None
        finally:
            if message is not None:
                show_sample(scene, context.view_layer, {**message, "hidden": hidden}, path.parent)


@contextlib.contextmanager
def own_changes(context: bpy.types.Context) -> Iterator[None]:
    """What changes meanwhile, and in the next moment, is the preview's doing and makes no copy stale."""
    session.quiet_until = math.inf
    try:
        yield
        # Let it be noticed now: in a large scene the window would come to that only later.
        context.view_layer.update()
    finally:
        session.quiet_until = time.monotonic() + 1.0


def redraw() -> None:
    """Show what is new in the panels; views, which take far longer to draw, show nothing of it."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            wanted = {"VIEW_3D": "UI", "PROPERTIES": "WINDOW"}.get(area.type)
            for region in area.regions:
                if region.type == wanted:
                    region.tag_redraw()


def _take(line: dict[str, Any]) -> None:
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
    elif event in _ENDS:
        session.waiting.discard(number)
        if event == "failed":
            session.problems = line["problems"]
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
            redraw()
        _follow_settings()
    except Exception:
        log.exception("The preview stopped following.")
        return None
    if not session.waiting and time.monotonic() - session.last_used > IDLE:
        stop()
        return None
    return TICK


def _follow_settings() -> None:
    """Predict again once settings have changed and stood still; and what another question has cut short."""
    context = bpy.context
    if not session.wants_gap or not context.window_manager.twinset_live.is_live or context.scene is None:
        return
    if session.process is None or session.scene != context.scene.name or session.folder is None:
        return
    now = time.monotonic()
    if now - session.looked < LOOK:
        return
    session.looked = now
    settings = json.dumps(table_of(context.scene))
    if settings != session.changed[0]:
        session.changed = settings, now
    if session.waiting - {session.gap_request}:
        return
    cut_short = not session.waiting and (session.gap is None or session.gap["done"] < session.gap["total"])
    is_new = settings != session.predicted
    if (is_new or (cut_short and not session.problems)) and now - session.changed[1] >= DEBOUNCE:
        # Even where it fails: what is wrong is said once, not until it is put right.
        session.predicted = settings
        try:
            ask_gap(context)
        except TwinsetError as error:
            session.problems = error.problems if isinstance(error, RecipeError) else [str(error)]
        redraw()


@persistent
def _on_change(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
    """Notice that the copy is no longer the scene; settings and the cursor, which are the scene's own, do not count."""
    if session.is_stale or session.process is None or time.monotonic() < session.quiet_until:
        return
    shown = scene.twinset_preview.collection
    own = set() if shown is None else {o.name for o in shown.objects}
    for update in depsgraph.updates:
        changed = update.id
        if not isinstance(changed, bpy.types.Scene | bpy.types.Screen) and changed.name not in own:
            session.is_stale = True
            return


@persistent
def _on_undo(*_: Any) -> None:
    """Undo keeps what a sample was linked to; where none is shown any more, take it out once undo is through."""
    if not bpy.app.timers.is_registered(_tidy):
        bpy.app.timers.register(_tidy, first_interval=0.05, persistent=True)


def _tidy() -> None:
    if not any(scene.twinset_preview.is_shown for scene in bpy.data.scenes):
        remove_assets()


@persistent
def _on_load(*_: Any) -> None:
    """Another file is open: what was told belongs to the old one."""
    stop()
    session.gap, session.problems, session.notes, session.wants_gap = None, [], [], False


def register() -> None:
    """Watch for changes and for other files."""
    bpy.app.handlers.depsgraph_update_post.append(_on_change)
    bpy.app.handlers.load_post.append(_on_load)
    bpy.app.handlers.undo_post.append(_on_undo)
    bpy.app.handlers.redo_post.append(_on_undo)


def unregister() -> None:
    """Watch no more, and end the server."""
    bpy.app.handlers.depsgraph_update_post.remove(_on_change)
    bpy.app.handlers.load_post.remove(_on_load)
    bpy.app.handlers.undo_post.remove(_on_undo)
    bpy.app.handlers.redo_post.remove(_on_undo)
    for timer in (_tick, _tidy):
        if bpy.app.timers.is_registered(timer):
            bpy.app.timers.unregister(timer)
    _on_load()
