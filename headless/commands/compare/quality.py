# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``quality``: a ranking of synthetic datasets without training, without Blender."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.table import Table

from ....alignment.columns.registry import find_column
from ....alignment.distances.composite.components import default_columns
from ....alignment.distances.registry import PRIMARY, all_distances, find_distance
from ....alignment.features.crops import SURROUNDINGS
from ....engine.errors import DataError
from ...console.commands import command
from ...console.options import (
    ClassesOption,
    MarginOption,
    MaxBoxesOption,
    MinBoxSideOption,
    PlotsOption,
    RealImagesOption,
    SeedOption,
    ThreadsOption,
    WorkersOption,
)
from ...console.output import JsonOption, Output, output_of
from ...console.progress import progress_bar
from .compare import RealOrTable, read_side
from .feature_tables import dataset_table, opened
from .fit import draw_plot
from .measure import LEFT_OUT, problems_shown

if TYPE_CHECKING:
    from ....alignment.distances.composite.quality import Ranking
    from ....alignment.evaluation.correlation import Correlation
    from ....dataset.formats.dataset_folder import ImageDataset

    Columns = Mapping[str, Sequence[Any] | np.ndarray]


@command(order=30)
def quality(
    context: typer.Context,
    real: RealOrTable,
    synth: Annotated[
        list[Path],
        typer.Argument(
            metavar="SYNTH...", help="Synthetic datasets or tables; same formats as REAL.", show_default=False
        ),
    ],
    class_name: ClassesOption = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help=f"Metadata column; repeatable. Default: {', '.join(default_columns())}."),
    ] = None,
    distance: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=f"Distance of metadata columns: {', '.join(d.name for d in all_distances())}.",
        ),
    ] = PRIMARY,
    features: Annotated[bool, typer.Option(help="Include distances in feature space, not only metadata.")] = True,
    model: Annotated[
        list[Path] | None,
        typer.Option(metavar="ONNX", help="Vision model; repeatable. Default: the packaged one."),
    ] = None,
    real_images: RealImagesOption = None,
    synth_images: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="Image folder of a synthetic dataset; one for each, in the same order."),
    ] = None,
    scores: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="DATASET=VALUE",
            help="The mAP of a detector trained on DATASET, to correlate the ranking with; repeatable.",
        ),
    ] = None,
    max_boxes: MaxBoxesOption = 2000,
    margin: MarginOption = SURROUNDINGS,
    min_box_side: MinBoxSideOption = 16,
    threads: ThreadsOption = 1,
    workers: WorkersOption = 0,
    seed: SeedOption = 0,
    plots: PlotsOption = None,
    json: JsonOption = False,
) -> None:
    """Rank synthetic datasets by distance to a real one.

    The distance combines metadata and features, and has a confidence interval.
    """
    from ....alignment.distances.composite.quality import quality as rank
    from ....alignment.evaluation.correlation import small_sample_correlation
    from ....dataset.quality.components import QualityComponents, shared_classes
    from ....dataset.report.plots import plot_quality

    output = output_of(context)
    find_distance(distance)
    paths = dict(zip(_names(synth), synth, strict=True))
    given = _scores(scores or (), paths)
    if synth_images and len(synth_images) != len(synth):
        raise DataError(
            f"There are {len(synth)} datasets, but {len(synth_images)} folders of --synth-images. Give one for each."
        )
    named: list[Path | None] = [*synth_images] if synth_images else [None for _ in synth]
    folders = dict(zip(paths, named, strict=True))
    wanted = tuple(column or default_columns())
    own = _columns(output, real, real_images, "--real-images", wanted, workers)
    others = {n: _columns(output, p, folders[n], "--synth-images", wanted, workers) for n, p in paths.items()}
    classes = shared_classes({str(real): own, **others}, class_name or ())
    found = QualityComponents.of(paths)
    for name in classes:
        found.add_columns(name, own, others, wanted, len(classes) > 1)
    problems: list[str] = []
    with progress_bar(output, hidden=output.json) as bar:
        task = bar.add_task("Computing features", total=None)

        def show_progress(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        if features:
            from ....alignment.features.extractor import Extractor

            pictures = _image_datasets(real, real_images, paths, folders)
            paths_of_models: list[Path | None] = [*model] if model else [None]
            extractors = [Extractor(path, threads=threads, workers=workers) for path in paths_of_models]
            for name in classes:
                options = {
                    "margin": margin,
                    "min_side": min_box_side,
                    "max_boxes": max_boxes,
                    "progress": show_progress,
                }
                problems += found.add_features(name, pictures, extractors, seed, len(classes) > 1, options)
        if not found.real:
            raise DataError(f"Nothing is left to rank by. {' '.join(found.left_out)}")
        resampling = partial(show_progress, "Resampling")
        ranking = rank(found.real, found.synth, found.bins, seed=seed, distance=distance, progress=resampling)
    ranked, title = ranking.datasets, f"{', '.join(classes)}: distance to {real.name}"
    correlation = None
    if given:
        correlation = small_sample_correlation(
            np.array([ranked[n].value for n in given]), np.array(list(given.values()))
        )
    plot = draw_plot(plots, "quality", "_".join(classes), partial(plot_quality, ranking, title=title))
    values = {
        "real": real,
        "classes": classes,
        "distance": distance,
        "datasets": ranked,
        "feature_distances": found.of_sets,
        "floor": ranking.floor,
        "upper_floor": ranking.upper_floor,
        "left_out": found.left_out,
        "correlation": correlation,
        "plot": plot,
        "problems": problems,
    }
    shown = _shown(ranking, given, correlation, found.left_out, title)
    for name, of_datasets in found.of_sets.items():
        shown += dataset_table(name, of_datasets, given)
    output.result(values, *shown, *([f"Plot: {plot}"] if plot else []))
    if not output.json and problems:
        output.result({}, *problems_shown(problems, LEFT_OUT))


def _names(paths: Sequence[Path]) -> list[str]:
    """Short names of datasets: the name of the folder or file, or the whole path if two names are equal."""
    short = [path.name for path in paths]
    names = [str(path) if short.count(name) > 1 else name for path, name in zip(paths, short, strict=True)]
    if len(set(names)) < len(names):
        raise DataError("A dataset is given twice. Give each once.")
    return names


def _scores(given: Sequence[str], paths: Mapping[str, Path]) -> dict[str, float]:
    out = {}
    for text in given:
        name, _, number = text.rpartition("=")
        name = next((n for n, path in paths.items() if name in (n, str(path), path.stem)), "")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not name or not 0 <= value <= 1:
            raise DataError(
                f"'--map {text}' must be DATASET=MAP, with one of {', '.join(paths)} and a number from 0 to 1."
            )
        out[name] = value
    return out


def _columns(
    output: Output, path: Path, images: Path | None, option: str, wanted: Sequence[str], workers: int
) -> Columns:
    """Measured columns; pixels are only read if a wanted column cannot be computed from the annotations."""
    from ....dataset.formats.dataset_folder import image_folder, read_dataset
    from ....dataset.formats.metadata_table import SUFFIXES

    found, _ = read_side(output, path, None, option, pixels=False, workers=workers)
    missing = [find_column(name) for name in wanted if name not in found]
    if path.suffix.lower() in SUFFIXES or not any(c.measure and c.needs for c in missing):
        return found
    if images is None and image_folder(read_dataset(path)) is None:
        return found
    return read_side(output, path, images, option, pixels=True, workers=workers)[0]


def _image_datasets(
    real: Path, images: Path | None, paths: Mapping[str, Path], folders: Mapping[str, Path | None]
) -> tuple[ImageDataset, dict[str, ImageDataset]]:
    own = opened(real, images, "--real-images", "use --no-features")
    return own, {
        name: opened(path, folders[name], "--synth-images", "use --no-features") for name, path in paths.items()
    }


def _shown(
    ranking: Ranking,
    given: Mapping[str, float],
    correlation: Correlation | None,
    left_out: Sequence[str],
    title: str,
) -> list[Any]:
    ranked = ranking.datasets
    components = list(next(iter(ranked.values())).components)
    heads = ("rank", "dataset", "composite", "95%", *components, *(["mAP"] if given else []))
    table = Table(*heads, title=title, title_justify="left")
    ranks = [q.rank for q in ranked.values()]
    for name, found in sorted(ranked.items(), key=lambda item: (item[1].rank, item[1].value)):
        cells = [f"{c.distance:.3g} - {c.floor:.2g}: {c.ratio:.2f}" for c in found.components.values()]
        score = [f"{given[name]:.3f}" if name in given else "-"] if given else []
        rank = f"{found.rank}{'=' if ranks.count(found.rank) > 1 else ''}"
        table.add_row(rank, name, f"{found.value:.2f}", f"{found.low:.2f} to {found.high:.2f}", *cells, *score)
    lines = [
        "Composite: geometric mean of the components; 1 if no component exceeds its floor. Two random halves of the "
        f"real dataset score {ranking.floor:.2f} on average, and less than {ranking.upper_floor:.2f} in 95% of splits.",
        "Component: distance - floor (the distance of real samples of this size): 1 + the difference, in units of the "
        "distance between halves of the real dataset. =: not significantly different at the 95% level.",
        *left_out,
    ]
    if correlation is None:
        return [table, *lines]
    if math.isnan(correlation.rho):
        return [table, *lines, correlation.remark]
    known = not math.isnan(correlation.low)
    interval = f" (95%: {correlation.low:.2f} to {correlation.high:.2f})" if known else ""
    text = f"Rank correlation of the composite with mAP: {correlation.rho:.2f}{interval}. {correlation.remark}"
    return [table, *lines, text.rstrip()]
