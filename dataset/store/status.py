# SPDX-License-Identifier: GPL-3.0-or-later
"""The status of a job from file names and heartbeats alone, so that it is cheap for any number of frames."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import attrs

from ...engine.recipe.reading import load_recipe
from .frames import FrameStore
from .heartbeats import Worker, read_workers
from .job_folder import recipe_path


@attrs.frozen
class Status:
    """A job as its output folder shows it.

    Attributes
    ----------
    frames, done, given_up : int
        Frames of the job, those with a record, and those with a record but no image.
    begun : list of int
        Blocks with some frames done.
    missing : list of int
        Blocks with no frame done.
    workers : list of Worker
    """

    out: Path
    frames: int
    block: int
    done: int
    given_up: int
    begun: list[int]
    missing: list[int]
    workers: list[Worker]

    @property
    def left(self) -> int:
        return self.frames - self.done

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds for the rest; None while no running worker has rendered a frame."""
        speed = sum(w.speed for w in self.workers if w.state == "running")
        return self.left / speed if speed else None

    def sentence(self) -> str:
        """What to do next."""
        running = sum(w.state == "running" for w in self.workers)
        if not self.left:
            return f"All frames are done; `twinset finish {self.out}` writes the annotations."
        if running and self.seconds_left is not None:
            left = timedelta(seconds=round(self.seconds_left))
            return f"{_workers(running)} running; about {left} left."
        if running:
            return f"{_workers(running)} running; none has finished a frame yet."
        return (
            f"No worker is running. {self.left} frames are left, in {len(self.begun)} started and {len(self.missing)} "
            f"untouched blocks. Resume with `twinset render {recipe_path(self.out)} -o {self.out}`."
        )


def status_of(out: Path) -> Status:
    """The status of a job.

    Raises
    ------
    TwinsetError
        If the folder holds no recipe of a job, or a damaged one.
    """
    recipe = load_recipe(recipe_path(out), check_files=False)
    store = FrameStore(out)
    frames, block = recipe.images, recipe.render.block_size
    done = {f for f in store.frames() if f < frames}
    images = store.images() & done
    begun, missing = [], []
    for number in range(-(-frames // block)):
        members = range(number * block, min((number + 1) * block, frames))
        present = sum(f in done for f in members)
        if not present:
            missing.append(number)
        elif present < len(members):
            begun.append(number)
    return Status(out, frames, block, len(done), len(done - images), begun, missing, read_workers(out))


def _workers(count: int) -> str:
    return "1 worker is" if count == 1 else f"{count} workers are"
