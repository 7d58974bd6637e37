# SPDX-License-Identifier: GPL-3.0-or-later
"""Processor time of an accepted frame with one view and with several views of each layout.

    python benchmarks/sequences/views.py examples/demo.toml examples/bedroom.toml --views 1 4 --frames 8

Frames are sampled and rendered in one process, after the survey of the scene, which all share. Each number of views has
frames of its own; the first layout of each is left out, since it fills caches.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from twinset.dataset.analysis.real_boxes import real_boxes
from twinset.dataset.store.record import add_to_block, make_record
from twinset.engine.block import Block
from twinset.engine.recipe.reading import load_recipe
from twinset.engine.sampling.sampler import Sampler
from twinset.headless.workers.blender_stage import open_blender_stage


def seconds(recipe: Any, stage: Any, surveys: list[Any], frames: int) -> tuple[float, float, float]:
    """Processor seconds and attempts of a frame, and the share of frames that show the layout of another one."""
    sampler, block = Sampler(recipe, stage, real_boxes(recipe), surveys=surveys), Block()
    spent, attempts, shared = 0.0, 0, 0
    for index in range(recipe.views + frames):
        before = time.process_time()
        frame = sampler.frame(index, block)
        took = time.process_time() - before
        add_to_block(block, make_record(frame, recipe))
        if index >= recipe.views:
            spent, attempts = spent + took, attempts + frame.attempts
            shared += frame.layout not in (None, index)
    return spent / frames, attempts / frames, shared / frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", type=Path, nargs="+")
    parser.add_argument("--views", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--frames", type=int, default=8, help="frames that count")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=1, help="how often, in turns; the median counts")
    given = parser.parse_args()
    print("recipe | views | processor s per frame | attempts | frames with a shared layout")
    for path in given.recipes:
        recipe = load_recipe(path)
        render = attrs.evolve(recipe.render, samples=given.samples, block_size=max(given.frames, 32) * 64)
        recipe = attrs.evolve(recipe, render=render)
        stage, surveys = open_blender_stage(recipe), []  # type: ignore[var-annotated]
        found: dict[int, list[tuple[float, float, float]]] = {views: [] for views in given.views}
        for _ in range(given.rounds):
            for views in given.views:
                found[views].append(seconds(attrs.evolve(recipe, views=views), stage, surveys, given.frames))
        for views, figures in found.items():
            took, attempts, shared = np.median(figures, axis=0)
            print(f"{path.stem} | {views} | {took:.2f} | {attempts:.1f} | {shared:.0%}", flush=True)


if __name__ == "__main__":
    main()
