# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that measures a dataset, without Blender: measure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ....engine.errors import DataError
from ...console.commands import command
from ...console.output import JsonOption, Output, output_of
from ...console.progress import progress_bar

if TYPE_CHECKING:
    from ....dataset.analysis.measure import Measurement
    from ....dataset.progress import Progress

_NAMED = 10
"""So many problems are named one by one."""


@command(order=40)
def measure(
    context: typer.Context,
    dataset: Annotated[
        Path, typer.Argument(help="COCO file, or folder of a dataset: rendered, YOLO or HDF5.", show_default=False)
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", dir_okay=False, help="Table: .parquet or .csv.", show_default=False
        ),
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
    from ....dataset.formats.metadata_table import check_suffix, write_columns

    output = output_of(context)
    check_suffix(out)
    with measuring_bar(output) as told:
        found = measured(dataset, images, depth=depth, pixels=pixels, workers=workers, told=told)
        write_columns(out, found.columns)
    shown = [f"{found.boxes} boxes of {found.images} images, {len(found.columns)} columns: {out}"]
    shown += problems_shown(found.problems)
    values = {
        "table": out,
        "boxes": found.boxes,
        "images": found.images,
        "columns": list(found.columns),
        "problems": found.problems,
    }
    output.result(values, *shown)


def measured(
    dataset: Path,
    images: Path | None,
    *,
    depth: Path | None = None,
    pixels: bool,
    workers: int,
    told: Progress,
    option: str = "--images",
) -> Measurement:
    """Measure a dataset; its images, and depth maps beside them, are looked for near the annotations.

    ``option`` is what names the folder of images on the command line.

    Raises
    ------
    DataError
        Where the dataset, or a folder that is named, is missing, or no images are found that are to be opened.
    """
    from ....dataset.analysis.measure import measure as measure_dataset
    from ....dataset.formats.dataset_folder import images_of, read_dataset

    for folder in (images, depth):
        if folder is not None and not folder.is_dir():
            raise DataError(f"The folder '{folder}' does not exist. Check the path.")
    coco = read_dataset(dataset)
    if pixels:
        images = images_of(coco, images, option, "measure without pixels")
        beside = images.parent / "depth"
        depth = depth or (beside if beside.is_dir() else None)
    return measure_dataset(coco, images if pixels else None, depth=depth, workers=workers, progress=told)


EMPTY = "files could not be measured; their columns are empty"
LEFT_OUT = "images are of no use and left out"


def problems_shown(problems: Sequence[str], what: str = EMPTY) -> list[str]:
    """Lines that name files with problems, the first of them, under a line that says how many and ``what`` of them."""
    if not problems:
        return []
    shown = [f"{len(problems)} {what}:"]
    shown += [f"  {problem}" for problem in problems[:_NAMED]]
    return shown + ([f"  and {len(problems) - _NAMED} more (all with --json)"] if len(problems) > _NAMED else [])


@contextmanager
def measuring_bar(output: Output, what: str = "Measuring") -> Iterator[Progress]:
    """A progress bar with time left; gives what is to be told how much is done of how much."""
    with progress_bar(output, hidden=output.json) as bar:
        task = bar.add_task("Reading annotations", total=None)
        yield lambda done, total: bar.update(task, description=what, completed=done, total=total)
