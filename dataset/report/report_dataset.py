# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report can know of a dataset: annotations, pictures, measured columns; of a rendered one recipe and facts."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ...alignment.columns.registry import find_column
from ...engine.errors import DataError, TwinsetError
from ...engine.recipe.reading import load_recipe
from ...engine.recipe.settings import Recipe
from ..analysis.measure import measure
from ..atomic_files import read_json_object
from ..formats.coco import CocoFile
from ..formats.coco_in_memory import CocoInMemory
from ..formats.dataset_folder import image_folder, read_dataset
from ..formats.metadata_table import TableColumns
from ..formats.pixels import read_image
from ..progress import Progress

log = logging.getLogger(__name__)


@attrs.frozen(eq=False)
class ReportDataset:
    """One dataset.

    Attributes
    ----------
    name : str
        What it is called on the page: the name of its file or folder, without any path, so that the same dataset gives
        the same page wherever it lies.
    coco : CocoFile or CocoInMemory
        Its annotations, as a file has them, or still in memory after a job wrote them.
    images : Path or None
        Folder that image names start from.
    recipe : Recipe or None
        Of a rendered folder.
    recipe_text : str
        The recipe as it stands there.
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
        """The pixels of an image; None where they are missing, or not those that were annotated."""
        if self.images is None or not image.get("file_name"):
            return None
        try:
            picture = read_image(self.images / image["file_name"])
        except DataError as error:
            log.info("%s", error)
            return None
        return picture if picture.shape[1::-1] == (image["width"], image["height"]) else None


def read_report_dataset(
    path: Path, images: Path | None = None, name: str = "", *, coco: CocoInMemory | None = None
) -> ReportDataset:
    """All that is known of the dataset at a path; ``images`` says where its pictures lie if not near it.

    ``name`` is what it is called, instead of by the name of its file or folder; ``coco`` holds its annotations where
    they are known already.

    Raises
    ------
    DataError
        Where there is no such dataset, or it is broken. What lies beside it may be missing or broken: that is left out.
    """
    path = Path(path)
    annotations = coco or read_dataset(path)
    facts: dict[str, Any] = {}
    if path.is_dir():
        facts = {"stage": read_json_object(path / "stage.json"), "summary": read_json_object(path / "summary.json")}
        text = path / "recipe.toml"
        if text.is_file():
            facts["recipe_text"] = text.read_text(encoding="utf-8", errors="replace")
            try:
                facts["recipe"] = load_recipe(text, check_files=False)
            except TwinsetError as error:
                log.warning("The recipe of '%s' is only shown, not used: %s", path, error)
    return ReportDataset(
        name or path.resolve().name or str(path), annotations, images or image_folder(annotations), **facts
    )


def report_columns(
    material: ReportDataset, limit: int, *, workers: int = 0, progress: Progress = lambda done, total: None
) -> TableColumns:
    """The columns of a dataset, as ``twinset measure`` gives them, with the pixels of at most ``limit`` pictures.

    Parameters
    ----------
    material : ReportDataset
    limit : int
        At most so many pictures are opened, evenly spread; boxes of the others have no value of what pixels say. None
        are opened of annotations in memory.
    workers : int
        Processes; 0 takes one per processor.
    progress : callable
        Takes the number of images done and their total.

    Raises
    ------
    DataError
        Where the dataset has no box.
    """
    coco = material.coco
    if isinstance(coco, CocoInMemory):
        return coco.columns
    whole = measure(coco, None)
    if material.images is None or limit < 1:
        return whole.columns
    owners = {a["image_id"] for a in coco.annotations if not a.get("iscrowd")}
    seen = [image for image in coco.images if image["id"] in owners]
    chosen = {seen[i]["id"] for i in spread(len(seen), limit)}
    part = attrs.evolve(
        coco,
        images=[i for i in coco.images if i["id"] in chosen],
        annotations=[a for a in coco.annotations if a["image_id"] in chosen],
    )
    depth = material.images.parent / "depth"
    try:
        found = measure(
            part, material.images, depth=depth if depth.is_dir() else None, workers=workers, progress=progress
        )
    except DataError as error:
        log.warning("No pictures of '%s' are measured: %s", material.name, error)
        return whole.columns
    if found.boxes == whole.boxes:
        return found.columns
    place = {id: i for i, id in enumerate(whole.columns["id"])}
    at = np.array([place[id] for id in found.columns["id"]])
    columns: dict[str, Sequence[Any] | np.ndarray] = dict(whole.columns)
    # What annotations and pictures both say is taken from the pictures that were opened, from nowhere else.
    for name in sorted({n for n in found.columns if "pixels" in find_column(n).needs or n not in whole.columns}):
        values = np.full(whole.boxes, np.nan)
        values[at] = [np.nan if v is None else v for v in found.columns[name]]
        columns[name] = values
    return columns


def spread(count: int, limit: int) -> list[int]:
    """At most ``limit`` of the numbers 0 to ``count`` - 1, evenly spread, first and last among them."""
    if count <= limit:
        return list(range(count))
    return np.unique(np.linspace(0, count - 1, limit).round().astype(int)).tolist()


def chosen_classes(real: ReportDataset, synth: ReportDataset, class_name: str | None) -> list[str]:
    """One class, or those with boxes on both sides, most real boxes first.

    Raises
    ------
    DataError
        If a side does not have the class, or they share none.
    """
    if class_name:
        for material in (real, synth):
            material.coco.boxes(class_name)
        return [class_name]
    counts, other = real.coco.classes(), synth.coco.classes()
    names = sorted((n for n in counts if counts[n] and other.get(n)), key=lambda n: (-counts[n], n))
    if not names:
        listed = [", ".join(n for n, count in found.items() if count) or "none" for found in (counts, other)]
        raise DataError(
            f"The two datasets share no class with boxes. The real one has {listed[0]}; the synthetic one {listed[1]}."
        )
    return names
