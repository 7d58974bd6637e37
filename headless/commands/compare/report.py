# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that writes one page about two datasets, without Blender: report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import attrs
import typer

from ....engine.errors import DataError
from ...console.commands import command
from ...console.output import JsonOption, output_of
from ...console.progress import progress_bar


@command(order=20)
def report(
    context: typer.Context,
    real: Annotated[Path, typer.Argument(help="COCO file or folder of the real dataset.", show_default=False)],
    synth: Annotated[Path, typer.Argument(help="COCO file, or folder of a dataset.", show_default=False)],
    out: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", dir_okay=False, help="The page.")] = Path(
        "report.html"
    ),
    class_name: Annotated[str, typer.Option("--class", metavar="NAME", help="One category; default is all.")] = "",
    real_images: Annotated[
        Path | None,
        typer.Option("--images", "--real-images", help="Folder of the real images; looked for near them."),
    ] = None,
    synth_images: Annotated[
        Path | None, typer.Option(help="The same of the synthetic dataset.", show_default=False)
    ] = None,
    features: Annotated[bool, typer.Option(help="Map the boxes as a vision model sees them.")] = True,
    model: Annotated[
        Path | None, typer.Option(metavar="ONNX", help="Vision model; default is the packaged one.", show_default=False)
    ] = None,
    boxes: Annotated[int, typer.Option(min=10, help="Boxes of each dataset and class that the model looks at.")] = 300,
    pictures: Annotated[
        int, typer.Option(min=0, help="Images of each dataset whose pixels are measured; 0 measures none.")
    ] = 300,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 takes one per processor.")] = 0,
    json: JsonOption = False,
) -> None:
    """Write one HTML page about two datasets: verdict, histograms, positions, features, shapes, pictures, origin."""
    from ....dataset.atomic_files import write_atomic
    from ....dataset.report.page import make_report

    output = output_of(context)
    for folder in (real_images, synth_images):
        if folder is not None and not folder.is_dir():
            raise DataError(f"The folder '{folder}' does not exist. Check the path.")
    extractor = None
    if features:
        from ....alignment.features.extractor import Extractor

        extractor = Extractor(model)
    with progress_bar(output, hidden=output.json) as bar:
        task = bar.add_task("Reading annotations", total=None)
        found = make_report(
            real,
            synth,
            class_name=class_name or None,
            real_images=real_images,
            synth_images=synth_images,
            extractor=extractor,
            boxes=boxes,
            pictures=pictures,
            workers=workers,
            progress=lambda what, done, total: bar.update(task, description=what, completed=done, total=total),
        )
        write_atomic(out, found.html)
    values = {
        "report": out,
        "bytes": len(found.html),
        "verdict": {"off": [attrs.asdict(s) for s in found.verdict.off], "sentences": found.verdict.sentences},
        "notes": found.notes,
        **found.compared,
    }
    shown = [*found.verdict.sentences, *found.notes, f"Report: {out} ({len(found.html) / 1e6:.1f} MB)"]
    output.result(values, *shown)
