# SPDX-License-Identifier: GPL-3.0-or-later
"""Thumbnails of rendered images with their boxes, made by a thread."""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...dataset.store.frames import FrameStore
from ...engine.errors import DataError
from ..processes.redraw import redraw_panels
from ..widgets import icons
from ..widgets.pictures import on_square, with_boxes

SIDE = 192
"""Size of a thumbnail in pixels."""

_KEPT = 200
"""So many thumbnails are kept."""

_pixels: dict[Path, np.ndarray | None] = {}
_wanted: queue.SimpleQueue[tuple[Path, Path, int]] = queue.SimpleQueue()
_asked: set[Path] = set()
_worker: list[threading.Thread] = []


def thumbnail(out: Path, image: Path, frame: int) -> int | None:
    """The icon of an image with its boxes; None until it has been read, 0 if it cannot be."""
    if image not in _pixels:
        if image not in _asked:
            _asked.add(image)
            _wanted.put((out, image, frame))
            _start()
        return None
    pixels = _pixels[image]
    return 0 if pixels is None else icons.icon_of(f"frame {frame}", str(image), lambda: pixels)


def read(out: Path, image: Path, frame: int) -> np.ndarray | None:
    """The pixels of a thumbnail, (SIDE, SIDE, 4) float32; None if image or record cannot be read."""
    try:
        return on_square(with_boxes(image, FrameStore(out).read(frame), SIDE), SIDE)
    except (OSError, DataError, KeyError, ValueError):
        return None


def _start() -> None:
    if not _worker or not _worker[0].is_alive():
        _worker[:] = [threading.Thread(target=_work, name="twinset-thumbnails", daemon=True)]
        _worker[0].start()
    if not bpy.app.timers.is_registered(_redraw_when_read):
        bpy.app.timers.register(_redraw_when_read, first_interval=0.1)


def _work() -> None:
    while not _wanted.empty():
        out, image, frame = _wanted.get()
        while len(_pixels) >= _KEPT:
            oldest = next(iter(_pixels))
            del _pixels[oldest]
            _asked.discard(oldest)
        _pixels[image] = read(out, image, frame)


def _redraw_when_read() -> float | None:
    redraw_panels()
    return 0.15 if _worker and _worker[0].is_alive() else None


def forget(*_: Any) -> None:
    """Forget all thumbnails."""
    _pixels.clear()
    _asked.clear()
