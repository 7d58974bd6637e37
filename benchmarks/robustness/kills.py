# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills supervisors and workers of ``render --workers`` at random instants, and compares what comes out in the end.

    python benchmarks/robustness/kills.py RECIPE --times 50

Linux only: children are found in /proc.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from twinset.testing.fixtures.render_process import differences, render_command

KINDS = ("worker", "supervisor", "finish")
NOBODY = "nobody"
"""Where the job had ended before the instant came."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--times", type=int, default=50, help="Kills in all.")
    parser.add_argument("--each", type=int, default=5, help="At most so many kills for each dataset.")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        recipe = options.recipe.resolve()
        reference = Path(folder) / "reference"
        started = time.monotonic()
        subprocess.run(render_command(recipe, reference), check=True, capture_output=True)
        span = time.monotonic() - started
        killed: Counter[str] = Counter()
        datasets = different = 0
        while killed.total() - killed[NOBODY] < options.times:
            out = Path(folder) / f"out{datasets}"
            datasets += 1
            run = render_command(recipe, out, "--workers", options.workers)
            # Nothing is left to kill behind the end, so that this comes last.
            for what in sorted(rng.choice(KINDS, options.each, p=[0.4, 0.4, 0.2]), key=KINDS.index):
                victim = _kill_once(run, out, reference, span, str(what), rng)
                killed[victim] += 1
                if victim == NOBODY:
                    break
            subprocess.run(run, check=True, capture_output=True)
            problems = differences(reference, out)
            different += bool(problems)
            print(f"dataset {datasets}: {dict(killed)}, {'; '.join(problems) or 'identical'}", flush=True)
        scratch = [p for p in Path("/dev/shm").glob("twinset*") if not _is_used(p)]
        count = killed.total() - killed[NOBODY]
        print(f"{count} kills in {datasets} datasets, {different} of them different; left: {scratch}")


def _kill_once(run: list[str], out: Path, reference: Path, span: float, what: str, rng: np.random.Generator) -> str:
    """Start the job, kill one of its processes; returns which. A killed worker's supervisor is killed later, too."""
    process = subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        if what == "finish":
            every = len(list((reference / "frames").glob("*.json")))
            while process.poll() is None and len(list((out / "frames").glob("*.json"))) < every:
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.5))
        else:
            time.sleep(rng.uniform(0, span / 2))
        if what == "worker":
            while not (victims := _children(process.pid)) and process.poll() is None:
                time.sleep(0.01)
            if not victims:
                return NOBODY
            os.kill(int(rng.choice(victims)), signal.SIGKILL)
            time.sleep(rng.uniform(0, span / 4))
            return what
        return what if process.poll() is None else NOBODY
    finally:
        workers = _children(process.pid)
        process.kill()
        process.wait()
        ended = time.monotonic() + 20.0
        while any(Path(f"/proc/{pid}").exists() for pid in workers):
            if time.monotonic() > ended:
                print(f"orphans: {workers}")
                break
            time.sleep(0.05)


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _words(task / "children")]
    return []


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _is_used(path: Path) -> bool:
    return any(part.isdigit() and Path(f"/proc/{part}").exists() for part in path.name.split("-"))


if __name__ == "__main__":
    main()
