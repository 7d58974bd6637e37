# SPDX-License-Identifier: GPL-3.0-or-later
"""A recipe of chairs in the built-in hall, which needs no files and renders fast."""

from __future__ import annotations

from typing import Any

import twinset as ts
from twinset.engine.recipe.writing import dump_recipe


def chairs_in_hall(images: int, count: tuple[int, int], render: dict[str, Any], output: dict[str, Any]) -> str:
    """The recipe as TOML text.

    Parameters
    ----------
    images : int
    count : tuple of int
        The least and the most chairs of an image.
    render, output : dict
        What ``[render]`` and ``[output]`` hold besides a CPU without denoising.
    """
    recipe = ts.Recipe(
        scene={"builtin": "hall"},
        classes=[{"name": "chair", "builtin": "chair"}],
        placements=[{"plugin": "on_surface", "surfaces": ["Floor"], "count": list(count), "cluster_radius": 3.0}],
        cameras=[{"plugin": "orbit", "distance": [3.0, 6.0]}],
        metrics=["bbox"],
        seed=3,
        images=images,
        render={"denoise": False, "device": "cpu", **render},
        output=output,
    )
    return dump_recipe(recipe)
