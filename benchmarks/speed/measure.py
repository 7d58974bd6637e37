# SPDX-License-Identifier: GPL-3.0-or-later
"""Time and peak memory of measuring and comparing large datasets.

    python benchmarks/speed/measure.py --images 10000 --boxes 10

Two synthetic datasets are made in a temporary folder: files of random boxes, whose images are few and linked many
times over. Each command runs in a process of its own, as from a shell; its memory is the peak of all its processes
together, read 20 times a second, pages that they share counted each time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil

PICTURES = 20
"""Different images; further ones are links to them."""


def make(
    folder: Path,
    images: int,
    boxes: int,
    seed: int,
    pixels: bool,
    *,
    size: tuple[int, int] = (320, 240),
    rendered: bool = False,
) -> Path:
    """A COCO file of ``images`` times ``boxes`` boxes, a third of them with outlines; its images too where asked.

    Where ``rendered``, boxes have a depth, a visible share and a shape, as those of rendered datasets have.
    """
    rng = np.random.default_rng(seed)
    width, height = size
    (folder / "images").mkdir(parents=True)
    if pixels:
        for k in range(min(PICTURES, images)):
            noise = cv2.resize(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8), size)
            cv2.imwrite(str(folder / f"images/{k:06d}.jpg"), noise)
        for k in range(PICTURES, images):
            os.link(folder / f"images/{k % PICTURES:06d}.jpg", folder / f"images/{k:06d}.jpg")
    n = images * boxes
    w, h = 8 + rng.beta(2, 5 + seed, n) * width * 0.625, 8 + rng.beta(2, 5, n) * height * 0.625
    x, y = rng.random(n) * (width - w), rng.random(n) * (height - h)
    box = np.stack([x, y, w, h], 1).round(2).tolist()
    annotations = [
        {"id": i + 1, "image_id": i // boxes + 1, "category_id": 1, "bbox": b, "area": b[2] * b[3], "iscrowd": 0}
        for i, b in enumerate(box)
    ]
    for annotation in annotations[::3]:
        x0, y0, w0, h0 = annotation["bbox"]
        annotation["segmentation"] = [[x0, y0 + h0 / 2, x0 + w0 / 2, y0, x0 + w0, y0 + h0 / 2, x0 + w0 / 2, y0 + h0]]
    if rendered:
        depth = (10 * np.sqrt(width * height / (w * h)) * np.exp(rng.normal(0, 0.1, n))).round(3).tolist()
        share, shape = rng.beta(5, 1, n).round(4).tolist(), np.digitize(w / h, [0.7, 1.0, 1.4]).tolist()
        for a, *values in zip(annotations, depth, share, shape, strict=True):
            a["twinset"] = {"depth": values[0], "visible_share": values[1], "shape": f"shape_{values[2]}"}
    listed = [{"id": k + 1, "file_name": f"{k:06d}.jpg", "width": width, "height": height} for k in range(images)]
    path = folder / "set.json"
    path.write_text(
        json.dumps({"images": listed, "annotations": annotations, "categories": [{"id": 1, "name": "box"}]})
    )
    return path


def timed(*args: object) -> dict[str, Any]:
    """Run a ``twinset`` command; its seconds, those of all its processes on a processor, its peak of memory in MiB."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "twinset.headless", *map(str, args)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = [0]
    watcher = threading.Thread(target=_watch, args=(process, peak))
    watcher.start()
    code = process.wait()
    watcher.join()
    if code:
        raise SystemExit(f"{' '.join(command)} ended with {code}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(spent, 1),
        "peak_mib": round(peak[0] / 2**20),
    }


def _watch(process: subprocess.Popen[bytes], peak: list[int]) -> None:
    while process.poll() is None:
        peak[0] = max(peak[0], _resident(process.pid))
        time.sleep(0.05)


def _resident(pid: int) -> int:
    """Resident memory of a process and of all that it has started, in bytes."""
    total = 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += one.memory_info().rss
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--boxes", type=int, default=10, help="boxes per image")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--no-pixels", action="store_true", help="annotations alone, no images")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pixels = not arguments.no_pixels
        first = make(folder / "a", arguments.images, arguments.boxes, 0, pixels)
        second = make(folder / "b", arguments.images, arguments.boxes, 1, False)
        options = ["--workers", arguments.workers] if pixels else ["--no-pixels"]
        result = {
            "boxes": arguments.images * arguments.boxes,
            "measure": timed("measure", first, "-o", folder / "table.parquet", *options),
            "compare": timed("compare", first, second, "-o", folder),
        }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
