# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``augment``: a recipe with variations of a dataset's best frames, without Blender."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import attrs
import typer

from .... import __version__
from ....engine.errors import DataError
from ....engine.regular_files import real_path
from ...console.commands import command
from ...console.options import (
    MethodOption,
    MinBoxSideOption,
    ModelOption,
    RealImagesOption,
    RecipeFileOption,
    ThreadsOption,
    WorkersOption,
)
from ...console.output import JsonOption, output_of
from .curation import refuse_existing, write_new
from .scoring import ClassOption, FeaturesOption, Options, RealOption, score


@command(order=40)
def augment(
    context: typer.Context,
    dataset: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder of a rendered dataset.", show_default=False)
    ],
    out: RecipeFileOption,
    features: FeaturesOption = [],  # noqa: B006
    real: RealOption = None,
    real_images: RealImagesOption = None,
    class_name: ClassOption = [],  # noqa: B006
    model: ModelOption = None,
    top: Annotated[int, typer.Option(metavar="N", min=1, max=1_000_000, help="Vary the N most typical frames.")] = 10,
    pool: Annotated[
        str, typer.Option(metavar="NAME", help="How the boxes of a frame are pooled: mean, median, min or max.")
    ] = "mean",
    image_count: Annotated[
        int | None,
        typer.Option(
            "--images",
            metavar="N",
            min=1,
            max=10_000_000,
            help="Number of frames of the new recipe. Default: unchanged.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Random seed of the new recipe. Default: unchanged.")
    ] = None,
    max_shift: Annotated[
        float, typer.Option(metavar="METRES", min=0.0, help="Largest shift of objects, camera and lights.")
    ] = 0.2,
    max_rotation: Annotated[
        float, typer.Option(metavar="DEGREES", min=0.0, max=180.0, help="Largest rotation of objects.")
    ] = 20.0,
    max_power_change: Annotated[
        float, typer.Option(metavar="X", min=0.0, help="Largest change of light power, as a share.")
    ] = 0.15,
    base_recipe: Annotated[
        Path | None,
        typer.Option(metavar="RECIPE", help="Recipe to change. Default: that of the dataset.", show_default=False),
    ] = None,
    method: MethodOption = "knn",
    min_box_side: MinBoxSideOption = 16,
    threads: ThreadsOption = 1,
    workers: WorkersOption = 0,
    json: JsonOption = False,
) -> None:
    """Write a recipe with variations of the most typical frames.

    It repeats the sampled placement, camera and lights of these frames, with small random changes. Frames are ranked
    by typicality, the likeness to real boxes in the features of a vision model.
    """
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
    refuse_existing(out)
    if not is_rendered(read_dataset(dataset)):
        raise DataError(
            f"'{dataset}' was not rendered by Twinset, so its frames cannot be varied. Give a rendered folder."
        )
    recipe = load_recipe(base_recipe or dataset / "recipe.toml", check_files=False)
    options = Options(
        dataset=dataset,
        images=None,
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
    ids, pooled = pooled_by_image(found.scores.typicality, found.scores.image, pool)
    known = np.isfinite(pooled)
    order = np.argsort(-pooled[known], kind="stable")
    frame_of = frames_of(found.coco)
    ranked = [frame_of[i] for i in ids[known][order].tolist()]
    moves = real_path(out).parent != recipe.folder
    jitter = Jitter(max_shift, max_rotation, max_power_change)
    made = around(FrameStore(dataset), ranked, top, recipe, real_path(frames_path), jitter=jitter, anchor=moves)
    changed = attrs.evolve(
        made.recipe,
        images=made.recipe.images if image_count is None else image_count,
        seed=made.recipe.seed if seed is None else seed,
    )
    taken = [pooled[known][order][ranked.index(frame)] for frame in made.frames]
    header = [
        f"Variations of {len(made.frames)} frames of {real_path(dataset).name}, by `twinset augment`, {__version__}."
    ]
    write_new(frames_path, made.frames_file)
    write_atomic(out, dump_recipe(changed, header, anchor=moves).encode())
    average = float(pooled[known].mean())
    lines = found.lines()
    lines.append(
        f"{len(made.frames)} frames with a mean typicality of {np.mean(taken):.2f} (all {int(known.sum())} frames: "
        f"{average:.2f}): {', '.join(map(str, made.frames))}"
    )
    lines += [*made.notes, f"Next: twinset render {out} -o FOLDER"]
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
