# SPDX-License-Identifier: GPL-3.0-or-later
"""Small jobs with effects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recipes import builtin_class, on_floor, orbit, plugin_table, recipe_of
from stages import stool_and_crate_stage
from twinset.dataset.jobs.job import Job
from twinset.engine.block import Block
from twinset.engine.recipe.settings import Recipe
from twinset.engine.sampling.sampler import Sampler
from twinset.testing.fixtures.render_process import file_bytes


def recipe(*effects: Any, **more: Any) -> Recipe:
    """A recipe of four small images with masks, depth and these effects."""
    values: dict[str, Any] = {
        "seed": 4,
        "images": 4,
        "classes": [builtin_class("chair"), builtin_class("bag", "handbag")],
        "placements": [on_floor(2, 3, cluster_radius=1.0)],
        "cameras": [orbit(1.2, 2.0)],
        "filters": [plugin_table("min_pixels", pixels=1)],
        "metrics": ["bbox", "image_quality", "occlusion", "depth"],
        "size": (64, 48),
        "output": {"format": "png", "masks": True, "depth": "png"},
        **more,
    }
    return recipe_of(effects=effects, **values)


def render(one: Recipe, out: Path) -> dict[str, bytes]:
    """All files of a finished dataset."""
    list(Job(one, out, stool_and_crate_stage).run())
    return file_bytes(out)


def records(out: Path) -> list[dict[str, Any]]:
    """The records of a dataset."""
    return [json.loads(path.read_bytes()) for path in sorted((out / "frames").iterdir())]


def frames(one: Recipe, number: int = 4) -> list[Any]:
    """The first frames of a recipe."""
    sampler, block = Sampler(one, stool_and_crate_stage(one), {}), Block()
    return [sampler.frame(index, block) for index in range(number)]
