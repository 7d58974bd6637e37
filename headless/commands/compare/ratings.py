# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands ``rating-sheet`` and ``score-ratings``: people check predicted values, without Blender."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import attrs
import typer
from rich.table import Table

from ....engine.errors import DataError
from ....engine.rng import stream
from ...console.commands import command
from ...console.options import ImagesOption, RealArgument, SeedOption
from ...console.output import JsonOption, output_of
from .measure import LEFT_OUT, problems_shown

KEY = "key.json"


@command("rating-sheet", order=51)
def rating_sheet(
    context: typer.Context,
    real: RealArgument,
    metadata: Annotated[
        Path, typer.Argument(metavar="TABLE", help="Table of `twinset infer` for these boxes.", show_default=False)
    ],
    out: Annotated[
        Path,
        typer.Option("-o", "--out", metavar="FOLDER", help="Folder to write; must not exist.", show_default=False),
    ],
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Column to rate; repeatable. Default: depth, occlusion and background similarity.",
            show_default=False,
        ),
    ] = None,
    boxes: Annotated[int, typer.Option(metavar="N", min=2, help="Number of boxes.")] = 60,
    controls: Annotated[
        float, typer.Option(metavar="X", min=0.0, max=0.9, help="Share of boxes that show the values of another box.")
    ] = 0.25,
    images: ImagesOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Write a sheet on which people rate predicted values.

    It has a page with crops of real boxes and their predicted depth, occlusion and background similarity, and a table
    to fill in with ratings from 0 to 5.
    """
    from ....dataset.atomic_files import json_bytes, make_folder, write_atomic
    from ....dataset.formats.dataset_folder import open_dataset
    from ....dataset.formats.metadata_table import read_columns
    from ....dataset.ratings.sheet import rating_sheet as make_sheet

    output = output_of(context)
    if out.exists():
        raise DataError(f"'{out}' exists already. Name another folder.")
    made = make_sheet(
        open_dataset(real, images),
        read_columns(metadata),
        stream(seed, "rating sheet"),
        columns=column or (),
        count=boxes,
        controls=controls,
    )
    make_folder(out)
    write_atomic(out / "ratings.csv", made.table)
    write_atomic(out / "sheet.html", made.page)
    write_atomic(out / KEY, json_bytes(made.key))
    values = {"folder": out, "boxes": len(made.key), "problems": made.problems}
    output.result(
        values,
        f"{len(made.key)} boxes: look at {out / 'sheet.html'}, fill in {out / 'ratings.csv'}; {KEY} says which boxes "
        "are controls.",
        *problems_shown(made.problems, LEFT_OUT),
        f"Next: twinset score-ratings {out / 'ratings.csv'}",
    )


@command("score-ratings", order=52)
def score_ratings(
    context: typer.Context,
    ratings: Annotated[
        list[Path],
        typer.Argument(metavar="CSV...", help="Filled-in tables of a sheet, one per person.", show_default=False),
    ],
    key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=f"Key of the sheet. Default: {KEY} beside the first table."),
    ] = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Score filled-in rating sheets.

    Prints the mean rating of each predicted column beside that of values of other boxes.
    """
    from ....dataset.json_files import read_json
    from ....dataset.ratings.scores import read_ratings
    from ....dataset.ratings.scores import score_ratings as score

    output = output_of(context)
    known = read_json(key or ratings[0].parent / KEY)
    valid = isinstance(known, dict) and all(
        isinstance(of, dict) and isinstance(of.get("image"), int) and isinstance(of.get("control"), bool)
        for of in known.values()
    )
    if not valid:
        raise DataError(f"'{key or ratings[0].parent / KEY}' is no key of a rating sheet. Name it with --key.")
    scores = score([read_ratings(path) for path in ratings], known, stream(seed, "ratings"))
    heads = ("column", "ratings", "mean", "controls", "mean of controls", "gain", "95%", "agreement")
    table = Table(*heads, title="Ratings from 0 to 5", title_justify="left")
    for one in scores:
        interval = "-" if math.isnan(one.low) else f"{one.low:.2f} to {one.high:.2f}"
        cells = (str(one.ratings), _number(one.mean), str(one.controls), _number(one.control_mean), _number(one.gain))
        table.add_row(one.column, *cells, interval, _number(one.agreement))
    output.result(
        {"scores": [attrs.asdict(one) for one in scores]},
        table,
        "Gain: how much better predicted values are rated than values of other boxes; interval by image. Agreement: "
        "Cohen's kappa with quadratic weights.",
    )


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"
