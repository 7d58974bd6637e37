# SPDX-License-Identifier: GPL-3.0-or-later
"""Time and memory of status, finish and verify over large datasets, whose records are copies of a rendered one's.

    python benchmarks/speed/records.py OUT --counts 1000 10000 100000

OUT is an output folder of `twinset render`. Pictures are one small picture over and over, each in a file of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from twinset.dataset.atomic_files import json_bytes
from twinset.dataset.store.frame_record import ACCEPTED
from twinset.dataset.store.frames import (
    FrameStore,
    append_checksum,
    encode_image,
    frame_name,
)

COMMANDS = {"status": ["status"], "finish": ["finish"], "verify": ["verify", "--sample", "0"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--folder", type=Path, help="Where datasets are made; default is among the temporary files.")
    options = parser.parse_args()
    print("records | command | processor s | wall s | processor ms per record | peak MiB")
    for count in options.counts:
        with tempfile.TemporaryDirectory(prefix="records-", dir=options.folder) as folder:
            made = Path(folder) / "made"
            copy(options.out, made, count)
            for name, command in COMMANDS.items():
                cpu, wall, peak = measure([*command, str(made)])
                print(f"{count} | {name} | {cpu:.1f} | {wall:.1f} | {1000 * cpu / count:.3f} | {peak:.0f}", flush=True)


def copy(source: Path, made: Path, count: int) -> None:
    """Make a dataset of so many frames from the records of a rendered one, in turns."""
    made.mkdir()
    text = (source / "recipe.toml").read_text()
    text = re.sub(r"(?m)^images = \d+$", f"images = {count}", text, count=1)
    (made / "recipe.toml").write_text(text)
    shutil.copy(source / "stage.json", made)
    there = FrameStore(source)
    records = [r for r in map(there.read, there.frames()[:200]) if r["verdict"] == ACCEPTED]
    picture = encode_image(np.full((48, 64, 3), 90, np.uint8), "jpg", 90)
    digest = hashlib.sha256(picture).hexdigest()
    for frame in range(count):
        name = f"{frame_name(frame)}.jpg"
        record: dict[str, Any] = {
            **records[frame % len(records)],
            "frame": frame,
            "files": {"image": {"path": f"images/{name}", "sha256": digest}},
        }
        record["image"] = {**record["image"], "file_name": name}
        for path, data in (
            (made / "images" / name, picture),
            (made / "frames" / f"{frame_name(frame)}.json", append_checksum(json_bytes(record))),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def measure(arguments: list[str]) -> tuple[float, float, float]:
    """Seconds on a processor and in all, and MiB at the peak, of one command."""
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "twinset.headless", "--json", *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    answer = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0 or not json.loads(answer.splitlines()[-1]):
        raise SystemExit(f"{arguments} failed: {answer}")
    unit = 1024 if sys.platform == "linux" else 1024**2
    return used.ru_utime + used.ru_stime, time.monotonic() - started, used.ru_maxrss / unit


if __name__ == "__main__":
    main()
