# SPDX-License-Identifier: GPL-3.0-or-later
"""How near box areas come to the real ones: a recipe's own camera beside a random one, and the floor, in one run.

    python benchmarks/alignment.py examples/demo.toml --images 300

Frames are probed, not rendered: their boxes are those of the final labels. Distances are Bhattacharyya's over 20 bins
of the square root of relative area; the floor is the mean distance between two resamples of the real boxes of the
sizes at hand.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from twinset.alignment.distance import bhattacharyya, bhattacharyya_floor
from twinset.blender.stage import open_stage
from twinset.dataset.coco import read_coco
from twinset.engine.block import Block
from twinset.engine.recipe import load_recipe
from twinset.engine.registry import find
from twinset.engine.rng import stream
from twinset.engine.sampler import Sampler
from twinset.engine.settings import PluginUse, Recipe
from twinset.engine.stage import Stage


def probe(recipe: Recipe, stage: Stage, real: dict[str, Any], name: str) -> dict[str, Any]:
    """Boxes of ``recipe.images`` probed frames: relative areas by class, of all instances and of main ones."""
    start = time.perf_counter()
    sampler = Sampler(recipe, stage, real)
    boxes: dict[str, list[float]] = {c: [] for c in real}
    mains: dict[str, list[float]] = {c: [] for c in real}
    misses: list[float] = []
    reasons: Counter[str] = Counter()
    accepted, block = 0, Block()
    for index in range(recipe.images):
        if index % recipe.render.block == 0:
            block = Block()
        frame = sampler.frame(index, block, render=False)
        reasons.update(frame.rejected)
        accepted += frame.shot is not None
        if frame.shot is not None:
            there = ((row["class"], row["bbox"]) for row in frame.rows if row["annotated"])
            block.add(there, stage.resolution)
        for row in frame.rows:
            if not row["annotated"]:
                continue
            area = row["bbox"][2] * row["bbox"][3] / (recipe.output.width * recipe.output.height)
            boxes.setdefault(row["class"], []).append(area)
            if row["main"]:
                mains.setdefault(row["class"], []).append(area)
                misses.append(abs(area / frame.goals.main.area - 1))
        print(f"\r{name}: {index + 1} of {recipe.images}", end="", file=sys.stderr)
    print(file=sys.stderr)
    return {
        "seconds_per_frame": (time.perf_counter() - start) / recipe.images,
        "accepted": accepted,
        "rejected": dict(reasons),
        "boxes": boxes,
        "mains": mains,
        "misses": misses,
        "reach": sampler.reach,
    }


def measure(real: np.ndarray, shown: list[float], reach: tuple[float, float] | None, seed: int) -> dict[str, Any]:
    """Distance of shown areas to the real ones (and to those within reach), with floors."""
    out: dict[str, Any] = {"boxes": len(shown)}
    parts = {"all": real}
    if reach is not None:
        parts["reachable"] = real[(real >= reach[0]) & (real <= reach[1])]
    for part, areas in parts.items():
        roots, got = np.sqrt(areas), np.sqrt(shown)
        out[part] = {
            "real": len(areas),
            "distance": bhattacharyya(roots, got),
            "floor": bhattacharyya_floor(roots, len(roots), len(got), 500, stream(seed, "floor")),
        }
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    recipe = load_recipe(arguments.recipe, {"images": arguments.images, "seed": arguments.seed})
    assert recipe.real is not None, "the recipe has no real boxes to compare with"
    coco = read_coco(recipe.path(recipe.real.annotations))
    target = recipe.plugins["target"][0].plugin
    real = {name: coco.boxes(name) for name in target.classes or [c.name for c in recipe.classes]}
    stage = open_stage(recipe)
    orbit = PluginUse("camera", "orbit", find("camera", "orbit")())
    aimed = tuple(u for u in recipe.plugins["camera"] if hasattr(u.plugin, "reach"))
    runs = {
        "recipe": probe(attrs.evolve(recipe, plugins={**recipe.plugins, "camera": aimed}), stage, real, "recipe"),
        "random camera": probe(
            attrs.evolve(recipe, plugins={**recipe.plugins, "camera": (orbit,), "target": ()}), stage, real, "random"
        ),
    }
    reach = runs["recipe"]["reach"]
    result: dict[str, Any] = {"recipe": str(arguments.recipe), "images": arguments.images}
    for name, run in runs.items():
        misses = run["misses"]
        result[name] = {
            "accepted": run["accepted"],
            "rejected": run["rejected"],
            "seconds_per_frame": round(run["seconds_per_frame"], 3),
            "within_5_percent": round(float(np.mean(np.array(misses) <= 0.05)), 4) if misses else None,
            "classes": {
                c: {
                    kind: measure(real[c].area, run[kind][c], reach.get(c), arguments.seed)
                    for kind in ("mains", "boxes")
                    if run[kind].get(c)
                }
                for c in real
            },
        }
    result["reach"] = reach
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
