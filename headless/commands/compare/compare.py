# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``compare``: distances between the metadata of two datasets, without Blender."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import attrs
import typer
from rich.table import Table

from ....alignment.distances.registry import all_distances
from ....dataset.report.formatting import format_number
from ...console.commands import command
from ...console.options import (
    DATASET_FORMATS,
    ClassOption,
    MaxBoxesOption,
    ModelOption,
    PlotsOption,
    RealImagesOption,
    SeedOption,
    SynthImagesOption,
    WorkersOption,
)
from ...console.output import JsonOption, Output, output_of
from .feature_tables import class_features, feature_table
from .fit import draw_plot
from .measure import measured, measuring_bar, problems_shown

if TYPE_CHECKING:
    import numpy as np

    from ....alignment.distances.distance import Distance
    from ....alignment.distances.verdict import Verdict

RealOrTable = Annotated[
    Path,
    typer.Argument(
        metavar="REAL",
        help=f"Real dataset: {DATASET_FORMATS}, or a table written by `twinset measure`.",
        show_default=False,
    ),
]
SynthOrTable = Annotated[
    Path,
    typer.Argument(metavar="SYNTH", help="Synthetic dataset or table; same formats as REAL.", show_default=False),
]


@command(order=10)
def compare(
    context: typer.Context,
    real: RealOrTable,
    synth: SynthOrTable,
    class_name: ClassOption = "",
    pixels: Annotated[bool, typer.Option("--pixels", help="Also compare image quality; opens the images.")] = False,
    features: Annotated[
        bool,
        typer.Option("--features", help="Also compare the features of boxes in a vision model; opens the images."),
    ] = False,
    model: ModelOption = None,
    max_boxes: MaxBoxesOption = 300,
    real_images: RealImagesOption = None,
    synth_images: SynthImagesOption = None,
    workers: WorkersOption = 0,
    seed: SeedOption = 0,
    plots: PlotsOption = None,
    json: JsonOption = False,
) -> None:
    """Compare the metadata of two datasets.

    Prints the distances of each column with confidence intervals, and says which columns differ significantly. The
    floor of a distance is its mean between two random samples of the real dataset.
    """
    from ....alignment.distances.comparison import compare_measured
    from ....alignment.distances.verdict import verdict
    from ....dataset.analysis.dataset_columns import check_class
    from ....dataset.formats.metadata_table import SUFFIXES
    from ....dataset.report.plots import plot_comparison

    output = output_of(context)
    read = partial(read_side, output, pixels=pixels or bool(real_images or synth_images), workers=workers)
    first, problems = read(real, real_images, "--real-images")
    second, more = read(synth, synth_images, "--synth-images")
    for columns, path in ((first, real), (second, synth)):
        check_class(columns, class_name, path)
    with measuring_bar(output, "Comparing columns") as progress:
        report = compare_measured(first, second, class_name or None, seed, progress)
    if features:
        folders = ((real, real_images), (synth, synth_images))
        of_features = class_features(output, *folders, list(report["classes"]), model, max_boxes, seed, workers)
        for name, found in report["classes"].items():
            found["features"] = of_features[name]
    written = {}
    with output.err.status("Plotting") if plots else nullcontext():
        for name, found in report["classes"].items():
            draw = partial(plot_comparison, found["columns"], title=f"{name}: {real.name} and {synth.name}")
            if found["columns"] and plots:
                written[name] = draw_plot(plots, "compare", name, draw)
    if class_name:
        report |= {"only_real": [], "only_synth": []}
    judged = verdict(report)
    shown: list[Any] = []
    for name, found in report["classes"].items():
        shown += _comparison(f"{name}: {found['n_real']} real, {found['n_synth']} synthetic boxes", found)
        if found["main"]:
            title = f"{name}: the {found['main']['n_synth']} boxes of main instances"
            shown += _comparison(title, found["main"])
        if features:
            shown += feature_table(name, found["features"])
        if name in written:
            shown += [f"Plot: {written[name]}"]
    shown.append(
        "Floor: the distance to expect between two random samples of the real dataset of these sizes, drawn by box; by "
        "image: drawn by image. Chance: 95% of random exchanges of images between the two datasets stay below it."
    )
    shown += problems_shown([*problems, *more])
    shown += ["", *judged.sentences]
    if judged.significant and not any(path.suffix.lower() in SUFFIXES for path in (real, synth)):
        shown.append(f"For advice on the recipe: twinset report {real} {synth} -o report.html")
    values = {**report, "verdict": _verdict_values(judged), "plots": written, "problems": [*problems, *more]}
    output.result(values, *shown)


def read_side(
    output: Output, path: Path, images: Path | None, option: str, *, pixels: bool, workers: int
) -> tuple[Mapping[str, Sequence[Any] | np.ndarray], Sequence[str]]:
    """The measured columns of a table or dataset, and a sentence for each file that could not be measured.

    ``option`` is the command-line option for its image folder.
    """
    from ....dataset.formats.metadata_table import SUFFIXES, read_columns

    if path.suffix.lower() in SUFFIXES:
        with output.err.status("Reading"):
            return read_columns(path), ()
    with measuring_bar(output, f"Measuring {path.name}") as progress:
        found = measured(path, images, pixels=pixels, workers=workers, progress=progress, option=option)
    return found.columns, found.problems


def _verdict_values(judged: Verdict) -> dict[str, Any]:
    """The verdict for JSON, without the statements on columns that match: their numbers are in ``classes``."""
    return {"off": [attrs.asdict(s) for s in judged.significant], "sentences": judged.sentences}


def _comparison(title: str, found: Mapping[str, Any]) -> list[Any]:
    """A table of distances with their intervals and floors, and remarks on single columns."""
    table = Table(
        "column",
        "distance",
        "value",
        "95%",
        "floor",
        "by image",
        "significant above",
        title=title,
        title_justify="left",
    )
    for name, column in found["columns"].items():
        for number, distance in enumerate(all_distances(categories="categories" in column)):
            table.add_row("" if number else name, distance.short, *_distance(column, distance))
    remarks: dict[str, list[str]] = {}
    for name, column in found["columns"].items():
        if column["remark"]:
            remarks.setdefault(column["remark"], []).append(name)
    sentences = [f"  {', '.join(names)}: {remark}" for remark, names in remarks.items()]
    return [table, *sentences, *(f"  {remark}" for remark in found.get("remarks", ()))]


def _distance(column: Mapping[str, Any], distance: Distance) -> list[str]:
    """The table cells of a distance: value, interval and floors; dashes if there is no floor."""
    key = distance.name
    floor, by_image = column[distance.floor_key], column[f"{key}_image_floor"]
    if math.isnan(floor):
        return ["-"] * 5
    floors = [
        "-" if math.isnan(value) else format_number(value) for value in (floor, by_image, column[f"{key}_upper_floor"])
    ]
    if not math.isfinite(column[key]):
        return ["no common bin", "", *floors]
    low, high = column[f"{key}_interval"]
    return [format_number(column[key]), f"{format_number(low)} to {format_number(high)}", *floors]
