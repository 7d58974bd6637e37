# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``fit-features``: learns the feature distribution of real boxes, without Blender."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...console.commands import command
from ...console.options import (
    ImagesOption,
    LearnedBoxesOption,
    MarginOption,
    MethodOption,
    MinBoxSideOption,
    ModelOption,
    RealArgument,
    RequiredClassOption,
    ThreadsOption,
    WorkersOption,
)
from ...console.output import JsonOption, output_of
from ..compare.measure import LEFT_OUT, measuring_bar, problems_shown


@command("fit-features", order=10)
def fit_features(
    context: typer.Context,
    real: RealArgument,
    class_name: RequiredClassOption,
    out: Annotated[
        Path,
        typer.Option("-o", "--out", metavar="FILE", dir_okay=False, help="Features file to write.", show_default=False),
    ],
    images: ImagesOption = None,
    model: ModelOption = None,
    method: MethodOption = "knn",
    neighbours: Annotated[int, typer.Option(metavar="N", min=1, help="Nearest real boxes that determine a score.")] = 5,
    margin: MarginOption = 0.1,
    min_box_side: MinBoxSideOption = 16,
    max_boxes: LearnedBoxesOption = 10_000,
    threads: ThreadsOption = 1,
    workers: WorkersOption = 0,
    json: JsonOption = False,
) -> None:
    """Learn what real boxes look like to a vision model.

    `filter`, `curate`, `augment` and the `feature_score` filter of a recipe score rendered boxes with the file that
    this writes.
    """
    from ....alignment.features.extractor import Extractor
    from ....dataset.analysis.feature_scores import learn_class
    from ....dataset.atomic_files import write_atomic
    from ....dataset.formats.dataset_folder import images_of, read_dataset

    output = output_of(context)
    with measuring_bar(output, "Computing features of real boxes") as progress:
        coco = read_dataset(real)
        images = images_of(coco, images)
        extractor = Extractor(model, threads=threads, workers=workers)
        density, found = learn_class(
            coco,
            images,
            class_name,
            extractor,
            method=method,
            neighbours=neighbours,
            margin=margin,
            min_side=min_box_side,
            max_boxes=max_boxes,
            progress=progress,
        )
        write_atomic(out, density.to_bytes())
    photos = len(set(found.image.tolist()))
    count, length = found.features.shape
    notes = density.notes()
    known = len(coco.annotations_of(class_name))
    if known > max_boxes:
        notes.append(f"Of {known} boxes, those of random images are used, about {max_boxes} (--max-boxes).")
    if photos == 1:
        notes.append("All boxes come from one photo, so scores are only valid for that photo. Use several photos.")
    shown = [
        f"{count} boxes of '{class_name}' in {photos} photos, by {extractor.path.name}: {length} features each, "
        f"reduced to {density.points.shape[1]} dimensions: {out}"
    ]
    if found.small:
        shown.append(f"{found.small} boxes with a side under {min_box_side:g} pixels are left out.")
    shown += notes
    shown.append(f"Next: twinset filter DATASET --features {out} -o FOLDER")
    shown += problems_shown(found.problems, LEFT_OUT)
    values = {
        "file": out,
        "class": class_name,
        "boxes": count,
        "photos": photos,
        "small": found.small,
        "features": length,
        "axes": density.points.shape[1],
        "model": extractor.sha256,
        "notes": notes,
        "problems": found.problems,
    }
    output.result(values, *shown)
