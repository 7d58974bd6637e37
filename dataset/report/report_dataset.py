# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a dataset for a report: annotations, images, columns, and the recipe and summary of a rendered one."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ...alignment.columns.registry import find_column
from ...engine.errors import DataError, TwinsetError
from ...engine.recipe.reading import load_recipe
from ...engine.recipe.settings import Recipe
from ...engine.regular_files import real_path
from ..analysis.measure import measure
from ..atomic_files import read_json_object
from ..checksums import read_own, remove_text_checksum, warn_if_changed
from ..formats.coco import CocoFile
from ..formats.coco_in_memory import CocoInMemory
from ..formats.dataset_folder import image_folder, read_dataset
from ..formats.image_files import ImageFiles
from ..formats.metadata_table import TableColumns
from ..progress import Progress

log = logging.getLogger(__name__)


@attrs.frozen(eq=False)
class ReportDataset:
    """A dataset with all that a report uses.

    Attributes
    ----------
    name : str
        Its name on the page: that of its file or folder without the path, so that a page does not depend on it.
    coco : CocoFile or CocoInMemory
        Its annotations, from a file or in memory.
    images : Path or None
        Folder of the images.
    recipe : Recipe or None
        The recipe of a rendered folder.
    recipe_text : str
        Its text.
    stage, summary : mapping
        ``stage.json`` and ``summary.json`` of a rendered folder; empty elsewhere.
    """

    name: str
    coco: CocoFile | CocoInMemory
    images: Path | None
    recipe: Recipe | None = None
    recipe_text: str = ""
    stage: Mapping[str, Any] = attrs.field(factory=dict)
    summary: Mapping[str, Any] = attrs.field(factory=dict)

    def picture(self, image: Mapping[str, Any]) -> np.ndarray | None:
        """The pixels of an image; None if they are missing or of another size than annotated."""
        if self.images is None or not image.get("file_name"):
            return None
        try:
            return self._files.read(image)
        except DataError as error:
            log.info("%s", error)
            return None

    @cached_property
    def _files(self) -> ImageFiles:
        assert self.images is not None
        return ImageFiles(self.coco.images, self.images)


def read_report_dataset(
    path: Path, images: Path | None = None, name: str = "", *, coco: CocoInMemory | None = None
) -> ReportDataset:
    """Read the dataset at a path; ``images`` is the folder of its images if it is not found automatically.

    ``name`` is used instead of the name of its file or folder; ``coco`` are its annotations if they are in memory.

    Raises
    ------
    DataError
        If there is no such dataset, or it is invalid. Other files of a rendered folder may be missing or damaged.
    """
    path = Path(path)
    annotations = coco or read_dataset(path)
    rendered: dict[str, Any] = {}
    if path.is_dir():
        warn_if_changed(path / "summary.json")
        rendered = {"stage": read_own(path / "stage.json"), "summary": read_json_object(path / "summary.json")}
        text = path / "recipe.toml"
        if text.is_file():
            rendered["recipe_text"] = remove_text_checksum(text.read_text(encoding="utf-8", errors="replace"))
            try:
                rendered["recipe"] = load_recipe(text, check_files=False)
            except TwinsetError as error:
                log.warning("The recipe of '%s' cannot be read; the report only shows its text: %s", path, error)
    return ReportDataset(
        name or real_path(path).name or str(path), annotations, images or image_folder(annotations), **rendered
    )


def report_columns(
    dataset: ReportDataset, limit: int, *, workers: int = 0, progress: Progress = lambda done, total: None
) -> TableColumns:
    """The columns of a dataset as in ``twinset measure``, with pixel statistics of at most ``limit`` images.

    Parameters
    ----------
    dataset : ReportDataset
    limit : int
        At most this many images are opened, evenly spaced; boxes in others have no pixel statistics. For annotations
        in memory, none is opened.
    workers : int
        Processes; 0 uses one per processor.
    progress : callable
        Takes the number of images done and their total.

    Raises
    ------
    DataError
        If the dataset has no box.
    """
    coco = dataset.coco
    if isinstance(coco, CocoInMemory):
        return coco.columns
    annotated = measure(coco, None)
    if dataset.images is None or limit < 1:
        return annotated.columns
    owners = {a["image_id"] for a in coco.annotations if not a.get("iscrowd")}
    with_boxes = [image for image in coco.images if image["id"] in owners]
    chosen = {with_boxes[i]["id"] for i in spread(len(with_boxes), limit)}
    part = attrs.evolve(
        coco,
        images=[i for i in coco.images if i["id"] in chosen],
        annotations=[a for a in coco.annotations if a["image_id"] in chosen],
    )
    depth = dataset.images.parent / "depth"
    try:
        opened = measure(
            part, dataset.images, depth=depth if depth.is_dir() else None, workers=workers, progress=progress
        )
    except DataError as error:
        log.warning("No pixel statistics of '%s': %s", dataset.name, error)
        return annotated.columns
    if opened.boxes == annotated.boxes:
        return opened.columns
    place = {id: i for i, id in enumerate(annotated.columns["id"])}
    at = np.array([place[id] for id in opened.columns["id"]])
    columns: dict[str, Sequence[Any] | np.ndarray] = dict(annotated.columns)
    # Columns that both annotations and images have come from the opened images only.
    for name in sorted({n for n in opened.columns if "pixels" in find_column(n).needs or n not in annotated.columns}):
        values = np.full(annotated.boxes, np.nan)
        values[at] = [np.nan if v is None else v for v in opened.columns[name]]
        columns[name] = values
    return columns


def spread(count: int, limit: int) -> list[int]:
    """At most ``limit`` of the numbers 0 to ``count`` - 1, evenly spaced, including first and last."""
    if count <= limit:
        return list(range(count))
    return np.unique(np.linspace(0, count - 1, limit).round().astype(int)).tolist()


def chosen_classes(real: ReportDataset, synth: ReportDataset, class_name: str | None) -> list[str]:
    """The named class, or all classes with boxes on both sides, most real boxes first.

    Raises
    ------
    DataError
        If a side does not have the class, or they share none.
    """
    if class_name:
        for dataset in (real, synth):
            dataset.coco.boxes(class_name)
        return [class_name]
    counts, other = real.coco.classes(), synth.coco.classes()
    names = sorted((n for n in counts if counts[n] and other.get(n)), key=lambda n: (-counts[n], n))
    if not names:
        listed = [", ".join(n for n, count in of_side.items() if count) or "none" for of_side in (counts, other)]
        raise DataError(
            f"The two datasets share no class with boxes. The real one has {listed[0]}; the synthetic one has "
            f"{listed[1]}."
        )
    return names
