# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``split``: exposed and test parts of a real dataset, without Blender."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from ....engine.errors import DataError
from ...console.commands import command
from ...console.options import ImagesOption, RealArgument
from ...console.output import JsonOption, output_of
from .measure import measuring_bar, problems_shown


@command(order=45)
def split(
    context: typer.Context,
    real: RealArgument,
    out: Annotated[
        Path,
        typer.Option("-o", "--out", metavar="FOLDER", help="Folder to write COCO files into.", show_default=False),
    ],
    test_share: Annotated[float, typer.Option("--test", metavar="X", help="Share of the test images.")] = 0.3,
    folds: Annotated[
        int,
        typer.Option(
            metavar="K",
            help="Write K divisions instead, for cross-fitting: each image is in the test part of one.",
            show_default=False,
        ),
    ] = 0,
    class_name: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="NAME", help="Class that each part must have; repeatable.", show_default=False),
    ] = None,
    images: ImagesOption = None,
    pixels: Annotated[
        bool, typer.Option(help="Open the images to find copies and times; otherwise only names count.")
    ] = True,
    seconds: Annotated[
        float, typer.Option(metavar="S", min=0.0, help="Images taken within S seconds of each other stay together.")
    ] = 5.0,
    name_gap: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help="Images whose numbers differ by up to N stay together if they look alike."
        ),
    ] = 1,
    trust_names: Annotated[
        bool, typer.Option("--trust-names", help="Keep such images together even if they do not look alike.")
    ] = False,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Random seed.")] = 0,
    json: JsonOption = False,
) -> None:
    """Divide a real dataset into exposed and test images.

    Copies of a photo and frames of a sequence stay together. Match and train with the exposed images only; the test
    images then show how a detector does on photos that nothing has seen. No image is copied.
    """
    from ....dataset.analysis.image_groups import group_images
    from ....dataset.analysis.real_split import box_counts, part_of, split_images
    from ....dataset.atomic_files import json_bytes, make_folder, write_atomic
    from ....dataset.formats.coco import write_coco
    from ....dataset.formats.dataset_folder import image_folder, images_of, read_dataset

    output = output_of(context)
    coco = read_dataset(real)
    for name in class_name or ():
        coco.category(name)
    names = [str(image.get("file_name") or "") for image in coco.images]
    if not all(names):
        raise DataError(f"'{coco.path}' has images without a 'file_name'. Add their names.")
    folder = images_of(coco, images, otherwise="use --no-pixels") if pixels else None
    with measuring_bar(output, "Comparing images") as progress:
        groups = group_images(
            names, folder, seconds=seconds, name_gap=name_gap, trust_names=trust_names, progress=progress
        )
    made = split_images(coco, groups, test_share=test_share, folds=folds, classes=class_name or (), seed=seed)
    make_folder(out)
    written: list[dict[str, Any]] = []
    for number, fold in enumerate(made, 1):
        head = f"fold{number}_" if folds else ""
        for part, chosen in (("exposed", ~fold.test), ("test", fold.test)):
            path = out / f"{head}{part}.json"
            write_coco(path, part_of(coco, chosen))
            counts = box_counts(coco, chosen)
            written.append({"file": path, "images": int(chosen.sum()), "boxes": counts})
    together = [
        {"images": [names[i] for i in range(len(names)) if groups.group[i] == group]} for group in range(groups.count)
    ]
    reasons = [{"images": [names[link.first], names[link.second]], "why": link.why} for link in groups.links]
    values = {"seed": seed, "groups": together, "links": reasons}
    write_atomic(out / "groups.json", json_bytes(values))
    several = [one["images"] for one in together if len(one["images"]) > 1]
    lines = [
        f"{len(names)} images in {groups.count} groups; {len(several)} of them have several images, the largest "
        f"{max(map(len, several), default=1)}. {out / 'groups.json'} says why.",
        *_missing(written),
        *problems_shown(groups.problems, "images could not be read, so only their names count"),
    ]
    if pixels and image_folder(read_dataset(written[0]["file"])) is None:
        lines.append(f"The photos stay where they are: name their folder where these files are used, {folder}.")
    output.result({**values, "files": written, "problems": groups.problems}, _table(written), *lines)


def _table(written: list[dict[str, Any]]) -> Table:
    classes = [name for name in written[0]["boxes"] if any(one["boxes"][name] for one in written)]
    shown = sorted(classes, key=lambda name: -sum(one["boxes"][name] for one in written))[:6]
    table = Table("file", "images", "boxes", *shown, title="Parts", title_justify="left")
    for one in written:
        counts = (str(one["boxes"][name]) for name in shown)
        table.add_row(one["file"].name, str(one["images"]), str(sum(one["boxes"].values())), *counts)
    return table


def _missing(written: list[dict[str, Any]]) -> list[str]:
    """A sentence on the classes that only some of the files have."""
    everywhere = {name for one in written for name, count in one["boxes"].items() if count}
    missing = sorted(name for name in everywhere if not all(one["boxes"][name] for one in written))
    if not missing:
        return []
    return [f"In some of the files there is no box of {', '.join(missing)}: too few groups of images have one."]
