# SPDX-License-Identifier: GPL-3.0-or-later
"""Measuring, comparing and judging datasets; none of it needs Blender."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from ..dataset.progress import Progress, StepProgress
from ..engine.errors import DataError
from .datasets import Dataset, as_dataset
from .recipes import PathLike
from .results import Comparison, Evaluation, Fit, Inference, Measurements, Report
from .tables import Table

Source = Dataset | Measurements | PathLike
"""A dataset, its path, or a measured table or the path of one (.parquet, .csv)."""


def _ignore(done: int, total: int) -> None: ...


def _ignore_step(what: str, done: int, total: int) -> None: ...


def measure(
    dataset: Dataset | PathLike,
    *,
    images: PathLike | None = None,
    depth: PathLike | None = None,
    pixels: bool = True,
    workers: int = 0,
    progress: Progress = _ignore,
) -> Measurements:
    """Measure every box of a dataset: area, position, aspect ratio, and from the pixels image quality and more.

    Parameters
    ----------
    dataset : Dataset or path
    images, depth : path, optional
        Folders of images and depth maps; by default searched for near the annotations.
    pixels : bool
        Whether to open the images.
    workers : int
        Processes; 0 for one per core.
    progress : callable
        Called with the number of images done and in total.

    Raises
    ------
    TwinsetError
        If the dataset is broken or its images are missing.
    """
    from ..dataset.analysis.dataset_columns import measure_with_images

    found = as_dataset(dataset)
    measured = measure_with_images(
        found.coco,
        _path(images) or (found.image_folder if pixels else None),
        depth=_path(depth),
        pixels=pixels,
        workers=workers,
        progress=progress,
        option="images=",
    )
    return Measurements(measured.columns, measured.problems)


def compare(
    real: Source,
    synth: Source,
    *,
    class_name: str | None = None,
    pixels: bool = False,
    seed: int = 0,
    workers: int = 0,
    progress: Progress = _ignore,
) -> Comparison:
    """Compare the metadata of two datasets, column by column.

    Parameters
    ----------
    real, synth : Dataset, Measurements or path
    class_name : str, optional
        Only this class; by default all classes that both datasets have.
    pixels : bool
        Whether to compare image quality as well, which opens the images of datasets that are not measured yet.
    seed : int
        Of the resamples behind intervals and floors.
    workers : int
        Processes; 0 for one per core.
    progress : callable
        Called with the number of columns compared and in total.

    Raises
    ------
    TwinsetError
        If a dataset is broken, or the two share no class.
    """
    from ..alignment.distances.comparison import compare_measured
    from ..alignment.distances.verdict import verdict
    from ..dataset.analysis.dataset_columns import check_class

    first, second = (_columns(source, pixels, workers) for source in (real, synth))
    for source, found in ((real, first), (synth, second)):
        check_class(found, class_name or "", Path(_name(source)))
    values = compare_measured(first, second, class_name, seed, progress)
    if class_name:
        values |= {"only_real": [], "only_synth": []}
    return Comparison(_distance_table(values), verdict(values), values)


def report(
    real: Dataset | PathLike,
    synth: Dataset | PathLike,
    out: PathLike,
    *,
    class_name: str | None = None,
    features: bool = True,
    model: PathLike | None = None,
    max_boxes: int = 300,
    max_images: int = 300,
    workers: int = 0,
    progress: StepProgress = _ignore_step,
) -> Report:
    """Write an HTML page that compares two datasets: verdict, advice, histograms, positions, features and samples.

    Parameters
    ----------
    real, synth : Dataset or path
    out : path
        HTML file to write.
    class_name : str, optional
    features : bool
        Whether to map the boxes by their features in a vision model.
    model : path, optional
        ONNX file of that model; by default the packaged one.
    max_boxes, max_images : int
        How many boxes per dataset and class have features, and how many images per dataset are opened.
    workers : int
    progress : callable
        Called with the step, the amount done and the total.
    """
    from ..dataset.atomic_files import write_atomic
    from ..dataset.report.page import make_report

    extractor = None
    if features:
        from ..alignment.features.extractor import Extractor

        extractor = Extractor(_path(model))
    sides = [as_dataset(side) for side in (real, synth)]
    page = make_report(
        sides[0].path,
        sides[1].path,
        class_name=class_name,
        real_images=sides[0].image_folder,
        synth_images=sides[1].image_folder,
        extractor=extractor,
        boxes=max_boxes,
        pictures=max_images,
        workers=workers,
        progress=progress,
    )
    write_atomic(Path(out), page.html)
    return Report(Path(out), "\n".join(page.verdict.sentences), tuple(page.notes))


def fit(
    dataset: Dataset | PathLike,
    class_name: str,
    *,
    scale: str = "log",
    components: int = 0,
    criterion: str = "silhouette",
) -> Fit:
    """Fit a Gaussian mixture to the box areas of a class, as the area target does.

    Parameters
    ----------
    dataset : Dataset or path
    class_name : str
    scale : {"log", "sqrt", "logit"}
        Scale on which areas are fitted.
    components : int
        Number of components; 0 lets the criterion choose.
    criterion : {"silhouette", "bic"}
    """
    from ..alignment.mixtures.fit_report import fit_report

    if components < 0:
        raise DataError(f"components must be 0 or more. Got {components} instead.")
    boxes = as_dataset(dataset).coco.boxes(class_name)
    mixture, values = fit_report(boxes, scale=scale, components=components, criterion=criterion)
    keys = ("weight", "low_area", "mean_area", "high_area")
    rows = [{key: part[key] for key in keys} for part in values["components"]]
    return Fit(mixture, Table(rows, keys), values["distance"], values["floor"], boxes.area)


def infer(
    real: Dataset | PathLike | None,
    synth: Dataset | PathLike,
    *,
    columns: str | Sequence[str] = (),
    classes: str | Sequence[str] = (),
    models: str | Sequence[str] = (),
    threshold: float = 0.5,
    max_boxes: int = 20_000,
    seed: int = 0,
    threads: int = 1,
    workers: int = 0,
    progress: StepProgress = _ignore_step,
) -> Inference:
    """Predict depth, occlusion, shape and other columns of real boxes, learned from rendered boxes.

    Parameters
    ----------
    real : Dataset, path or None
        None only scores the models.
    synth : Dataset or path
        A dataset whose boxes have the columns.
    columns, classes : sequence of str
        By default the columns that only a renderer knows, and all classes of both datasets.
    models : sequence of str
        ONNX files, ``packaged``, ``box`` (a box's own size and position), or several joined by ``+``; the first one
        that reaches the threshold is used. By default ``packaged``, then ``packaged+box``.
    threshold : float
        Least cross-validated R² or accuracy.
    max_boxes : int
        Learn from about so many rendered boxes of a class at most: those of random images.
    seed, threads, workers : int
    progress : callable
        Called with the step, the amount done and the total.
    """
    from ..dataset.analysis.inference import infer as infer_columns
    from ..dataset.analysis.models import DEFAULT_MODELS, open_models

    found = infer_columns(
        _image_dataset(synth),
        None if real is None else _image_dataset(real),
        open_models(_names(models) or DEFAULT_MODELS, threads, workers),
        columns=_names(columns),
        classes=_names(classes),
        threshold=threshold,
        max_boxes=max_boxes,
        workers=workers,
        seed=seed,
        progress=progress,
    )
    rows = [
        {
            "class": outcome.class_name,
            "column": outcome.column,
            "model": model,
            "kind": score.kind,
            "score": score.value,
            "interval": (score.low, score.high),
            "used": model == outcome.model,
        }
        for outcome in found.outcomes
        for model, score in outcome.scores.items()
    ]
    names = ("class", "column", "model", "kind", "score", "interval", "used")
    return Inference(Table(rows, names), Measurements(found.table, found.problems), found.outcomes)


def evaluate(
    real: Dataset | PathLike,
    predictions: PathLike,
    *,
    min_score: float = 0.5,
    close_up_area: float = 0.3,
    overlap_iou: float = 0.1,
) -> Evaluation:
    """Score a detector's predictions on real images: average precision, small false positives, overlapping predictions.

    Parameters
    ----------
    real : Dataset or path
    predictions : path
        Predictions in COCO's results format (JSON).
    min_score : float
        Errors are counted among predictions with at least this score.
    close_up_area : float
        Image share above which a real box is a close-up.
    overlap_iou : float
        IoU above which predictions of a class overlap.
    """
    from ..alignment.evaluation.detection import evaluate as score_predictions
    from ..dataset.formats.coco_results import read_predictions

    coco = as_dataset(real).coco
    overall, classes = score_predictions(
        coco.images,
        coco.annotations,
        coco.categories,
        read_predictions(Path(predictions), coco),
        score=min_score,
        close_up=close_up_area,
        overlap=overlap_iou,
    )
    rows = [{"class": name, **attrs.asdict(scores)} for name, scores in [*classes.items(), ("all", overall)]]
    return Evaluation(Table(rows, tuple(rows[0])))


def _columns(source: Source, pixels: bool, workers: int) -> Mapping[str, Any]:
    from ..dataset.formats.metadata_table import SUFFIXES, read_columns

    if isinstance(source, Measurements):
        return source.columns
    if not isinstance(source, Dataset) and Path(source).suffix.lower() in SUFFIXES:
        return read_columns(Path(source))
    return measure(source, pixels=pixels, workers=workers).columns


def _name(source: Source) -> str:
    if isinstance(source, Measurements):
        return "the measured dataset"
    return str(source.path if isinstance(source, Dataset) else source)


def _distance_table(values: Mapping[str, Any]) -> Table:
    from ..alignment.distances.registry import all_distances

    rows = []
    for name, by_class in values["classes"].items():
        for column, found in by_class["columns"].items():
            for distance in all_distances(categories="categories" in found):
                rows.append(
                    {
                        "class": name,
                        "column": column,
                        "distance": distance.name,
                        "value": found[distance.name],
                        "interval": tuple(found[f"{distance.name}_interval"]),
                        "floor": found[distance.floor_key],
                        "critical": found[f"{distance.name}_upper_floor"],
                    }
                )
    return Table(rows, ("class", "column", "distance", "value", "interval", "floor", "critical"))


def _image_dataset(dataset: Dataset | PathLike) -> Any:
    from ..dataset.formats.dataset_folder import ImageDataset, images_of

    found = as_dataset(dataset)
    return ImageDataset(found.coco, images_of(found.coco, found.image_folder, "images="))


def _names(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _path(path: PathLike | None) -> Path | None:
    return None if path is None else Path(path)
