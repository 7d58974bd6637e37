# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands ``filter`` and ``curate``, which remove what looks unlike real boxes, without Blender."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import attrs
import typer
from rich.table import Table

from .... import __version__
from ....engine.errors import DataError, OutputError
from ....engine.regular_files import real_path
from ...console.commands import command
from ...console.options import (
    DatasetArgument,
    ImagesOption,
    MethodOption,
    MinBoxSideOption,
    ModelOption,
    NewDatasetOption,
    RealImagesOption,
    SeedOption,
    ThreadsOption,
    WorkersOption,
    check_choice,
)
from ...console.output import JsonOption, Output, output_of
from ..compare.measure import measuring_bar
from .scoring import ClassOption, FeaturesOption, Options, RealOption, Scored, score

if TYPE_CHECKING:
    from ....alignment.features.curation import GroupScore
    from ....dataset.jobs.subset import SubsetSummary

ACTIONS = ("drop-annotation", "black-box", "drop-image")


@command("filter", order=20)
def filter_(
    context: typer.Context,
    dataset: DatasetArgument,
    out: NewDatasetOption = None,
    features: FeaturesOption = [],  # noqa: B006
    real: RealOption = None,
    real_images: RealImagesOption = None,
    class_name: ClassOption = [],  # noqa: B006
    model: ModelOption = None,
    images: ImagesOption = None,
    quantile: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            min=0.0,
            max=1.0,
            help="Threshold that rejects this share of real boxes. Default: the elbow of the sorted scores.",
        ),
    ] = None,
    keep: Annotated[
        str,
        typer.Option(
            metavar="N",
            help="Instead of a threshold: keep the N most typical boxes or images, or a share of them, such as 80%.",
            show_default=False,
        ),
    ] = "",
    judge: Annotated[
        str,
        typer.Option(
            metavar="BOXES",
            help="Which boxes are judged: those of the learned classes (own), or boxes of all classes by the one class "
            "that was learned (all).",
        ),
    ] = "own",
    per: Annotated[
        str, typer.Option(metavar="UNIT", help="Judge each box (box), or each image by all its boxes (image).")
    ] = "box",
    pool: Annotated[
        str, typer.Option(metavar="NAME", help="How the boxes of an image are pooled: mean, median, min or max.")
    ] = "mean",
    action: Annotated[
        str,
        typer.Option(
            metavar="ACTION",
            help=f"What happens to rejected boxes: {', '.join(ACTIONS)}. Default: drop-annotation per box, drop-image "
            "per image.",
            show_default=False,
        ),
    ] = "",
    out_scores: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            help="Write all scores to this table (.parquet or .csv).",
            show_default=False,
        ),
    ] = None,
    method: MethodOption = "knn",
    min_box_side: MinBoxSideOption = 16,
    threads: ThreadsOption = 1,
    workers: WorkersOption = 0,
    json: JsonOption = False,
) -> None:
    """Copy a dataset, leaving out boxes that do not look real.

    Boxes are rejected by typicality: 0 is the median real box, -1 is farther from the real boxes by one standard
    deviation. The new dataset shares all unchanged files with the old one. Without -o, only the scores are printed.
    """
    import numpy as np

    from ....alignment.features.curation import POOLS, reject_atypical, typicality
    from ....dataset.analysis.feature_scores import score_table
    from ....dataset.formats.metadata_table import check_suffix, write_columns

    output = output_of(context)
    action = action or ("drop-image" if per == "image" else "drop-annotation")
    check_choice("--per", per, ("box", "image"))
    check_choice("--action", action, ACTIONS)
    check_choice("--pool", pool, tuple(POOLS))
    check_choice("--judge", judge, ("own", "all"))
    if quantile is not None and keep:
        raise DataError("Give --quantile or --keep, not both.")
    count, share = _parse_keep(keep)
    if out_scores is not None:
        check_suffix(out_scores)
    refuse_existing(out)
    options = Options(
        dataset=dataset,
        images=images,
        features=list(features),
        real=real,
        real_images=real_images,
        classes=list(class_name),
        model=model,
        method=method,
        min_box_side=min_box_side,
        threads=threads,
        judge_all=judge == "all",
        workers=workers,
    )
    found = score(options, output)
    boxes = found.scores
    judged_as = boxes.class_name if judge == "own" else np.full(len(boxes.annotation), next(iter(found.densities)))
    judged = reject_atypical(
        boxes.typicality,
        judged_as,
        boxes.image,
        {name: typicality(d.calibration, d.calibration) for name, d in found.densities.items()},
        quantile=quantile,
        keep=count,
        keep_share=share,
        per=per,
        how=pool,
    )
    if out_scores is not None:
        write_columns(out_scores, score_table(found.coco, boxes, {"kept": ~judged.rejected}))
    rule = f"keep {keep}" if keep else "elbow" if quantile is None else f"quantile {quantile:g}"
    step = {
        "command": "filter",
        "rule": rule,
        "thresholds": judged.thresholds,
        "per": per,
        **({"judge": judge} if judge != "own" else {}),
        **({"pool": pool} if per == "image" else {}),
        "action": action,
        "scored": int(boxes.known.sum()),
        "refused": int(judged.rejected.sum()),
    }
    written = None if out is None else _write(found, judged.rejected, action, out, step, output)
    limits = ", ".join(f"{name or 'images'} {limit:.3g}" for name, limit in judged.thresholds.items())
    lines = found.lines()
    lines.append(
        f"{step['refused']} boxes rejected ({rule}{f'; typicality below: {limits}' if limits else ''}), per {per}"
        f"{f' by the {pool} of its boxes' if per == 'image' else ''}."
    )
    lines += written_sentences(written) if written else ["No dataset is written; name a folder with -o."]
    values = {**step, "features": found.features, "scores": out_scores, "written": written, "problems": boxes.problems}
    output.result(values, *lines)


@command(order=30)
def curate(
    context: typer.Context,
    dataset: DatasetArgument,
    out: NewDatasetOption = None,
    features: FeaturesOption = [],  # noqa: B006
    real: RealOption = None,
    real_images: RealImagesOption = None,
    class_name: ClassOption = [],  # noqa: B006
    model: ModelOption = None,
    images: ImagesOption = None,
    by: Annotated[
        str,
        typer.Option(metavar="COLUMN", help="Column that defines the groups: shape, class, image or any other."),
    ] = "",
    remove: Annotated[int, typer.Option(metavar="N", min=0, help="Remove the N worst groups; 0 for none.")] = 0,
    min_typicality: Annotated[
        float | None,
        typer.Option(metavar="X", help="Remove groups whose mean typicality is below this.", show_default=False),
    ] = None,
    min_boxes: Annotated[int, typer.Option(metavar="N", min=1, help="Keep groups with fewer boxes than this.")] = 5,
    action: Annotated[
        str, typer.Option(metavar="ACTION", help=f"What happens to removed boxes: {', '.join(ACTIONS)}.")
    ] = "drop-image",
    out_recipe: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", dir_okay=False, help="Write a recipe without the removed shapes.", show_default=False
        ),
    ] = None,
    base_recipe: Annotated[
        Path | None,
        typer.Option(metavar="RECIPE", help="Recipe to change. Default: that of the dataset.", show_default=False),
    ] = None,
    method: MethodOption = "knn",
    min_box_side: MinBoxSideOption = 16,
    threads: ThreadsOption = 1,
    workers: WorkersOption = 0,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Find and remove the 3D models that look least real.

    Lists shapes (3D models), or other groups of boxes, by typicality: 0 is the median real box, -1 is farther from the
    real boxes by one standard deviation. Nothing is written without -o or --out-recipe.
    """
    import numpy as np

    from ....alignment.features.curation import group_scores
    from ....dataset.analysis.feature_scores import group_names
    from ....engine.rng import stream

    output = output_of(context)
    check_choice("--action", action, ACTIONS)
    refuse_existing(out)
    if out is None:
        refuse_existing(out_recipe)  # otherwise it is compared with what is written first
    if (out or out_recipe) and not remove and min_typicality is None:
        raise DataError("Say which groups to remove: --remove N or --min-typicality X.")
    options = Options(
        dataset=dataset,
        images=images,
        features=list(features),
        real=real,
        real_images=real_images,
        classes=list(class_name),
        model=model,
        method=method,
        min_box_side=min_box_side,
        threads=threads,
        workers=workers,
    )
    found = score(options, output)
    boxes = found.scores
    by, names = group_names(found.coco, boxes, by)
    if out_recipe is not None and by != "shape":
        raise DataError(f"--out-recipe needs groups by shape, but groups are by '{by}'. Omit it, or use --by shape.")
    groups = group_scores(boxes.typicality, names, stream(seed, "curate"), images=boxes.image)
    means = {g.name: float(np.mean(boxes.score[boxes.known & (names == g.name)])) for g in groups}
    large_enough = [g for g in groups if g.count >= min_boxes]
    removed_groups = [g.name for g in large_enough if min_typicality is not None and g.mean < min_typicality]
    removed_groups += [g.name for g in large_enough[:remove] if g.name not in removed_groups]
    shown: list[Any] = [*found.lines(), _table(groups, means, by, removed_groups)]
    shown.append(
        "Typicality: 0 is the median real box; -1 is farther from the real boxes by one standard deviation. Intervals "
        "are bootstrapped by image. Groups significantly below all others are marked as worse."
    )
    values: dict[str, Any] = {
        "by": by,
        "groups": [{**attrs.asdict(g), "score": means[g.name]} for g in groups],
        "taken": removed_groups,
        "features": found.features,
        "problems": boxes.problems,
    }
    if (out or out_recipe) and not removed_groups:
        shown.append(f"No group with at least {min_boxes} boxes is below the limit, so nothing is written.")
    elif removed_groups:
        step = {
            "command": "curate",
            "by": by,
            "taken": removed_groups,
            "action": action,
            "remove": remove,
            "below": min_typicality,
        }
        is_removed = np.isin(names, removed_groups)
        if out_recipe is not None:
            classes = {name: str(boxes.class_name[names == name][0]) for name in removed_groups}
            values["recipe"] = _write_recipe(base_recipe or dataset / "recipe.toml", out_recipe, classes)
            shown.append(
                f"Recipe without {', '.join(removed_groups)}: {out_recipe}. Next: twinset render {out_recipe} -o FOLDER"
            )
        if out is not None:
            values["written"] = _write(found, is_removed, action, out, step, output)
            shown += written_sentences(values["written"])
    if not (out or out_recipe):
        shown.append(
            "Nothing is written. To remove groups, add --remove N or --min-typicality X, and -o FOLDER for a dataset "
            "or --out-recipe FILE for a recipe."
        )
    output.result(values, *shown)


def _write(found: Scored, refused: Any, action: str, out: Path, step: dict[str, Any], output: Output) -> SubsetSummary:
    from ....dataset.formats.dataset_folder import ImageDataset
    from ....dataset.jobs.rejected_boxes import write_without

    with measuring_bar(output, "Writing") as progress:
        return write_without(
            ImageDataset(found.coco, found.images),
            out,
            found.scores,
            refused,
            action,
            {**step, "features": found.features},
            progress=progress,
        )


def _write_recipe(source: Path, path: Path, classes: dict[str, str]) -> Path:
    """Write a recipe that excludes shapes, each from its class."""
    from ....engine.recipe.reading import dump_recipe, load_recipe
    from ....engine.recipe.settings import without_assets

    if not source.is_file():
        raise DataError(
            f"The recipe {source} does not exist. Give the one that the dataset was rendered from with --base-recipe."
        )
    recipe = without_assets(load_recipe(source, check_files=False), classes)
    # Relative paths start at the recipe's own folder.
    moves = real_path(path).parent != recipe.folder
    header = [f"{source.name} without {', '.join(classes)}, by `twinset curate`, Twinset {__version__}."]
    write_new(path, dump_recipe(recipe, header, anchor=moves).encode())
    return path


def _table(groups: list[GroupScore], means: dict[str, float], by: str, removed_groups: list[str]) -> Table:
    table = Table(by, "boxes", "images", "typicality", "95%", "mean score", "", title_justify="left")
    for g in groups:
        interval = f"{g.low:.2f} to {g.high:.2f}" if g.images > 1 else "-"
        remarks = [*(["worse"] if g.worse and g.images > 1 else []), *(["removed"] if g.name in removed_groups else [])]
        row = (g.name, str(g.count), str(g.images), f"{g.mean:.2f}", interval, f"{means[g.name]:.2f}")
        table.add_row(*row, ", ".join(remarks))
    return table


def written_sentences(written: SubsetSummary) -> list[str]:
    """Sentences on what a new dataset holds."""
    files = [f"{written.shared} files shared with the original"]
    files += [f"{written.copied} copied"] if written.copied else []
    files += [f"{written.painted} images painted"] if written.painted else []
    lines = [f"{written.images} images with {written.annotations} annotations in {written.out}: {', '.join(files)}"]
    if written.missing:
        lines.append(f"{written.missing} images were missing; their annotations are kept.")
    return lines


def _parse_keep(text: str) -> tuple[int | None, float | None]:
    """Number and share that are kept: ``320`` or ``80%``; neither without a text."""
    number = text.strip().removesuffix("%")
    try:
        value = float(number)
    except ValueError:
        value = 0.0 if text else 1.0
    is_share = text.strip().endswith("%")
    if not 0 < value < 1e9 or (is_share and value > 100) or not (is_share or value.is_integer()):
        raise DataError(
            f"--keep must be a number of boxes or images, such as 320, or a share, such as 80%. Got '{text}'."
        )
    if not text:
        return None, None
    return (None, value / 100) if is_share else (int(value), None)


def refuse_existing(path: Path | None) -> None:
    """Raise OutputError before the work, not after it."""
    if path is not None and path.exists():
        raise OutputError(f"'{path}' already exists and is not overwritten. Choose another name, or delete it.")


def write_new(path: Path, data: bytes) -> None:
    """Write the first of two files; one with the very same bytes was left by this command when it was killed."""
    from ....dataset.atomic_files import write_atomic
    from ....engine.regular_files import read_regular

    if not path.is_file() or read_regular(path) != data:
        refuse_existing(path)
        write_atomic(path, data)
