# SPDX-License-Identifier: GPL-3.0-or-later
"""How well cheap drafts predict full renders: frames rendered both ways, compared with real features.

    twinset fit-features real.json --images photos --class chair -o chairs.features
    python benchmarks/features/drafts.py examples/apartment.toml --features chairs.features --frames 25

Prints, for drafts of several sizes and samples, their cost in shares of the full render (processor time, medians), the
rank correlation of a frame's mean distance to the real boxes, and how many frames of the worse half a threshold finds
that loses one of the better half.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from twinset.alignment.features.crops import MARGIN
from twinset.alignment.features.density import Density, load_density
from twinset.alignment.features.extractor import Extractor
from twinset.blender.stage import open_stage
from twinset.dataset.analysis.real_boxes import real_boxes
from twinset.engine.block import Block
from twinset.engine.recipe.reading import load_recipe
from twinset.engine.sampling.sampler import Sampler

DRAFTS = ((0.5, 2), (0.5, 4), (0.75, 2), (1.0, 1), (1.0, 2))
SMALLEST = 16

Look = tuple[float, np.ndarray]
"""Seconds of processor time, and the features of the frame's boxes."""


def timed(render: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    start = time.process_time()
    picture = render()
    return time.process_time() - start, picture


def looks(recipe: Any, extractor: Extractor, density: Density, frames: int) -> list[dict[Any, Look]]:
    """Every frame rendered in every way; frames without a box of the class are passed over."""
    name, margin = density.origin["class"], density.origin.get("margin", MARGIN)
    stage = open_stage(recipe)
    sampler = Sampler(recipe, stage, real_boxes(recipe))
    found: list[dict[Any, Look]] = []
    for index in range(recipe.images):
        frame = sampler.frame(index, Block(), render=False)
        rows = [r for r in frame.rows if r["class"] == name and r["annotated"] and min(r["bbox"][2:]) >= SMALLEST]
        if frame.shot is None or not rows:
            continue
        boxes = np.array([r["bbox"] for r in rows], float)
        one: dict[Any, Look] = {}
        for scale, samples in DRAFTS:
            spent, picture = timed(lambda scale=scale, samples=samples: stage.draft(1, scale=scale, samples=samples))
            one[scale, samples] = spent, extractor.extract_boxes(picture, boxes * scale, margin)
        spent, picture = timed(lambda: stage.shoot(1).image)
        one["full"] = spent, extractor.extract_boxes(picture, boxes, margin)
        found.append(one)
        print(f"\r{len(found)} of {frames}", end="", file=sys.stderr)
        if len(found) == frames:
            break
    print(file=sys.stderr)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--features", type=Path, required=True, help="made by `twinset fit-features`")
    parser.add_argument("--model", type=Path, help="the model of these features; the packaged one by default")
    parser.add_argument("--frames", type=int, default=25)
    parser.add_argument("--width", type=int, default=480, help="of the pictures, three quarters as high")
    parser.add_argument("--samples", type=int, default=8, help="of the full render")
    given = parser.parse_args()
    density, extractor = load_density(given.features), Extractor(given.model)
    density.check_model(extractor.sha256, extractor.path)
    size = {"output.width": given.width, "output.height": given.width * 3 // 4, "render.samples": given.samples}
    found = looks(load_recipe(given.recipe, size), extractor, density, given.frames)
    seconds = {key: float(np.median([one[key][0] for one in found])) for key in found[0]}
    full = np.array([density.distance(one["full"][1]).mean() for one in found])
    worse = full > np.median(full)
    print("| draft | cost | rank correlation | found of the worse half |\n| --- | --- | --- | --- |")
    for key in DRAFTS:
        shift = np.concatenate([one["full"][1] - one[key][1] for one in found]).mean(0)
        drafted = np.array([density.distance(one[key][1] + shift).mean() for one in found])
        threshold = np.sort(drafted[~worse])[-2]
        told = f"{(drafted[worse] >= threshold).sum()} of {worse.sum()}"
        cost, rank = seconds[key] / seconds["full"], stats.spearmanr(full, drafted).statistic
        print(f"| {key[0]:g} of the size, {key[1]} samples | {cost:.2f} | {rank:.2f} | {told} |")


if __name__ == "__main__":
    main()
