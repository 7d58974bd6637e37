# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives every parser of files many broken and hostile inputs, and counts what it makes of them.

The parsers are those of tests/headless/test_fuzz.py.

    python benchmarks/robustness/fuzz.py --examples 10000

Each parser runs in a process of its own with bounded memory, so that one that crashes is seen.
"""

from __future__ import annotations

import argparse
import logging
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2] / "tests"
sys.path[:0] = [str(TESTS / "shared"), str(TESTS / "headless")]

MEMORY = 6 * 2**30
"""Bytes of address space; onnxruntime, pyarrow and OpenBLAS reserve more than they use."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=1000, help="Inputs for each parser; jobs get a tenth.")
    parser.add_argument("--only", nargs="*", default=[], help="Parsers, by the beginnings of their names.")
    parser.add_argument("--here", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        run(options.here, options.examples)
        return
    from test_fuzz import NAMES

    print("parser | taken | refused | slowest s | inputs a second | else", flush=True)
    total, failed = 0, 0
    for name in NAMES:
        if options.only and not name.startswith(tuple(options.only)):
            continue
        examples = max(1, options.examples // (10 if name.startswith("job") else 1))
        command = [sys.executable, __file__, "--here", name, "--examples", str(examples)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        *lines, last = done.stdout.splitlines() or [""]
        if done.returncode:
            last = f"{name} | ended by exit code {done.returncode}"
        failed += bool(done.returncode or lines)
        total += examples if not done.returncode else 0
        print("\n".join([last, *lines]), flush=True)
    print(f"{total} inputs; {failed} parsers ended otherwise than by a result or a sentence.")
    raise SystemExit(bool(failed))


def run(name: str, examples: int) -> None:
    """Give one parser its inputs and print what became of them."""
    from mutations import fuzz
    from test_fuzz import subjects

    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        subject = subjects(Path(folder))[name]
        started = time.monotonic()
        found = fuzz(subject, examples)
        speed = examples / (time.monotonic() - started)
    for what, data in found.problems.items():
        print(f"    {what}: {data[:300]!r}")
    print(f"{name} | {found.taken} | {found.refused} | {found.slowest:.2f} | {speed:.0f} | {len(found.problems)}")


if __name__ == "__main__":
    main()
