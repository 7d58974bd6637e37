# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``view``: a dataset in the browser, or in FiftyOne."""

from __future__ import annotations

import tempfile
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from ...console.commands import command
from ...console.options import DatasetArgument, ImagesOption
from ...console.output import JsonOption, output_of


@command(order=100)
def view(
    context: typer.Context,
    dataset: DatasetArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FOLDER",
            help="Write the page with its images to this new folder instead of opening it.",
            show_default=False,
        ),
    ] = None,
    images: ImagesOption = None,
    max_images: Annotated[int, typer.Option(metavar="N", min=1, help="Show at most N images.")] = 5000,
    page: Annotated[bool, typer.Option("--page", help="Open the page even where FiftyOne is installed.")] = False,
    json: JsonOption = False,
) -> None:
    """Look at a dataset: images, boxes and masks.

    Opens FiftyOne where it is installed, otherwise a page in the browser, which needs no network. The page filters by
    class, size, part, verdict and any metric.
    """
    from ....dataset.formats.dataset_folder import open_dataset
    from ....dataset.viewer.fiftyone_app import has_fiftyone, open_fiftyone
    from ....dataset.viewer.page import write_view
    from .measure import measuring_bar

    output = output_of(context)
    found = open_dataset(dataset, images)
    if out is None and not page and has_fiftyone():
        problem = open_fiftyone(found, max_images)
        if not problem:
            output.result({"viewer": "fiftyone"})
            return
        output.message(f"FiftyOne is installed, but cannot start ({problem}). The page is opened instead.")
    folder = out or Path(tempfile.mkdtemp(prefix="twinset-view-")) / "page"
    with measuring_bar(output, "Writing the page") as progress:
        written = write_view(found, folder, copies=out is not None, limit=max_images, progress=progress)
    lines = [f"{written.images} images: {written.page}"]
    if written.left_out:
        lines.append(f"{written.left_out} further images are not shown. Raise --max-images to see them.")
    if out is None:
        webbrowser.open(written.page.resolve().as_uri())
    output.result({"page": written.page, "images": written.images, "left_out": written.left_out}, *lines)
