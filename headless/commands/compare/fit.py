# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that fits a mixture to real boxes, without Blender: fit."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ....engine.errors import OutputError
from ...console.commands import command
from ...console.output import JsonOption, output_of

PlotsOption = Annotated[Path, typer.Option("--plots", help="Folder for the plots.")]


@command(order=70)
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
        from ....alignment.mixtures.fit_report import fit_report
        from ....dataset.formats.dataset_folder import read_dataset
        from ....dataset.report.plots import plot_mixture

        boxes = read_dataset(coco).boxes(class_name)
        mixture, report = fit_report(boxes, scale=scale, components=components, criterion=criterion)
        title = f"{class_name}: relative box areas of {coco.name}"
        path = plotted(plots, "fit", class_name, partial(plot_mixture, boxes.area, mixture, title=title))
    table = Table("component", "weight", "area, one std below", "mean", "one std above")
    for number, part in enumerate(report["components"], 1):
        areas = [f"{part[key]:.3%}" for key in ("low_area", "mean_area", "high_area")]
        table.add_row(str(number), f"{part['weight']:.3f}", *areas)
    lines = [
        f"{len(boxes)} box{'es' if len(boxes) > 1 else ''} of '{class_name}' in {coco}; areas are shares of the image.",
        f"Components: {report['criterion']}.",
        f"Bhattacharyya distance of the mixture to the boxes: {report['distance']:.4f} "
        f"(floor, two resamples of the boxes: {report['floor']:.4f})."
        if len(boxes) > 1
        else "A single box does not tell how areas vary, so no distance is given. Label more photos.",
        f"Plot: {path}",
    ]
    output.result({"class": class_name, "plot": path, **report}, lines[0], table, *lines[1:])


def plotted(folder: Path, what: str, class_name: str, draw: Callable[[Path], object]) -> Path:
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
