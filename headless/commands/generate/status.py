# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``status``: the progress of a job, from any machine that can read its output folder."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import attrs
import typer
from rich.table import Table

from ...console.commands import command
from ...console.options import JobArgument
from ...console.output import JsonOption, output_of


@command(order=60)
def status(
    context: typer.Context,
    out: JobArgument,
    json: JsonOption = False,
) -> None:
    """Show the progress of a job.

    Prints the frames done, the workers with their speed and failures, and the time remaining.
    """
    from ....dataset.store.status import status_of

    progress = status_of(out)
    table = Table(show_header=False)
    table.add_column("what")
    table.add_column("count", justify="right")
    table.add_row("frames", str(progress.frames))
    table.add_row("done", f"{progress.done} ({progress.done / progress.frames:.1%})")
    if progress.given_up:
        table.add_row("  of these, given up", str(progress.given_up))
    table.add_row("remaining", str(progress.left))
    table.add_row("blocks started but not finished", str(len(progress.begun)))
    lines: list[Any] = [table]
    if progress.workers:
        workers = Table("frames", "worker", "state", "done", "seconds per frame", "last update", title_justify="left")
        for worker in progress.workers:
            each = f"{1 / worker.speed:.1f}" if worker.speed else "-"
            age = f"{timedelta(seconds=round(worker.age))} ago"
            place = f"{worker.host} ({worker.pid})"
            workers.add_row(f"{worker.first}-{worker.last}", place, worker.state, str(worker.done), each, age)
        lines.append(workers)
        lines += [f"{w.host} ({w.pid}) failed: {w.error}" for w in progress.workers if w.error]
    shown = [*lines, progress.sentence()]
    output_of(context).result({**attrs.asdict(progress), "sentence": progress.sentence()}, *shown)
