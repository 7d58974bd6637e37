# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``evaluate``: scores of a detector's predictions on real images, without Blender."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import attrs
import typer
from rich.table import Table

from ....engine.errors import DataError
from ...console.commands import command
from ...console.options import (
    ClassesOption,
    ForceOption,
    MaxBoxesOption,
    MinBoxSideOption,
    ModelOption,
    PlotsOption,
    RealArgument,
    RealImagesOption,
    SeedOption,
    SynthImagesOption,
    ThreadsOption,
    WorkersOption,
    check_choice,
)
from ...console.output import JsonOption, output_of
from .error_tables import errors_json, errors_of, errors_shown, suggest
from .feature_nearness import FeatureOptions, nearness_of, nearness_shown

if TYPE_CHECKING:
    from ....alignment.evaluation.detection import Scores
    from ....dataset.formats.coco import CocoFile


@command(order=60)
def evaluate(
    context: typer.Context,
    real: RealArgument,
    predictions: Annotated[
        Path,
        typer.Argument(metavar="PREDICTIONS", help="Predictions in COCO's results format (JSON).", show_default=False),
    ],
    min_score: Annotated[
        float, typer.Option(metavar="X", help="Count errors among predictions with at least this score.")
    ] = 0.5,
    close_up_area: Annotated[
        float, typer.Option(metavar="X", min=0.0, max=1.0, help="Image share above which a real box is a close-up.")
    ] = 0.3,
    overlap_iou: Annotated[
        float, typer.Option(metavar="X", min=0.0, max=1.0, help="IoU above which predictions of a class overlap.")
    ] = 0.1,
    synth: Annotated[
        Path | None,
        typer.Option(
            metavar="DATASET",
            help="Training dataset: also show how IoU depends on the feature distance to it.",
            show_default=False,
        ),
    ] = None,
    slices: Annotated[
        bool, typer.Option(help="Say which boxes are missed or invented: by size, place, occlusion, light and looks.")
    ] = True,
    metadata: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            help="More columns of the real boxes for these slices, such as depth and occlusion from `twinset infer`.",
            show_default=False,
        ),
    ] = None,
    suggested: Annotated[
        Path | None,
        typer.Option(
            "--suggest",
            metavar="FILE",
            dir_okay=False,
            help="Write a recipe that renders more of what was missed; needs --base-recipe.",
            show_default=False,
        ),
    ] = None,
    base_recipe: Annotated[
        Path | None,
        typer.Option(metavar="RECIPE", help="Recipe that --suggest changes.", show_default=False),
    ] = None,
    suggest_by: Annotated[
        str,
        typer.Option(
            metavar="WHAT",
            help="Let --suggest render more of slices that are missed significantly more often (slices), or of every "
            "missed box (boxes).",
        ),
    ] = "slices",
    force: ForceOption = False,
    class_name: ClassesOption = None,
    real_images: RealImagesOption = None,
    synth_images: SynthImagesOption = None,
    model: ModelOption = None,
    max_boxes: MaxBoxesOption = 2000,
    min_box_side: MinBoxSideOption = 16,
    threads: ThreadsOption = 1,
    workers: WorkersOption = 0,
    seed: SeedOption = 0,
    plots: PlotsOption = None,
    json: JsonOption = False,
) -> None:
    """Score a detector's predictions on real images.

    Prints mAP and counts of small false positives and of overlapping predictions on close-ups, then which groups of
    boxes are missed or invented significantly more often than others. With --synth, it also prints how the IoU of a
    box's best prediction depends on its feature distance to the training data; --synth-images, --max-boxes,
    --min-box-side and --out affect only this.
    """
    from ....dataset.jobs.suggested_recipe import SUGGESTED_BY, nothing_to_suggest

    output = output_of(context)
    if (suggested is None) != (base_recipe is None):
        raise DataError("Give --suggest, the recipe to write, and --base-recipe, the one to change, together.")
    check_choice("--suggest-by", suggest_by, SUGGESTED_BY)
    with output.err.status("Evaluating"):
        from ....alignment.evaluation.detection import evaluate as score_predictions
        from ....dataset.formats.coco_results import read_predictions
        from ....dataset.formats.dataset_folder import read_dataset

        whole = read_dataset(real)
        coco = whole.of_classes(class_name or ())
        known = {category["id"] for category in coco.categories}
        found = [p for p in read_predictions(predictions, whole) if p["category_id"] in known]
        overall, classes = score_predictions(
            coco.images,
            coco.annotations,
            coco.categories,
            found,
            score=min_score,
            close_up=close_up_area,
            overlap=overlap_iou,
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
        f"The columns from 'predicted' on count predictions with a score of at least {min_score:g}. Wrong: matches no "
        "real box with an IoU of 0.5. Small: below 32 x 32 pixels.",
        f"Overlapping: in images where a box of the class covers more than {close_up_area:.0%}, predictions beyond one "
        f"per real object that overlap others with an IoU above {overlap_iou:g}.",
    ]
    values: dict[str, Any] = {
        "score": min_score,
        "close_up": close_up_area,
        "overlap": overlap_iou,
        "all": _values(overall),
        "classes": {name: _values(scores) for name, scores in classes.items()},
    }
    shown: list[Any] = [table, *lines]
    if unknown := _never_predicted(coco, found):
        shown.append(unknown)
    has_boxes = any(not annotation.get("iscrowd") for annotation in coco.annotations)
    if slices and suggested is None and not has_boxes:
        values["errors"] = None
        shown.append("There is no real box (crowds do not count), so no boxes are missed.")
    elif slices or suggested is not None:
        errors = errors_of(
            output,
            coco,
            found,
            images=real_images,
            score=min_score,
            metadata=metadata,
            model=model,
            features=slices,
            workers=workers,
        )
        values["errors"] = errors_json(errors)
        shown += errors_shown(errors, "brightness" in errors.columns)
        if suggested is not None and base_recipe is not None:
            if nothing := nothing_to_suggest(errors, suggest_by):
                values["suggested"] = None
                shown.append(f"{nothing} '{suggested}' was not written.")
            else:
                reasons, files = suggest(errors, coco, base_recipe, suggested, force, suggest_by)
                values["suggested"] = {"reasons": reasons, "files": files}
                shown += [*reasons, f"Next: twinset render {suggested} -o FOLDER"]
    if synth is not None:
        options = FeatureOptions(
            classes=class_name or (),
            model=model,
            max_boxes=max_boxes,
            min_box_side=min_box_side,
            threads=threads,
            workers=workers,
            seed=seed,
            plots=plots,
        )
        near = nearness_of(output, (real, real_images), (synth, synth_images), found, options)
        values["nearness"] = near
        shown += nearness_shown(near)
    output.result(values, *shown)


def _never_predicted(coco: CocoFile, found: list[dict[str, Any]]) -> str:
    """A hint where a detector may not know all classes of the real boxes; "" otherwise."""
    predicted = {p["category_id"] for p in found}
    counts = coco.classes()
    missing = [c["name"] for c in coco.categories if counts[c["name"]] and c["id"] not in predicted]
    if not missing or not predicted:
        return ""
    names = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
    return (
        f"No prediction is of {names} ({len(missing)} of {len(coco.categories)} classes), so all their boxes count as "
        "missed. If the detector does not know these classes, name those that it knows with --class."
    )


def _cells(scores: Scores) -> list[str]:
    small = f"{scores.small_false_positives}"
    if scores.false_positives:
        small += f" ({scores.small_share:.0%})"
    precisions = ("-" if math.isnan(v) else f"{v:.3f}" for v in (scores.mean_ap, scores.ap50, scores.ap75))
    counts = (scores.kept, scores.false_positives, small, scores.close_ups, scores.overlapping)
    return [str(scores.real), *precisions, *map(str, counts)]


def _values(scores: Scores) -> dict[str, Any]:
    return {**attrs.asdict(scores), "small_share": scores.small_share}
