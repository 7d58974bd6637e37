# SPDX-License-Identifier: GPL-3.0-or-later
"""Stages in plain numpy for recipes of tests."""

from __future__ import annotations

from typing import Any

from twinset.engine.recipe.settings import Recipe
from twinset.testing import BruteStage, asset, box, plane


def stool_stage(recipe: Recipe, **options: Any) -> BruteStage:
    """A floor of 6 x 6 m, and a stool of the class ``chair``."""
    stool = asset("stool", "chair", box((0.4, 0.4, 0.45)))
    return BruteStage({"Floor": plane((6.0, 6.0))}, [stool], resolution=(recipe.output.width, recipe.output.height))


def stool_and_crate_stage(recipe: Recipe) -> BruteStage:
    """A floor of 6 x 6 m, and boxes of the classes ``chair`` and ``bag``: the fewest triangles that make a picture."""
    assets = [asset("stool", "chair", box((0.4, 0.4, 0.45))), asset("crate", "bag", box((0.3, 0.2, 0.25)))]
    return BruteStage({"Floor": plane((6.0, 6.0))}, assets, resolution=(recipe.output.width, recipe.output.height))
