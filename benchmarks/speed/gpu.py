# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders recipes on the CPU and on GPUs with one worker and several: frames per second, and whether labels agree.

    python benchmarks/speed/gpu.py examples/demo.toml examples/layout.toml --workers 1 2 4
    python benchmarks/speed/gpu.py examples/demo.toml --devices cpu --images 4 --samples 2    # to try it without a GPU

Frames per second are those from the first frame to the last, so that starting is left out; the line of a run also has
the seconds to the first frame. Labels are those of the first run: annotations and outlines, compared image by image.
Devices can place objects differently where a probe's depth differs in its last digit. So images that have the same
boxes to a pixel are counted, and in these the pixels in which outlines differ: 0 where labels are the same.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from twinset.dataset.formats import rle_masks
from workers import measured

EXAMPLES = [Path(__file__).parents[2] / "examples" / name for name in ("demo.toml", "layout.toml")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", type=Path, nargs="*", default=EXAMPLES)
    parser.add_argument("--devices", nargs="+", default=["cpu", "gpu"], choices=("cpu", "gpu"))
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--samples", type=int, default=16)
    options = parser.parse_args()
    doctor = subprocess.run(
        [sys.executable, "-m", "twinset.headless", "--json", "doctor"], capture_output=True, text=True
    )
    known = json.loads(doctor.stdout.splitlines()[-1]) if doctor.stdout else {}
    print(f"Cycles: {known.get('cycles') or 'unknown'}; GPUs: {known.get('gpus') or 'none'}")
    if "gpu" in options.devices and known.get("gpus", "none") == "none":
        print("Cycles finds no GPU here: runs on 'gpu' are runs on the CPU.")
    print(
        "recipe | device | workers | frames/s | first frame s | CPU s | images alike | pixels of outlines that differ"
    )
    for recipe in options.recipes:
        with tempfile.TemporaryDirectory() as name:
            compare(recipe.resolve(), Path(name), options)


def compare(recipe: Path, folder: Path, options: argparse.Namespace) -> None:
    """Render a recipe on each device with each number of workers, and print a line for each."""
    first: Path | None = None
    for device in options.devices:
        variant = folder / f"{device}.toml"
        variant.write_text(f"extends = {json.dumps(str(recipe))}\n\n[render]\ndevice = {json.dumps(device)}\n")
        for workers in options.workers:
            out = folder / f"{device}-{workers}"
            more = ["--images", str(options.images), "--samples", str(options.samples)]
            times, cpu = measured(variant, out, workers, more)
            first = first or out
            alike, pixels = label_differences(first, out)
            rate = (options.images - 1) / max(times[1], 1e-9)
            shown = (recipe.stem, device, workers, f"{rate:.2f}", f"{times[0]:.1f}", f"{cpu:.0f}", alike, pixels)
            print(" | ".join(map(str, shown)), flush=True)


def label_differences(one: Path, other: Path) -> tuple[str, int]:
    """How many images of how many have the same classes and boxes, and the pixels in which their outlines differ."""
    sides = [labels(folder) for folder in (one, other)]
    alike = [name for name in sides[0] if _have_same_boxes(sides[0][name], sides[1].get(name, []))]
    pixels = 0
    for name in alike:
        for a, b in zip(sides[0][name], sides[1][name], strict=True):
            masks = [rle_masks.decode(x["segmentation"], *x["segmentation"]["size"]) for x in (a, b)]
            pixels += int(np.count_nonzero(masks[0] != masks[1]))
    return f"{len(alike)} of {len(sides[0])}", pixels


def labels(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The annotations of each image by its name."""
    coco = json.loads((folder / "annotations/instances.json").read_text())
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for annotation in coco["annotations"]:
        found[names[annotation["image_id"]]].append(annotation)
    return {name: found[name] for name in names.values()}


def _have_same_boxes(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    if [a["category_id"] for a in one] != [a["category_id"] for a in other]:
        return False
    return not one or bool(np.abs(np.subtract([a["bbox"] for a in one], [a["bbox"] for a in other])).max() <= 1)


if __name__ == "__main__":
    main()
