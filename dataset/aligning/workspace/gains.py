# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures how near the dataset of each step is to the real photos, and whether it is nearer than the one before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ....alignment.columns.registry import columns, report_order
from ....alignment.distances.composite.components import default_columns
from ....alignment.distances.composite.quality import Ranking, quality
from ....engine.errors import DataError
from ...analysis.dataset_columns import measure_with_images
from ...formats.coco import CocoFile
from ...formats.dataset_folder import ImageDataset, open_dataset
from ...quality.components import Columns, QualityComponents
from .folder import Workspace

MAX_BOXES = 2000
"""Boxes per dataset and class whose features are computed."""

_ANY = "any"
"""Stands for all measured classes."""

NEARER, FARTHER, SAME = "nearer", "farther", "="
"""Whether a dataset is significantly nearer to the photos than the one before it, farther, or neither."""


@attrs.frozen
class Measured:
    """Datasets compared with real photos by some components: values for JSON by dataset, floors, what is left out.

    Attributes
    ----------
    datasets : dict
        By dataset: ``value``, ``low``, ``high``, ``components`` and ``change`` (to the dataset before it).
    components : tuple of str
        Their names, in order.
    floor, upper_floor : float
        The composite of random halves of the photos beside each other: on average, and at most in 95 % of splits.
    left_out : tuple of str
        A sentence for each component that cannot be measured.
    """

    datasets: dict[str, dict[str, Any]]
    components: tuple[str, ...]
    floor: float
    upper_floor: float
    left_out: tuple[str, ...] = ()


def measure_gains(work: Workspace, datasets: Mapping[str, Path]) -> dict[str, Any]:
    """Compare the dataset of each step with the held-out photos, or with all if none are held out.

    Returns
    -------
    dict
        JSON values: ``order``, the names of the datasets; ``boxes`` and ``pictures`` (:class:`Measured`, or None with
        the reason in ``problems``); the ``sizes`` of the datasets, and of the ``real`` one.
    """
    coco = work.test or work.exposed
    assert coco is not None
    opened = {name: open_dataset(path) for name, path in datasets.items()}
    counts = {name: one.coco.classes() for name, one in opened.items()}
    classes = [name for name in work.test_classes if all(of.get(name) for of in counts.values())]
    missing = [name for name in work.test_classes if name not in classes]
    problems = [f"{name} is not measured: a dataset has no box of it." for name in missing]
    if not classes:
        raise DataError(f"Nothing can be measured. {' '.join(problems)}")
    real = _columns(work, "the photos", coco, work.photos)
    others = {name: _columns(work, name, one.coco, one.images) for name, one in opened.items()}
    found = QualityComponents.of(datasets)
    for name in classes:
        found.add_columns(name, real, others, default_columns(), len(classes) > 1)
    if work.photos is not None:
        options = {"max_boxes": MAX_BOXES, "progress": work.progress}
        pictures = (ImageDataset(coco, work.photos), opened)
        for name in classes:
            found.add_features(name, pictures, [work.extractor()], work.options.seed, len(classes) > 1, options)
    values: dict[str, Any] = {
        "classes": classes,
        "order": list(datasets),
        "sizes": {
            n: {"images": len(o.coco.images), "boxes": sum(counts[n][c] for c in classes)} for n, o in opened.items()
        },
        "real": {"images": len(coco.images), "boxes": sum(coco.classes()[c] for c in classes)},
    }
    for key, components in (("boxes", found), ("pictures", _of_pictures(classes, real, others, opened, coco))):
        try:
            values[key] = attrs.asdict(_measured(work, components, list(datasets)))
        except DataError as error:
            values[key] = None
            problems.append(str(error))
    return {**values, "problems": problems}


def _columns(work: Workspace, what: str, coco: CocoFile, images: Path | None) -> Columns:
    return measure_with_images(
        coco,
        images,
        pixels=images is not None,
        workers=work.options.workers,
        progress=partial(work.progress, f"Measuring {what}"),
    ).columns


def _of_pictures(
    classes: Sequence[str],
    real: Columns,
    others: Mapping[str, Columns],
    opened: Mapping[str, ImageDataset],
    coco: CocoFile,
) -> QualityComponents:
    """Statistics of pictures that show any of the classes; those that depend on sizes only where all are the same."""
    sizes = {_size(one) for one in (coco, *(dataset.coco for dataset in opened.values()))}
    declared = [c for c in columns() if c.measure_image and "pixels" in c.needs]
    wanted = [f"image_{c.name}" for c in declared if len(sizes) == 1 or not c.resolution_dependent]
    found = QualityComponents.of(others)

    def as_one_class(of: Columns) -> Columns:
        return {**of, "class": [_ANY if name in classes else "" for name in of["class"]]}

    merged = {name: as_one_class(of) for name, of in others.items()}
    found.add_columns(_ANY, as_one_class(real), merged, sorted(wanted, key=report_order), False)
    if len(sizes) > 1:
        names = ", ".join(c.name for c in declared if c.resolution_dependent)
        found.left_out.append(f"The photos have another size than the renders, so {names} are not compared.")
    return found


def _size(coco: CocoFile) -> float:
    return float(np.median([max(image["width"], image["height"]) for image in coco.images]))


def _measured(work: Workspace, found: QualityComponents, names: Sequence[str]) -> Measured:
    for name in list(found.real):
        try:  # a component of which chance cannot be estimated must not hinder the others
            bins = {name: found.bins[name]} if name in found.bins else {}
            quality({name: found.real[name]}, {}, bins, seed=work.options.seed)
        except DataError as error:
            del found.real[name]
            found.left_out.append(f"{name} is left out: {error}")
    if not found.real:
        raise DataError(f"Nothing is left to measure. {' '.join(found.left_out)}".strip())
    rank = partial(_ranked, work, found)
    whole = rank(names)
    datasets = {}
    for k, name in enumerate(names):
        values = attrs.asdict(whole.datasets[name])
        values.pop("rank")
        values["change"] = "" if not k else _change(rank([names[k - 1], name]), names[k - 1], name)
        datasets[name] = values
    return Measured(datasets, tuple(found.real), whole.floor, whole.upper_floor, tuple(found.left_out))


def _ranked(work: Workspace, found: QualityComponents, names: Sequence[str]) -> Ranking:
    return quality(
        found.real,
        {name: found.synth[name] for name in names},
        {name: found.bins[name] for name in found.real if name in found.bins},
        seed=work.options.seed,
        progress=partial(work.progress, "Resampling"),
    )


def _change(ranking: Ranking, before: str, now: str) -> str:
    ranks = ranking.datasets[before].rank, ranking.datasets[now].rank
    return SAME if ranks[0] == ranks[1] else NEARER if ranks[1] < ranks[0] else FARTHER
