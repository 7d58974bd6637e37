# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes annotations of tiny instances, or rejects their frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...alignment.columns.id_map import extents
from ...engine.plugin import Verdict, param, plugin
from ...engine.stage import Shot


@plugin("filter")
class MinPixels:
    """Remove the annotation of instances with too few visible pixels, or reject their frame [Zhang2023, §4]."""

    pixels: int = param(
        50,
        min=1,
        soft_max=1000,
        unit="px²",
        doc="Minimum number of visible pixels of an annotated instance",
        moves={"sqrt_area": "+", "boxes_per_image": "-"},
    )
    min_visible_share: float = param(
        0.0,
        min=0.0,
        max=1.0,
        doc="Minimum visible share of an annotated instance; parts outside the image count as hidden",
        moves={"visible_share": "+"},
    )
    action: str = param(
        "drop annotation",
        choices=("drop annotation", "reject frame"),
        doc="What happens to an instance below: it stays in the image without annotation, or the frame is rejected",
    )

    used_by_default = "always"

    judges_probes = True
    """Ids are enough for it, so the engine asks it before it pays for the render, too."""

    def judge(self, shot: Shot, rows: Sequence[Mapping[str, Any]]) -> Verdict:
        """An instance without any visible pixel is not in the picture, so it never rejects a frame."""
        counts, _ = extents(shot.labels.ids, [instance.id for instance in shot.instances])
        dropped: dict[int, str] = {}
        for instance, count in zip(shot.instances, counts.tolist(), strict=True):
            reason = self._reason(shot, instance.id, count)
            if not reason:
                continue
            if self.action == "reject frame" and count:
                return Verdict(False, reason)
            dropped[instance.id] = reason
        # The first reason stands for all where several differ: a verdict has one.
        return Verdict(True, next(iter(dropped.values()), ""), frozenset(dropped))

    def _reason(self, shot: Shot, id: int, count: int) -> str:
        if count < self.pixels:
            return f"instance under {self.pixels} pixels"
        amodal = shot.amodal.get(id)
        if amodal is not None and count < self.min_visible_share * amodal.pixels:
            return f"instance less than {self.min_visible_share:g} visible"
        return ""
