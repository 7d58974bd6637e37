# SPDX-License-Identifier: GPL-3.0-or-later
"""How a recipe's blocks are cut into tasks of a farm, and the command lines of these tasks."""

from __future__ import annotations

import json
import math
import re
import shlex
from pathlib import Path
from typing import Any

import attrs

RENDER_AGAIN = 75
"""Exit code of trouble that may pass, which a farm answers by running the task again (EX_TEMPFAIL of sysexits.h)."""

MAX_TRIES = 5
"""So many times a task is run before it counts as failed."""


@attrs.frozen
class Plan:
    """One recipe as a job of tasks, each of some consecutive blocks, and one task that finishes.

    Attributes
    ----------
    recipe, out : Path
        The recipe and the output folder, absolute, as the nodes of the farm see them.
    images : int
        Frames of the job.
    block : int
        Frames per block of the recipe.
    blocks_per_task : int
        Blocks that one task renders.
    command : str
        How the nodes call Twinset: a command line without arguments.
    plugins : tuple of str
        Folders of plugins that the recipe may run.
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
        """A name for the job that every engine takes: letters, digits and dashes."""
        return re.sub(r"[^a-z0-9]+", "-", f"twinset-{self.recipe.stem}".lower()).strip("-")[:50].rstrip("-")

    @property
    def blocks(self) -> int:
        """How many blocks there are; the last one may have fewer frames."""
        return math.ceil(self.images / self.block)

    @property
    def tasks(self) -> int:
        """How many tasks there are; the last one may have fewer blocks."""
        return math.ceil(self.blocks / self.blocks_per_task)

    def render(self, blocks: str) -> list[str]:
        """The arguments that render some blocks: ``A-B``, or whatever the engine replaces by it."""
        options = ["--out", str(self.out), "--images", str(self.images), "--blocks", blocks]
        return [*self._call("render"), str(self.recipe), *options]

    def finish(self) -> list[str]:
        """The arguments that write the annotations once all tasks have ended."""
        return [*self._call("finish"), str(self.out)]

    def status(self) -> list[str]:
        """The arguments that tell how the job goes."""
        return [*self._call("status"), str(self.out)]

    @property
    def allowed(self) -> list[str]:
        """The options that let the recipe's plugins run."""
        return [word for folder in self.plugins for word in ("--plugins", folder)]

    def _call(self, name: str) -> list[str]:
        return [*shlex.split(self.command), *self.allowed, name]


MOST_TASKS = 1000
"""Slurm's own limit on arrays (MaxArraySize) is one more, unless somebody raised it."""


def fewest_blocks(images: int, block: int) -> int:
    """Blocks per task that keep the number of tasks in bounds."""
    return math.ceil(math.ceil(images / block) / MOST_TASKS)


def shell(arguments: list[str], *, expand: str = "") -> str:
    """A command line for a POSIX shell; the argument ``expand`` is left for the shell to expand, in double quotes."""
    return " ".join(f'"{a}"' if a == expand else shlex.quote(a) for a in arguments)


def json_text(value: Any) -> str:
    """A job file in JSON, laid out for people."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
