# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``align``: from a recipe and real photos to an aligned dataset, step by step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from ....engine.events import Event
from ....engine.recipe.settings import Recipe
from ...console.commands import command
from ...console.interrupt import interruptible
from ...console.options import (
    DATASET_FORMATS,
    ModelOption,
    RealImagesOption,
    RecipeArgument,
    RenderFolderOption,
    SeedOption,
    ThreadsOption,
)
from ...console.output import JsonOption, Output, output_of
from ...console.progress import progress_bar
from .render import in_this_process, open_stage

if TYPE_CHECKING:
    from ....dataset.aligning.pipeline import Alignment, StepOutcome
    from ....dataset.jobs.job import Job

STEP_NAMES = "split, baseline, areas, camera, backgrounds, infer, features, shapes, dataset, filter, report"


@command(order=55)
def align(
    context: typer.Context,
    recipe: RecipeArgument,
    out: RenderFolderOption,
    real: Annotated[
        Path | None,
        typer.Option(
            metavar="DATASET",
            help=f"Real dataset: {DATASET_FORMATS}. Default: that of the recipe.",
            show_default=False,
        ),
    ] = None,
    real_images: RealImagesOption = None,
    class_name: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            metavar="NAME",
            help="Align only this class; repeatable. Default: all classes of the recipe that the photos show.",
            show_default=False,
        ),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            "--images",
            metavar="N",
            min=1,
            max=10_000_000,
            help="Images of the aligned dataset, overriding the recipe.",
            show_default=False,
        ),
    ] = None,
    trial_images: Annotated[
        int,
        typer.Option(metavar="N", min=4, max=10_000, help="Images rendered after each step to measure its gain."),
    ] = 40,
    test_share: Annotated[
        float,
        typer.Option("--test", metavar="X", help="Share of the photos that are held out, to measure gains on."),
    ] = 0.3,
    skip: Annotated[
        list[str] | None,
        typer.Option(metavar="STEP", help=f"Leave out a step; repeatable. Steps: {STEP_NAMES}.", show_default=False),
    ] = None,
    until: Annotated[
        str, typer.Option(metavar="STEP", help="Stop after this step, and measure.", show_default=False)
    ] = "",
    redo: Annotated[
        bool,
        typer.Option(
            "--redo", help="If inputs have changed, do the steps concerned again and delete what they rendered before."
        ),
    ] = False,
    model: ModelOption = None,
    workers: Annotated[
        int, typer.Option("--workers", metavar="N", min=1, max=1024, help="Processes that render in parallel.")
    ] = 1,
    threads: ThreadsOption = 1,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Align a recipe with real photos, step by step.

    Renders a baseline, infers what photos do not state, fits sizes, camera and features, removes shapes that look least
    real, renders the aligned dataset, filters it, and measures on held-out photos what each step gained. Steps that are
    done are kept: run the same command again to continue.
    """
    from ....dataset.aligning.pipeline import align as run
    from ....dataset.aligning.workspace.options import AlignOptions, Surroundings

    output = output_of(context)
    options = AlignOptions(
        trial_images=trial_images,
        images=images,
        test_share=test_share,
        classes=tuple(class_name or ()),
        skip=tuple(skip or ()),
        until=until,
        redo=redo,
        model=model,
        threads=threads,
        seed=seed,
    )
    try:
        with interruptible(output) as is_stopping, progress_bar(output, hidden=output.json) as bar:
            task = bar.add_task("Reading annotations", total=None)

            def progress(what: str, done: int, total: int) -> None:
                bar.update(task, description=what, completed=done, total=total)
                if is_stopping():
                    raise KeyboardInterrupt

            done = run(
                recipe,
                real,
                out,
                options,
                Surroundings(functools.partial(_render, workers, is_stopping), progress, output.message),
                real_images=real_images,
            )
    except KeyboardInterrupt:
        output.message(f"Stopped. Run the same command again to continue in {out}.")
        raise typer.Exit(130) from None
    _show(output, done)


def _render(
    workers: int, is_stopping: Callable[[], bool], recipe: Recipe, out: Path, watch: Callable[[Event], None]
) -> None:
    """Render a recipe in this process, or in several others."""
    from ....dataset.jobs.job import Job

    events: Callable[[Job, range | None, Callable[[], bool]], Generator[Event, None, None]] = in_this_process
    if workers > 1:
        from ...workers.supervisor import supervised

        events = supervised(workers, threads=0)
    # An exception in the loop must end the other processes at once.
    with closing(events(Job(recipe, out, open_stage), None, is_stopping)) as running:
        for event in running:
            watch(event)


def _show(output: Output, done: Alignment) -> None:
    from ....dataset.aligning.pipeline import PAGE, REPORT
    from ....dataset.aligning.steps.report import REPORT as REPORT_PAGE

    table = Table("step", "", "", title="Steps", title_justify="left")
    for outcome in done.steps:
        table.add_row(outcome.step.name, outcome.state, "\n".join(outcome.said))
    shown: list[Any] = [table]
    gains = done.result(REPORT).get("gains")
    if gains:
        shown += _gains(gains)
    shown.append(f"Page: {done.out / PAGE}" + (f"; report: {done.out / REPORT_PAGE}" if gains else ""))
    shown.append(f"Recipe: {done.recipe}. Next: twinset render {done.recipe} -o FOLDER --images 5000")
    values = {
        "recipe": done.recipe,
        "page": done.out / PAGE,
        "datasets": dict(done.datasets),
        "steps": [_values(outcome) for outcome in done.steps],
    }
    output.result(values, *shown)


def _values(outcome: StepOutcome) -> dict[str, Any]:
    return {"step": outcome.step.name, "state": outcome.state, "reason": outcome.reason, "result": outcome.result}


def _gains(gains: Mapping[str, Any]) -> list[Any]:
    """A table with a line for the images after each step, and what its numbers mean."""
    kinds = {key: gains[key] for key in ("boxes", "pictures") if gains[key] is not None}
    if not kinds:
        return list(gains["problems"])
    title = f"Gains, on {gains['real']['images']} photos with {gains['real']['boxes']} boxes"
    heads = [head for key in kinds for head in (key, "95%", "than before")]
    table = Table("images after", "number", *heads, title=title, title_justify="left")
    for name in gains["order"]:
        cells = [cell for of in kinds.values() for cell in _cells(of["datasets"][name])]
        table.add_row(name, str(gains["sizes"][name]["images"]), *cells)
    table.add_row("halves of photos", "", *(cell for of in kinds.values() for cell in _floor_cells(of)))
    shown: list[Any] = [table, _MEANING]
    if "boxes" in kinds:
        datasets, components = kinds["boxes"]["datasets"], kinds["boxes"]["components"]
        table = Table("images after", *components, title="Components of 'boxes'", title_justify="left")
        for name in gains["order"]:
            of_one = datasets[name]["components"]
            table.add_row(name, *(f"{of_one[component]['ratio']:.2f}" for component in components))
        shown.append(table)
    return [*shown, *(text for of in kinds.values() for text in of["left_out"]), *gains["problems"]]


_MEANING = (
    "boxes: composite of sizes, positions and looks of boxes; pictures: of tones and colours of whole pictures. 1 "
    "means that no component exceeds its floor, which is what real samples of this size show. Halves of photos: the "
    "mean, and what 95% of random halves stay below. =: not significantly different."
)


def _cells(one: Mapping[str, Any]) -> tuple[str, str, str]:
    return f"{one['value']:.2f}", f"{one['low']:.2f} to {one['high']:.2f}", one["change"] or "-"


def _floor_cells(measured: Mapping[str, Any]) -> tuple[str, str, str]:
    return f"{measured['floor']:.2f}", f"to {measured['upper_floor']:.2f}", ""
