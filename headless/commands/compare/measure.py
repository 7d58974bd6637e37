# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``measure``: a table with a row per box, without Blender."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...console.commands import command
from ...console.options import DatasetArgument, ImagesOption, TableOption, WorkersOption
from ...console.output import JsonOption, Output, output_of
from ...console.progress import progress_bar

if TYPE_CHECKING:
    from ....dataset.analysis.measure import Measurement
    from ....dataset.progress import Progress

_MAX_LISTED = 10
"""Problems that are listed one by one."""


@command(order=40)
def measure(
    context: typer.Context,
    dataset: DatasetArgument,
    out: TableOption,
    images: ImagesOption = None,
    depth: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Depth maps named like the images: 16-bit PNG in mm, or EXR in m.",
            show_default=False,
        ),
    ] = None,
    pixels: Annotated[bool, typer.Option(help="Measure image quality, which opens the images.")] = True,
    workers: WorkersOption = 0,
    json: JsonOption = False,
) -> None:
    """Measure every box of a dataset and write a table.

    Columns are area, position, image quality, background similarity, depth and others.
    """
    from ....dataset.formats.metadata_table import check_suffix, write_columns

    output = output_of(context)
    check_suffix(out)
    with measuring_bar(output) as progress:
        found = measured(dataset, images, depth=depth, pixels=pixels, workers=workers, progress=progress)
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
    progress: Progress,
    option: str = "--images",
) -> Measurement:
    """Measure a dataset; its images, and depth maps beside them, are searched for near the annotations.

    ``option`` is the command-line option for the image folder.

    Raises
    ------
    DataError
        If the dataset, a given folder, or the images to be opened are missing.
    """
    from ....dataset.analysis.dataset_columns import measure_with_images
    from ....dataset.formats.dataset_folder import read_dataset

    return measure_with_images(
        read_dataset(dataset), images, depth=depth, pixels=pixels, workers=workers, progress=progress, option=option
    )


EMPTY = "files could not be measured; their columns are empty"
LEFT_OUT = "images could not be used and are left out"


def problems_shown(problems: Sequence[str], what: str = EMPTY) -> list[str]:
    """A line with the number of problems and what became of these files, and the first of them one by one."""
    if not problems:
        return []
    shown = [f"{len(problems)} {what}:"]
    shown += [f"  {problem}" for problem in problems[:_MAX_LISTED]]
    return shown + (
        [f"  and {len(problems) - _MAX_LISTED} more (--json lists all)"] if len(problems) > _MAX_LISTED else []
    )


@contextmanager
def measuring_bar(output: Output, what: str = "Measuring") -> Iterator[Progress]:
    """A progress bar with the time left; yields a callback that takes the counts done and in total."""
    with progress_bar(output, hidden=output.json) as bar:
        task = bar.add_task("Reading annotations", total=None)
        yield lambda done, total: bar.update(task, description=what, completed=done, total=total)
