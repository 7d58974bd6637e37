# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that says how a job goes, from any machine that sees its output folder: status."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import attrs
import typer
from rich.table import Table

from ...console.commands import command
from ...console.output import JsonOption, output_of


@command(order=60)
def status(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Output folder of a job.", show_default=False)],
    json: JsonOption = False,
) -> None:
    """Say what of a job is done, who is at work on it, what has failed, and how long the rest will take."""
    from ....dataset.store.status import status_of

    found = status_of(out)
    table = Table(show_header=False)
    table.add_column("what")
    table.add_column("count", justify="right")
    table.add_row("frames of the job", str(found.frames))
    table.add_row("done", f"{found.done} ({found.done / found.frames:.1%})")
    if found.given_up:
        table.add_row("  of these given up", str(found.given_up))
    table.add_row("left", str(found.left))
    table.add_row("blocks begun but not done", str(len(found.begun)))
    lines: list[Any] = [table]
    if found.workers:
        workers = Table("frames", "worker", "state", "done", "seconds a frame", "heard of", title_justify="left")
        for worker in found.workers:
            each = f"{1 / worker.speed:.1f}" if worker.speed else "-"
            age = f"{timedelta(seconds=round(worker.age))} ago"
            place = f"{worker.host} ({worker.pid})"
            workers.add_row(f"{worker.first}-{worker.last}", place, worker.state, str(worker.done), each, age)
        lines.append(workers)
        lines += [f"{w.host} ({w.pid}) failed: {w.error}" for w in found.workers if w.error]
    shown = [*lines, found.sentence()]
    output_of(context).result({**attrs.asdict(found), "sentence": found.sentence()}, *shown)
