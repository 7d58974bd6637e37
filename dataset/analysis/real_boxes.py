# SPDX-License-Identifier: GPL-3.0-or-later
"""The real boxes that a recipe names, and what is measured of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...engine.goals import Boxes
from ...engine.recipe.settings import Recipe
from ...engine.recipe.variants import variants_of
from ..formats.coco import CocoFile, read_coco
from ..formats.dataset_folder import read_dataset
from ..formats.metadata_table import SUFFIXES, read_columns
from .measure import measure

MetadataColumns = Mapping[str, Sequence[Any] | np.ndarray]
"""Columns of boxes by name."""


def read_real(recipe: Recipe) -> CocoFile | None:
    """The real annotations that a recipe names, or None."""
    return None if recipe.real is None else read_coco(recipe.path(recipe.real.annotations))


def real_boxes(recipe: Recipe) -> dict[str, Boxes]:
    """Real boxes of the classes that the recipe's target, or one of a variant, is to match; none without a target."""
    coco = read_real(recipe)
    if coco is None:
        return {}
    names: dict[str, None] = {}
    for one in variants_of(recipe):
        for use in one.plugins.get("target", ()):
            names |= dict.fromkeys(use.plugin.handled_classes([c.name for c in recipe.classes]))
    return {name: coco.boxes(name) for name in names}


def real_columns(path: Path) -> MetadataColumns:
    """What a real dataset says of its boxes: a COCO file, a folder, or a table of ``measure`` or ``infer``."""
    return read_columns(path) if path.suffix.lower() in SUFFIXES else measure(read_dataset(path), None).columns
