# SPDX-License-Identifier: GPL-3.0-or-later
"""Processor time to the first frame: with nothing kept, and as the first and the second job on the same files.

    python benchmarks/speed/first_frame.py examples/demo.toml examples/bedroom.toml
    python benchmarks/speed/first_frame.py examples/demo.toml --size 160 120      # next to no time for the picture

Each job is a process of its own that renders one frame. *Whole job* includes annotations, contact sheet and report, and
the end of the process. The images of all three must be the same. A job before them compiles the program's modules and
does not count.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import tempfile
from pathlib import Path

import psutil
from twinset.testing.fixtures.render_process import RenderProcess

JOBS = {"nothing kept": "off", "first job": "cache", "second job": "cache"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", type=Path, nargs="+")
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), help="instead of the recipe's")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    print("recipe | job | first frame, processor s | whole job, processor s")
    for recipe in options.recipes:
        images = set()
        with tempfile.TemporaryDirectory() as folder:
            name = recipe.stem
            if options.size:
                recipe = _resized(recipe.resolve(), *options.size, Path(folder))
            spent(recipe, Path(folder) / "compiling", "off", options.samples)
            for number, (job, cache) in enumerate(JOBS.items()):
                out = Path(folder) / str(number)
                kept = cache if cache == "off" else str(Path(folder) / cache)
                first, whole = spent(recipe, out, kept, options.samples)
                print(f"{name} | {job} | {first:.1f} | {whole:.1f}", flush=True)
                images.add(hashlib.sha256((out / "images/000000.jpg").read_bytes()).hexdigest())
        if len(images) != 1:
            raise SystemExit(f"The images of {recipe} differ.")


def spent(recipe: Path, out: Path, cache: str, samples: int) -> tuple[float, float]:
    """Seconds on a processor until a job of one frame has it, and in all."""
    os.environ["TWINSET_CACHE"] = cache
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with RenderProcess(recipe, out, "--images", 1, "--samples", samples) as running:
        running.wait_for_frame()
        so_far = psutil.Process(running.process.pid).cpu_times()
        if code := running.wait():
            raise SystemExit(f"The job ended with exit code {code}: {running.messages()}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return so_far.user + so_far.system, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _resized(recipe: Path, width: int, height: int, folder: Path) -> Path:
    path = folder / "resized.toml"
    path.write_text(f"extends = {json.dumps(str(recipe))}\n[output]\nwidth = {width}\nheight = {height}\n")
    return path


if __name__ == "__main__":
    main()
