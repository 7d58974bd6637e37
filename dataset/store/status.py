# SPDX-License-Identifier: GPL-3.0-or-later
"""How a job goes, told from the names of its files and its workers' signs of life: cheap for any number of frames."""

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
        Frames of the job, those that have a record, and those of these that have no image.
    begun : list of int
        Blocks of which some frames are done and some are not.
    missing : list of int
        Blocks of which nothing is done.
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
        """How long the running workers need for the rest; None where none has rendered a frame yet."""
        speed = sum(w.speed for w in self.workers if w.state == "running")
        return self.left / speed if speed else None

    def sentence(self) -> str:
        """What to do next."""
        running = sum(w.state == "running" for w in self.workers)
        if not self.left:
            return f"All frames are done; `twinset finish {self.out}` writes the annotations."
        if running and self.seconds_left is not None:
            left = timedelta(seconds=round(self.seconds_left))
            return f"{running} at work; about {left} left."
        if running:
            return f"{running} at work; no frame of theirs is done yet."
        return (
            f"Nobody is at work on the {self.left} frames left, of {len(self.begun)} begun and {len(self.missing)} "
            f"untouched blocks. Go on with `twinset render {recipe_path(self.out)} -o {self.out}`."
        )


def status_of(out: Path) -> Status:
    """The status of a job.

    Raises
    ------
    TwinsetError
        Where the folder holds no recipe of a job, or a damaged one.
    """
    recipe = load_recipe(recipe_path(out), files_too=False)
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
