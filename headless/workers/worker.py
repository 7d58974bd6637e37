# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker of ``render --workers``: renders the frames that its supervisor requests, in a scene opened once."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from pathlib import Path

import typer

from ...dataset.jobs.frame_renderer import OpenStage
from ...dataset.jobs.job import Job
from ...engine.errors import DataError
from ...engine.events import FrameDone
from ...engine.recipe.settings import Recipe
from ..console.interrupt import STOPPED
from ..console.output import Output
from ..console.progress import as_json
from ..console.requests import Requests, exit_later
from .memory import prefer_as_oom_victim, resident_memory

log = logging.getLogger(__name__)

RECYCLED = {"event": "recycled"}
"""The last line of a worker that exceeds its memory limit and ends to be replaced."""


def serve(
    recipe: Recipe, out: Path, output: Output, open_stage: OpenStage, *, memory: float = 0.0, is_strict: bool = False
) -> None:
    """Render the requested frames until standard input ends, and print the events of their jobs.

    A request is an object with ``first`` and ``last``, frames of one block; its last event is ``share_done``, or
    ``finished`` if the job has no other frames.

    Parameters
    ----------
    recipe, out, open_stage
        As for :class:`..dataset.job.Job`.
    output : Output
    memory : float
        Memory limit of this process in GiB; above it, the process ends after the current frame. 0 for no limit.
    is_strict : bool
        Whether the limit holds even if a single frame exceeds it; otherwise it is ignored in this case.
    """
    is_over = threading.Event()

    def end() -> None:
        is_over.set()
        exit_later(STOPPED)

    # Ctrl-C reaches all processes of a terminal; this one waits for its supervisor to close standard input.
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    prefer_as_oom_victim()
    requests = Requests(on_end=end)
    job = Job(recipe, out, open_stage)
    is_too_large = _Limit(memory * 2**30, is_strict)
    while (request := requests.next()) is not None:
        try:
            frames = range(int(request["first"]), int(request["last"]) + 1)
        except (KeyError, TypeError, ValueError):
            raise DataError(f"A request must have the numbers 'first' and 'last', not {request!r}.") from None
        for event in job.run(frames):
            output.json_line(as_json(event))
            if is_over.is_set():
                raise typer.Exit(STOPPED)
            if isinstance(event, FrameDone) and not event.resumed and is_too_large():
                output.json_line(RECYCLED)
                return


class _Limit:
    """Says whether this process exceeds its memory limit. Unless strict, a limit that one frame exceeds is ignored."""

    def __init__(self, limit: float, is_strict: bool = False) -> None:
        self._limit = limit or float("inf")
        self._is_first = not is_strict

    def __call__(self) -> bool:
        size = resident_memory()
        is_first, self._is_first = self._is_first, False
        if is_first and size > self._limit:
            log.warning(
                "A single frame needs %.1f GiB of memory, more than the limit of %.1f GiB per worker. The limit is "
                "ignored; start fewer workers if memory runs out.",
                size / 2**30,
                self._limit / 2**30,
            )
            self._limit = float("inf")
        return size > self._limit
