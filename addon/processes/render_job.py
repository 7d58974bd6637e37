# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders a dataset in a background Blender, which survives this one: start, progress, cancel, resume."""

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
from .detached import STOP_FILE, DetachedProcess, running_in
from .process import Process, command_line, exit_message
from .redraw import redraw_panels
from .scene_copy import save_copy

log = logging.getLogger(__name__)

TICK = 0.25
FOLDER = "job"
"""Folder inside the output with the copy of the scene, its recipe and the log, needed for resuming."""

_MANY = 20
"""More frames than this at once are from before this Blender followed the render; of them only the last are read."""

_FINISHED = (0, 3)
"""Exit codes of ``twinset finish``: of all frames, and of those that there are."""


@attrs.define(eq=False)
class Job:
    """A render of this Blender session, running or finished.

    Attributes
    ----------
    out : Path
    step : str
        What it is doing before the first frame, for display.
    total, done, rendered : int
        Number of frames, of those completed, and of those that this run has rendered.
    rejected : Counter
        Rejected attempts of this run, by reason.
    given_up : int
    image, record
        The latest picture and its record.
    problems, notes : list of str
    state : str
        ``running``, ``cancelled``, ``failed`` or ``finished``.
    finisher : Process or None
        What writes the annotations of a cancelled render, until they are written.
    """

    out: Path
    process: DetachedProcess | None
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
    finisher: Process | None = None
    is_closed: bool = False
    caught_up: int = 0
    first: float = 0.0
    latest: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        """Estimated from the speed since this Blender follows the run; None before the second frame."""
        seen = self.rendered - self.caught_up
        return (self.latest - self.first) / (seen - 1) * (self.total - self.done) if seen > 1 else None


_current: list[Job] = []
_frame_counts: dict[Path, tuple[float, int]] = {}


def current() -> Job | None:
    """The render of this session, running or finished."""
    return _current[0] if _current else None


def is_running() -> bool:
    return bool(_current) and _current[0].state == "running"


def is_ending() -> bool:
    """Whether a cancelled render still completes its frame, or writes its annotations."""
    job = current()
    if job is None or job.state != "cancelled":
        return False
    return job.finisher is not None or (job.process is not None and not job.is_closed)


def output_of(scene: bpy.types.Scene) -> Path:
    """The absolute output folder of a scene."""
    text = scene.twinset.output_folder
    if text.startswith("//") and not bpy.data.filepath:
        raise OutputError("Save the file first, or choose an absolute output folder: this one is relative to the file.")
    return Path(bpy.path.abspath(text)).resolve()


def folder_or_none(scene: bpy.types.Scene) -> Path | None:
    """The output folder; None if it is relative to a file that is not saved yet."""
    try:
        return output_of(scene)
    except TwinsetError:
        return None


def count_frames(out: Path) -> int:
    """Number of frames in an output folder, updated at most every 2 seconds."""
    known = _frame_counts.get(out)
    if known is None or time.monotonic() - known[0] > 2.0:
        try:
            count = len(FrameStore(out).frames())
        except OSError:
            count = 0
        _frame_counts[out] = known = time.monotonic(), count
    return known[1]


def can_resume(out: Path, scene: bpy.types.Scene | None = None) -> bool:
    """Whether a folder has a render of the add-on, of this scene, with all files that resuming needs."""
    if not all((out / FOLDER / name).is_file() for name in ("scene.blend", "recipe.toml", "job.json")):
        return False
    try:
        stored = json.loads((out / FOLDER / "job.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    owner = stored.get("scene", "")
    # Renders of a scene that was renamed since are its own; those of another one in this file are not.
    return scene is None or owner in ("", scene.name) or owner not in bpy.data.scenes


def needs_finish(out: Path) -> bool:
    """Whether a folder has frames that its annotations may not have."""
    known = out / "annotations" / "instances.json"
    try:
        return (out / "frames").stat().st_mtime > known.stat().st_mtime
    except OSError:
        return bool(count_frames(out))


def free_folder(out: Path) -> Path:
    """The folder itself if it has no frames, else the first free one with a number after its name."""
    _frame_counts.clear()
    number, folder = 1, out
    stem = out.name.rstrip("0123456789").rstrip("_") if out.name.rpartition("_")[2].isdigit() else out.name
    while (folder / FOLDER).exists() or count_frames(folder):
        number += 1
        folder = out.with_name(f"{stem}_{number}")
    return folder


def start(context: bpy.types.Context, out: Path, workers: int = 1) -> Job:
    """Save a copy of the scene with its recipe into the output folder, and render it in the background.

    Raises
    ------
    TwinsetError
        If the recipe is invalid or the folder cannot be written.
    """
    prepare(context, out, workers)
    return run(out)


def prepare(context: bpy.types.Context, out: Path, workers: int = 1) -> None:
    """Save a copy of the scene with its recipe into the output folder, as :func:`run` needs them.

    Raises
    ------
    TwinsetError
        If the recipe is invalid or the folder cannot be written.
    """
    scene, folder = context.scene, out / FOLDER
    blend = folder / "scene.blend"
    start_of_paths = blend_folder() if bpy.data.filepath else folder
    text = recipe_text(scene, start_of_paths, blend=blend)
    make_folder(folder)
    save_copy(blend)
    write_atomic(folder / "recipe.toml", text.encode())
    stored = {"folder": str(start_of_paths), "images": scene.twinset.job.images, "scene": scene.name}
    write_atomic(folder / "job.json", json_bytes({**stored, "workers": workers}))


def prepare_resume(out: Path, images: int | None = None, workers: int = 1) -> None:
    """Note a new number of images and of processes in the folder of an earlier render."""
    stored = json.loads((out / FOLDER / "job.json").read_text(encoding="utf-8"))
    changed = {**stored, "workers": workers, "images": images or stored["images"]}
    if changed != stored:
        write_atomic(out / FOLDER / "job.json", json_bytes(changed))


def resume(out: Path, images: int | None = None, workers: int = 1) -> Job:
    """Resume the render of a folder with its copy of the scene; ``images`` is the new number of images."""
    prepare_resume(out, images, workers)
    return run(out)


def follow(out: Path) -> Job | None:
    """Follow the render that another Blender has started in a folder; None if none is running there."""
    process = running_in(out / FOLDER)
    if process is None:
        return None
    _current[:] = [job := Job(out, process, step="Reading the progress")]
    _start_ticking()
    return job


def finish(out: Path) -> Job:
    """Write annotations and report of the frames in a folder, in the background."""
    job = current()
    if job is None or job.out != out or job.state == "running":
        count = count_frames(out)
        _current[:] = [job := Job(out, None, total=count, done=count, state="cancelled")]
    job.problems = []
    try:
        job.finisher = Process(command_line("--json", "finish", out), out / FOLDER / "log.txt")
    except OSError as error:
        raise OutputError(f"Cannot start Blender in the background: {error}") from None
    _start_ticking()
    return job


def cancel() -> None:
    """Cancel the running render; its frames are kept and annotated, and it can be resumed."""
    job = current()
    if job is not None and job.state == "running" and job.process is not None:
        job.state = "cancelled"
        job.process.close()


def dismiss() -> None:
    """Discard a finished render."""
    if _current and _current[0].state != "running":
        _current.clear()


def process_messages() -> bool:
    """Process the messages of the render; returns whether there were any."""
    job = current()
    if job is None:
        return False
    if job.finisher is not None:
        return _process_finisher(job, job.finisher)
    if job.process is None:
        return False
    lines = job.process.take_messages()
    frames = sum(line.get("event") == "frame_done" for line in lines)
    if frames > _MANY:
        job.caught_up = job.rendered + frames
    for line in lines:
        frames -= line.get("event") == "frame_done"
        _process_message(job, line, is_read=frames < _MANY)
    if job.state == "running" and job.process.code is not None:
        job.process.close()
        job.state = "cancelled" if job.process.code == 130 else "failed"  # stopped by another Blender
        if job.state == "failed" and not job.problems:
            job.problems = [f"{exit_message(job.process)} Its frames are kept and the render can be resumed."]
        return True
    if job.state == "cancelled" and job.process.code is not None and not job.is_closed:
        job.is_closed = True
        _frame_counts.clear()
        if count_frames(job.out):
            finish(job.out)
        return True
    return bool(lines)


def _process_finisher(job: Job, finisher: Process) -> bool:
    """Whether annotations have been written, or could not be."""
    for line in finisher.take_messages():
        job.problems = line.get("error", job.problems)
    if finisher.code is None:
        return False
    finisher.close()
    job.finisher = None
    if finisher.code not in _FINISHED and not job.problems:
        job.problems = [exit_message(finisher)]
    elif finisher.code in _FINISHED:
        job.notes = [f"The annotations of {count_frames(job.out)} frames are written. Resume to render the others."]
    return True


def run(out: Path) -> Job:
    """Render a folder with the copy of the scene in it; OutputError if Blender cannot be started."""
    folder = out / FOLDER
    stored = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    images = str(stored["images"])
    command = command_line("--json", "render", folder / "recipe.toml", "-o", out, "--images", images)
    command += ["--folder", stored["folder"], "--stop-file", str(folder / STOP_FILE)]
    if stored.get("workers", 1) > 1:
        command += ["--workers", str(stored["workers"])]
    _frame_counts.clear()
    try:
        _current[:] = [Job(out, DetachedProcess(folder, command))]
    except OSError as error:
        raise OutputError(f"Cannot start Blender in the background: {error}") from None
    _start_ticking()
    return _current[0]


def _start_ticking() -> None:
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=TICK, persistent=True)


def _process_message(job: Job, line: dict[str, Any], *, is_read: bool = True) -> None:
    event = line.get("event")
    if "error" in line:
        job.problems = line["error"]
    elif event == "stepped":
        job.step = line["message"]
    elif event == "started":
        job.total, job.notes, job.step = line["frames"], line["notes"], ""
    elif event == "frame_done":
        _process_frame(job, line, is_read=is_read)
    elif event == "finished":
        job.state, job.step = "finished", ""
        if job.process is not None:
            job.process.close()
        _frame_counts.clear()


def _process_frame(job: Job, line: dict[str, Any], *, is_read: bool) -> None:
    job.done, job.total = line["done"], line["total"]
    if line["resumed"]:
        return
    now = time.monotonic()
    job.first, job.latest = now if job.rendered <= job.caught_up else job.first or now, now
    job.rendered += 1
    if not is_read:
        job.accepted += line["image"] is not None
        job.given_up += line["image"] is None
        return
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
        if process_messages():
            redraw_panels()
    except (OSError, TwinsetError):
        log.exception("The progress of the render cannot be read.")
    return TICK if is_running() or is_ending() else None


def register() -> None:
    """Nothing to do: renders are started by an operator."""


def unregister() -> None:
    """Follow the render no longer, which continues, and remove the timer."""
    _current.clear()
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
