# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker of ``render --workers``: renders the shares that its supervisor asks for, in one scene opened once."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from pathlib import Path

import typer

from ...dataset.jobs.job import Job, OpenStage
from ...engine.errors import DataError
from ...engine.events import FrameDone
from ...engine.recipe.settings import Recipe
from ..console.interrupt import STOPPED
from ..console.output import Output
from ..console.progress import as_json
from ..console.requests import Requests, exit_later
from .memory import end_this_first, resident

log = logging.getLogger(__name__)

RECYCLED = {"event": "recycled"}
"""The last line of a worker that has grown too large and makes room for a fresh one."""


def serve(
    recipe: Recipe, out: Path, output: Output, open_stage: OpenStage, *, memory: float = 0.0, is_strict: bool = False
) -> None:
    """Render shares until standard input ends, and tell the events of their jobs on standard output.

    A request is an object with ``first`` and ``last``, frames of one block; its last event is ``share_done``, or
    ``finished`` where the job has no other frames.

    Parameters
    ----------
    recipe, out, open_stage
        As for :class:`..dataset.job.Job`.
    output : Output
    memory : float
        GiB that this process may take; with more, it ends after the frame at hand. 0 for any amount.
    is_strict : bool
        Whether that is so even where a single frame takes more; otherwise the limit is of no use then, and left out.
    """
    over = threading.Event()

    def end() -> None:
        over.set()
        exit_later(STOPPED)

    # Ctrl-C reaches all processes of a terminal; this one goes by its supervisor, which closes standard input.
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_this_first()
    requests = Requests(on_end=end)
    job = Job(recipe, out, open_stage)
    is_too_large = _Limit(memory * 2**30, is_strict)
    while (request := requests.next()) is not None:
        try:
            frames = range(int(request["first"]), int(request["last"]) + 1)
        except (KeyError, TypeError, ValueError):
            raise DataError(f"A request must have the numbers 'first' and 'last'. Got {request!r}.") from None
        for event in job.run(frames):
            output.json_line(as_json(event))
            if over.is_set():
                raise typer.Exit(STOPPED)
            if isinstance(event, FrameDone) and not event.resumed and is_too_large():
                output.json_line(RECYCLED)
                return


class _Limit:
    """Tells whether this process has outgrown its limit. Unless strict, one that a frame alone exceeds is of no use."""

    def __init__(self, limit: float, is_strict: bool = False) -> None:
        self._limit = limit or float("inf")
        self._is_first = not is_strict

    def __call__(self) -> bool:
        size = resident()
        is_first, self._is_first = self._is_first, False
        if is_first and size > self._limit:
            log.warning(
                "One frame alone takes %.1f GiB of memory, more than the %.1f GiB that a worker may take. The limit is "
                "left out of account; start fewer workers if memory runs out.",
                size / 2**30,
                self._limit / 2**30,
            )
            self._limit = float("inf")
        return size > self._limit
