# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that infers metadata of real boxes that only a renderer knows, without Blender: infer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import attrs
import typer
from rich.table import Table

from ....engine.errors import DataError, OutputError
from ...console.commands import command
from ...console.output import JsonOption, output_of
from ...console.progress import progress_bar
from .measure import LEFT_OUT, problems_shown

if TYPE_CHECKING:
    from ....alignment.features.extractor import Extractor
    from ....dataset.analysis.inference import Outcome

PACKAGED, BOX = "packaged", "box"
_DEFAULT = (PACKAGED, f"{PACKAGED}+{BOX}")


@command(order=50)
def infer(
    context: typer.Context,
    synth: Annotated[
        Path, typer.Argument(help="Rendered folder or COCO file, whose boxes have the columns.", show_default=False)
    ],
    real: Annotated[
        Path | None,
        typer.Argument(help="COCO file or YOLO folder of real images; left out, scores only.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", dir_okay=False, help="Table: .parquet or .csv.", show_default=False
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="What to infer; repeat for more. Default is depth, a_d2, visible_share, "
            "background_similarity and shape.",
            show_default=False,
        ),
    ] = None,
    class_name: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            metavar="NAME",
            help="Category; repeat for more. Default is all that both have.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ONNX",
            help="Vision model, 'packaged', 'box' (the box's own size and place), or some joined by '+'; repeat for "
            "those to try next. Default is packaged, then packaged+box.",
            show_default=False,
        ),
    ] = None,
    threshold: Annotated[float, typer.Option(max=1.0, help="Least R² or accuracy of what is predicted.")] = 0.5,
    score_all: Annotated[
        bool, typer.Option("--all", help="Score every model and take the best, not the first good enough.")
    ] = False,
    images: Annotated[
        Path | None,
        typer.Option("--images", "--real-images", help="Folder of the real images; looked for near them."),
    ] = None,
    synth_images: Annotated[
        Path | None, typer.Option(help="Folder of the rendered images; looked for near them.", show_default=False)
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Of the cross-validation, over images.")] = 5,
    trees: Annotated[int, typer.Option(min=1, help="Of the forests that select features.")] = 50,
    margin: Annotated[float, typer.Option(min=0.0, max=10.0, help="Context around a box, share of its side.")] = 0.1,
    smallest: Annotated[float, typer.Option(min=1.0, help="Boxes with a shorter side, in pixels, are left out.")] = 16,
    threads: Annotated[int, typer.Option(min=1, help="Threads of models and forests.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of forests and intervals.")] = 0,
    json: JsonOption = False,
) -> None:
    """Infer depth, occlusion, shape and other metadata of real boxes from rendered ones, and say how well that goes."""
    output = output_of(context)
    if real is not None and out is None:
        raise OutputError(
            "Say where predictions are to be written: -o FILE.parquet. To see scores only, leave REAL out."
        )
    if real is None and out is not None:
        raise OutputError("There are no real boxes to write predictions of. Name a real dataset, or leave -o out.")
    with progress_bar(output, hidden=output.json) as bar:
        task = bar.add_task("Reading annotations", total=None)
        from ....dataset.analysis.inference import infer as infer_metadata
        from ....dataset.formats.dataset_folder import open_dataset
        from ....dataset.formats.metadata_table import check_suffix, write_columns

        if out is not None:
            check_suffix(out)
        found = infer_metadata(
            open_dataset(synth, synth_images, "--synth-images"),
            None if real is None else open_dataset(real, images),
            _models(model or _DEFAULT, threads),
            columns=column or (),
            classes=class_name or (),
            threshold=threshold,
            score_all=score_all,
            folds=folds,
            trees=trees,
            margin=margin,
            min_side=smallest,
            threads=threads,
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
            "R² or accuracy on images that a head has not seen, with its 95 % interval; * is what is taken. "
            "log: of logarithms. Accuracy stands beside that of always naming the most frequent category."
        )
    shown += [*refusals, *notes]
    if found.reduced is not None:
        shown.append(
            f"Images of '{found.reduced}' are reduced to {found.max_side:g} pixels, as large as the other's; columns in "
            "pixels stay in those of the rendered images."
        )
    if found.small:
        shown.append(f"{found.small} boxes with a side under {smallest:g} pixels are left out.")
    shown += problems_shown(found.problems, LEFT_OUT)
    if written is not None:
        shown.append(f"Predictions of {len(found.table['id'])} real boxes: {written}")
    output.result(values, *shown)
    if not chosen:
        raise DataError(
            f"No column can be inferred with a score of {threshold:g}, so nothing is written. Render more images, try "
            "other models with --model, or lower --threshold."
        )


def _models(texts: list[str] | tuple[str, ...], threads: int) -> dict[str, list[Extractor | None]]:
    """By the name that tables show, the extractors of each choice; a file is opened once."""
    from ....alignment.features.extractor import Extractor

    opened: dict[str, Extractor | None] = {BOX: None}
    models: dict[str, list[Extractor | None]] = {}
    for text in texts:
        parts = [text] if Path(text).is_file() else text.split("+")
        for part in parts:
            if part not in opened:
                opened[part] = Extractor(None if part == PACKAGED else part, threads=threads)
        name = "+".join(Path(part).stem for part in parts)
        models[text if name in models else name] = [opened[part] for part in parts]
    return models


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
    """How far predictions of real boxes can be trusted, in sentences."""
    if not outcome.predicted:
        return ""
    said = []
    of = f"'{outcome.column}' of '{outcome.class_name}'"
    if outcome.outside > 0.05:
        said.append(
            f"Warning: {of}: {outcome.outside:.0%} of {outcome.predicted} real boxes look unlike the rendered ones to "
            f"{outcome.model}, so the score need not hold for them."
        )
    if outcome.beyond > 0:
        said.append(f"{of}: {outcome.beyond:.0%} of the predictions are beyond all rendered values.")
    if outcome.truth is not None:
        score, covered, count = outcome.truth
        kind = "accuracy" if outcome.kind == "accuracy" else "R²"
        within = "" if outcome.kind == "accuracy" else f", and {covered:.0%} of their intervals hold the truth"
        said.append(f"{of}: the real annotations know it of {count} boxes: {kind} {score:.2f}{within}.")
    return " ".join(said)


def _values(outcome: Outcome) -> dict[str, Any]:
    values = attrs.asdict(outcome)
    values["class"] = values.pop("class_name")
    if outcome.truth is not None:
        values["truth"] = dict(zip(("score", "covered", "boxes"), outcome.truth, strict=True))
    return values
