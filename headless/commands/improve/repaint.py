# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``repaint``, which puts other backgrounds behind the annotated objects of a dataset, without Blender."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .... import __version__
from ....engine.errors import DataError
from ...console.commands import command
from ...console.options import DatasetArgument, ImagesOption, RequiredNewDatasetOption
from ...console.output import JsonOption, output_of
from ..compare.measure import measuring_bar
from .curation import refuse_existing, written_sentences


@command(order=45)
def repaint(
    context: typer.Context,
    dataset: DatasetArgument,
    out: RequiredNewDatasetOption,
    color: Annotated[
        list[str],
        typer.Option(
            metavar="COLOR", help="Colour to draw from, as '#ffffff' or '255, 255, 255'; repeatable. Default: white."
        ),
    ] = [],  # noqa: B006
    photos: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            exists=True,
            file_okay=False,
            help="Folder of photos to draw from instead. They must not show the annotated classes.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Random seed of the draws.")] = 0,
    images: ImagesOption = None,
    json: JsonOption = False,
) -> None:
    """Put annotated objects on white, a colour or photos.

    The result is a copy of the dataset. Masks are needed for outlines; an annotation without one keeps its whole box.
    Boxes, masks and records stay as they are, and metadata columns keep the values of the old pictures.
    """
    from ....dataset.formats.dataset_folder import open_dataset
    from ....dataset.formats.image_files import IMAGE_SUFFIXES
    from ....dataset.images.backgrounds import Backgrounds
    from ....dataset.jobs.subset import SubsetChanges, write_subset
    from ....engine.recipe.input_files import listed_files
    from ....engine.scene.material import color_from_text

    output = output_of(context)
    if color and photos is not None:
        raise DataError("Give --color or --photos, not both.")
    for text in color:
        try:
            color_from_text(text)
        except ValueError as error:
            raise DataError(f"--color: {error}") from None
    refuse_existing(out)
    files = () if photos is None else listed_files(Path(), str(photos), [], suffixes=IMAGE_SUFFIXES, owner="--photos")
    found = open_dataset(dataset, images)
    backgrounds = Backgrounds(tuple(color) or ("#ffffff",), files, seed=seed)
    step = {
        "twinset": __version__,
        "command": "repaint",
        "seed": seed,
        **({"photos": [path.name for path in files]} if files else {"colors": list(backgrounds.colors)}),
    }
    with measuring_bar(output, "Painting") as progress:
        changes = SubsetChanges(paint=backgrounds.paint)
        written = write_subset(found.coco, found.images, out, changes, step, progress=progress)
    output.result({**step, "written": written}, *written_sentences(written))
