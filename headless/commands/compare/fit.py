# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``fit``: a Gaussian mixture of box areas, without Blender."""

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
from ...console.options import DatasetArgument, PlotsOption, RequiredClassOption
from ...console.output import JsonOption, output_of


@command(order=70)
def fit(
    context: typer.Context,
    dataset: DatasetArgument,
    class_name: RequiredClassOption,
    scale: Annotated[
        str, typer.Option(metavar="SCALE", help="Scale on which areas are fitted: log, sqrt or logit.")
    ] = "log",
    components: Annotated[
        int, typer.Option(metavar="N", min=0, max=1000, help="Number of components; 0 lets the criterion choose.")
    ] = 0,
    criterion: Annotated[
        str, typer.Option(metavar="NAME", help="How the number of components is chosen: silhouette or bic.")
    ] = "silhouette",
    method: Annotated[
        str,
        typer.Option(metavar="NAME", help="How components are found: gmm or kmeans."),
    ] = "gmm",
    plots: PlotsOption = None,
    json: JsonOption = False,
) -> None:
    """Fit a Gaussian mixture to the box areas of a class."""
    output = output_of(context)
    with output.err.status("Fitting"):
        from ....alignment.mixtures.fit_report import fit_report
        from ....dataset.formats.dataset_folder import read_dataset
        from ....dataset.report.plots import plot_mixture

        boxes = read_dataset(dataset).boxes(class_name)
        mixture, report = fit_report(boxes, scale=scale, components=components, criterion=criterion, method=method)
        title = f"{class_name}: relative box areas of {dataset.name}"
        path = draw_plot(plots, "fit", class_name, partial(plot_mixture, boxes.area, mixture, title=title))
    table = Table("component", "weight", "area - 1 std", "area", "area + 1 std")
    for number, part in enumerate(report["components"], 1):
        areas = [f"{part[key]:.3%}" for key in ("low_area", "mean_area", "high_area")]
        table.add_row(str(number), f"{part['weight']:.3f}", *areas)
    lines = [
        f"{len(boxes)} box{'es' if len(boxes) > 1 else ''} of '{class_name}' in {dataset}; areas are image shares.",
        f"Components: {report['criterion']}.",
        f"Bhattacharyya distance between mixture and boxes: {report['distance']:.4f} "
        f"(floor, between two resamples of the boxes: {report['floor']:.4f})."
        if len(boxes) > 1
        else "One box does not show how areas vary, so no distance is given. Label more photos.",
        *([f"Plot: {path}"] if path else []),
    ]
    output.result({"class": class_name, "plot": path, **report}, lines[0], table, *lines[1:])


def draw_plot(folder: Path | None, kind: str, class_name: str, draw: Callable[[Path], object]) -> Path | None:
    """Draw a plot into a folder, which is created if missing; without a folder, nothing is drawn."""
    if folder is None:
        return None
    name = re.sub(r"[^\w-]+", "_", class_name)
    path = folder / f"{kind}_{name}.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draw(path)
    except OSError as error:
        raise OutputError(f"Cannot write the plot {path}: {error.strerror}. Name another folder with -o.") from None
    return path
