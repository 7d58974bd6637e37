# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that render: render, demo, replay, finish."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ....engine.events import Event
from ....engine.recipe.reading import load_recipe
from ....engine.recipe.settings import Recipe
from ....engine.stage import Stage
from ...console.commands import command
from ...console.frame_ranges import parse_range, share
from ...console.interrupt import interruptible, until
from ...console.output import JsonOption, Output, output_of, reserve_stdout
from ...console.progress import Follower, as_json, at_work, show_finished
from ...console.requests import ended
from ...workers.cores import few_cores, one_blas_thread

if TYPE_CHECKING:
    from ....dataset.jobs.job import Job, OpenStage

DEMO = Path(__file__).resolve().parents[3] / "examples" / "demo.toml"

INCOMPLETE = 3
"""Exit code of finishing a dataset that lacks frames."""

OutOption = Annotated[Path, typer.Option("-o", "--output", "--out", help="Output folder; created where it is missing.")]
ImagesOption = Annotated[int | None, typer.Option("--images", min=1, help="Frames to render, instead of the recipe's.")]
SeedOption = Annotated[int | None, typer.Option("--seed", min=0, help="Seed, instead of the recipe's.")]
SamplesOption = Annotated[
    int | None, typer.Option("--samples", min=1, help="Samples per pixel, instead of the recipe's.")
]


@command(order=50)
def render(
    context: typer.Context,
    recipe: Annotated[Path, typer.Argument(help="The recipe, a TOML file.", show_default=False)],
    out: OutOption,
    images: ImagesOption = None,
    seed: SeedOption = None,
    frames: Annotated[
        str,
        typer.Option(
            "--frames",
            metavar="A-B",
            help="Only frames A to B, both included: a share of the job. Let it start with a block ([render] block, 32 "
            "unless said otherwise): earlier frames of its first block are rendered too.",
        ),
    ] = "",
    block: Annotated[
        str, typer.Option("--block", metavar="K", help="Only block K, or blocks A-B: the share that farms hand out.")
    ] = "",
    samples: SamplesOption = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Where relative paths of the recipe start, instead of its own folder."),
    ] = None,
    tied: Annotated[
        bool, typer.Option("--tied", help="Stop when standard input ends, as with Ctrl-C: for programs that call this.")
    ] = False,
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            min=1,
            max=1024,
            help="Processes that render blocks side by side, each on a GPU of its own where there are several. One "
            "that dies is replaced.",
        ),
    ] = 1,
    threads: Annotated[
        int, typer.Option("--threads", min=0, max=1024, help="CPU threads of each process; 0 shares out what there is.")
    ] = 0,
    worker_memory: Annotated[
        float,
        typer.Option(
            "--worker-memory",
            min=0.0,
            help="GiB that each of the workers may take: with more after a frame it makes room for a fresh one, with "
            "more in the middle of a frame it is ended. Without this option only the former, with its share of the "
            "machine's memory.",
        ),
    ] = 0.0,
    strict_memory: Annotated[bool, typer.Option("--strict-memory", hidden=True)] = False,
    serve: Annotated[bool, typer.Option("--serve", hidden=True)] = False,
    json: JsonOption = False,
) -> None:
    """Render the dataset of a recipe. Frames that are there already are kept, so a stopped job goes on.

    Ends with exit code 0 when all is done, 2 where something must be put right first, 3 where frames are missing in the
    end, 75 where the same command may succeed later, 130 when stopped.
    """
    chosen = parse_range(frames), parse_range(block, "--block")
    loaded = load_recipe(recipe, overrides(images=images, seed=seed, samples=samples), folder=folder)
    opened = functools.partial(open_stage, threads=threads)
    if serve:
        from ...workers.worker import serve as take_requests

        take_requests(loaded, out, output_of(context), opened, memory=worker_memory, is_strict=strict_memory)
        return
    wanted = share(loaded, *chosen)
    if workers == 1 and not worker_memory:
        run_job(loaded, out, wanted, output_of(context), tied=tied, opened=opened)
        return
    from ...workers.supervisor import supervised

    events = supervised(workers, threads=threads, memory=worker_memory)
    run_job(loaded, out, wanted, output_of(context), tied=tied, events=events)


@command(order=10)
def demo(
    context: typer.Context,
    out: OutOption,
    images: ImagesOption = None,
    seed: SeedOption = None,
    samples: SamplesOption = None,
    json: JsonOption = False,
) -> None:
    """Render the embedded demo dataset; needs no file from anywhere."""
    loaded = load_recipe(DEMO, overrides(images=images, seed=seed, samples=samples))
    run_job(loaded, out, None, output_of(context))


@command(order=80)
def replay(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Output folder of an earlier render.", show_default=False)],
    frame: Annotated[int, typer.Argument(min=0, help="Index of the frame.", show_default=False)],
    json: JsonOption = False,
) -> None:
    """Render one frame of an earlier job once more, from its record."""
    from ....dataset.jobs.job import open_job

    output = output_of(context)
    with at_work(output, f"Rendering frame {frame}"):
        path = open_job(out, open_stage).replay(frame)
    output.result({"frame": frame, "image": path}, str(path))


@command(order=90)
def finish(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Output folder of an earlier render.", show_default=False)],
    json: JsonOption = False,
) -> None:
    """Write annotations and previews from the frames that are there, once all shares are rendered or merged.

    Ends with exit code 3 where frames of the job are missing or damaged, and names the command that renders them.
    """
    from ....dataset.jobs.job import open_job

    output = output_of(context)
    finished = open_job(out, open_stage).finish()
    if output.json:
        output.json_line(as_json(finished))
    show_finished(finished, output)
    if finished.absent:
        raise typer.Exit(INCOMPLETE)


def alone(job: Job, frames: range | None, is_stopping: Callable[[], bool]) -> Iterator[Event]:
    """The events of a job that this process renders, until it is stopped."""
    return until(is_stopping, job.run(frames))


def run_job(
    recipe: Recipe,
    out: Path,
    frames: range | None,
    output: Output,
    *,
    tied: bool = False,
    opened: OpenStage | None = None,
    events: Callable[[Job, range | None, Callable[[], bool]], Iterator[Event]] = alone,
) -> None:
    """Run a job to its end and show it; Ctrl-C, or if ``tied`` the end of standard input, ends it with a sentence and
    exit code 130."""
    from ....dataset.jobs.job import Job

    follower = Follower(output)
    try:
        with interruptible(output) as is_interrupted:
            is_over = ended() if tied else is_interrupted

            def is_stopping() -> bool:
                return is_interrupted() or is_over()

            finished = follower.follow(events(Job(recipe, out, opened or open_stage), frames, is_stopping))
    except KeyboardInterrupt:
        text = f"Stopped with {follower.written} frames written to {out}. The same command goes on from there."
        output.message(text)
        if output.json:
            output.json_line({"event": "stopped", "written": follower.written, "out": out})
        raise typer.Exit(130) from None
    if finished is not None:
        show_finished(finished, output)
        if finished.absent:
            raise typer.Exit(INCOMPLETE)


def open_stage(recipe: Recipe, *, threads: int = 0) -> Stage:
    """The stage on Blender, imported only now: commands that fail earlier do so without waiting for it."""
    reserve_stdout()
    one_blas_thread()
    with few_cores(threads):
        try:
            from ....blender.stage import open_stage as opened
        except ModuleNotFoundError as error:
            if error.name != "bpy":
                raise
            from ....engine.errors import StageError

            raise StageError(
                "Blender is missing: this Python has no module 'bpy'. Install it with `pip install bpy`, on a Python "
                "that it supports, or run inside Blender; `twinset doctor` says more."
            ) from None
        return opened(recipe, threads=threads)


def overrides(*, images: int | None = None, seed: int | None = None, samples: int | None = None) -> dict[str, Any]:
    """What the options of a command change in its recipe."""
    given = {"images": images, "seed": seed, "render.samples": samples}
    return {key: value for key, value in given.items() if value is not None}
