# SPDX-License-Identifier: GPL-3.0-or-later
"""How often slices of errors are significant, for detectors that miss boxes at random or some more than others.

python benchmarks/alignment/slices.py --cases 300
"""

from __future__ import annotations

import argparse

import numpy as np
from twinset.alignment.evaluation.slices import find_slices
from twinset.engine.rng import stream


def boxes(seed: int, images: int, each: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Columns of boxes, and their images; brightness is one value per image."""
    rng = stream(seed, "boxes")
    image = np.repeat(np.arange(images), each)
    n = len(image)
    return {
        "bbox_area": np.exp(rng.normal(-3, 1, n)),
        "center_x": rng.random(n),
        "center_y": rng.random(n),
        "image_brightness": rng.random(images)[image],
        "touches_border": rng.random(n) < 0.3,
        "class": rng.choice(["chair", "table"], n),
    }, image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=300)
    cases = parser.parse_args().cases
    significant = dict.fromkeys(("random", "random by whole images", "60 % instead of 25 %, 25 images"), 0)
    significant["60 % instead of 25 %, 60 images"] = 0
    for seed in range(cases):
        columns, image = boxes(seed, 25, 3)
        missed = stream(seed, "random").random(len(image)) < 0.4
        significant["random"] += any(one.significant for one in find_slices(columns, missed, image))
        whole, of = boxes(seed, 20, 10)
        missed = (stream(seed, "whole").random(20) < 0.4)[of]
        bright = {"image_brightness": whole["image_brightness"]}
        significant["random by whole images"] += any(one.significant for one in find_slices(bright, missed, of))
        for images in (25, 60):
            columns, image = boxes(seed, images, 3)
            area = columns["bbox_area"]
            missed = stream(seed, "small").random(len(image)) < np.where(area < np.quantile(area, 1 / 3), 0.6, 0.25)
            found = find_slices(columns, missed, image)
            right = next(one for one in found if (one.column, one.name) == ("bbox_area", "low"))
            significant[f"60 % instead of 25 %, {images} images"] += right.significant
    for name, count in significant.items():
        print(f"{name}: significant in {count / cases:.1%} of {cases} cases")


if __name__ == "__main__":
    main()
