# SPDX-License-Identifier: GPL-3.0-or-later
"""The real boxes of a recipe, and their metadata columns."""

from __future__ import annotations

from pathlib import Path

from ...engine.goals import Boxes
from ...engine.recipe.settings import Recipe
from ...engine.recipe.variants import variants_of
from ..formats.coco import CocoFile, read_coco
from ..formats.dataset_folder import read_dataset
from ..formats.metadata_table import SUFFIXES, TableColumns, read_columns
from .measure import measure


def read_real(recipe: Recipe) -> CocoFile | None:
    """The real annotations of a recipe; None without."""
    return None if recipe.real is None else read_coco(recipe.path(recipe.real.annotations))


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


def real_columns(path: Path) -> TableColumns:
    """The columns of a real dataset: a COCO file, a folder, or a table of ``measure`` or ``infer``."""
    return read_columns(path) if path.suffix.lower() in SUFFIXES else measure(read_dataset(path), None).columns
