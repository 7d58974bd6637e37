# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes tiny instances out of the picture, marks them to be ignored, or rejects their frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...alignment.columns.id_map import extents
from ...engine.plugin import Verdict, param, plugin
from ...engine.stage import Shot

REMOVE, IGNORE, REJECT, DROP = ACTIONS = ("remove instance", "ignore", "reject frame", "drop annotation")
"""What happens to an instance that is too small."""


@plugin("filter")
class MinPixels:
    """Leave out instances with too few visible pixels, so that none stays in a picture unlabelled [Zhang2023, §4].

    A detector learns from whatever is in a picture, labelled or not: things too small to be learned must not be there
    without a label. By default such an instance is taken out of the picture. If that is the main instance or leaves
    nothing to annotate, the attempt is rejected.
    """

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
        "remove instance",
        choices=ACTIONS,
        doc="What happens to an instance below: it is taken out of the picture; its annotation is marked as one to "
        "ignore (iscrowd in COCO); the frame is rejected; or it stays in the picture without annotation",
    )

    used_by_default = "always"

    @property
    def probes_amodal(self) -> bool:
        """Visible shares decide what is taken out of the picture, which is done before the render."""
        return self.min_visible_share > 0 and self.action == REMOVE

    judges_probes = True
    """Ids are enough for it, so the engine asks it before it pays for the render, too."""

    def judge(self, shot: Shot, rows: Sequence[Mapping[str, Any]]) -> Verdict:
        """An instance without any visible pixel is not in the picture, so it never rejects a frame."""
        counts, _ = extents(shot.labels.ids, [instance.id for instance in shot.instances])
        dropped: dict[int, str] = {}
        in_picture: set[int] = set()
        for instance, count in zip(shot.instances, counts.tolist(), strict=True):
            reason = self._reason(shot, instance.id, count)
            if not reason:
                continue
            if self.action == REJECT and count:
                return Verdict(False, reason)
            dropped[instance.id] = reason
            if count:
                in_picture.add(instance.id)
        found = frozenset(in_picture)
        # The first reason stands for all where several differ: a verdict has one.
        return Verdict(
            True,
            next(iter(dropped.values()), ""),
            frozenset(dropped),
            removed=found if self.action == REMOVE else frozenset(),
            ignored=found if self.action == IGNORE else frozenset(),
        )

    def _reason(self, shot: Shot, id: int, count: int) -> str:
        if count < self.pixels:
            return f"instance under {self.pixels} pixels"
        amodal = shot.amodal.get(id)
        if amodal is not None and count < self.min_visible_share * amodal.pixels:
            return f"instance less than {self.min_visible_share:g} visible"
        return ""
