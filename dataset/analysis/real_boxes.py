# SPDX-License-Identifier: GPL-3.0-or-later
"""The real boxes of a recipe, and their metadata columns."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...engine.errors import DataError
from ...engine.goals import Boxes
from ...engine.recipe.settings import Recipe
from ...engine.recipe.variants import variants_of
from ..formats.coco import CocoFile
from ..formats.dataset_folder import image_folder, read_dataset
from ..formats.image_files import ImageFiles, trust_links
from ..formats.metadata_table import SUFFIXES, TableColumns, read_columns
from .measure import measure

log = logging.getLogger(__name__)


def read_real(recipe: Recipe) -> CocoFile | None:
    """The real annotations of a recipe; None without."""
    return None if recipe.real is None else read_dataset(recipe.path(recipe.real.annotations))


def real_boxes(recipe: Recipe) -> dict[str, Boxes]:
    """Real boxes by class, for the classes of all targets of the recipe and its variants."""
    coco = read_real(recipe)
    if coco is None:
        return {}
    names: dict[str, None] = {}
    for one in variants_of(recipe):
        for use in one.plugins.get("target", ()):
            names |= dict.fromkeys(use.plugin.handled_classes([c.name for c in recipe.classes]))
    return {name: coco.boxes(name) for name in names}


def real_images(recipe: Recipe) -> RealDataset | None:
    """The real images of a recipe with their boxes; None where annotations or images are missing."""
    try:
        coco = read_real(recipe)
    except DataError as error:
        log.info("no real images: %s", error)
        return None
    if coco is None or recipe.real is None:
        return None
    folder = recipe.path(recipe.real.images) if recipe.real.images else image_folder(coco)
    if folder is None or not folder.is_dir():
        return None
    if recipe.real.images:
        trust_links(folder)
    found = RealDataset(coco, ImageFiles(coco.images, folder))
    return found if found.images else None


class RealDataset:
    """Implements :class:`...engine.plugin.finished_dataset.RealImages`."""

    def __init__(self, coco: CocoFile, files: ImageFiles) -> None:
        names = {category["id"]: category["name"] for category in coco.categories}
        self._files = files
        self.images = [image for image in coco.images if _is_there(files, image)]
        self._annotations: dict[int, list[tuple[str, list[float]]]] = {}
        for a in coco.annotations:
            if not a.get("iscrowd"):
                self._annotations.setdefault(a["image_id"], []).append((names[a["category_id"]], a["bbox"]))

    def annotations(self, image: Mapping[str, Any]) -> list[tuple[str, list[float]]]:
        return self._annotations.get(image["id"], [])

    def file(self, image: Mapping[str, Any]) -> tuple[Path, bytes | None]:
        return self._files.shown(image)


def _is_there(files: ImageFiles, image: Mapping[str, Any]) -> bool:
    try:
        return files.path(image).is_file()
    except DataError:
        return False


def real_columns(path: Path) -> TableColumns:
    """The columns of a real dataset: a COCO file, a folder, or a table of ``measure`` or ``infer``."""
    return read_columns(path) if path.suffix.lower() in SUFFIXES else measure(read_dataset(path), None).columns
