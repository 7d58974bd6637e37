# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the boxes of sequences drift from those of the frame for which their layout was made."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...engine.sequences.groups import is_key_record
from ..store.frame_record import ACCEPTED, FrameRecord


class DriftTally:
    """Compares the boxes of each frame with those of its sequence's first one, record by record, in order.

    Targets and goals apply to the first frame alone.
    """

    def __init__(self) -> None:
        self._number = -1
        self._first: dict[int, tuple[float, ...]] = {}
        self._areas: list[float] = []
        self._shifts: list[float] = []
        self._shown = self._lost = 0

    def add(self, record: FrameRecord) -> None:
        """Take a frame; those that are no part of a sequence are ignored."""
        draws = record.get("draws", {})
        role = draws.get("sequence")
        if not role or record["verdict"] != ACCEPTED:
            return
        size = np.array([record["image"]["width"], record["image"]["height"]])
        boxes = {
            row["id"]: (*np.add(row["bbox"][:2], np.divide(row["bbox"][2:], 2)) / size, row["bbox"][2] * row["bbox"][3])
            for row in record["instances"]
            if row["bbox"] and row["annotated"]
        }
        if is_key_record(draws):
            self._number, self._first = role["number"], boxes
            return
        if role["number"] != self._number:
            return
        for id, (x, y, area) in self._first.items():
            self._shown += 1
            if id not in boxes:
                self._lost += 1
                continue
            there = boxes[id]
            self._areas.append(abs(float(np.log(there[2] / area))))
            self._shifts.append(float(np.hypot(there[0] - x, there[1] - y)))

    def summary(self) -> Mapping[str, float]:
        """Medians of the factor between areas and of the shift of centres in shares of the image, and the share of the
        first frames' boxes that later frames do not show; empty without sequences."""
        if not self._shown:
            return {}
        known = {"area_factor": float(np.exp(np.median(self._areas))), "shift": float(np.median(self._shifts))}
        return {"lost_share": self._lost / self._shown, **(known if self._areas else {})}


def drift_sentence(drift: Mapping[str, float]) -> str:
    """The summary in words; "" without one."""
    if "shift" not in drift:
        return ""
    return (
        f"Boxes of sequences, against the first frame of each: centres {drift['shift']:.1%} of the image away, areas "
        f"different by a factor of {drift['area_factor']:.2f} (medians), {drift['lost_share']:.0%} no longer seen."
    )
