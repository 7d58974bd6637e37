# SPDX-License-Identifier: GPL-3.0-or-later
"""What `twinset filter` can see: ROC AUC of right boxes against each kind of wrong ones, from a mixed bag.

    python benchmarks/features/mixed_bag.py examples/apartment.toml -o bag
    python benchmarks/features/filtering.py bag --class chair \\
        --features chairs.features --features other.features=model.onnx

Of a pair of a right and a wrong box, AUC is the chance that the wrong one is the less typical: 1 is perfect, 0.5 is
none, below 0.5 the wrong ones look better. Intervals are 95 %, from 1000 bootstraps of whole images. "refused" is the
share that the elbow of the whole bag refuses.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from twinset.alignment.features.crops import crop_boxes
from twinset.alignment.features.curation import elbow
from twinset.alignment.features.density import load_density
from twinset.alignment.features.extractor import Extractor
from twinset.dataset.analysis.feature_scores import BoxScores, score_boxes
from twinset.dataset.formats.coco import CocoFile
from twinset.dataset.formats.dataset_folder import images_of, read_dataset
from twinset.dataset.formats.pixels import read_image
from twinset.engine.rng import stream

BOOTSTRAPS = 1000
SIDE, COLUMNS = 96, 12


def auc(right: np.ndarray, wrong: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(np.repeat([0, 1], [len(right), len(wrong)]), -np.concatenate([right, wrong])))


def interval(right: BoxScores, wrong: BoxScores) -> tuple[float, float, float]:
    """AUC with its interval, images drawn whole."""
    rng = stream(0, "auc")
    sides = []
    for scores in (right, wrong):
        known = scores.known
        images = scores.image[known]
        sides.append([scores.typicality[known][images == i] for i in np.unique(images)])
    drawn = [
        auc(*(np.concatenate([side[k] for k in rng.integers(len(side), size=len(side))]) for side in sides))
        for _ in range(BOOTSTRAPS)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return auc(*map(np.concatenate, sides)), float(low), float(high)


def sheet(parts: list[tuple[CocoFile, BoxScores]], path: Path) -> None:
    """The best boxes of all in the upper row, the worst in the lower one."""
    entries = [(t, k, n) for n, (_, s) in enumerate(parts) for k, t in enumerate(s.typicality) if np.isfinite(t)]
    entries.sort(key=lambda e: -e[0])
    rows = []
    for chosen in (entries[:COLUMNS], entries[-COLUMNS:]):
        tiles = []
        for _, k, n in chosen:
            coco, scores = parts[n]
            box = next(a["bbox"] for a in coco.annotations if a["id"] == scores.annotation[k])
            image = next(i for i in coco.images if i["id"] == scores.image[k])
            tiles.append(crop_boxes(read_image(images_of(coco) / image["file_name"]), [box], (SIDE, SIDE), 0.1)[0])
        rows.append(np.hstack(tiles))
    picture = np.vstack([rows[0], np.full((6, rows[0].shape[1], 3), 255, np.uint8), rows[1]])
    cv2.imwrite(str(path), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bag", type=Path)
    parser.add_argument("--class", dest="name", default="chair")
    parser.add_argument("--features", action="append", required=True, help="FILE, or FILE=MODEL.onnx; may be repeated")
    parser.add_argument("--right", type=Path, help="folder of right frames; default is the bag's own")
    parser.add_argument("--sheet", type=Path, help="picture of the best and worst boxes, by the first features")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    kinds = sorted(p.name for p in arguments.bag.iterdir() if p.is_dir() and p.name != "right")
    results: dict[str, dict[str, list[float]]] = {}
    for number, text in enumerate(arguments.features):
        file, _, model = text.partition("=")
        extractor = Extractor(model) if model else Extractor()
        density = {arguments.name: load_density(file)}

        def scored(folder: Path) -> tuple[CocoFile, BoxScores]:
            coco = read_dataset(folder)
            return coco, score_boxes(coco, images_of(coco), density, extractor)  # noqa: B023

        right = scored(arguments.right or arguments.bag / "right")
        wrong = {kind: scored(arguments.bag / kind) for kind in kinds}
        parts = [right, *wrong.values()]
        limit = elbow(np.concatenate([s.typicality for _, s in parts]))
        refused = {kind: float((s.typicality[s.known] < limit).mean()) for kind, (_, s) in wrong.items()}
        refused["right"] = float((right[1].typicality[right[1].known] < limit).mean())
        found = {kind: [int(s.known.sum()), *interval(right[1], s), refused[kind]] for kind, (_, s) in wrong.items()}
        results[extractor.path.stem] = {"right": [int(right[1].known.sum()), 0.5, 0.5, 0.5, refused["right"]], **found}
        if arguments.sheet and number == 0:
            sheet(parts, arguments.sheet)
    if arguments.json:
        print(json.dumps(results, indent=1))
        return
    print("| kind | boxes |" + "".join(f" {name}: AUC | refused |" for name in results))
    print("| --- | --- |" + " --- | --- |" * len(results))
    first = next(iter(results.values()))
    for kind in [*kinds, "right"]:
        cells = [r[kind] for r in results.values()]
        shown = ["-" if kind == "right" else f"{c[1]:.2f} ({c[2]:.2f}-{c[3]:.2f})" for c in cells]
        row = "".join(f" {text} | {c[4]:.0%} |" for text, c in zip(shown, cells, strict=True))
        print(f"| {kind.replace('_', ' ')} | {first[kind][0]} |{row}")


if __name__ == "__main__":
    main()
