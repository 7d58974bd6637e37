# SPDX-License-Identifier: GPL-3.0-or-later
"""Estimates the disk space that the frames of a job will take, to warn before the disk is full."""

from __future__ import annotations

import shutil
from pathlib import Path

from ...engine.errors import DataError
from ...engine.output.label_pass import asked_passes
from ...engine.recipe.settings import OutputSettings
from .frames import FrameStore

SAMPLED_FRAMES = 20
"""At most this many existing frames are measured for the estimate."""

_PER_PIXEL = {"jpg": 0.2, "png": 2.0}
_LABEL_PER_PIXEL = 1.0
"""Of a label pass that does not say."""

_RECORD_BYTES = 15_000
"""Bytes of the rendered demo and apartment, rounded up; a picture of quality 92."""


def disk_space_warning(store: FrameStore, output: OutputSettings, frames: int) -> str:
    """A warning if this many more frames will probably not fit on the disk, else ""."""
    there = next(folder for folder in (store.out, *store.out.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    measured = mean_frame_bytes(store)
    each = measured or expected_frame_bytes(output)
    need = each * frames
    if need <= free:
        return ""
    basis = "as measured" if measured else f"estimated for {output.width} x {output.height} pixels"
    return (
        f"The disk of '{store.out}' has {_format_bytes(free)} left, but the remaining {frames} frames need about "
        f"{_format_bytes(need)} ({_format_bytes(each)} each, {basis}). Free some space there, or the job will stop "
        f"with exit code 75 after about {int(free / each)} frames; run the same command again to resume it."
    )


def mean_frame_bytes(store: FrameStore) -> float:
    """Mean size in bytes of the existing frames with all their files; 0 without any."""
    frames = store.frames()
    sizes = []
    for frame in frames[:: max(1, len(frames) // SAMPLED_FRAMES)]:
        try:
            files = [store.out / entry["path"] for entry in store.read(frame)["files"].values()]
            sizes.append(sum(_bytes(path) for path in (store.record_path(frame), *files)))
        except DataError:
            continue
    return sum(sizes) / len(sizes) if sizes else 0.0


def expected_frame_bytes(output: OutputSettings) -> float:
    """Bytes to expect per frame of a recipe that has not been rendered yet."""
    labels = sum(each.bytes_per_pixel.get(suffix, _LABEL_PER_PIXEL) for each, suffix in asked_passes(output))
    return (_PER_PIXEL[output.format] + labels) * output.width * output.height + _RECORD_BYTES


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _format_bytes(count: float) -> str:
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count / 1e3:.0f} kB"
