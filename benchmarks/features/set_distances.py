# SPDX-License-Identifier: GPL-3.0-or-later
"""KID, precision and the other distances of sets, on random halves of real photos and between real sets.

python benchmarks/features/set_distances.py ../shared/data --class chair --splits 40
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from twinset.alignment.distances.feature_estimates import estimate_features
from twinset.alignment.features.extractor import Extractor
from twinset.dataset.analysis.features import BoxFeatures, box_features
from twinset.dataset.formats.coco import read_coco
from twinset.engine.rng import stream

SETS = {
    "apartment": ("annotations/cartucho_map_A45.json", "images/cartucho_A"),
    "COCO": ("annotations/coco_bysa.json", "images/coco_bysa"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--class", dest="class_name", default="chair")
    parser.add_argument("--splits", type=int, default=40)
    options = parser.parse_args()
    extractor = Extractor()
    found: dict[str, BoxFeatures] = {}
    for name, (file, images) in SETS.items():
        coco = read_coco(options.data / file)
        found[name] = box_features(coco, options.data / images, options.class_name, extractor)
        print(f"{name}: {len(found[name].features)} boxes of {len(np.unique(found[name].image))} images")
    one = found["apartment"]
    significant: dict[str, int] = {}
    for split in range(options.splits):
        rng = stream(split, "halves")
        names = np.unique(one.image)
        first = np.isin(one.image, rng.permutation(names)[: len(names) // 2])
        halves = [one.features[first], one.features[~first]]
        owners = (one.image[first], one.image[~first])
        for name, estimate in estimate_features(*halves, rng, images=owners, n_resamples=100).items():
            significant[name] = significant.get(name, 0) + estimate.significant
    for name, count in significant.items():
        print(
            f"halves of the apartment, {name}: significant in {count / options.splits:.1%} of {options.splits} splits"
        )
    other = found["COCO"]
    rng = stream(0, "between")
    between = estimate_features(one.features, other.features, rng, images=(one.image, other.image))
    for name, e in between.items():
        print(
            f"apartment and COCO, {name}: {e.value:.3f} ({e.low:.3f} to {e.high:.3f}), floor {e.floor:.3f}, "
            f"critical {e.critical:.3f}{', differs' if e.significant else ''}"
        )


if __name__ == "__main__":
    main()
