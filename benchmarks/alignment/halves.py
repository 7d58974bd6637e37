# SPDX-License-Identifier: GPL-3.0-or-later
"""Real sets against their own halves, against each other and against synthetic ones: distances beside their floors.

    python benchmarks/alignment/halves.py ../shared/data --synth out --synth demo

Halves are random, by image. A distance differs significantly above its upper floor; of halves of one set, 5 % should.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from twinset.alignment.columns.table import Table, read_table
from twinset.alignment.distances.comparison import compare_tables
from twinset.alignment.distances.registry import all_distances, find_distance
from twinset.alignment.distances.verdict import verdict
from twinset.dataset.formats.dataset_folder import read_dataset
from twinset.engine.rng import stream

ROOT = Path(__file__).resolve().parents[2]
NAMES = tuple(distance.name for distance in all_distances())


def table(path: Path, name: str, main: bool = False) -> Table:
    coco = read_dataset(path)
    found = read_table({"images": coco.images, "annotations": coco.annotations, "categories": coco.categories}, name)
    return found.of_main() if main else found


def part(of: Table, chosen: np.ndarray) -> Table:
    """Some of the boxes; what is counted per image is left out."""
    columns = {k: v[chosen] for k, v in of.columns.items() if k not in of.of_images}
    return attrs.evolve(of, columns=columns, main=of.main[chosen], image=of.image[chosen], of_images=frozenset())


def halves(of: Table, splits: int) -> dict[str, Any]:
    """Mean distance of random halves over their mean floors, and the share above the upper floor."""
    images = np.unique(of.image)
    found: dict[str, list[list[float]]] = {key: [] for key in NAMES}
    off = []
    for seed in range(splits):
        inside = np.isin(of.image, stream(seed, "halves").permutation(images)[: len(images) // 2])
        entry = compare_tables(part(of, inside), part(of, ~inside), seed=seed)
        for name in ("sqrt_area", "center_x", "center_y", "log_aspect"):
            column = entry["columns"][name]
            for key in NAMES:
                floor = find_distance(key).floor_key
                values = (column[key], column[floor], column[f"{key}_image_floor"], column[f"{key}_upper_floor"])
                found[key].append([*values, column[f"{key}_interval"][0], column[f"{key}_interval"][1]])
        said = verdict({"classes": {"": {**entry, "main": None}}})
        off += [s.significant for s in (*said.significant, *said.consistent)]
    out: dict[str, Any] = {"boxes": len(of), "images": len(images), "called off": float(np.mean(off))}
    for key, rows in found.items():
        value, floor, by_image, upper, low, high = np.array(rows).T
        known = np.isfinite(value) & np.isfinite(floor) & np.isfinite(by_image)  # few boxes may share no bin
        truth = np.tile(value.reshape(splits, -1).mean(0), splits)  # where halves lie on average
        out[key] = {
            "mean over floor": value[known].mean() / floor[known].mean(),
            "mean over floor by image": value[known].mean() / by_image[known].mean(),
            "above upper floor": float((value > upper).mean()),
            "interval holds the mean": float(((low <= truth) & (truth <= high)).mean()),
        }
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of real material")
    parser.add_argument("--synth", type=Path, action="append", default=[], help="rendered folder; may be repeated")
    parser.add_argument("--splits", type=int, default=50)
    arguments = parser.parse_args()
    coco, home = ROOT / "examples/coco_furniture.json", arguments.data / "annotations/cartucho_map_A45.json"
    real = {
        f"{place} {name}": table(path, name)
        for place, path in (("COCO", coco), ("apartment", home))
        for name in ("chair", "dining table")
    }
    result: dict[str, Any] = {"halves": {name: halves(of, arguments.splits) for name, of in real.items()}, "pairs": {}}
    others = dict(real)
    for path in arguments.synth:
        for name in ("chair", "dining table"):
            others[f"synthetic {path.name}: {name}"] = table(path, name)
            mains = table(path, name, main=True)
            if len(mains):
                others[f"synthetic {path.name}: main {name}"] = mains
    for first, a in real.items():
        for second, b in others.items():
            if first == second:
                continue
            entry = compare_tables(a, attrs.evolve(b, main=np.zeros(len(b), dtype=bool)))
            column = entry["columns"]["sqrt_area"]
            result["pairs"][f"{first} | {second}"] = {
                "distance": column["bhattacharyya"],
                "floor by image": column["bhattacharyya_image_floor"],
                "upper floor": column["bhattacharyya_upper_floor"],
                "off": [s.column for s in verdict({"classes": {"": entry}}).significant],
            }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
