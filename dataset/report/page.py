# SPDX-License-Identifier: GPL-3.0-or-later
"""The report: one page about a real and a synthetic dataset, with everything inside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import attrs

from ...alignment.distances.verdict import Verdict
from ...alignment.features.extractor import Extractor
from ...engine.errors import DataError
from ..formats.in_memory import Gathered
from .class_summary import class_facts, shapes
from .feature_map import FeatureMap, feature_map
from .gallery import feature_section, samples, shape_table
from .markup import Node, document, tag
from .material import Columns, Material, Progress, chosen_classes, gather, measured
from .provenance import funnel, provenance
from .sections import contents, headline, of_class, statement, verdict

MOST_CLASSES = 8
"""Classes that are told of, those with most real boxes first."""

Step = Callable[[str, int, int], None]
"""Told what is being done, and how much of it of how much."""


@attrs.frozen
class Report:
    """The page as ``html``, the ``verdict`` and the ``compared`` numbers that it tells of, and notes."""

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
    synth_gathered: Gathered | None = None,
    step: Step = lambda what, done, total: None,
) -> Report:
    """Write a page about two datasets; the same datasets give the same bytes.

    Parameters
    ----------
    real, synth : Path
        COCO files, YOLO folders or rendered folders.
    class_name : str, optional
        One class; left out, the classes with boxes on both sides, at most ``MOST_CLASSES``.
    real_images, synth_images : Path, optional
        Where pictures lie that are not near their annotations.
    extractor : Extractor, optional
        Looks at boxes for the map of features; without one there is no map.
    boxes : int
        Boxes of each side and class that are looked at.
    pictures : int
        Pictures of each side whose pixels are measured; 0 measures none.
    seed : int
        Seed of the resamples that intervals and floors come from.
    workers : int
        Processes that measure pixels; 0 takes one per processor.
    synth_name : str
        What the synthetic dataset is called instead of by its file's or folder's name.
    synth_gathered : Gathered, optional
        Its annotations, where they are known without reading them.
    step : callable
        Told of progress. What it raises ends the report.

    Raises
    ------
    DataError
        Where a dataset is missing or broken, or the two share no class.
    """
    step("Reading annotations", 0, 2)
    first, second = gather(real, real_images), gather(synth, synth_images, synth_name, gathered=synth_gathered)
    names = chosen_classes(first, second, class_name)
    notes = []
    if len(names) > MOST_CLASSES:
        rest = ", ".join(names[MOST_CLASSES:])
        notes.append(f"The {MOST_CLASSES} classes with most real boxes are shown. Choose others by --class: {rest}.")
        names = names[:MOST_CLASSES]
    # One side's pictures alone have nothing to be compared with.
    limit = pictures if first.images and second.images else 0
    columns = [
        measured(side, limit, workers=workers, progress=partial(step, f"Measuring {side.name}"))
        for side in (first, second)
    ]
    facts, said, compared = class_facts(names, columns[0], columns[1], seed, partial(step, "Comparing"))
    sections = []
    for i, one in enumerate(facts, 1):
        told = partial(step, f"Looking at boxes of {one.name}")
        sections.append(
            of_class(one, i, *_looked_at(first, second, columns[1], one.name, extractor, boxes, seed, told))
        )
    step("Writing the page", 0, 1)
    parts = [verdict(facts, said, second.recipe, notes), *sections, samples((first, second), columns, names)]
    parts += [part for part in (funnel(second), provenance(first, second)) if part is not None]
    html = document(
        f"{second.name} against {first.name} | Twinset",
        resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8"),
        headline(first, second),
        contents(parts),
        tag("main", *parts),
    )
    return Report(html, said, compared, tuple(notes))


def _looked_at(
    real: Material,
    synth: Material,
    columns: Columns,
    name: str,
    extractor: Extractor | None,
    boxes: int,
    seed: int,
    progress: Progress,
) -> list[Node]:
    """What pictures of the boxes of a class show: the map of features, and the shapes with their scores."""
    mapped: FeatureMap | None = None
    parts: list[Node] = []
    if extractor is not None and real.images and synth.images:
        try:
            mapped = feature_map(real, synth, name, extractor, limit=boxes, progress=progress)
            parts += feature_section(mapped)
        except DataError as error:
            parts += [tag("h3", "Features"), statement(str(error))]
    return parts + shape_table(synth, shapes(columns, name, mapped.scores if mapped else None, seed))
