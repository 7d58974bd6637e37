# SPDX-License-Identifier: GPL-3.0-or-later
"""How much room the frames of a job will take on the disk, told before it is full."""

from __future__ import annotations

import shutil
from pathlib import Path

from ...engine.errors import DataError
from ...engine.recipe.settings import OutputSettings
from .frames import FrameStore

LOOKED_AT = 20
"""Frames that are weighed where some are there."""

_PER_PIXEL = {"jpg": 0.2, "png": 2.0}
_DEPTH_PER_PIXEL = {"none": 0.0, "png": 0.7, "exr": 2.5}
_MASK_PER_PIXEL = 0.05
_RECORD = 15_000
"""Bytes of the rendered demo and apartment, rounded up; a picture of quality 92."""


def short_of_space(store: FrameStore, output: OutputSettings, frames: int) -> str:
    """A sentence where so many more frames will probably not fit on the disk; "" where they will."""
    free = shutil.disk_usage(store.out).free
    weighed = weigh(store)
    each = weighed or guess(output)
    need = each * frames
    if need <= free:
        return ""
    known = "as those that are there" if weighed else f"estimated for {output.width} x {output.height} pixels"
    return (
        f"The disk of '{store.out}' has {_size(free)} left, but the {frames} frames left will need about {_size(need)} "
        f"({_size(each)} each, {known}). Free some space there, or the job will stop with the exit code 75 after about "
        f"{int(free / each)} frames and go on from there."
    )


def weigh(store: FrameStore) -> float:
    """Bytes per frame of those that are there, with all their files; 0 where there are none."""
    frames = store.frames()
    sizes = []
    for frame in frames[:: max(1, len(frames) // LOOKED_AT)]:
        try:
            files = [store.out / entry["path"] for entry in store.read(frame)["files"].values()]
            sizes.append(sum(_bytes(path) for path in (store.record_path(frame), *files)))
        except DataError:
            continue
    return sum(sizes) / len(sizes) if sizes else 0.0


def guess(output: OutputSettings) -> float:
    """Bytes per frame to expect of a recipe that has not been rendered yet."""
    picture = _PER_PIXEL[output.format] + _DEPTH_PER_PIXEL[output.depth] + _MASK_PER_PIXEL * output.masks
    return picture * output.width * output.height + _RECORD


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _size(count: float) -> str:
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count / 1e3:.0f} kB"
