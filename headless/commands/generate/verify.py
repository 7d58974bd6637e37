# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that proves a dataset: every checksum, and a random sample of frames rendered again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ....engine.errors import OutputError
from ....engine.rng import stream
from ...console.commands import command
from ...console.output import JsonOption, output_of
from ...console.progress import progress_bar
from .render import INCOMPLETE, open_stage


@command(order=70)
def verify(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Output folder of a job.", show_default=False)],
    sample: Annotated[int, typer.Option("--sample", min=0, help="Frames to render again; 0 only reads checksums.")] = 3,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which frames are drawn.")] = 0,
    json: JsonOption = False,
) -> None:
    """Check every file of a dataset by its checksum, and render a random sample of frames again to compare them.

    Ends with exit code 3 where anything is damaged or comes out differently.
    """
    from ....dataset.jobs.job import open_job

    output = output_of(context)
    job = open_job(out, open_stage)
    with progress_bar(output, hidden=output.json or not output.err.is_terminal) as bar:
        task = bar.add_task("Checksums", total=None)
        accepted: list[int] = []
        damaged: list[int] = []
        kinds = {"accepted": accepted, "damaged": damaged}
        for done, total, frame, state in job.checksums():
            bar.update(task, completed=done, total=total)
            if state in kinds:
                kinds[state].append(frame)
        chosen = sorted(stream(seed, "verify").permutation(accepted)[:sample].tolist())
        task = bar.add_task("Rendering again", total=len(chosen))
        different: dict[int, str] = {}
        for frame in chosen:
            problem = job.verify(frame)
            if problem:
                different[frame] = problem
            bar.advance(task)
    if not accepted and not damaged:
        raise OutputError(f"'{out}' holds no records of frames (frames/*.json). Render into that folder first.")
    lines = [f"{len(accepted)} frames with a picture, {len(damaged)} damaged; {len(chosen)} of them rendered again."]
    if damaged:
        shown = ", ".join(map(str, damaged[:20])) + (", ..." if len(damaged) > 20 else "")
        lines.append(f"Damaged: {shown}. Render them again.")
    lines += different.values()
    if not damaged and not different:
        lines.append("Everything is as it was rendered.")
    output.result({"accepted": len(accepted), "damaged": damaged, "sample": chosen, "different": different}, *lines)
    if damaged or different:
        raise typer.Exit(INCOMPLETE)
