# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``backgrounds``, which paints the annotated objects out of real photos, without Blender."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import attrs
import typer

from ...console.commands import command
from ...console.options import ImagesOption, RealArgument
from ...console.output import JsonOption, output_of
from ..compare.measure import measuring_bar
from .curation import refuse_existing


@command(order=46)
def backgrounds(
    context: typer.Context,
    real: RealArgument,
    out: Annotated[
        Path,
        typer.Option("-o", "--out", metavar="FOLDER", help="Folder to write; must not exist.", show_default=False),
    ],
    images: ImagesOption = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            metavar="NAME",
            help="Paint out this class; repeatable. Default: all annotated classes.",
            show_default=False,
        ),
    ] = None,
    max_share: Annotated[
        float,
        typer.Option(
            metavar="SHARE", min=0.0, max=1.0, help="Leave out photos of which more than this would be painted out."
        ),
    ] = 0.3,
    margin: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            min=0.0,
            max=1.0,
            help="Also paint out what is this near to an object, as a share of its box's longer side.",
        ),
    ] = 0.04,
    json: JsonOption = False,
) -> None:
    """Make backgrounds of real photos.

    Annotated objects are painted out with parts of the photos that fit there. The effect `replace_background` and
    `twinset repaint --photos` put rendered objects on such photos, so that a detector sees the places of real photos.
    """
    from ....dataset.formats.dataset_folder import open_dataset
    from ....dataset.images.emptied_photos import EmptyingRules, empty_photos

    output = output_of(context)
    refuse_existing(out)
    photos = open_dataset(real, images)
    rules = EmptyingRules(tuple(classes or ()), margin, max_share)
    with measuring_bar(output, "Painting") as progress:
        made = empty_photos(photos, out, rules, progress)
    kept = [photo for photo in made if photo.file]
    painted = sum(photo.share > 0 for photo in kept)
    left_out = len(made) - len(kept)
    lines = [f"{len(kept)} of {len(made)} photos are in '{out}'; objects were painted out of {painted} of them."]
    if left_out:
        verb = "was" if left_out == 1 else "were"
        lines.append(f"{left_out} {verb} left out: more than {max_share:.0%} would have to be painted.")
    lines.append(f'Next: `[[effect]]` with plugin = "replace_background" and image_folder = "{out}".')
    values = {"folder": out, "photos": [attrs.asdict(photo) for photo in made]}
    output.result(values, *lines)
