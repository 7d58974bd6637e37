# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``report``: an HTML page about two datasets, without Blender."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import attrs
import typer

from ....engine.errors import DataError
from ...console.commands import command
from ...console.options import (
    ClassOption,
    ModelOption,
    RealArgument,
    RealImagesOption,
    SynthArgument,
    SynthImagesOption,
    WorkersOption,
)
from ...console.output import JsonOption, output_of
from ...console.progress import progress_bar


@command(order=20)
def report(
    context: typer.Context,
    real: RealArgument,
    synth: SynthArgument,
    out: Annotated[
        Path,
        typer.Option("-o", "--out", metavar="FILE", dir_okay=False, help="HTML page to write.", show_default=False),
    ],
    class_name: ClassOption = "",
    real_images: RealImagesOption = None,
    synth_images: SynthImagesOption = None,
    features: Annotated[bool, typer.Option(help="Map the boxes by their features in a vision model.")] = True,
    model: ModelOption = None,
    max_boxes: Annotated[
        int, typer.Option(metavar="N", min=10, help="Use at most N boxes per dataset and class for features.")
    ] = 300,
    max_images: Annotated[
        int, typer.Option(metavar="N", min=0, help="Measure the pixels of at most N images per dataset; 0 for none.")
    ] = 300,
    predictions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A detector's predictions on the real images, as for `evaluate`: also show what it misses.",
            show_default=False,
        ),
    ] = None,
    workers: WorkersOption = 0,
    json: JsonOption = False,
) -> None:
    """Write an HTML report that compares two datasets.

    It has a verdict, advice for the recipe, histograms, positions, features, shapes and sample images.
    """
    from ....dataset.atomic_files import write_atomic
    from ....dataset.report.page import make_report

    output = output_of(context)
    for folder in (real_images, synth_images):
        if folder is not None and not folder.is_dir():
            raise DataError(f"The folder '{folder}' does not exist. Check the path.")
    extractor = None
    if features:
        from ....alignment.features.extractor import Extractor

        extractor = Extractor(model, workers=workers)
    with progress_bar(output, hidden=output.json) as bar:
        task = bar.add_task("Reading annotations", total=None)
        found = make_report(
            real,
            synth,
            class_name=class_name or None,
            real_images=real_images,
            synth_images=synth_images,
            extractor=extractor,
            boxes=max_boxes,
            pictures=max_images,
            workers=workers,
            predictions=predictions,
            progress=lambda what, done, total: bar.update(task, description=what, completed=done, total=total),
        )
        write_atomic(out, found.html)
    values = {
        "report": out,
        "bytes": len(found.html),
        "verdict": {
            "off": [attrs.asdict(s) for s in found.verdict.significant],
            "sentences": found.verdict.sentences,
        },
        "notes": found.notes,
        **found.compared,
    }
    shown = [*found.verdict.sentences, *found.notes, f"Report: {out} ({len(found.html) / 1e6:.1f} MB)"]
    output.result(values, *shown)
