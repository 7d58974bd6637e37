# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that leave out of a dataset what is unlike real boxes, without Blender: filter, curate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import attrs
import typer
from rich.table import Table

from .... import __version__
from ....engine.errors import DataError, OutputError
from ...console.commands import command
from ...console.output import JsonOption, Output, output_of
from ..compare.measure import measuring_bar
from .scoring import (
    ClassOption,
    DatasetArgument,
    FeaturesOption,
    ImagesOption,
    MethodOption,
    ModelOption,
    Options,
    RealImagesOption,
    RealOption,
    Scored,
    SmallestOption,
    ThreadsOption,
    score,
)

if TYPE_CHECKING:
    from ....alignment.features.curation import GroupScore
    from ....dataset.jobs.subset import SubsetSummary

ACTIONS = ("drop-annotation", "black-box", "drop-image")

NewOption = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FOLDER", help="Folder of the new dataset; must not exist.", show_default=False
    ),
]


@command("filter", order=20)
def filter_(
    context: typer.Context,
    dataset: DatasetArgument,
    out: NewOption = None,
    features: FeaturesOption = [],  # noqa: B006
    real: RealOption = None,
    real_images: RealImagesOption = None,
    class_name: ClassOption = [],  # noqa: B006
    model: ModelOption = None,
    images: ImagesOption = None,
    quantile: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Threshold: refuses this share of real boxes. Default is the elbow."),
    ] = None,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Instead of a threshold: keep so many boxes, or images.")
    ] = None,
    per: Annotated[str, typer.Option(help="What is judged: box, or image, its boxes pooled.")] = "box",
    pool: Annotated[str, typer.Option(help="How boxes of an image are pooled: mean, median, min or max.")] = "mean",
    action: Annotated[
        str,
        typer.Option(
            help=f"What becomes of it: {', '.join(ACTIONS)}. Default: drop-annotation per box, drop-image per image."
        ),
    ] = "",
    scores: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Table of all scores: .parquet or .csv.", show_default=False)
    ] = None,
    method: MethodOption = "knn",
    smallest: SmallestOption = 16,
    threads: ThreadsOption = 1,
    json: JsonOption = False,
) -> None:
    """Leave out what is unlike real boxes: writes a new dataset that shares all unchanged files with the old one."""
    from ....alignment.features.curation import POOLS, judge, typicality
    from ....dataset.analysis.feature_scores import score_table
    from ....dataset.formats.metadata_table import check_suffix, write_columns

    output = output_of(context)
    action = action or ("drop-image" if per == "image" else "drop-annotation")
    _check_choice("--per", per, ("box", "image"))
    _check_choice("--action", action, ACTIONS)
    _check_choice("--pool", pool, tuple(POOLS))
    if quantile is not None and keep is not None:
        raise DataError("Give --quantile or --keep, not both.")
    if scores is not None:
        check_suffix(scores)
    refuse_existing(out)
    options = Options(
        dataset, images, list(features), real, real_images, list(class_name), model, method, smallest, threads
    )
    found = score(options, output)
    boxes = found.scores
    judged = judge(
        boxes.typicality,
        boxes.class_name,
        boxes.image,
        {name: typicality(d.calibration, d.calibration) for name, d in found.densities.items()},
        quantile=quantile,
        keep=keep,
        per=per,
        how=pool,
    )
    if scores is not None:
        write_columns(scores, score_table(found.coco, boxes, {"kept": ~judged.refused}))
    rule = f"keep {keep}" if keep is not None else "elbow" if quantile is None else f"quantile {quantile:g}"
    step = {
        "command": "filter",
        "rule": rule,
        "thresholds": judged.thresholds,
        "per": per,
        **({"pool": pool} if per == "image" else {}),
        "action": action,
        "scored": int(boxes.known.sum()),
        "refused": int(judged.refused.sum()),
    }
    written = None if out is None else _write(found, judged.refused, action, out, step, output)
    limits = ", ".join(f"{name or 'images'} {limit:.3g}" for name, limit in judged.thresholds.items())
    lines = found.lines()
    lines.append(
        f"{step['refused']} boxes refused ({rule}{f'; typicality below: {limits}' if limits else ''}), per {per}"
        f"{f' by the {pool} of its boxes' if per == 'image' else ''}."
    )
    lines += _told(written) if written else ["Nothing is written; name a folder with -o."]
    values = {**step, "features": found.features, "scores": scores, "written": written, "problems": boxes.problems}
    output.result(values, *lines)


@command(order=30)
def curate(
    context: typer.Context,
    dataset: DatasetArgument,
    out: NewOption = None,
    features: FeaturesOption = [],  # noqa: B006
    real: RealOption = None,
    real_images: RealImagesOption = None,
    class_name: ClassOption = [],  # noqa: B006
    model: ModelOption = None,
    images: ImagesOption = None,
    by: Annotated[
        str, typer.Option(metavar="COLUMN", help="What makes a group: shape, class, image or any column.")
    ] = "",
    remove: Annotated[int, typer.Option(min=0, help="Take the so many worst groups out.")] = 0,
    below: Annotated[
        float | None, typer.Option(help="Take out groups of a mean typicality below this.", show_default=False)
    ] = None,
    fewest: Annotated[int, typer.Option(min=1, help="Groups of fewer boxes are not taken out.")] = 5,
    action: Annotated[str, typer.Option(help=f"What becomes of their boxes: {', '.join(ACTIONS)}.")] = "drop-image",
    recipe: Annotated[
        Path | None,
        typer.Option(help="Write a recipe that leaves the taken-out shapes out.", metavar="FILE", show_default=False),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="RECIPE", help="The recipe to change; default is the dataset's own."),
    ] = None,
    method: MethodOption = "knn",
    smallest: SmallestOption = 16,
    threads: ThreadsOption = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of the resamples of intervals.")] = 0,
    json: JsonOption = False,
) -> None:
    """Score shapes, or other groups of boxes, and take the worst out of the dataset or its recipe."""
    import numpy as np

    from ....alignment.features.curation import group_scores
    from ....dataset.analysis.feature_scores import group_names
    from ....engine.rng import stream

    output = output_of(context)
    _check_choice("--action", action, ACTIONS)
    for path in (out, recipe):
        refuse_existing(path)
    if (out or recipe) and not remove and below is None:
        raise DataError("Say what is to be taken out: --remove N, or --below TYPICALITY.")
    options = Options(
        dataset, images, list(features), real, real_images, list(class_name), model, method, smallest, threads
    )
    found = score(options, output)
    boxes = found.scores
    by, names = group_names(found.coco, boxes, by)
    if recipe is not None and by != "shape":
        raise DataError(f"A recipe knows shapes only, and groups are by '{by}'. Leave --recipe out, or use --by shape.")
    groups = group_scores(boxes.typicality, names, stream(seed, "curate"), images=boxes.image)
    means = {g.name: float(np.mean(boxes.score[boxes.known & (names == g.name)])) for g in groups}
    sure = [g for g in groups if g.count >= fewest]
    taken = [g.name for g in sure if below is not None and g.mean < below]
    taken += [g.name for g in sure[:remove] if g.name not in taken]
    shown: list[Any] = [*found.lines(), _table(groups, means, by, taken)]
    shown.append(
        "Typicality: 0 is the median real box, -1 as far again as the real box of the upper 16 %. 95 % intervals, "
        "images drawn. Below all others by more than chance: marked worse."
    )
    values: dict[str, Any] = {
        "by": by,
        "groups": [{**attrs.asdict(g), "score": means[g.name]} for g in groups],
        "taken": taken,
        "features": found.features,
        "problems": boxes.problems,
    }
    if (out or recipe) and not taken:
        shown.append(f"No group of {fewest} boxes or more is to be taken out, so nothing is written.")
    elif taken:
        step = {"command": "curate", "by": by, "taken": taken, "action": action, "remove": remove, "below": below}
        gone = np.isin(names, taken)
        if recipe is not None:
            classes = {name: str(boxes.class_name[names == name][0]) for name in taken}
            values["recipe"] = _write_recipe(source or dataset / "recipe.toml", recipe, classes)
            shown.append(f"A recipe without {', '.join(taken)}: {recipe}. Render it: twinset render {recipe} -o FOLDER")
        if out is not None:
            values["written"] = _write(found, gone, action, out, step, output)
            shown += _told(values["written"])
    if not (out or recipe):
        shown.append("Nothing is written. --remove N or --below TYPICALITY take groups out: of a recipe that --recipe")
        shown[-1] += " names, or of a new dataset that -o names."
    output.result(values, *shown)


def _write(found: Scored, refused: Any, action: str, out: Path, step: dict[str, Any], output: Output) -> SubsetSummary:
    from ....dataset.jobs.subset import SubsetChanges, write_subset

    boxes = found.scores
    is_whole = action == "drop-image"
    changes = SubsetChanges(
        without=frozenset(boxes.image[refused].tolist()) if is_whole else frozenset(),
        unlabelled=frozenset() if is_whole else frozenset(boxes.annotation[refused].tolist()),
        black=action == "black-box",
        columns=boxes.columns(),
    )
    step = {
        "twinset": __version__,
        **step,
        "features": found.features,
        "images_left_out": len(changes.without),
        "annotations_left_out": len(changes.unlabelled),
    }
    with measuring_bar(output, "Writing") as told:
        return write_subset(found.coco, found.images, out, changes, step, progress=told)


def _write_recipe(source: Path, path: Path, classes: dict[str, str]) -> Path:
    """Write a recipe that excludes shapes, each of its class."""
    from ....dataset.atomic_files import write_atomic
    from ....engine.recipe.reading import dump_recipe, load_recipe
    from ....engine.recipe.settings import without_assets

    if not source.is_file():
        raise DataError(f"There is no recipe {source}. Name the one that the dataset was rendered from with --from.")
    recipe = without_assets(load_recipe(source, files_too=False), classes)
    # Relative paths start at the recipe's own folder.
    moves = path.resolve().parent != recipe.folder
    header = [f"{source.name} without {', '.join(classes)}, by `twinset curate`, Twinset {__version__}."]
    write_atomic(path, dump_recipe(recipe, header, anchor=moves).encode())
    return path


def _table(groups: list[GroupScore], means: dict[str, float], by: str, taken: list[str]) -> Table:
    table = Table(by, "boxes", "images", "typicality", "95 %", "mean score", "", title_justify="left")
    for g in groups:
        interval = f"{g.low:.2f} to {g.high:.2f}" if g.images > 1 else "-"
        words = [*(["worse"] if g.worse and g.images > 1 else []), *(["taken out"] if g.name in taken else [])]
        row = (g.name, str(g.count), str(g.images), f"{g.mean:.2f}", interval, f"{means[g.name]:.2f}")
        table.add_row(*row, ", ".join(words))
    return table


def _told(written: SubsetSummary) -> list[str]:
    files = [f"{written.shared} files shared with the old one"]
    files += [f"{written.copied} copied"] if written.copied else []
    files += [f"{written.painted} pictures painted"] if written.painted else []
    lines = [f"{written.images} images with {written.annotations} annotations in {written.out}: {', '.join(files)}"]
    if written.missing:
        lines.append(f"{written.missing} images were missing; their annotations are kept.")
    return lines


def _check_choice(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise DataError(f"{option} must be one of {', '.join(known)}. Got '{value}' instead.")


def refuse_existing(path: Path | None) -> None:
    """Refuse before the work, not after it."""
    if path is not None and path.exists():
        raise OutputError(f"'{path}' exists already, and nothing is overwritten. Name another, or delete it.")
