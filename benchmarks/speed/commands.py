# SPDX-License-Identifier: GPL-3.0-or-later
"""Time and peak memory of commands on a large dataset of random boxes, beside a small one that stands for photos.

    python benchmarks/speed/commands.py --images 10000 --boxes 10
    python benchmarks/speed/commands.py --images 100000 --boxes 10 --no-pixels

Sets are those of measure.py. Seconds are those of all processes of a command on a processor.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import measure

REAL_IMAGES = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--boxes", type=int, default=10, help="boxes per image")
    parser.add_argument("--no-pixels", action="store_true", help="only the commands that open no images")
    parser.add_argument("--folder", type=Path, help="Where sets are made; default is among the temporary files.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        pixels = not options.no_pixels
        real = measure.make(folder / "real", REAL_IMAGES, 2, 1, pixels)
        synth = measure.make(folder / "synth", options.images, options.boxes, 0, pixels)
        print(f"{options.images * options.boxes} boxes, {synth.stat().st_size / 2**20:.0f} MiB of annotations")
        print("command | processor s | wall s | peak MiB")
        for label, arguments in commands(folder, real, synth, pixels).items():
            spent = measure.timed(*arguments)
            print(f"{label} | {spent['cpu_seconds']} | {spent['seconds']} | {spent['peak_mib']}", flush=True)


def commands(folder: Path, real: Path, synth: Path, pixels: bool) -> dict[str, list[object]]:
    """The command lines by their labels, in an order in which each finds what it needs."""
    found: dict[str, list[object]] = {
        "measure --no-pixels": ["measure", synth, "--no-pixels", "-o", folder / "boxes.parquet"],
        "compare": ["compare", real, synth],
    }
    formats = ("yolo", "voc", "parquet")
    if pixels:
        features = folder / "features.npz"
        found |= {
            "measure": ["measure", synth, "-o", folder / "pixels.parquet"],
            "fit-features": ["fit-features", synth, "--class", "box", "-o", features],
            "filter": ["filter", synth, "--features", features],
            "quality": ["quality", real, synth],
            "report": ["report", real, synth, "-o", folder / "report.html"],
        } | {f"convert --to {to}": ["convert", synth, "--to", to, "-o", folder / to] for to in formats}
    return found


if __name__ == "__main__":
    main()
