# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of ``evaluate`` that says which boxes a detector misses or invents, and suggests a recipe."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from rich.table import Table

from .... import __version__
from ....engine.errors import DataError
from ....engine.regular_files import real_path
from ...console.output import Output
from .measure import measuring_bar

if TYPE_CHECKING:
    from ....alignment.evaluation.slices import Slice
    from ....dataset.analysis.detector_errors import DetectorErrors
    from ....dataset.formats.coco import CocoFile

SHOWN = 12
"""Slices in the table: all significant ones, and others up to so many."""


def errors_of(
    output: Output,
    coco: CocoFile,
    predictions: Sequence[Mapping[str, Any]],
    *,
    images: Path | None,
    score: float,
    metadata: Path | None,
    model: Path | None,
    features: bool,
    workers: int,
) -> DetectorErrors:
    """The errors of a detector by slices, with pixels and features if the images are found.

    Raises
    ------
    DataError
        If there is no real box, or no image in a folder that the user has named can be measured.
    """
    from ....alignment.features.extractor import Extractor
    from ....dataset.analysis.detector_errors import detector_errors
    from ....dataset.analysis.measure import UnmeasuredImagesError
    from ....dataset.formats.dataset_folder import image_folder
    from ....dataset.formats.metadata_table import read_columns

    if images is not None and not images.is_dir():
        raise DataError(f"The folder '{images}' does not exist. Check the path.")
    folder = images or image_folder(coco)
    extractor = Extractor(model) if features and folder is not None else None
    table = read_columns(metadata) if metadata is not None else None
    with measuring_bar(output, "Measuring boxes") as progress:
        known = partial(
            detector_errors, coco, predictions, score=score, metadata=table, workers=workers, progress=progress
        )
        try:
            return known(folder, extractor=extractor)
        except UnmeasuredImagesError as error:
            if images is not None:
                raise
            # The folder was only found near the annotations, and may hold other images of the same names.
            found = known(None)
            return attrs.evolve(found, problems=(error.reason, *found.problems))


def errors_shown(errors: DetectorErrors, with_images: bool) -> list[Any]:
    """Tables of the worst slices, and what they mean."""
    missed = int(errors.missed.sum())
    shown: list[Any] = [
        _table(errors.of_missed, f"Missed: {missed} of {errors.boxes} real boxes", "missed"),
        _table(
            errors.of_invented if errors.wrong else (),
            f"Invented: {errors.wrong} of {errors.predictions} predictions",
            "wrong",
        ),
        "Slices with the smallest p-values first. Worse: errors are significantly more frequent than in the rest, at a "
        "level of 5% for all slices together (Holm). Intervals take into account that boxes share images.",
    ]
    leading, all_worse = errors.leading(), errors.significant()
    if len(all_worse) > len(leading):
        rest = ", ".join(one.title for one in all_worse if one not in leading)
        shown.append(f"Explained by the slices above them: {rest}.")
    if not all_worse:
        shown.append("No slice of the real boxes is missed significantly more often than the rest.")
    if not with_images:
        reason = errors.problems[0] if errors.problems else "No images were found."
        shown.append(f"{reason} So light and looks are not known. Name the images' folder with --real-images.")
    return [part for part in shown if part is not None]


def _table(slices: Sequence[Slice], title: str, word: str) -> Table | None:
    if not slices:
        return None
    heads = ("slice", "values", "boxes", "images", word, "95%", "rest", "p (Holm)", "")
    table = Table(*heads, title=title, title_justify="left")
    for place, one in enumerate(slices):
        if not one.significant and place >= SHOWN:
            continue
        values = "" if math.isnan(one.low) else f"{one.low:.3g} to {one.high:.3g}"
        rest = "-" if math.isnan(one.rest) else f"{one.rest:.0%}"
        p = "-" if math.isnan(one.adjusted) else f"{one.adjusted:.2g}"
        interval = f"{one.share_low:.0%} to {one.share_high:.0%}"
        cells = (one.title, values, str(one.boxes), str(one.images), f"{one.share:.0%}", interval, rest, p)
        table.add_row(*cells, "worse" if one.significant else "")
    return table


def errors_json(errors: DetectorErrors) -> dict[str, Any]:
    """The slices as JSON values, and the ids of all missed boxes."""
    return {
        "real": errors.boxes,
        "missed": [int(i) for i, gone in zip(errors.columns["id"], errors.missed, strict=True) if gone],
        "predictions": errors.predictions,
        "wrong": errors.wrong,
        "slices_of_missed": [one.to_json() for one in errors.of_missed],
        "leading": [one.title for one in errors.leading()],
        "slices_of_invented": [one.to_json() for one in errors.of_invented],
        "problems": errors.problems,
    }


def suggest(
    errors: DetectorErrors, coco: CocoFile, base: Path, out: Path, force: bool, by: str
) -> tuple[list[str], list[Path]]:
    """Write a recipe that renders more of what was missed; its reasons and the files."""
    from ....dataset.atomic_files import write_atomic
    from ....dataset.formats.coco import write_coco
    from ....dataset.formats.metadata_table import write_columns
    from ....dataset.jobs.suggested_recipe import suggest_recipe
    from ....engine.recipe.reading import dump_recipe, load_recipe

    real, table = out.with_suffix(".real.json"), out.with_suffix(".real.csv")
    for path in (out, real, table):
        if path.exists() and not force:
            raise DataError(f"'{path}' exists already. Name another recipe, or overwrite it with --force.")
    recipe = load_recipe(base, check_files=False)
    made = suggest_recipe(recipe, coco, errors, real_path(real), real_path(table), by=by)
    header = [f"What a detector missed, rendered more often: {base.name} changed by `twinset evaluate`, {__version__}."]
    write_coco(real, made.real)
    write_columns(table, made.table)
    text = dump_recipe(made.recipe, [*header, *made.reasons], anchor=real_path(out).parent != recipe.folder)
    write_atomic(out, text.encode())
    return made.reasons, [out, real, table]
