# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that write job files for render farms: farm slurm, openjd, flamenco, kubernetes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from ....dataset.atomic_files import write_atomic
from ....engine.errors import DataError
from ....engine.recipe.reading import load_recipe
from ...console.commands import group
from ...console.output import JsonOption, output_of
from ...farm import flamenco as flamenco_files
from ...farm import kubernetes as kubernetes_files
from ...farm import openjd as openjd_files
from ...farm import slurm as slurm_files
from ...farm.plan import Plan, fewest_blocks

RecipeArgument = Annotated[Path, typer.Argument(help="The recipe, a TOML file.", show_default=False)]
OutOption = Annotated[
    Path, typer.Option("-o", "--output", "--out", help="Output folder of the dataset.", show_default=False)
]
ToOption = Annotated[
    Path | None, typer.Option("--to", help="Folder for the job files; default is beside the output folder.")
]
ImagesOption = Annotated[int | None, typer.Option("--images", min=1, help="Frames to render, instead of the recipe's.")]
BlocksOption = Annotated[
    int | None,
    typer.Option(
        "--blocks-per-task",
        min=1,
        help="Blocks that one task renders, one after the other; default is 1, or what makes 1000 tasks.",
    ),
]
CommandOption = Annotated[
    str, typer.Option("--command", help="How nodes call Twinset, such as '/opt/twinset/bin/twinset'.")
]

app = group("farm", "Write job files for a render farm.", package=__package__, order=10, no_args_is_help=True)


@app.command()
def slurm(
    context: typer.Context,
    recipe: RecipeArgument,
    out: OutOption,
    to: ToOption = None,
    images: ImagesOption = None,
    blocks_per_task: BlocksOption = None,
    at_once: Annotated[int, typer.Option("--at-once", min=0, help="Tasks that run at the same time; 0: all.")] = 0,
    command: CommandOption = "twinset",
    json: JsonOption = False,
) -> None:
    """Write a Slurm array with a dependent finishing job; ./submit in its folder starts both."""
    plan = _plan(recipe, out, images, blocks_per_task, command)
    folder = to or Path(f"{out}_slurm")
    _write(context, plan, folder, slurm_files.files(plan, at_once=at_once), f"{folder}/submit", runs=("submit",))


@app.command()
def openjd(
    context: typer.Context,
    recipe: RecipeArgument,
    out: OutOption,
    to: ToOption = None,
    images: ImagesOption = None,
    blocks_per_task: BlocksOption = None,
    command: CommandOption = "twinset",
    json: JsonOption = False,
) -> None:
    """Write an Open Job Description template, which is also a job bundle of AWS Deadline Cloud."""
    plan = _plan(recipe, out, images, blocks_per_task, command)
    for text in (str(plan.recipe), str(plan.out), command):
        if "{{" in text:
            raise DataError(f"'{text}' holds '{{{{', which Open Job Description takes for its own. Rename it.")
    folder = to or Path(f"{out}_openjd")
    start = f"openjd run {folder}/template.json --extensions TASK_CHUNKING, or deadline bundle submit {folder}"
    _write(context, plan, folder, openjd_files.files(plan), start)


@app.command()
def flamenco(
    context: typer.Context,
    recipe: RecipeArgument,
    out: OutOption,
    to: ToOption = None,
    images: ImagesOption = None,
    blocks_per_task: BlocksOption = None,
    command: CommandOption = "twinset",
    json: JsonOption = False,
) -> None:
    """Write a job type for Flamenco, whose defaults are this recipe's."""
    plan = _plan(recipe, out, images, blocks_per_task, command)
    folder = to or Path(f"{out}_flamenco")
    start = f"copy {folder}/twinset.js into the folder 'scripts' beside the Flamenco Manager, then submit that job type"
    _write(context, plan, folder, flamenco_files.files(plan), start)


@app.command()
def kubernetes(
    context: typer.Context,
    recipe: RecipeArgument,
    out: OutOption,
    image: Annotated[str, typer.Option("--image", help="Container image with Twinset in it.", show_default=False)],
    claim: Annotated[
        str, typer.Option("--claim", help="Persistent volume claim that all pods share.", show_default=False)
    ],
    mount: Annotated[str, typer.Option("--mount", help="Where it is mounted in the pods.")] = "/work",
    to: ToOption = None,
    images: ImagesOption = None,
    blocks_per_task: BlocksOption = None,
    at_once: Annotated[int, typer.Option("--at-once", min=1, help="Pods that run at the same time.")] = 8,
    command: CommandOption = "twinset",
    json: JsonOption = False,
) -> None:
    """Write an Indexed Job for Kubernetes and a second one that finishes the dataset."""
    plan = _plan(recipe, out, images, blocks_per_task, command)
    for path in (plan.recipe, plan.out):
        if not PurePosixPath(path).is_relative_to(mount):
            raise DataError(
                f"'{path}' does not lie in {mount}, where pods see the shared volume. Name its place there, or another "
                "--mount."
            )
    folder = to or Path(f"{out}_kubernetes")
    written = kubernetes_files.files(plan, image=image, claim=claim, mount=mount, at_once=at_once)
    done = f"kubectl wait --for=condition=complete job/{plan.name}"
    start = f"kubectl apply -f {folder}/job.json, and {folder}/finish.json once `{done}` returns"
    _write(context, plan, folder, written, start)


def _plan(recipe: Path, out: Path, images: int | None, blocks_per_task: int | None, command: str) -> Plan:
    """The plan of a recipe; the recipe is checked here, so that no node has to find its mistakes."""
    loaded = load_recipe(recipe)
    frames, block = images or loaded.images, loaded.render.block_size
    return Plan(
        recipe=recipe.absolute(),
        out=out.absolute(),
        images=frames,
        block=block,
        blocks_per_task=blocks_per_task or fewest_blocks(frames, block),
        command=command,
        plugins=tuple(str(loaded.path(folder)) for folder in loaded.plugin_folders),
    )


def _write(
    context: typer.Context,
    plan: Plan,
    folder: Path,
    files: Mapping[str, str],
    start: str,
    *,
    runs: tuple[str, ...] = (),
) -> None:
    for name, text in files.items():
        write_atomic(folder / name, text.encode())
        if name in runs:
            os.chmod(folder / name, 0o755)
    output_of(context).result(
        {"folder": folder, "files": list(files), "tasks": plan.tasks, "blocks_per_task": plan.blocks_per_task},
        f"{plan.images} frames in {plan.blocks} blocks, {plan.tasks} tasks: {', '.join(files)} in {folder}",
        f"Start: {start}",
    )
