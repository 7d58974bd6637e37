# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``infer``: predicts metadata of real boxes that only a renderer knows, without Blender."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import attrs
import typer
from rich.table import Table

from ....alignment.columns.registry import by_default
from ....engine.errors import DataError, OutputError
from ...console.commands import command
from ...console.options import (
    DATASET_FORMATS,
    ClassesOption,
    LearnedBoxesOption,
    MarginOption,
    MinBoxSideOption,
    RealImagesOption,
    SynthImagesOption,
    ThreadsOption,
    WorkersOption,
)
from ...console.output import JsonOption, Output, output_of
from ...console.progress import progress_bar
from .measure import LEFT_OUT, problems_shown

if TYPE_CHECKING:
    from ....dataset.analysis.inference import Outcome
    from ....dataset.formats.coco import CocoFile


@command(order=50)
def infer(
    context: typer.Context,
    real: Annotated[
        Path | None,
        typer.Argument(
            metavar="[REAL]", help=f"Real dataset: {DATASET_FORMATS}. Omit it to print scores only.", show_default=False
        ),
    ] = None,
    synth: Annotated[
        Path | None,
        typer.Argument(
            metavar="SYNTH", help="Rendered dataset whose boxes have the columns; same formats.", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            dir_okay=False,
            help="Table of predictions to write (.parquet or .csv).",
            show_default=False,
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help=f"Column to predict; repeatable. Default: {', '.join(by_default('inferred'))}. Of these, a_d2 is the "
            "visible area times the squared depth, which is lower for occluded objects.",
            show_default=False,
        ),
    ] = None,
    class_name: ClassesOption = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            help="An ONNX file, 'packaged', or 'box' (a box's own size and position). Join several with '+' to use "
            "their features together; repeat to give fallbacks. Default: packaged, then packaged+box.",
            show_default=False,
        ),
    ] = None,
    threshold: Annotated[
        float, typer.Option(metavar="X", max=1.0, help="Predict columns whose R² or accuracy is at least this.")
    ] = 0.5,
    all_models: Annotated[
        bool,
        typer.Option("--all-models", help="Score all models and use the best one."),
    ] = False,
    real_images: RealImagesOption = None,
    synth_images: SynthImagesOption = None,
    folds: Annotated[
        int, typer.Option(metavar="N", min=2, help="Number of cross-validation folds (split by image).")
    ] = 5,
    trees: Annotated[
        int, typer.Option(metavar="N", min=1, max=10_000, help="Number of trees of the forests that select features.")
    ] = 50,
    margin: MarginOption = 0.1,
    min_box_side: MinBoxSideOption = 16,
    max_boxes: LearnedBoxesOption = 20_000,
    threads: ThreadsOption = 1,
    workers: WorkersOption = 0,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Random seed of forests and intervals.")] = 0,
    json: JsonOption = False,
) -> None:
    """Predict depth, occlusion and shape of real boxes.

    Trains models on rendered boxes, whose true values are known, and scores them by cross-validation.
    """
    output = output_of(context)
    given = [path for path in (real, synth) if path is not None]
    if not given:
        raise typer.BadParameter("give a rendered dataset.", param_hint="'SYNTH'")
    if len(given) == 2 and out is None:
        raise OutputError("Give a file for the predictions: -o FILE.parquet. To print scores only, omit REAL.")
    if len(given) == 1 and out is not None:
        raise OutputError("Without a real dataset there are no predictions to write. Give REAL and SYNTH, or omit -o.")
    with progress_bar(output, hidden=output.json) as bar:
        task = bar.add_task("Reading annotations", total=None)
        from ....dataset.analysis.inference import infer as infer_metadata
        from ....dataset.analysis.models import DEFAULT_MODELS, open_models
        from ....dataset.formats.dataset_folder import ImageDataset, images_of
        from ....dataset.formats.metadata_table import check_suffix, write_columns

        if out is not None:
            check_suffix(out)
        rendered, photographed = _roles(output, given)
        found = infer_metadata(
            ImageDataset(rendered, images_of(rendered, synth_images, "--synth-images")),
            None
            if photographed is None
            else ImageDataset(photographed, images_of(photographed, real_images, "--real-images")),
            open_models(model or DEFAULT_MODELS, threads, workers),
            columns=column or (),
            classes=class_name or (),
            threshold=threshold,
            score_all=all_models,
            folds=folds,
            trees=trees,
            margin=margin,
            min_side=min_box_side,
            max_boxes=max_boxes,
            workers=workers,
            seed=seed,
            progress=lambda what, done, total: bar.update(task, description=what, completed=done, total=total),
        )
        chosen = [outcome for outcome in found.outcomes if outcome.model]
        written = out if chosen else None
        if written is not None:
            write_columns(written, found.table)
    refusals = [text for outcome in found.outcomes if (text := outcome.refusal(threshold))]
    notes = [text for outcome in chosen if (text := _note(outcome))]
    values = {
        "table": written,
        "boxes": len(found.table.get("id", ())),
        "threshold": threshold,
        "outcomes": [_values(outcome) for outcome in found.outcomes],
        "refused": refusals,
        "small": found.small,
        "longest": found.max_side,
        "reduced": found.reduced,
        "problems": found.problems,
    }
    shown: list[Any] = _tables(found.outcomes)
    if any(outcome.scores for outcome in found.outcomes):
        shown.append(
            "R² or accuracy on held-out images, with its 95% interval; * marks the model used. log: of logarithms. "
            "Accuracies are followed by that of always predicting the most frequent category."
        )
    shown += [*refusals, *notes]
    if found.reduced is not None:
        shown.append(
            f"The images of '{found.reduced}' are scaled down to {found.max_side:g} pixels, the size of the other "
            "dataset's; columns in pixels refer to the rendered images."
        )
    if found.small:
        shown.append(f"{found.small} boxes with a side under {min_box_side:g} pixels are left out.")
    shown += problems_shown(found.problems, LEFT_OUT)
    if written is not None:
        shown.append(f"Predictions of {len(found.table['id'])} real boxes: {written}")
    output.result(values, *shown)
    if not chosen:
        raise DataError(
            f"No column can be predicted with a score of {threshold:g}, so nothing is written. Render more images, try "
            "other models with --model, or lower --threshold."
        )


def _roles(output: Output, given: list[Path]) -> tuple[CocoFile, CocoFile | None]:
    """The synthetic and the real dataset; up to version 0.1 they were given in this order, which is recognised.

    Only annotations of rendered boxes know their metadata.
    """
    from ....dataset.formats.dataset_folder import read_dataset

    *real, synth = [read_dataset(path) for path in given]
    if not real:
        return synth, None
    if _has_metadata(real[0]) and not _has_metadata(synth):
        output.message(f"Deprecated: the order is now REAL SYNTH; '{given[0]}' is taken as the synthetic dataset.")
        return real[0], synth
    return synth, real[0]


def _has_metadata(coco: CocoFile) -> bool:
    return any("twinset" in annotation for annotation in coco.annotations)


def _tables(outcomes: tuple[Outcome, ...]) -> list[Table]:
    """A table per class: models by columns."""
    tables = []
    for name in dict.fromkeys(outcome.class_name for outcome in outcomes):
        own = [outcome for outcome in outcomes if outcome.class_name == name and outcome.scores]
        models = dict.fromkeys(model for outcome in own for model in outcome.scores)
        if not own:
            continue
        boxes, images = max(outcome.boxes for outcome in own), max(outcome.images for outcome in own)
        title = f"{name}: {boxes} rendered boxes in {images} images"
        table = Table("model", *map(_head, own), title=title, title_justify="left")
        for model in models:
            table.add_row(model, *(_cell(outcome, model) for outcome in own))
        tables.append(table)
    return tables


def _head(outcome: Outcome) -> str:
    kind = "accuracy" if outcome.kind == "accuracy" else "R², log" if outcome.log else "R²"
    return f"{outcome.column}\n{kind}"


def _cell(outcome: Outcome, model: str) -> str:
    score = outcome.scores.get(model)
    if score is None:
        return "-"
    beside = f" / {score.baseline:.2f}" if score.kind == "accuracy" else ""
    star = " *" if model == outcome.model else ""
    return f"{score.value:.2f}{beside}{star}\n{score.low:.2f} to {score.high:.2f}"


def _note(outcome: Outcome) -> str:
    """Sentences on how far the predictions of real boxes can be trusted."""
    if not outcome.predicted:
        return ""
    sentences = []
    of = f"'{outcome.column}' of '{outcome.class_name}'"
    if outcome.outside > 0.05:
        sentences.append(
            f"Warning: {of}: {outcome.outside:.0%} of {outcome.predicted} real boxes look unlike the rendered ones to "
            f"{outcome.model}, so the score may not apply to them."
        )
    if outcome.beyond > 0:
        sentences.append(f"{of}: {outcome.beyond:.0%} of the predictions are outside the range of the rendered values.")
    if outcome.truth is not None:
        score, covered, count = outcome.truth
        kind = "accuracy" if outcome.kind == "accuracy" else "R²"
        within = "" if outcome.kind == "accuracy" else f", and {covered:.0%} of the intervals contain the true value"
        sentences.append(f"{of}: checked against the real annotations of {count} boxes: {kind} {score:.2f}{within}.")
    return " ".join(sentences)


def _values(outcome: Outcome) -> dict[str, Any]:
    values = attrs.asdict(outcome)
    values["class"] = values.pop("class_name")
    if outcome.truth is not None:
        values["truth"] = dict(zip(("score", "covered", "boxes"), outcome.truth, strict=True))
    return values
