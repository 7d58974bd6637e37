# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``convert``: a dataset in another format."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from ....engine.errors import PluginError
from ...console.commands import command
from ...console.options import DatasetArgument, ImagesOption, RequiredNewDatasetOption
from ...console.output import JsonOption, output_of


@command(order=60)
def convert(
    context: typer.Context,
    dataset: DatasetArgument,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help="Format: the id of a writer, such as voc, kitti or yolo_segment, or the Python file of one; "
            "`twinset plugins` lists all.",
            show_default=False,
        ),
    ],
    out: RequiredNewDatasetOption,
    images: ImagesOption = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Set a parameter of the writer; repeatable."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write a dataset in another format.

    The new folder has the annotations and the images, as hard links where possible. What the format cannot hold is
    listed.
    """
    from ....dataset.formats.dataset_folder import open_dataset
    from ....dataset.jobs.convert import convert as write
    from ...commands.compare.measure import measuring_bar

    output = output_of(context)
    writer = _writer(to, values or [])
    with measuring_bar(output, "Writing images") as progress:
        done = write(open_dataset(dataset, images), writer, out, progress=progress)
    name = writer.plugin_id
    lines = [f"{done.images} images with {done.annotations} annotations as {name}, {done.files} files: {done.out}"]
    if done.lost:
        lost = ", ".join(f"{what} ({count})" for what, count in done.lost.items())
        lines.append(f"The format {name} cannot hold: {lost}.")
    values_shown = {"images": done.images, "annotations": done.annotations, "files": done.files, "lost": done.lost}
    output.result({"out": done.out, "format": name, **values_shown}, *lines)


def _writer(name: str, values: list[str]) -> Any:
    """The writer of an id, or of a Python file, with parameters as on the command line."""
    from ....engine.plugin.contract import KINDS
    from ....engine.plugin.params import build
    from ....engine.plugin.registry import check_declaration, classes_of_file, default

    if name.endswith(".py") and Path(name).is_file():
        # The user names it on this very command line, so it is trusted.
        found = [cls for cls in classes_of_file(Path(name)) if getattr(cls, "plugin_kind", "") in KINDS]
        writers = [cls for cls in found if cls.plugin_kind == "writer"]  # type: ignore[attr-defined]
        if len(writers) != 1 or check_declaration(writers[0]):
            problem = check_declaration(writers[0]) if len(writers) == 1 else f"it declares {len(writers)} writers."
            raise PluginError(f"'{name}' cannot be used as a format: {problem}")
        cls = writers[0]
    else:
        cls = default().find("writer", name.replace("-", "_"))
    writer, problems = build(cls, dict(map(_assignment, values)), f"writer '{cls.plugin_id}'")  # type: ignore[attr-defined]
    if problems:
        raise PluginError(" ".join(problems))
    return writer


def _assignment(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise PluginError(f"'{text}' after --set must be NAME=VALUE, such as shard_images=500.")
    try:
        return name.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name.strip(), value  # a string whose quotes the shell has removed
