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
