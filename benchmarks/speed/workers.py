# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders the same job with one worker and with several, in turns, and compares the time they take and all their bytes.

    python benchmarks/speed/workers.py --rounds 3

Each worker has the same number of CPU threads, one by default. *start* is the time to the first frame, *render* from
there to the last one, *finish* what comes behind it: annotations, contact sheet and the end of the processes.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from chairs import chairs_in_hall
from twinset.testing.fixtures.render_process import RenderProcess, differences

RECIPE = chairs_in_hall(96, (1, 3), {"samples": 2, "block_size": 8}, {"width": 160, "height": 120})

PARTS = ("start", "render", "finish", "total")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, nargs="?", help="Default is a small one: chairs in the built-in hall.")
    parser.add_argument("--images", type=int, default=0, help="Frames, instead of the recipe's.")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of each worker; 0 as the product does.")
    parser.add_argument("--rounds", type=int, default=3, help="Times that each number of workers has its turn.")
    parser.add_argument("--folder", type=Path, help="Where datasets are made; default is among the temporary files.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="workers-", dir=options.folder) as folder:
        recipe = options.recipe
        if recipe is None:
            recipe = Path(folder) / "recipe.toml"
            recipe.write_text(RECIPE)
        more = ["--threads", str(options.threads), *(["--images", str(options.images)] if options.images else [])]
        problems = compare(recipe.resolve(), Path(folder), (1, options.workers), options.rounds, more)
    print("; ".join(problems) or "identical: every file of every run has the same bytes")
    raise SystemExit(bool(problems))


def compare(recipe: Path, folder: Path, counts: tuple[int, int], rounds: int, more: list[str]) -> list[str]:
    """Render in turns and print the times; returns what differs between the datasets."""
    took: dict[int, list[list[float]]] = {count: [] for count in counts}
    problems: list[str] = []
    print(f"{len(os.sched_getaffinity(0))} CPU cores, load {os.getloadavg()[0]:.1f} at the beginning")
    print("workers | " + " | ".join(f"{part} s" for part in PARTS) + " | CPU s", flush=True)
    for turn in range(rounds):
        # Whoever comes second finds warmer caches.
        for count in counts if turn % 2 == 0 else counts[::-1]:
            out = folder / f"{count}-{turn}"
            times, cpu = measured(recipe, out, count, more)
            took[count].append(times)
            print(f"{count} | " + " | ".join(f"{t:.2f}" for t in times) + f" | {cpu:.1f}", flush=True)
            problems += differences(folder / f"{counts[0]}-0", out) if out.name != f"{counts[0]}-0" else []
    one, several = (np.median(took[count], axis=0) for count in counts)
    for part, ratio in zip(PARTS, one / several, strict=True):
        print(f"{part}: 1 worker takes {ratio:.2f} x as long as {counts[1]} (medians)")
    return problems


def measured(recipe: Path, out: Path, workers: int, more: list[str]) -> tuple[list[float], float]:
    """Seconds to the first frame, from it to the last, behind that, and in all; and processor time of all processes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    with RenderProcess(recipe, out, "--workers", workers, *more) as running:
        frames = [time.perf_counter() for event in running.events() if event["event"] == "frame_done"]
        if code := running.wait():
            raise SystemExit(f"{workers} workers ended with exit code {code}: {running.messages()}")
    ended = time.perf_counter()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return [frames[0] - started, frames[-1] - frames[0], ended - frames[-1], ended - started], cpu


if __name__ == "__main__":
    main()
