# SPDX-License-Identifier: GPL-3.0-or-later
"""Time and peak memory of commands on a large dataset of random boxes, beside a small one that stands for photos.

    python benchmarks/speed/commands.py --images 10000
    python benchmarks/speed/commands.py --images 100000 --no-pixels
    python benchmarks/speed/commands.py --images 100000 --small-model --folder SETS --results FILE

Sets are those of measure.py. Seconds are those of all processes of a command on a processor. With ``--folder`` the sets
are kept and used again; with ``--results`` each command is noted as it ends, and is not run again, so that a stopped
run continues. For an older version, put a folder with its ``twinset`` on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import measure

REAL_IMAGES = 50
FORMATS = ("yolo", "voc", "parquet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--boxes", type=int, default=10, help="boxes per image")
    parser.add_argument("--size", type=int, nargs=2, default=(160, 120), help="width and height of images")
    parser.add_argument("--no-pixels", action="store_true", help="only the commands that open no images")
    parser.add_argument(
        "--small-model", action="store_true", help="features by block means, instead of the packaged model"
    )
    parser.add_argument("--only", nargs="+", help="labels of commands, such as measure")
    parser.add_argument("--folder", type=Path, help="Where sets are made and kept; default is a temporary folder.")
    parser.add_argument("--results", type=Path, help="JSON lines; commands in it are not run again.")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pixels = not options.no_pixels
        real = _made(folder / "real", REAL_IMAGES, 2, 1, True, options)
        synth = _made(folder / f"synth-{options.images}", options.images, options.boxes, 0, pixels, options)
        print(f"{options.images * options.boxes} boxes, {synth.stat().st_size / 2**20:.0f} MiB of annotations")
        print("command | processor s | wall s | peak MiB")
        model = ["--model", _small_model(folder)] if options.small_model else []
        out = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)))
        for label, arguments in commands(out, real, synth, pixels, model).items():
            if options.only and label not in options.only:
                continue
            key = {"command": label, "images": options.images, "boxes": options.boxes, "small_model": bool(model)}
            try:
                spent = _noted(options.results, key) or measure.timed(*arguments)
            except SystemExit as end:  # an older version lacks it
                print(f"{label} | {end}", flush=True)
                continue
            print(f"{label} | {spent['cpu_seconds']} | {spent['seconds']} | {spent['peak_mib']}", flush=True)
            if options.results and not _noted(options.results, key):
                with options.results.open("a") as file:
                    file.write(json.dumps({**key, **spent}) + "\n")
            for path in out.glob("convert-*"):
                shutil.rmtree(path)


def commands(out: Path, real: Path, synth: Path, pixels: bool, model: list[object]) -> dict[str, list[object]]:
    """The command lines by their labels."""
    found: dict[str, list[object]] = {
        "measure --no-pixels": ["measure", synth, "--no-pixels", "-o", out / "boxes.parquet"],
        "compare": ["compare", real, synth],
    }
    if pixels:
        found |= {
            "measure": ["measure", synth, "-o", out / "pixels.parquet"],
            "compare --pixels": ["compare", real, synth, "--pixels"],
            "fit-features": ["fit-features", synth, "--class", "box", "-o", out / "features.npz", *model],
            "infer": ["infer", real, synth, "-o", out / "inferred.parquet", "--threshold", "0.1", *model],
            "filter": ["filter", synth, "--real", real, "--class", "box", "-o", out / "convert-filtered", *model],
            "quality": ["quality", real, synth, *model],
            "report": ["report", real, synth, "-o", out / "report.html", *model],
        } | {f"convert --to {to}": ["convert", synth, "--to", to, "-o", out / f"convert-{to}"] for to in FORMATS}
    return found


def _made(folder: Path, images: int, boxes: int, seed: int, pixels: bool, options: argparse.Namespace) -> Path:
    path = folder / "set.json"
    if not path.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        measure.make(folder, images, boxes, seed, pixels, size=tuple(options.size), rendered=seed == 0)
    return path


def _small_model(folder: Path) -> Path:
    """A model of next to no cost: the means of 5 x 5 blocks of a picture of 40 x 40 pixels, 75 numbers."""
    from onnx import TensorProto, helper, save

    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["values"], to=TensorProto.FLOAT),
            helper.make_node("AveragePool", ["values"], ["blocks"], kernel_shape=[8, 8], strides=[8, 8]),
            helper.make_node("Flatten", ["blocks"], ["features"]),
        ],
        "block means",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", 3, 40, 40])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 75])],
    )
    path = folder / "block_means.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def _noted(results: Path | None, key: dict[str, Any]) -> dict[str, Any] | None:
    if results is None or not results.is_file():
        return None
    rows = map(json.loads, results.read_text().splitlines())
    return next((row for row in rows if key.items() <= row.items()), None)


if __name__ == "__main__":
    main()
