# SPDX-License-Identifier: GPL-3.0-or-later
"""The render of a dataset in a background Blender: started on a saved copy, followed, cancelled, resumed."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import bpy

from ...dataset.atomic_files import json_bytes, make_folder, write_atomic
from ...dataset.store.frames import FrameStore
from ...engine.errors import DataError, OutputError, TwinsetError
from ..settings.recipe import blend_folder, recipe_text
from .process import Process, command_line, farewell
from .session import redraw, save_copy

log = logging.getLogger(__name__)

TICK = 0.25
FOLDER = "job"
"""Folder inside the output that holds the copy of the scene, its recipe and the log, so that a render can go on."""


@attrs.define(eq=False)
class Job:
    """A render that runs or has run in this session.

    Attributes
    ----------
    out : Path
    step : str
        What it is doing before the first frame, for people.
    total, done, rendered : int
        Frames in all, frames dealt with, and those of them that this run has rendered.
    rejected : Counter
        Attempts by reason, of this run's frames.
    given_up : int
    image, record
        The latest picture and its record.
    problems, notes : list of str
    state : str
        ``running``, ``cancelled``, ``failed`` or ``finished``.
    """

    out: Path
    process: Process
    step: str = "Starting Blender in the background"
    total: int = 0
    done: int = 0
    rendered: int = 0
    accepted: int = 0
    given_up: int = 0
    rejected: Counter[str] = attrs.field(factory=Counter)
    image: Path | None = None
    record: Mapping[str, Any] | None = None
    problems: list[str] = attrs.field(factory=list)
    notes: list[str] = attrs.field(factory=list)
    state: str = "running"
    first: float = 0.0
    latest: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        """By the pace of this run; None before its second frame."""
        if self.rendered < 2:
            return None
        return (self.latest - self.first) / (self.rendered - 1) * (self.total - self.done)


_current: list[Job] = []
_counted: dict[Path, tuple[float, int]] = {}


def current() -> Job | None:
    """The render of this session, running or over."""
    return _current[0] if _current else None


def is_running() -> bool:
    return bool(_current) and _current[0].state == "running"


def output_of(scene: bpy.types.Scene) -> Path:
    """The output folder of a scene, made absolute."""
    text = scene.twinset.output_folder
    if text.startswith("//") and not bpy.data.filepath:
        raise OutputError("Save the file first, or choose an absolute output folder: this one starts at the file.")
    return Path(bpy.path.abspath(text)).resolve()


def present(out: Path) -> int:
    """How many frames an output folder holds; counted every other second at most."""
    known = _counted.get(out)
    if known is None or time.monotonic() - known[0] > 2.0:
        try:
            count = len(FrameStore(out).frames())
        except OSError:
            count = 0
        _counted[out] = known = time.monotonic(), count
    return known[1]


def can_resume(out: Path) -> bool:
    """Whether a folder holds a render of the add-on with all that is needed to go on."""
    return all((out / FOLDER / name).is_file() for name in ("scene.blend", "recipe.toml", "job.json"))


def free_folder(out: Path) -> Path:
    """The folder itself where it holds no frames, else the next one of its name with a number."""
    _counted.clear()
    number, found = 1, out
    stem = out.name.rstrip("0123456789").rstrip("_") if out.name.rpartition("_")[2].isdigit() else out.name
    while (found / FOLDER).exists() or present(found):
        number += 1
        found = out.with_name(f"{stem}_{number}")
    return found


def start(context: bpy.types.Context, out: Path) -> Job:
    """Save a copy of the scene with its recipe into the output folder, and render it in the background.

    Raises
    ------
    TwinsetError
        Where the recipe will not do, or the folder cannot be written.
    """
    scene, folder = context.scene, out / FOLDER
    blend = folder / "scene.blend"
    start_of_paths = blend_folder() if bpy.data.filepath else folder
    text = recipe_text(scene, start_of_paths, blend=blend)
    make_folder(folder)
    save_copy(context, blend)
    write_atomic(folder / "recipe.toml", text.encode())
    write_atomic(folder / "job.json", json_bytes({"folder": str(start_of_paths), "images": scene.twinset.job.images}))
    return _run(out)


def resume(out: Path, images: int | None = None) -> Job:
    """Go on with a folder's render, with the scene as it was then; ``images`` changes how many there are to be."""
    facts = json.loads((out / FOLDER / "job.json").read_text(encoding="utf-8"))
    if images is not None and images != facts["images"]:
        write_atomic(out / FOLDER / "job.json", json_bytes({**facts, "images": images}))
    return _run(out)


def cancel() -> None:
    """End the running render; its frames stay, and it can go on."""
    job = current()
    if job is not None and job.state == "running":
        job.state = "cancelled"
        job.process.close()


def dismiss() -> None:
    """Forget a render that is over."""
    if _current and _current[0].state != "running":
        _current.clear()


def follow() -> bool:
    """Take in what the render has told; whether there was anything new."""
    job = current()
    if job is None:
        return False
    lines = job.process.received()
    for line in lines:
        _take(job, line)
    if job.state == "running" and job.process.code is not None:
        job.process.close()
        job.state = "failed"
        if not job.problems:
            job.problems = [f"{farewell(job.process)} Its frames are kept: resume to go on."]
        return True
    return bool(lines)


def _run(out: Path) -> Job:
    folder = out / FOLDER
    facts = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    images = str(facts["images"])
    command = command_line("--json", "render", folder / "recipe.toml", "-o", out, "--images", images, "--stop-on-eof")
    command += ["--folder", facts["folder"]]
    _counted.clear()
    try:
        process = Process(command, folder / "log.txt")
    except OSError as error:
        raise OutputError(f"The background Blender cannot be started: {error}") from None
    _current[:] = [Job(out, process)]
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=TICK, persistent=True)
    return _current[0]


def _take(job: Job, line: dict[str, Any]) -> None:
    event = line.get("event")
    if "error" in line:
        job.problems = line["error"]
    elif event == "stepped":
        job.step = line["message"]
    elif event == "started":
        job.total, job.notes, job.step = line["frames"], line["notes"], ""
    elif event == "frame_done":
        _take_frame(job, line)
    elif event == "finished":
        job.state, job.step = "finished", ""
        job.process.close()
        _counted.clear()


def _take_frame(job: Job, line: dict[str, Any]) -> None:
    job.done, job.total = line["done"], line["total"]
    if line["resumed"]:
        return
    now = time.monotonic()
    job.first, job.latest = job.first or now, now
    job.rendered += 1
    try:
        record = FrameStore(job.out).read(line["frame"])
    except DataError as error:
        log.warning("%s", error)
        return
    job.rejected.update(record["rejected"])
    if line["image"] is None:
        job.given_up += 1
    else:
        job.accepted += 1
        job.image, job.record = Path(line["image"]), record


def _tick() -> float | None:
    try:
        if follow():
            redraw()
    except (OSError, TwinsetError):
        log.exception("The render could not be followed.")
    return TICK if is_running() else None


def register() -> None:
    """Nothing to add: renders start when they are asked for."""


def unregister() -> None:
    """End the render: the add-on that follows it goes."""
    cancel()
    _current.clear()
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
