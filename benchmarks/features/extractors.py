# SPDX-License-Identifier: GPL-3.0-or-later
"""How well extractors tell real boxes from wrong ones: ROC AUC on real photos, the packaged model beside others.

    python benchmarks/features/extractors.py ../shared/data --model ../shared/data/onnx/FastestDet.onnx:Concat_230

The reference are the chairs of one apartment. A chair is judged by a fit without its photo, and so is anything else in
that photo: whatever a photo has of its own helps nobody. Intervals are 95 %, from 1000 bootstraps.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from twinset.alignment.features.crops import MARGIN, crop_boxes
from twinset.alignment.features.density import METHODS, fit_density
from twinset.alignment.features.extractor import Extractor
from twinset.dataset.analysis.features import MIN_BOX_SIDE
from twinset.dataset.formats.coco import CocoFile, read_coco
from twinset.dataset.formats.pixels import read_image
from twinset.engine.rng import stream

BOOTSTRAPS = 1000
Crops = tuple[np.ndarray, np.ndarray]
"""Pictures (n, h, w, 3) and the photos (n,) that they come from, -1 where chairs cannot be in the photo."""


def cut(coco: CocoFile, folder: Path, name: str, size: tuple[int, int], smallest: float, apartment: bool) -> Crops:
    """The boxes of a class whose shorter side has at least ``smallest`` pixels."""
    photos = {i["id"]: i["file_name"] for i in coco.images}
    chosen = [a for a in coco.annotations_of(name) if min(a["bbox"][2:]) >= smallest]
    crops = [crop_boxes(read_image(folder / photos[a["image_id"]]), [a["bbox"]], size, MARGIN)[0] for a in chosen]
    owners = [a["image_id"] if apartment else -1 for a in chosen]
    return np.array(crops).reshape(-1, size[1], size[0], 3), np.array(owners, dtype=int)


def noisy(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (picture + rng.normal(0, 25, picture.shape)).clip(0, 255).astype(np.uint8)


def untextured(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Edges kept, texture gone, as models without materials look."""
    return cv2.bilateralFilter(picture, 9, 60, 9)


SPOILT: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "upside down": lambda picture, rng: picture[::-1],
    "noise of 25 grey levels": noisy,
    "texture smoothed away": untextured,
    "grey": lambda picture, rng: np.repeat(picture.mean(2, keepdims=True).astype(np.uint8), 3, 2),
}


def sets(data: Path, size: tuple[int, int]) -> tuple[Crops, dict[str, Crops]]:
    """The reference, and all that it is compared with."""
    home = read_coco(data / "annotations/cartucho_map_A45.json"), data / "images/cartucho_A"
    coco = read_coco(data / "annotations/coco_permissive.json"), data / "images/coco_permissive"
    real = cut(*home, "chair", size, MIN_BOX_SIDE, True)
    others = {"COCO: chair": cut(*coco, "chair", size, MIN_BOX_SIDE, False)}
    others["COCO: chair, 64 px or more"] = cut(*coco, "chair", size, 64, False)
    for name in ("bottle", "dining table", "suitcase", "handbag"):
        others[f"COCO: {name}"] = cut(*coco, name, size, MIN_BOX_SIDE, False)
    for name in ("dining table", "couch", "cabinetry", "potted plant"):
        others[f"the apartment's: {name}"] = cut(*home, name, size, MIN_BOX_SIDE, True)
    for name, spoil in SPOILT.items():
        rng = stream(0, name)
        others[f"the same chairs, {name}"] = np.array([spoil(p, rng) for p in real[0]]), real[1]
    return real, others


class HeldBack:
    """Distances to the real ones, those of the same photo left out."""

    def __init__(self, real: np.ndarray, photos: np.ndarray, method: str) -> None:
        self.fits = {}
        for photo in (-1, *np.unique(photos).tolist()):
            kept = photos != photo
            self.fits[photo] = fit_density(real[kept], photos[kept], method=method)

    def distance(self, found: np.ndarray, owners: np.ndarray) -> np.ndarray:
        out = np.empty(len(found))
        for photo in np.unique(owners).tolist():
            out[owners == photo] = self.fits.get(photo, self.fits[-1]).distance(found[owners == photo])
        return out


def auc(real: np.ndarray, wrong: np.ndarray, seed: int = 0) -> tuple[float, float, float]:
    """ROC AUC of distances and its interval."""
    rng = stream(seed, "auc")

    def of(a: np.ndarray, b: np.ndarray) -> float:
        above = b[:, None] - a[None]  # its sign says which of a pair is farther; ties count half
        return float(((above > 0) + 0.5 * (above == 0)).mean())

    drawn = [of(rng.choice(real, len(real)), rng.choice(wrong, len(wrong))) for _ in range(BOOTSTRAPS)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return of(real, wrong), float(low), float(high)


def judge(extractor: Extractor, data: Path, method: str) -> dict[str, Any]:
    (pictures, photos), others = sets(data, extractor.size)
    start = time.perf_counter()
    real = extractor.extract(pictures)
    seconds = (time.perf_counter() - start) / len(pictures)
    held_back = HeldBack(real, photos, method)
    own = held_back.distance(real, photos)
    result: dict[str, Any] = {"features": real.shape[1], "ms_per_box": round(1000 * seconds, 1), "real": len(real)}
    result["auc"] = {}
    for name, (crops, owners) in others.items():
        value, low, high = auc(own, held_back.distance(extractor.extract(crops), owners))
        result["auc"][name] = {"n": len(crops), "auc": round(value, 3), "low": round(low, 3), "high": round(high, 3)}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of real material")
    parser.add_argument("--model", action="append", default=[], help="FILE.onnx or FILE.onnx:NODE; may be repeated")
    parser.add_argument("--method", choices=METHODS, default="knn")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    results = {"scattering": judge(Extractor(), arguments.data, arguments.method)}
    for text in arguments.model:
        name, _, node = text.partition(":")
        with tempfile.TemporaryDirectory() as folder:
            model = Path(shutil.copy(name, folder))
            beside = Path(name).with_suffix(".toml")
            settings = beside.read_text(encoding="utf-8") if beside.is_file() else ""
            model.with_suffix(".toml").write_text(settings + (f"\noutput = {json.dumps(node)}\n" if node else ""))
            results[f"{model.stem} {node}".strip()] = judge(Extractor(model), arguments.data, arguments.method)
    if arguments.json:
        print(json.dumps(results, indent=1))
        return
    print("| | n |" + "".join(f" {name} |" for name in results) + "\n| --- | --- |" + " --- |" * len(results))
    first = next(iter(results.values()))["auc"]
    for row in first:
        cells = (r["auc"][row] for r in results.values())
        print(
            f"| {row} | {first[row]['n']} |"
            + "".join(f" {c['auc']:.2f} ({c['low']:.2f}-{c['high']:.2f}) |" for c in cells)
        )
    print("| features | |" + "".join(f" {r['features']} |" for r in results.values()))
    print("| ms per box, one thread | |" + "".join(f" {r['ms_per_box']} |" for r in results.values()))


if __name__ == "__main__":
    main()
