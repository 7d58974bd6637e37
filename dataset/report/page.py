# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the report: one self-contained page about a real and a synthetic dataset."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import attrs

from ...alignment.distances.verdict import Verdict
from ...alignment.features.extractor import Extractor
from ...engine.errors import DataError
from ..analysis.detector_errors import detector_errors
from ..formats.coco_in_memory import CocoInMemory
from ..formats.coco_results import read_predictions
from ..formats.dataset_folder import read_dataset
from ..formats.metadata_table import TableColumns
from ..progress import Progress, StepProgress
from .class_summary import shapes, summarize_classes
from .feature_map import FeatureMap, feature_map
from .gallery import feature_section, samples, shape_table
from .markup import Node, document, tag
from .provenance import funnel, provenance
from .report_dataset import ReportDataset, chosen_classes, read_report_dataset, report_columns
from .sections import class_section, contents, headline, statement, verdict
from .slice_sections import bias_section, error_section

MAX_CLASSES = 8
"""Classes on the page, those with most real boxes first."""


@attrs.frozen
class Report:
    """The page as ``html``, the ``verdict`` and the ``compared`` numbers that it shows, and notes."""

    html: bytes
    verdict: Verdict
    compared: Mapping[str, Any]
    notes: tuple[str, ...]


def make_report(
    real: Path,
    synth: Path,
    *,
    class_name: str | None = None,
    real_images: Path | None = None,
    synth_images: Path | None = None,
    extractor: Extractor | None = None,
    boxes: int = 300,
    pictures: int = 300,
    seed: int = 0,
    workers: int = 0,
    synth_name: str = "",
    synth_coco: CocoInMemory | None = None,
    predictions: Path | None = None,
    progress: StepProgress = lambda what, done, total: None,
) -> Report:
    """Make a page about two datasets; equal datasets give equal bytes.

    Parameters
    ----------
    real, synth : Path
        COCO files, YOLO folders or rendered folders.
    class_name : str, optional
        One class; by default, up to ``MAX_CLASSES`` classes with boxes on both sides.
    real_images, synth_images : Path, optional
        Folders of images, if they are not near their annotations.
    extractor : Extractor, optional
        Vision model for the feature map; without one there is no map.
    boxes : int
        Boxes per dataset and class on the feature map.
    pictures : int
        Images per dataset whose pixels are measured; 0 measures none.
    seed : int
        Seed of the resampling for intervals and floors.
    workers : int
        Processes for measuring pixels; 0 uses one per processor.
    synth_name : str
        Name of the synthetic dataset, instead of that of its file or folder.
    synth_coco : CocoInMemory, optional
        Its annotations, if they are in memory.
    predictions : Path, optional
        A detector's predictions on the real images, in COCO's results format: adds a section on its errors.
    progress : callable
        See :mod:`..progress`.

    Raises
    ------
    DataError
        If a dataset is missing or invalid, or the two share no class.
    """
    progress("Reading annotations", 0, 2)
    first, second = (
        read_report_dataset(real, real_images),
        read_report_dataset(synth, synth_images, synth_name, coco=synth_coco),
    )
    names = chosen_classes(first, second, class_name)
    notes = []
    if len(names) > MAX_CLASSES:
        rest = ", ".join(names[MAX_CLASSES:])
        notes.append(
            f"Only the {MAX_CLASSES} classes with most real boxes are shown. Choose others with --class: {rest}."
        )
        names = names[:MAX_CLASSES]
    # Pixel statistics of one side alone have nothing to be compared with.
    limit = pictures if first.images and second.images else 0
    columns = [
        report_columns(side, limit, workers=workers, progress=partial(progress, f"Measuring {side.name}"))
        for side in (first, second)
    ]
    summaries, overall, compared = summarize_classes(
        names, columns[0], columns[1], seed, partial(progress, "Comparing")
    )
    sections, maps = [], dict[str, FeatureMap]()
    for i, one in enumerate(summaries, 1):
        box_progress = partial(progress, f"Extracting features of {one.name}")
        more, mapped = _pixel_parts(first, second, columns[1], one.name, extractor, boxes, seed, box_progress)
        sections.append(class_section(one, i, *more))
        if mapped is not None:
            maps[one.name] = mapped
    sections.append(bias_section((first, second), columns, names, maps, limit, seed))
    if predictions is not None:
        sections.append(_detector_part(first, predictions, extractor, workers, partial(progress, "Measuring boxes")))
    progress("Writing the page", 0, 1)
    parts = [verdict(summaries, overall, second.recipe, notes), *sections, samples((first, second), columns, names)]
    parts += [part for part in (funnel(second), provenance(first, second)) if part is not None]
    html = document(
        f"{second.name} against {first.name} | Twinset",
        resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8"),
        headline(first, second),
        contents(parts),
        tag("main", *parts),
    )
    return Report(html, overall, compared, tuple(notes))


def _detector_part(
    real: ReportDataset, predictions: Path, extractor: Extractor | None, workers: int, progress: Progress
) -> Element:
    """The section on a detector's errors."""
    coco = read_dataset(real.coco.path)
    errors = detector_errors(
        coco,
        read_predictions(predictions, coco),
        real.images,
        extractor=extractor,
        workers=workers,
        progress=progress,
    )
    return error_section(errors, real)


def _pixel_parts(
    real: ReportDataset,
    synth: ReportDataset,
    columns: TableColumns,
    name: str,
    extractor: Extractor | None,
    boxes: int,
    seed: int,
    progress: Progress,
) -> tuple[list[Node], FeatureMap | None]:
    """The parts about a class that need images: the feature map, and the shapes with their scores; and that map."""
    mapped: FeatureMap | None = None
    parts: list[Node] = []
    if extractor is not None and real.images and synth.images:
        try:
            mapped = feature_map(real, synth, name, extractor, limit=boxes, seed=seed, progress=progress)
            parts += feature_section(mapped)
        except DataError as error:
            parts += [tag("h3", "Features"), statement(str(error))]
    return parts + shape_table(synth, shapes(columns, name, mapped.scores if mapped else None, seed)), mapped
