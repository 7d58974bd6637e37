# SPDX-License-Identifier: GPL-3.0-or-later
"""Divides a recipe's blocks into tasks for a render farm, and gives the command lines of these tasks."""

from __future__ import annotations

import json
import math
import re
import shlex
from pathlib import Path
from typing import Any

import attrs

RENDER_AGAIN = 75
"""Exit code of a temporary failure, after which a farm runs the task again (EX_TEMPFAIL of sysexits.h)."""

MAX_TRIES = 5
"""Attempts at a task before it counts as failed."""


@attrs.frozen
class Plan:
    """A recipe as a job: tasks of consecutive blocks, and a task that finishes the dataset.

    Attributes
    ----------
    recipe, out : Path
        Absolute paths on the nodes of the farm.
    images : int
        Frames of the job.
    block : int
        Frames per block of the recipe.
    blocks_per_task : int
        Blocks that one task renders.
    command : str
        Command line that calls Twinset on the nodes.
    plugins : tuple of str
        Trusted plugin folders.
    """

    recipe: Path
    out: Path
    images: int
    block: int
    blocks_per_task: int
    command: str = "twinset"
    plugins: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """A job name that every engine accepts: letters, digits and dashes."""
        return re.sub(r"[^a-z0-9]+", "-", f"twinset-{self.recipe.stem}".lower()).strip("-")[:50].rstrip("-")

    @property
    def blocks(self) -> int:
        """Number of blocks; the last one may have fewer frames."""
        return math.ceil(self.images / self.block)

    @property
    def tasks(self) -> int:
        """Number of tasks; the last one may have fewer blocks."""
        return math.ceil(self.blocks / self.blocks_per_task)

    def render(self, blocks: str) -> list[str]:
        """The command line that renders blocks ``A-B``, or the engine's placeholder for it."""
        options = ["--out", str(self.out), "--images", str(self.images), "--blocks", blocks]
        return [*self._call("render"), str(self.recipe), *options]

    def finish(self) -> list[str]:
        """The command line that writes the annotations once all tasks have ended."""
        return [*self._call("finish"), str(self.out)]

    def status(self) -> list[str]:
        """The command line that shows the progress of the job."""
        return [*self._call("status"), str(self.out)]

    @property
    def allowed(self) -> list[str]:
        """The options that trust the recipe's plugins."""
        return [word for folder in self.plugins for word in ("--plugins", folder)]

    def _call(self, name: str) -> list[str]:
        return [*shlex.split(self.command), *self.allowed, name]


MAX_TASKS = 1000
"""The default limit of Slurm on arrays (MaxArraySize) is one more."""


def min_blocks_per_task(images: int, block: int) -> int:
    """Blocks per task that keep the number of tasks within the limit."""
    return math.ceil(math.ceil(images / block) / MAX_TASKS)


def shell(arguments: list[str], *, expand: str = "") -> str:
    """A command line for a POSIX shell, which expands the argument ``expand`` in double quotes."""
    return " ".join(f'"{a}"' if a == expand else shlex.quote(a) for a in arguments)


def json_text(value: Any) -> str:
    """A job file in readable JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
