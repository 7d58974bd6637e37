# SPDX-License-Identifier: GPL-3.0-or-later
"""Distances of sets of features in commands: computed class by class, and as tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from ....alignment.distances.registry import all_feature_distances
from ....engine.errors import DataError
from ...console.output import Output
from ...console.progress import progress_bar

if TYPE_CHECKING:
    from ....alignment.distances.feature_estimates import FeatureEstimate
    from ....dataset.formats.dataset_folder import ImageDataset

MEANING = (
    "Floor: what two samples of one source show on average. Significant: 95% of random exchanges of images between the "
    "two datasets show less difference."
)


def opened(path: Path, folder: Path | None, option: str, otherwise: str) -> ImageDataset:
    """A dataset with its image folder; without one, the DataError names an alternative."""
    from ....dataset.formats.dataset_folder import open_dataset
    from ....dataset.formats.metadata_table import SUFFIXES

    if path.suffix.lower() in SUFFIXES:
        raise DataError(f"'{path}' is a table, which has no images. Give a dataset, or {otherwise}.")
    return open_dataset(path, folder, option, otherwise)


def class_features(
    output: Output,
    real: tuple[Path, Path | None],
    synth: tuple[Path, Path | None],
    classes: Sequence[str],
    model: Path | None,
    max_boxes: int,
    seed: int,
    workers: int,
) -> dict[str, dict[str, Any]]:
    """By class: ``distances`` and ``problems``; or ``refused``, why a class has no result."""
    from ....alignment.features.extractor import Extractor
    from ....dataset.analysis.feature_distances import set_distances

    first = opened(*real, "--real-images", "omit --features")
    second = opened(*synth, "--synth-images", "omit --features")
    extractor = Extractor(model, workers=workers)
    out: dict[str, dict[str, Any]] = {}
    with progress_bar(output, hidden=output.json) as bar:
        task = bar.add_task("Computing features", total=None)

        def show_progress(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        for name in classes:
            try:
                found, problems = set_distances(
                    first, second, name, extractor, seed, max_boxes=max_boxes, progress=show_progress
                )
            except DataError as error:
                out[name] = {"refused": str(error)}
            else:
                out[name] = {"model": extractor.path.name, "distances": found, "problems": problems}
    return out


def feature_table(name: str, found: Mapping[str, Any]) -> list[Any]:
    """A table with one line per distance, with interval, floor and critical value."""
    if "refused" in found:
        return [f"{name}: no distances of features. {found['refused']}"]
    title = f"{name}: features of {found['model']}"
    table = Table("distance", "value", "95%", "floor", "significant", "", title=title, title_justify="left")
    sides = {d.name: (d.label, "below" if d.similarity else "above") for d in all_feature_distances()}
    for key, one in found["distances"].items():
        label, side = sides.get(key, ("AUC of a classifier", "above"))
        table.add_row(
            label,
            number(one.value),
            _interval(one),
            number(one.floor),
            f"{side} {number(one.critical)}",
            "differs" if one.significant else "",
        )
    return [table, MEANING, *found["problems"]]


def dataset_table(
    name: str, of_datasets: Mapping[str, Mapping[str, FeatureEstimate]], scores: Mapping[str, float]
) -> list[Any]:
    """A table with one line per dataset, and how each distance orders detectors' scores, if there are any."""
    from ....alignment.evaluation.correlation import small_sample_correlation

    if not any(of_datasets.values()):
        return []
    declared = all_feature_distances()
    table = Table("dataset", *(d.label for d in declared), title=f"{name}: distances of sets", title_justify="left")
    for dataset, found in of_datasets.items():
        table.add_row(dataset, *(_cell(found[d.name]) if found else "-" for d in declared))
    floors = next(found for found in of_datasets.values() if found)
    table.add_row("floor", *(number(floors[d.name].floor) for d in declared))
    lines = ["*: differs significantly. The floor is that of the first dataset; --json has all, with intervals."]
    ordered = [dataset for dataset in scores if of_datasets.get(dataset)]
    if len(ordered) > 1:
        import numpy as np

        rhos = []
        for d in declared:
            values = np.array([of_datasets[dataset][d.name].value for dataset in ordered])
            rho = small_sample_correlation(values, np.array([scores[dataset] for dataset in ordered])).rho
            rhos.append("-" if math.isnan(rho) else f"{rho:.2f}")
        table.add_row("rank correlation with mAP", *rhos)
    return [table, *lines]


def number(value: float) -> str:
    """Three decimals; a dash where there is no value."""
    return f"{value:.3f}" if math.isfinite(value) else "-"


def _interval(one: FeatureEstimate) -> str:
    return f"{number(one.low)} to {number(one.high)}" if math.isfinite(one.low) else "-"


def _cell(one: FeatureEstimate) -> str:
    return number(one.value) + ("*" if one.significant else "")
