# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that measures a dataset, without Blender: measure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..engine.errors import DataError
from .output import JsonOption, Output, output_of
from .progress import progress_bar

if TYPE_CHECKING:
    from ..dataset.measure import Progress as Told

_NAMED = 10
"""So many problems are named one by one."""


def add_to(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(measure)


def measure(
    context: typer.Context,
    dataset: Annotated[
        Path, typer.Argument(help="COCO file, folder of a rendered dataset, or YOLO folder.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Table: .parquet or .csv.", show_default=False)
    ],
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images; looked for near the annotations.", show_default=False)
    ] = None,
    depth: Annotated[
        Path | None,
        typer.Option(help="Folder of depth maps (16-bit PNG in mm, or EXR in m), named as the images."),
    ] = None,
    pixels: Annotated[bool, typer.Option(help="Open the images; else only what annotations say.")] = True,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 takes one per processor.")] = 0,
    json: JsonOption = False,
) -> None:
    """Measure every box of a dataset into a table: area, place, image quality, background similarity, depth."""
    from ..dataset.folders import image_folder, read_dataset
    from ..dataset.measure import measure as measure_dataset
    from ..dataset.table import check_suffix, write_columns

    output = output_of(context)
    check_suffix(out)
    for folder in (images, depth):
        if folder is not None and not folder.is_dir():
            raise DataError(f"The folder '{folder}' does not exist. Check the path.")
    with _bar(output) as told:
        coco = read_dataset(dataset)
        if pixels:
            images = images or image_folder(coco)
            if images is None:
                raise DataError(
                    f"The images of '{dataset}' are not found near it. Name their folder with --images, "
                    "or measure without them by --no-pixels."
                )
            beside = images.parent / "depth"
            depth = depth or (beside if beside.is_dir() else None)
        found = measure_dataset(coco, images if pixels else None, depth=depth, workers=workers, progress=told)
        write_columns(out, found.columns)
    shown = [f"{found.boxes} boxes of {found.images} images, {len(found.columns)} columns: {out}"]
    if found.problems:
        shown.append(f"{len(found.problems)} files could not be measured; their columns are empty:")
        shown += [f"  {problem}" for problem in found.problems[:_NAMED]]
        if len(found.problems) > _NAMED:
            shown.append(f"  and {len(found.problems) - _NAMED} more (all with --json)")
    values = {
        "table": out,
        "boxes": found.boxes,
        "images": found.images,
        "columns": list(found.columns),
        "problems": found.problems,
    }
    output.result(values, *shown)


@contextmanager
def _bar(output: Output) -> Iterator[Told]:
    """A progress bar with time left; gives what is to be told how many images are done of how many."""
    with progress_bar(output, hidden=output.json) as bar:
        task = bar.add_task("Reading annotations", total=None)
        yield lambda done, total: bar.update(task, description="Measuring", completed=done, total=total)
