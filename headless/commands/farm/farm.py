# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands ``farm NAME``, one for each file of ``headless/farm`` that declares a farm."""

from __future__ import annotations

import inspect
import os
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import attrs
import typer

from ....dataset.atomic_files import write_atomic
from ....engine.plugin.registry import summary
from ....engine.recipe.reading import load_recipe
from ...console.commands import group
from ...console.options import FrameCountOption, RecipeArgument
from ...console.output import JsonOption, output_of
from ...farm.farm import FARMS, Farm
from ...farm.plan import Plan, min_blocks_per_task

OutOption = Annotated[
    Path,
    typer.Option(
        "-o", "--out", metavar="FOLDER", help="Output folder of the dataset, as given to `render`.", show_default=False
    ),
]
JobFilesOption = Annotated[
    Path | None,
    typer.Option("--out-jobs", metavar="FOLDER", help="Folder for the job files. Default: beside the output folder."),
]
BlocksOption = Annotated[
    int | None,
    typer.Option(
        "--blocks-per-task",
        metavar="N",
        min=1,
        max=10_000_000,
        help="Blocks that a task renders in sequence. Default: 1, or more to stay within 1000 tasks.",
    ),
]
CommandOption = Annotated[
    str,
    typer.Option(
        "--command", metavar="COMMAND", help="How the nodes call Twinset, such as '/opt/twinset/bin/twinset'."
    ),
]

app = group("farm", "Write job files for a render farm.", package=__package__, order=10, no_args_is_help=True)


def farm_command(cls: type[Farm]) -> Callable[..., None]:
    """The function of a farm's command, with the options of all farms and those that the farm declares."""

    def run(
        context: typer.Context,
        recipe: RecipeArgument,
        out: OutOption,
        out_jobs: JobFilesOption = None,
        images: FrameCountOption = None,
        blocks_per_task: BlocksOption = None,
        command: CommandOption = "twinset",
        json: JsonOption = False,
        **options: Any,
    ) -> None:
        plan = _plan(recipe, out, images, blocks_per_task, command)
        _write(context, cls(**options), plan, out_jobs or Path(f"{out}_{cls.name}"))

    *common, _ = inspect.signature(run, eval_str=True).parameters.values()
    common = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in common]
    hints = typing.get_type_hints(cls, include_extras=True)
    own = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is attrs.NOTHING else field.default,
            annotation=hints[field.name],
        )
        for field in (attrs.fields(cls) if attrs.has(cls) else ())
    ]
    run.__name__, run.__doc__ = cls.name, summary(cls)
    run.__annotations__ = {p.name: p.annotation for p in (*common, *own)}
    run.__signature__ = inspect.Signature([*common[:3], *own, *common[3:]])  # type: ignore[attr-defined]
    return run


def _plan(recipe: Path, out: Path, images: int | None, blocks_per_task: int | None, command: str) -> Plan:
    """The plan of a recipe, which is checked here so that errors do not first appear on a node."""
    loaded = load_recipe(recipe)
    frames, block = images or loaded.images, loaded.render.block_size
    return Plan(
        recipe=recipe.absolute(),
        out=out.absolute(),
        images=frames,
        block=block,
        blocks_per_task=blocks_per_task or min_blocks_per_task(frames, block),
        command=command,
        plugins=tuple(str(loaded.path(folder)) for folder in loaded.plugin_folders),
    )


def _write(context: typer.Context, farm: Farm, plan: Plan, folder: Path) -> None:
    files = farm.files(plan)
    for name, text in files.items():
        write_atomic(folder / name, text.encode())
        if name in farm.executables:
            os.chmod(folder / name, 0o755)
    output_of(context).result(
        {"folder": folder, "files": list(files), "tasks": plan.tasks, "blocks_per_task": plan.blocks_per_task},
        f"{plan.images} frames in {plan.blocks} blocks, {plan.tasks} tasks: {', '.join(files)} in {folder}",
        f"Start: {farm.start(plan, folder)}",
    )


for _cls in FARMS.all():
    app.command(_cls.name)(farm_command(_cls))
