# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that measure datasets, without Blender: fit, compare."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from ..alignment.bootstrap import DISTANCES
from ..engine.errors import OutputError
from .output import JsonOption, output_of

if TYPE_CHECKING:
    from ..dataset.coco import CocoFile

PlotsOption = Annotated[Path, typer.Option("--plots", help="Folder for the plots.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(fit)
    app.command()(compare)


def fit(
    context: typer.Context,
    coco: Annotated[Path, typer.Argument(help="COCO file, or folder of a dataset.", show_default=False)],
    class_name: Annotated[str, typer.Option("--class", metavar="NAME", help="Category.", show_default=False)],
    scale: Annotated[str, typer.Option(help="log, sqrt or logit: where components are Gaussian.")] = "log",
    components: Annotated[int, typer.Option(min=0, help="Number of components; 0 lets the criterion choose.")] = 0,
    criterion: Annotated[str, typer.Option(help="silhouette or bic.")] = "silhouette",
    plots: PlotsOption = Path(),
    json: JsonOption = False,
) -> None:
    """Fit the box areas of a class by a Gaussian mixture, print it and plot it."""
    output = output_of(context)
    with output.err.status("Fitting"):
        from ..alignment.comparison import fit_report
        from ..dataset.folders import read_dataset
        from ..dataset.report.plots import plot_mixture

        boxes = read_dataset(coco).boxes(class_name)
        mixture, report = fit_report(boxes, scale=scale, components=components, criterion=criterion)
        title = f"{class_name}: relative box areas of {coco.name}"
        path = _plotted(plots, "fit", class_name, partial(plot_mixture, boxes.area, mixture, title=title))
    table = Table("component", "weight", "area, one std below", "mean", "one std above")
    for number, part in enumerate(report["components"], 1):
        areas = [f"{part[key]:.3%}" for key in ("low_area", "mean_area", "high_area")]
        table.add_row(str(number), f"{part['weight']:.3f}", *areas)
    lines = [
        f"{len(boxes)} boxes of '{class_name}' in {coco}; areas are shares of the image.",
        f"Components: {report['criterion']}.",
        f"Bhattacharyya distance of the mixture to the boxes: {report['distance']:.4f} "
        f"(floor, two resamples of the boxes: {report['floor']:.4f}).",
        f"Plot: {path}",
    ]
    output.result({"class": class_name, "plot": path, **report}, lines[0], table, *lines[1:])


def compare(
    context: typer.Context,
    real: Annotated[Path, typer.Argument(help="COCO file or folder of the real dataset.", show_default=False)],
    synth: Annotated[Path, typer.Argument(help="COCO file, or folder of a dataset.", show_default=False)],
    class_name: Annotated[str, typer.Option("--class", metavar="NAME", help="One category; default is all.")] = "",
    plots: PlotsOption = Path(),
    json: JsonOption = False,
) -> None:
    """Compare two datasets: distances of each metadata column with interval and floor, and histogram plots."""
    output = output_of(context)
    with output.err.status("Comparing"):
        from ..alignment.comparison import compare as compare_datasets
        from ..dataset.folders import read_dataset
        from ..dataset.report.plots import plot_comparison

        files = [read_dataset(path) for path in (real, synth)]
        if class_name:
            for file in files:
                file.boxes(class_name)  # says which classes there are where this one is not
        report = compare_datasets(_plain(files[0]), _plain(files[1]), class_name or None)
        written = {}
        for name, found in report["classes"].items():
            draw = partial(plot_comparison, found["columns"], title=f"{name}: {real.name} and {synth.name}")
            written[name] = _plotted(plots, "compare", name, draw)
    shown: list[Any] = []
    for name, found in report["classes"].items():
        shown += _comparison(f"{name}: {found['n_real']} real, {found['n_synth']} synthetic boxes", found)
        if found["main"]:
            title = f"{name}: the {found['main']['n_synth']} boxes of main instances"
            shown += _comparison(title, found["main"])
        shown += [f"Plot: {written[name]}"]
    shown.append(
        "Floor: how far two samples of these sizes from the real dataset lie apart by chance, boxes drawn one by one; "
        "by image: whole images drawn."
    )
    for key, where in (("only_real", "real"), ("only_synth", "synthetic")):
        if report[key] and not class_name:
            shown.append(f"Only in the {where} dataset: {', '.join(report[key])}.")
    output.result({**report, "plots": written}, *shown)


def _comparison(title: str, found: Mapping[str, Any]) -> list[Any]:
    """A table of distances, each with interval and floors, and what is to be said of single columns."""
    table = Table("column", "distance", "", "95 %", "floor", "by image", title=title, title_justify="left")
    for name, column in found["columns"].items():
        for key, label in zip(DISTANCES, ("Bhattacharyya", "KS", "Wasserstein"), strict=True):
            table.add_row(name if key == DISTANCES[0] else "", label, *_distance(column, key))
    remarks: dict[str, list[str]] = {}
    for name, column in found["columns"].items():
        if column["remark"]:
            remarks.setdefault(column["remark"], []).append(name)
    said = [f"  {', '.join(names)}: {remark}" for remark, names in remarks.items()]
    return [table, *said, *(f"  {remark}" for remark in found.get("remarks", ()))]


def _distance(column: Mapping[str, Any], key: str) -> list[str]:
    """A distance, its interval and its floors; without a floor there is no distance to show."""
    floor, by_image = column["floor" if key == "bhattacharyya" else f"{key}_floor"], column[f"{key}_image_floor"]
    if math.isnan(floor):
        return ["-"] * 4
    floors = ["-" if math.isnan(value) else _number(value) for value in (floor, by_image)]
    if not math.isfinite(column[key]):
        return ["no common bin", "", *floors]
    low, high = column[f"{key}_interval"]
    return [_number(column[key]), f"{_number(low)} to {_number(high)}", *floors]


def _number(value: float) -> str:
    """Three decimals, or as many digits as tell more; two histograms without a common bin are infinitely far apart."""
    if not math.isfinite(value):
        return "inf"
    return f"{value:.3f}" if value == 0 or 0.01 <= value < 10 else f"{value:.2g}" if value < 0.01 else f"{value:.4g}"


def _plain(file: CocoFile) -> dict[str, Any]:
    return {"images": file.images, "annotations": file.annotations, "categories": file.categories}


def _plotted(folder: Path, what: str, class_name: str, draw: Callable[[Path], object]) -> Path:
    """Draw a plot into a folder, which is created where it is missing."""
    name = re.sub(r"[^\w-]+", "_", class_name)
    path = folder / f"{what}_{name}.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draw(path)
    except OSError as error:
        text = f"The plot {path} cannot be written: {error.strerror}. Name another folder with --plots."
        raise OutputError(text) from None
    return path
