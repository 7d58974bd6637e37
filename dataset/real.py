# SPDX-License-Identifier: GPL-3.0-or-later
"""The real boxes that a recipe names."""

from __future__ import annotations

from ..engine.goals import Boxes
from ..engine.settings import Recipe
from ..engine.variants import variants_of
from .coco import CocoFile, read_coco


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
            names |= dict.fromkeys(getattr(use.plugin, "classes", None) or [c.name for c in recipe.classes])
    return {name: coco.boxes(name) for name in names}
