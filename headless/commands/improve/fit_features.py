# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that learns what real features are like, without Blender: fit-features."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...console.commands import command
from ...console.output import JsonOption, output_of
from ..compare.measure import LEFT_OUT, problems_shown


@command("fit-features", order=10)
def fit_features(
    context: typer.Context,
    dataset: Annotated[Path, typer.Argument(help="COCO file or YOLO folder of real images.", show_default=False)],
    class_name: Annotated[str, typer.Option("--class", metavar="NAME", help="Category.", show_default=False)],
    out: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", dir_okay=False, help="Where to keep it.", show_default=False),
    ],
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images; looked for near the annotations.", show_default=False)
    ] = None,
    model: Annotated[
        Path | None, typer.Option(metavar="ONNX", help="Vision model; default is the packaged one.", show_default=False)
    ] = None,
    method: Annotated[str, typer.Option(help="knn or kde.")] = "knn",
    neighbours: Annotated[int, typer.Option(min=1, help="Nearest real boxes that count.")] = 5,
    margin: Annotated[float, typer.Option(min=0.0, max=10.0, help="Context around a box, share of its side.")] = 0.1,
    smallest: Annotated[float, typer.Option(min=1.0, help="Boxes with a shorter side, in pixels, are left out.")] = 16,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the model.")] = 1,
    json: JsonOption = False,
) -> None:
    """Learn what the boxes of a class look like to a vision model, for scores of rendered ones."""
    from ....alignment.features.extractor import Extractor
    from ....dataset.analysis.feature_scores import learn_class
    from ....dataset.atomic_files import write_atomic
    from ....dataset.formats.dataset_folder import images_of, read_dataset

    output = output_of(context)
    with output.err.status("Looking at real boxes"):
        coco = read_dataset(dataset)
        images = images_of(coco, images)
        extractor = Extractor(model, threads=threads)
        density, found = learn_class(
            coco,
            images,
            class_name,
            extractor,
            method=method,
            neighbours=neighbours,
            margin=margin,
            min_side=smallest,
        )
        write_atomic(out, density.to_bytes())
    photos = len(set(found.image.tolist()))
    count, length = found.features.shape
    notes = density.notes()
    if photos == 1:
        notes.append("All boxes come from one photo; scores hold for boxes of that photo. Take several.")
    shown = [
        f"{count} boxes of '{class_name}' in {photos} photos, by {extractor.path.name}: {length} numbers each, "
        f"{density.points.shape[1]} axes kept: {out}"
    ]
    if found.small:
        shown.append(f"{found.small} boxes with a side under {smallest:g} pixels are left out.")
    shown += notes
    shown.append(f"Score a dataset by them: twinset filter DATASET --features {out} -o FOLDER")
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
