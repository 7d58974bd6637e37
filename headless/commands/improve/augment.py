# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that writes a recipe around a dataset's best frames, without Blender: augment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import attrs
import typer

from .... import __version__
from ....engine.errors import DataError
from ...console.commands import command
from ...console.output import JsonOption, output_of
from .curation import refuse_existing
from .scoring import (
    ClassOption,
    FeaturesOption,
    MethodOption,
    ModelOption,
    Options,
    RealImagesOption,
    RealOption,
    SmallestOption,
    ThreadsOption,
    score,
)


@command(order=40)
def augment(
    context: typer.Context,
    dataset: Annotated[Path, typer.Argument(help="Folder of a rendered dataset.", show_default=False)],
    out: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="RECIPE", dir_okay=False, help="Recipe to write.", show_default=False),
    ],
    features: FeaturesOption = [],  # noqa: B006
    real: RealOption = None,
    real_images: RealImagesOption = None,
    class_name: ClassOption = [],  # noqa: B006
    model: ModelOption = None,
    best: Annotated[int, typer.Option(min=1, help="So many frames are taken, the best.")] = 10,
    pool: Annotated[str, typer.Option(help="How boxes of a frame are pooled: mean, median, min or max.")] = "mean",
    number: Annotated[
        int | None, typer.Option("--images", min=1, help="Frames of the recipe; default is as before.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the recipe; default is as before.")] = None,
    distance: Annotated[float, typer.Option(min=0.0, help="Metres that things and lights may move.")] = 0.2,
    turn: Annotated[float, typer.Option(min=0.0, max=180.0, help="Degrees that things may turn.")] = 20.0,
    power: Annotated[float, typer.Option(min=0.0, help="Share by which lights may brighten or dim.")] = 0.15,
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="RECIPE", help="The recipe to change; default is the dataset's own."),
    ] = None,
    method: MethodOption = "knn",
    smallest: SmallestOption = 16,
    threads: ThreadsOption = 1,
    json: JsonOption = False,
) -> None:
    """Write a recipe that renders more around the frames that look most like real ones: their draws, varied."""
    import numpy as np

    from ....alignment.features.curation import pool as pooled_by_image
    from ....dataset.analysis.augment import Jitter
    from ....dataset.analysis.augment import augment as around
    from ....dataset.atomic_files import write_atomic
    from ....dataset.formats.dataset_folder import read_dataset
    from ....dataset.jobs.subset import frames_of, is_rendered
    from ....dataset.store.frames import FrameStore
    from ....engine.recipe.reading import dump_recipe, load_recipe

    output = output_of(context)
    frames_path = out.with_suffix(".frames.json")
    for path in (out, frames_path):
        refuse_existing(path)
    if not is_rendered(read_dataset(dataset)):
        raise DataError(f"'{dataset}' was not rendered by Twinset, so nothing is known of what was drawn for it.")
    recipe = load_recipe(source or dataset / "recipe.toml", files_too=False)
    options = Options(
        dataset, None, list(features), real, real_images, list(class_name), model, method, smallest, threads
    )
    found = score(options, output)
    ids, pooled = pooled_by_image(found.scores.typicality, found.scores.image, pool)
    known = np.isfinite(pooled)
    order = np.argsort(-pooled[known], kind="stable")
    frame_of = frames_of(found.coco)
    ranked = [frame_of[i] for i in ids[known][order].tolist()]
    moves = out.resolve().parent != recipe.folder
    jitter = Jitter(distance, turn, power)
    made = around(FrameStore(dataset), ranked, best, recipe, frames_path.resolve(), jitter=jitter, anchor=moves)
    changed = attrs.evolve(
        made.recipe,
        images=made.recipe.images if number is None else number,
        seed=made.recipe.seed if seed is None else seed,
    )
    taken = [pooled[known][order][ranked.index(frame)] for frame in made.frames]
    header = [f"Around {len(made.frames)} frames of {dataset.resolve().name}, by `twinset augment`, {__version__}."]
    write_atomic(frames_path, made.frames_file)
    write_atomic(out, dump_recipe(changed, header, anchor=moves).encode())
    average = float(pooled[known].mean())
    lines = found.lines()
    lines.append(
        f"{len(made.frames)} frames of a mean typicality of {np.mean(taken):.2f}, where all {int(known.sum())} have "
        f"{average:.2f}: {', '.join(map(str, made.frames))}"
    )
    lines += [*made.notes, f"Render it: twinset render {out} -o FOLDER"]
    values = {
        "recipe": out,
        "frames_file": frames_path,
        "frames": made.frames,
        "typicality": taken,
        "average": average,
        "notes": made.notes,
        "features": found.features,
    }
    output.result(values, *lines)
