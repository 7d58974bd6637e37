# SPDX-License-Identifier: GPL-3.0-or-later
"""How many denoised samples leave a detector's features as they are: what the preset `quality = "detector"` rests on.

    echo 'output = "Concat_230"' > FastestDet.toml      # the three ends of its backbone
    python benchmarks/features/quality.py examples/demo.toml --model FastestDet.onnx

Each frame is rendered with few and with many samples, all denoised; boxes are looked at by a vision model. Printed is
the distance of a box's features from those of the converged picture, as a share of the mean distance between different
boxes: the median and the 90th percentile. The last row is the converged picture with other noise. Seconds are of a
processor, medians, denoising included.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from twinset.alignment.features.extractor import Extractor
from twinset.blender.stage import BlenderStage, open_stage
from twinset.dataset.analysis.real_boxes import real_boxes
from twinset.engine.block import Block
from twinset.engine.recipe.reading import load_recipe
from twinset.engine.sampling.sampler import Sampler

SMALLEST = 16


def looks(
    stage: BlenderStage, extractor: Extractor, boxes: np.ndarray, samples: int, seed: int
) -> tuple[float, np.ndarray]:
    """Seconds of processor time for a picture, and the features of its boxes."""
    start = time.process_time()
    picture = stage.draft(seed, scale=1.0, samples=samples)
    return time.process_time() - start, extractor.extract_boxes(picture, boxes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--model", help="an ONNX file, its settings beside it; default is the packaged one")
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--samples", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--converged", type=int, default=128, help="samples of the image that others are compared with")
    parser.add_argument("--width", type=int, default=320, help="of the pictures, three quarters as high")
    given = parser.parse_args()
    size = {"output.width": given.width, "output.height": given.width * 3 // 4}
    recipe = load_recipe(given.recipe, size)
    stage = open_stage(recipe)
    sampler = Sampler(recipe, stage, real_boxes(recipe))
    extractor = Extractor(given.model or None)
    ways = [*((n, 1) for n in given.samples), (given.converged, 1), (given.converged, 2)]
    seconds: dict[tuple[int, int], list[float]] = {way: [] for way in ways}
    features: dict[tuple[int, int], list[np.ndarray]] = {way: [] for way in ways}
    index = 0
    while len(features[ways[0]]) < given.frames and index < recipe.images:
        frame = sampler.frame(index, Block(), render=False)
        index += 1
        boxes = np.array([r["bbox"] for r in frame.rows if r["bbox"] and min(r["bbox"][2:]) >= SMALLEST], float)
        if not len(boxes):
            continue
        for way in ways:
            spent, found = looks(stage, extractor, boxes, *way)
            seconds[way].append(spent)
            features[way].append(found)
        print(f"\r{len(features[ways[0]])} of {given.frames} frames", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    truth = np.concatenate(features[given.converged, 1])
    apart = np.linalg.norm(truth[:, None] - truth[None], axis=-1)
    between = apart[np.triu_indices(len(truth), 1)].mean()
    print(
        f"{len(truth)} boxes\n\n| samples | seconds | features off, median | 90 % of boxes |\n| --- | --- | --- | --- |"
    )
    for way in ways:
        if way == (given.converged, 1):
            continue
        off = np.linalg.norm(np.concatenate(features[way]) - truth, axis=1) / between
        name = f"{way[0]}, other noise" if way[1] == 2 else str(way[0])
        print(f"| {name} | {np.median(seconds[way]):.1f} | {np.median(off):.1%} | {np.quantile(off, 0.9):.1%} |")


if __name__ == "__main__":
    main()
