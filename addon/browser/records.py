# SPDX-License-Identifier: GPL-3.0-or-later
"""What the records of an output folder say in short, read by a thread so that the window need not wait."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from ...dataset.store.frames import FrameStore
from ...engine.errors import DataError
from ..preview.frusta import note_rendered

_MAX_AGE = 2.0
"""Seconds after which the folder is listed again."""


@attrs.frozen
class FrameSummary:
    """A frame in short.

    ``image`` is None for a frame that was given up. ``classes`` counts annotated instances, ``reasons`` the rejected
    attempts; ``camera`` is the pose (4, 4) as a flat tuple with lens and sensor width in mm, or None; ``size`` is width
    and height in pixels, and ``centers`` has the class and the relative centre (x, y) of each annotated box.
    """

    frame: int
    image: Path | None
    classes: Mapping[str, int]
    reasons: Mapping[str, int]
    camera: tuple[tuple[float, ...], float, float] | None = None
    size: tuple[int, int] = (0, 0)
    centers: tuple[tuple[str, float, float], ...] = ()


@attrs.define(eq=False)
class Listing:
    """The frames of an output folder as far as they are read."""

    out: Path
    frames: dict[int, FrameSummary] = attrs.field(factory=dict)
    total: int = 0
    listed: float = 0.0
    worker: threading.Thread | None = None

    @property
    def is_reading(self) -> bool:
        return self.worker is not None and self.worker.is_alive()


_listings: dict[Path, Listing] = {}


def listing_of(out: Path) -> Listing:
    """The frames of a folder; starts to read those that are new."""
    listing = _listings.get(out)
    if listing is None:
        _listings.clear()  # one folder at a time
        listing = _listings[out] = Listing(out)
    now = time.monotonic()
    if not listing.is_reading and now - listing.listed > _MAX_AGE:
        listing.listed = now
        listing.worker = threading.Thread(target=read, args=(listing,), name="twinset-records", daemon=True)
        listing.worker.start()
    return listing


def read(listing: Listing) -> None:
    """Read the records that are not read yet, and forget those that are gone."""
    store = FrameStore(listing.out)
    try:
        present = sorted(store.frames())
    except OSError:
        present = []
    listing.total = len(present)
    for frame in set(listing.frames) - set(present):
        del listing.frames[frame]
    for number, frame in enumerate(f for f in present if f not in listing.frames):
        with contextlib.suppress(DataError, OSError, KeyError, TypeError):
            listing.frames[frame] = summary_of(listing.out, frame, store.read(frame))
        if number % 20 == 19:
            time.sleep(0.005)  # let the window have its turn
    known = sorted(list(listing.frames.items()))
    note_rendered(listing.out, [(*each.camera, each.size) for _, each in known if each.camera is not None])


def summary_of(out: Path, frame: int, record: Mapping[str, Any]) -> FrameSummary:
    """The summary of a record."""
    entry = record["files"].get("image")
    rows = [row for row in record["instances"] if row["annotated"]]
    reasons = dict(Counter(record["rejected"]))
    if entry is None or not record["image"]:
        return FrameSummary(frame, None, {}, reasons)
    width, height = record["image"]["width"], record["image"]["height"]
    centers = [
        (row["class"], (b[0] + b[2] / 2) / width, (b[1] + b[3] / 2) / height) for row in rows if (b := row["bbox"])
    ]
    pose = record["camera"]
    camera = (tuple(map(float, pose["matrix"])), float(pose["lens"]), float(pose["sensor_width"])) if pose else None
    return FrameSummary(
        frame,
        out / entry["path"],
        dict(Counter(row["class"] for row in rows)),
        reasons,
        camera,
        (width, height),
        tuple(centers),
    )


def chosen(listing: Listing, class_name: str, verdict: str, reason: str) -> list[FrameSummary]:
    """The frames that pass the filters, by index.

    Parameters
    ----------
    listing : Listing
    class_name, reason : str
        Only frames with this class, or with an attempt that was rejected for this reason; "" for all.
    verdict : {"ALL", "ACCEPTED", "EMPTY", "GIVEN_UP"}
        Only frames with an image, with one without annotated objects, or without an image.
    """
    out = []
    for _, each in sorted(list(listing.frames.items())):
        is_wanted = {
            "ALL": True,
            "ACCEPTED": each.image is not None,
            "EMPTY": each.image is not None and not each.classes,
            "GIVEN_UP": each.image is None,
        }[verdict]
        if is_wanted and (not class_name or class_name in each.classes) and (not reason or reason in each.reasons):
            out.append(each)
    return out


def names_in(listing: Listing) -> tuple[list[str], list[str]]:
    """The classes and the reasons of rejections in a folder, most frequent first."""
    classes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for each in list(listing.frames.values()):
        classes.update(each.classes)
        reasons.update(each.reasons)
    return [name for name, _ in classes.most_common()], [reason for reason, _ in reasons.most_common()]


def forget() -> None:
    """Forget all folders."""
    _listings.clear()
