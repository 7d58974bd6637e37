# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders thousands of tiny frames in one process and watches its memory, open files and scratch files.

    python benchmarks/speed/soak.py --images 5000

Linux only: what a process holds is read in /proc.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from chairs import chairs_in_hall
from twinset.headless.workers.memory import resident_memory
from twinset.testing.fixtures.render_process import RenderProcess

RECIPE = chairs_in_hall(32, (1, 2), {"samples": 1}, {"width": 64, "height": 48, "masks": True, "depth": "exr"})

MOST_GROWTH = 2.0
"""MiB in a thousand frames; allocators and caches take some at first, which is left out."""
SETTLED = 0.2
"""Share of the frames that memory gets to settle."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--every", type=int, default=100, help="Frames from one look to the next.")
    parser.add_argument("--folder", type=Path, help="Where the dataset is made; default is among the temporary files.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-", dir=options.folder) as folder:
        recipe = Path(folder) / "recipe.toml"
        recipe.write_text(RECIPE)
        problems = soak(recipe, options.images, options.every)
    print("; ".join(problems) or "flat: memory, open files and scratch files do not grow")
    raise SystemExit(bool(problems))


def soak(recipe: Path, images: int, every: int) -> list[str]:
    """Render the frames and print what the process holds meanwhile; what of it grows."""
    looks: list[tuple[int, float, int, int]] = []
    started = time.monotonic()
    print("frames | MiB | open files | threads | scratch files | seconds", flush=True)
    with RenderProcess(recipe, recipe.parent / "out", "--images", images, "--threads", 1) as running:
        process = running.process
        for event in running.events():
            if event["event"] == "frame_done" and event["done"] % every == 0:
                looks.append(look(process.pid, event["done"], time.monotonic() - started))
        if code := running.wait():
            return [f"the job ended with exit code {code}: {running.messages()}"]
    return grown(np.array(looks, dtype=float), process.pid)


def look(pid: int, done: int, seconds: float) -> tuple[int, float, int, int]:
    """Print what a process holds after so many frames and seconds: frames, MiB, open files, scratch files."""
    held = Path(f"/proc/{pid}")
    memory, files, left = resident_memory(pid) / 2**20, len(os.listdir(held / "fd")), len(scratch(pid))
    threads = len(os.listdir(held / "task"))
    print(f"{done} | {memory:.1f} | {files} | {threads} | {left} | {seconds:.0f}", flush=True)
    return done, memory, files, left


def grown(looks: np.ndarray, pid: int) -> list[str]:
    """What grew; ``looks`` (n, 4) are frames, MiB, open files and scratch files."""
    settled = looks[looks[:, 0] >= SETTLED * looks[-1, 0]]
    slope = 1000 * np.polyfit(settled[:, 0], settled[:, 1], 1)[0]
    print(f"{slope:+.2f} MiB in a thousand frames, of {settled[:, 1].min():.0f} to {settled[:, 1].max():.0f} MiB")
    problems = []
    if slope > MOST_GROWTH:
        problems.append(f"memory grows by {slope:.1f} MiB in a thousand frames")
    if settled[-1, 2] > settled[0, 2]:
        problems.append(f"open files grow from {settled[0, 2]:.0f} to {settled[-1, 2]:.0f}")
    if settled[:, 3].max() > settled[0, 3] + 1:
        problems.append(f"scratch files grow to {settled[:, 3].max():.0f}")
    left = scratch(pid)
    return [*problems, *([f"left behind: {left}"] if left else [])]


def scratch(pid: int) -> list[str]:
    """Scratch files and folders that belong to a process, which bear its number."""
    folders = (Path("/dev/shm"), Path(tempfile.gettempdir()))
    return [str(p) for f in folders for p in f.glob("twinset*") if str(pid) in p.name.split("-")]


if __name__ == "__main__":
    main()
