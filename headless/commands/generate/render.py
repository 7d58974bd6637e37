# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands ``render``, ``demo``, ``replay`` and ``finish``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ....engine.events import Event
from ....engine.recipe.reading import load_recipe
from ....engine.recipe.settings import Recipe
from ....engine.stage import Stage
from ...console.commands import command
from ...console.frame_ranges import parse_range, select_frames
from ...console.interrupt import interruptible, until
from ...console.options import (
    FrameCountOption,
    JobArgument,
    RecipeArgument,
    RecipeSeedOption,
    RenderFolderOption,
    SamplesOption,
)
from ...console.output import JsonOption, Output, output_of, reserve_stdout
from ...console.progress import Follower, as_json, at_work, show_finished
from ...console.requests import watch_file, watch_stdin
from ...workers.blender_stage import open_blender_stage

if TYPE_CHECKING:
    from ....dataset.jobs.frame_renderer import OpenStage
    from ....dataset.jobs.job import Job

DEMO = Path(__file__).resolve().parents[3] / "examples" / "demo.toml"

INCOMPLETE = 3
"""Exit code if frames of the dataset are missing or damaged."""


@command(order=50)
def render(
    context: typer.Context,
    recipe: RecipeArgument,
    out: RenderFolderOption,
    images: FrameCountOption = None,
    seed: RecipeSeedOption = None,
    frames: Annotated[
        str,
        typer.Option(
            "--frames",
            metavar="A-B",
            help="Render only frames A to B, both included. A should be the first frame of a block ([render] "
            "block_size), otherwise the earlier frames of its block are rendered, too.",
        ),
    ] = "",
    blocks: Annotated[
        str,
        typer.Option("--blocks", metavar="A-B", help="Render only blocks A to B, both included, as farm tasks do."),
    ] = "",
    samples: SamplesOption = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder",
            metavar="FOLDER",
            help="Folder that relative paths in the recipe start from. Default: the recipe's folder.",
            show_default=False,
        ),
    ] = None,
    stop_on_eof: Annotated[
        bool,
        typer.Option(
            "--stop-on-eof",
            help="Stop when standard input is closed, so that the job stops if the program that started it exits.",
        ),
    ] = False,
    stop_file: Annotated[Path | None, typer.Option("--stop-file", hidden=True)] = None,
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            metavar="N",
            min=1,
            max=1024,
            help="Processes that render in parallel, each on its own GPU if there are several. A process that ends "
            "unexpectedly is replaced.",
        ),
    ] = 1,
    threads: Annotated[
        int,
        typer.Option("--threads", metavar="N", min=0, max=1024, help="CPU threads per process; 0 divides all cores."),
    ] = 0,
    worker_memory: Annotated[
        float,
        typer.Option(
            "--worker-memory",
            metavar="GIB",
            min=0.0,
            help="Memory limit of each worker. A worker that exceeds it is killed at once, and a new one renders its "
            "frame. Without this option the memory of the machine is divided among the workers, and a worker that "
            "exceeds its share is replaced after its current frame.",
        ),
    ] = 0.0,
    strict_memory: Annotated[bool, typer.Option("--strict-memory", hidden=True)] = False,
    serve: Annotated[bool, typer.Option("--serve", hidden=True)] = False,
    json: JsonOption = False,
) -> None:
    """Render the dataset that a recipe describes.

    Frames that already exist are kept: to resume a stopped job, run the same command again.

    Exit codes:

    \b
    0: done
    2: invalid input
    3: frames are missing
    75: temporary failure; run the same command again
    130: stopped; the same command continues.
    """
    chosen = parse_range(frames), parse_range(blocks, "--blocks")
    loaded = load_recipe(recipe, overrides(images=images, seed=seed, samples=samples), folder=folder)
    opened = functools.partial(open_stage, threads=threads)
    if serve:
        from ...workers.worker import serve as serve_shares

        serve_shares(loaded, out, output_of(context), opened, memory=worker_memory, is_strict=strict_memory)
        return
    wanted = select_frames(loaded, *chosen)
    run = functools.partial(
        run_job, loaded, out, wanted, output_of(context), stop_on_eof=stop_on_eof, stop_file=stop_file
    )
    if workers == 1 and not worker_memory:
        run(opened=opened)
        return
    from ...workers.supervisor import supervised

    events = supervised(workers, threads=threads, memory=worker_memory)
    run(events=events)


@command(order=10)
def demo(
    context: typer.Context,
    out: RenderFolderOption,
    images: FrameCountOption = None,
    seed: RecipeSeedOption = None,
    samples: SamplesOption = None,
    json: JsonOption = False,
) -> None:
    """Render the built-in demo dataset."""
    loaded = load_recipe(DEMO, overrides(images=images, seed=seed, samples=samples))
    run_job(loaded, out, None, output_of(context))


@command(order=80)
def replay(
    context: typer.Context,
    out: JobArgument,
    frame: Annotated[int, typer.Argument(metavar="FRAME", min=0, help="Index of the frame.", show_default=False)],
    json: JsonOption = False,
) -> None:
    """Render one recorded frame again.

    The image goes to the folder replay/ in FOLDER.
    """
    from ....dataset.jobs.job import open_job

    output = output_of(context)
    with at_work(output, f"Rendering frame {frame}"):
        path = open_job(out, open_stage).replay(frame)
    output.result({"frame": frame, "image": path}, str(path))


@command(order=90)
def finish(
    context: typer.Context,
    out: JobArgument,
    json: JsonOption = False,
) -> None:
    """Write the annotations after rendering in parts.

    Parts are rendered with --frames, with --blocks or on a farm. Exit code 3 if frames are missing or damaged; the
    message gives the command to render them.
    """
    from ....dataset.jobs.job import open_job

    output = output_of(context)
    finished = open_job(out, open_stage).finish()
    if output.json:
        output.json_line(as_json(finished))
    show_finished(finished, output)
    if finished.absent:
        raise typer.Exit(INCOMPLETE)


def in_this_process(job: Job, frames: range | None, is_stopping: Callable[[], bool]) -> Generator[Event, None, None]:
    """The events of a job rendered in this process, until it is stopped."""
    return until(is_stopping, job.run(frames))


def run_job(
    recipe: Recipe,
    out: Path,
    frames: range | None,
    output: Output,
    *,
    stop_on_eof: bool = False,
    stop_file: Path | None = None,
    opened: OpenStage | None = None,
    events: Callable[[Job, range | None, Callable[[], bool]], Iterator[Event]] = in_this_process,
) -> None:
    """Run a job and show its progress.

    Ctrl-C stops it with exit code 130, as does, if wanted, the end of standard input or a file that appears.
    """
    from ....dataset.jobs.job import Job

    follower = Follower(output)
    try:
        with interruptible(output) as is_interrupted:
            is_abandoned = watch_stdin() if stop_on_eof else is_interrupted
            is_asked = watch_file(stop_file) if stop_file is not None else is_interrupted

            def is_stopping() -> bool:
                return is_interrupted() or is_abandoned() or is_asked()

            finished = follower.follow(events(Job(recipe, out, opened or open_stage), frames, is_stopping))
    except KeyboardInterrupt:
        text = f"Stopped with {follower.written} frames in {out}. Run the same command again to continue."
        output.message(text)
        if output.json:
            output.json_line({"event": "stopped", "written": follower.written, "out": out})
        raise typer.Exit(130) from None
    if finished is not None:
        show_finished(finished, output)
        if finished.absent:
            raise typer.Exit(INCOMPLETE)


def open_stage(recipe: Recipe, *, threads: int = 0) -> Stage:
    """Open the stage in Blender, whose output stays off the command's results."""
    reserve_stdout()
    return open_blender_stage(recipe, threads=threads)


def overrides(*, images: int | None = None, seed: int | None = None, samples: int | None = None) -> dict[str, Any]:
    """The recipe keys that command-line options override."""
    given = {"images": images, "seed": seed, "render.samples": samples}
    return {key: value for key, value in given.items() if value is not None}
