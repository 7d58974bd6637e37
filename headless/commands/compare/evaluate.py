# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that scores a detector's predictions on real images, without Blender: evaluate."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import attrs
import typer
from rich.table import Table

from ...console.commands import command
from ...console.output import JsonOption, output_of
from .feature_nearness import Options, nearness_of, nearness_shown
from .fit import PlotsOption

if TYPE_CHECKING:
    from ....alignment.evaluation.detection import Scores


@command(order=60)
def evaluate(
    context: typer.Context,
    predictions: Annotated[Path, typer.Option(help="Detections, as COCO results (JSON).", show_default=False)],
    real: Annotated[Path, typer.Option(help="COCO file or folder of the real dataset.", show_default=False)],
    score: Annotated[float, typer.Option(help="Least score of predictions that are counted one by one.")] = 0.5,
    close_up: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="A real box that covers more of its image is a close-up.")
    ] = 0.3,
    overlap: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="IoU above which two predictions of a class overlap.")
    ] = 0.1,
    synth: Annotated[
        Path | None,
        typer.Option(help="Dataset that the detector was trained on: finds how IoU falls with feature distance to it."),
    ] = None,
    class_name: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="NAME", help="With --synth: category; repeat for more. Default: all of both."),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option("--images", "--real-images", help="Folder of the real images; looked for near them."),
    ] = None,
    synth_images: Annotated[
        Path | None, typer.Option(help="Folder of the synthetic images; looked for near them.", show_default=False)
    ] = None,
    model: Annotated[
        Path | None, typer.Option(metavar="ONNX", help="Vision model; default is the packaged one.", show_default=False)
    ] = None,
    most: Annotated[int, typer.Option(min=20, help="Boxes per dataset and class that features are taken of.")] = 2000,
    smallest: Annotated[float, typer.Option(min=1.0, help="Boxes with a shorter side, in pixels, have none.")] = 16,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the model.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of the resamples.")] = 0,
    plots: PlotsOption = Path(),
    json: JsonOption = False,
) -> None:
    """Score a detector on real images: mAP, small false positives, doubles on close-ups, IoU by feature distance."""
    output = output_of(context)
    with output.err.status("Evaluating"):
        from ....alignment.evaluation.detection import evaluate as score_predictions
        from ....dataset.formats.coco_results import read_predictions
        from ....dataset.formats.dataset_folder import read_dataset

        coco = read_dataset(real)
        found = read_predictions(predictions, coco)
        overall, classes = score_predictions(
            coco.images,
            coco.annotations,
            coco.categories,
            found,
            score=score,
            close_up=close_up,
            overlap=overlap,
        )
    heads = (
        "class",
        "real",
        "mAP",
        "AP50",
        "AP75",
        "predicted",
        "wrong",
        "wrong and small",
        "close-ups",
        "overlapping",
    )
    table = Table(*heads, title=f"{predictions.name} on {coco.path.name}", title_justify="left")
    for name, scores in [*classes.items(), ("all", overall)]:
        table.add_row(name, *_cells(scores))
    lines = [
        f"From 'predicted' on, predictions with a score of at least {score:g}. Wrong: no real box with IoU 0.5 is left "
        "for it. Small: under 32 by 32 pixels.",
        f"Overlapping: on images with a box of the class over {close_up:.0%} of the image, predictions that overlap "
        f"others by IoU over {overlap:g}, beyond one per real object.",
    ]
    values: dict[str, Any] = {
        "score": score,
        "close_up": close_up,
        "overlap": overlap,
        "all": _values(overall),
        "classes": {name: _values(scores) for name, scores in classes.items()},
    }
    shown: list[Any] = [table, *lines]
    if synth is not None:
        options = Options(class_name or (), model, most, smallest, threads, seed, plots)
        near = nearness_of(output, (real, images), (synth, synth_images), found, options)
        values["nearness"] = near
        shown += nearness_shown(near)
    output.result(values, *shown)


def _cells(scores: Scores) -> list[str]:
    small = f"{scores.small_false_positives}"
    if scores.false_positives:
        small += f" ({scores.small_share:.0%})"
    precisions = ("-" if math.isnan(v) else f"{v:.3f}" for v in (scores.mean_ap, scores.ap50, scores.ap75))
    counts = (scores.kept, scores.false_positives, small, scores.close_ups, scores.overlapping)
    return [str(scores.real), *precisions, *map(str, counts)]


def _values(scores: Scores) -> dict[str, Any]:
    return {**attrs.asdict(scores), "small_share": scores.small_share}
