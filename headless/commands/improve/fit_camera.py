# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``fit-camera``: what photos say of the camera that took them, without Blender."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import attrs
import typer
from rich.table import Table

from ....dataset.report.formatting import format_number
from ...console.commands import command
from ...console.options import DATASET_FORMATS, ImagesOption, SeedOption
from ...console.output import JsonOption, output_of
from ..compare.measure import measuring_bar, problems_shown

if TYPE_CHECKING:
    from ....alignment.camera.fit_file import Statistic
    from ....dataset.camera.camera_fit import FittedCamera
    from ....dataset.camera.comparison import CameraComparison


@command("fit-camera", order=5)
def fit_camera(
    context: typer.Context,
    photos: Annotated[
        list[Path],
        typer.Argument(
            metavar="PHOTOS...", help=f"Photos: image files, folders of them, or {DATASET_FORMATS}.", show_default=False
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            dir_okay=False,
            help="File to write (JSON). By default none is written.",
            show_default=False,
        ),
    ] = None,
    images: ImagesOption = None,
    class_name: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            metavar="NAME",
            help="Take only photos with a box of this class; repeatable. Default: all photos.",
            show_default=False,
        ),
    ] = None,
    compare: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DATASET",
            help="Measure these images, too, and compare them with the photos; repeatable. Same formats as PHOTOS.",
            show_default=False,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", dir_okay=False, help="Plot to write (PNG). By default none is drawn.", show_default=False
        ),
    ] = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Estimate a camera's noise, sharpness and tones from photos.

    Compression, vignetting and colour are estimated as well. The effects of a recipe draw from the file that this
    writes: `[[effect]]` with `fit = "camera.json"`.
    """
    from ....dataset.camera.camera_fit import fit_camera, write_camera_fit
    from ....dataset.camera.comparison import compare_cameras
    from ....dataset.camera.photos import photo_paths

    output = output_of(context)
    with measuring_bar(output, "Measuring photos") as progress:
        found = fit_camera(photo_paths(photos, images, class_name or ()), seed=seed, progress=progress)
    others: dict[str, FittedCamera] = {}
    for path in compare or ():
        with measuring_bar(output, f"Measuring {path.name}") as progress:
            others[str(path)] = fit_camera(photo_paths([path]), seed=seed, progress=progress)
    if out:
        write_camera_fit(out, found.fit)
    if plot:
        from ....dataset.camera.plot import plot_camera

        with output.err.status("Plotting"):
            plot_camera(found.fit, plot, others={Path(name).name: other.fit for name, other in others.items()})
    compared = {name: compare_cameras(found.fit, other.fit, seed) for name, other in others.items()}
    count = len(found.fit.photos)
    shown: list[Any] = [_table(f"{count} photo{'' if count == 1 else 's'}", found.fit.statistics)]
    shown += [_comparison(name, of) for name, of in compared.items()]
    shown += [f"{name}: {text}" for name, texts in found.remarks.items() for text in texts]
    problems = [*found.problems, *(p for other in others.values() for p in other.problems)]
    shown += problems_shown(problems, "not used")
    shown += [f"Plot: {plot}"] if plot else []
    shown += [f'Camera: {out}. Next: `[[effect]]` entries with `fit = "{out.name}"` in a recipe.'] if out else []
    values = {
        "file": out,
        "photos": count,
        "statistics": {name: attrs.asdict(statistic) for name, statistic in found.fit.statistics.items()},
        "remarks": found.remarks,
        "problems": problems,
        "compared": {name: {k: attrs.asdict(v) for k, v in of.items()} for name, of in compared.items()},
        "plot": plot,
    }
    output.result(values, *shown)


def _table(title: str, statistics: dict[str, Statistic]) -> Table:
    table = Table("statistic", "median", "95%", "5 to 95% of photos", "photos", title=title, title_justify="left")
    for name, of in statistics.items():
        low, high = (format_number(v) for v in of.interval)
        first, last = format_number(of.quantiles[0]), format_number(of.quantiles[-1])
        table.add_row(name, format_number(of.median), f"{low} to {high}", f"{first} to {last}", str(of.photos))
    return table


def _comparison(name: str, compared: dict[str, CameraComparison]) -> Table:
    heads = ("statistic", "photos", "dataset", "distance", "floor", "distance / floor", "significant above")
    table = Table(*heads, title=f"{name}: Wasserstein distances to the photos", title_justify="left")
    for statistic, of in compared.items():
        numbers = (of.photos, of.dataset, of.distance, of.floor, of.ratio, of.significant_above)
        table.add_row(statistic, *(format_number(v) if v == v else "-" for v in numbers))
    return table
