# SPDX-License-Identifier: GPL-3.0-or-later
"""Processor time of a job of one frame: with nothing kept, and as the first and the second job on the same files.

    python benchmarks/speed/first_frame.py examples/demo.toml examples/bedroom.toml

Each job is a process of its own. The images of all three must be the same.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

JOBS = {"nothing kept": "off", "first job": "cache", "second job": "cache"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", type=Path, nargs="+")
    parser.add_argument("--samples", type=int, default=2)
    options = parser.parse_args()
    print("recipe | job | processor s")
    for recipe in options.recipes:
        images = set()
        with tempfile.TemporaryDirectory() as folder:
            for number, (job, cache) in enumerate(JOBS.items()):
                out = Path(folder) / str(number)
                kept = cache if cache == "off" else str(Path(folder) / cache)
                print(f"{recipe.stem} | {job} | {rendered(recipe, out, kept, options.samples):.1f}", flush=True)
                images.add(hashlib.sha256((out / "images/000000.jpg").read_bytes()).hexdigest())
        if len(images) != 1:
            raise SystemExit(f"The images of {recipe} differ.")


def rendered(recipe: Path, out: Path, cache: str, samples: int) -> float:
    """Render one frame of a recipe; the seconds of its processes on a processor."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "twinset.headless", "--json", "render", str(recipe), "-o", str(out)]
    command += ["--images", "1", "--samples", str(samples)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "TWINSET_CACHE": cache})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
