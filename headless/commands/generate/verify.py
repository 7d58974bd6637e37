# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``verify``: checks all checksums of a dataset and renders a random sample of frames again."""

from __future__ import annotations

from typing import Annotated

import typer

from ....engine.errors import OutputError
from ....engine.rng import stream
from ...console.commands import command
from ...console.options import JobArgument
from ...console.output import JsonOption, output_of
from ...console.progress import progress_bar
from .render import INCOMPLETE, open_stage


@command(order=70)
def verify(
    context: typer.Context,
    out: JobArgument,
    sample: Annotated[
        int, typer.Option("--sample", metavar="N", min=0, help="Frames to render again; 0 checks only checksums.")
    ] = 3,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Random seed of the sample.")] = 0,
    json: JsonOption = False,
) -> None:
    """Check a dataset's checksums and re-render sample frames.

    Exit code 3 if a file is damaged or missing, or a frame renders differently.
    """
    from ....dataset.checksums import changed_files
    from ....dataset.jobs.convert import is_converted
    from ....dataset.jobs.job import open_job

    output = output_of(context)
    if is_converted(out):
        changed = changed_files(out)
        lines = [f"'{out / name}' {clause}." for name, clause in changed]
        lines.append("Convert the dataset again." if changed else "All files are intact.")
        output.result({"changed": dict(changed)}, *lines)
        if changed:
            raise typer.Exit(INCOMPLETE)
        return
    job = open_job(out, open_stage)
    with progress_bar(output, hidden=output.json or not output.err.is_terminal) as bar:
        task = bar.add_task("Verifying checksums", total=None)
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
        raise OutputError(f"'{out}' has no frame records (frames/*.json). Render into this folder first.")
    lines = [f"{len(accepted)} frames with an image, {len(damaged)} damaged; {len(chosen)} rendered again."]
    if damaged:
        shown = ", ".join(map(str, damaged[:20])) + (", ..." if len(damaged) > 20 else "")
        lines.append(f"Damaged: {shown}. Run `twinset render` again to replace them.")
    lines += different.values()
    changed = job.changed_files()
    lines += [f"'{out / name}' {clause}." for name, clause in changed]
    if changed:
        lines.append(
            f"`twinset finish {out}` writes annotations, previews and summaries again; `twinset render` with the "
            "recipe that the frames were rendered from writes the other files again."
        )
    if not damaged and not different and not changed:
        lines.append("All files are intact.")
    values = {"accepted": len(accepted), "damaged": damaged, "sample": chosen, "different": different}
    output.result({**values, "changed": dict(changed)}, *lines)
    if damaged or different or changed:
        raise typer.Exit(INCOMPLETE)
