# SPDX-License-Identifier: GPL-3.0-or-later
"""The visible box of each instance, in pixels and in image units."""

from __future__ import annotations

import numpy as np

from ...alignment.columns.id_map import extents
from ...alignment.columns.registry import builtin_columns
from ...engine.plugin import Columns, plugin
from ...engine.stage import Shot


@plugin("metric")
class BBox:
    """Measure area, aspect ratio, centre and truncation of each visible box.

    It also gives ``bbox`` [x, y, w, h], the exact extent of the visible mask in pixels. Here, ``touches_border`` says
    whether the visible mask has a pixel on the border.
    """

    columns = builtin_columns(
        "bbox_area", "aspect", "center_x", "center_y", "truncated_share", "truncated", "touches_border"
    )

    used_by_default = "always"
    measures_probes = True

    def measure(self, shot: Shot) -> Columns:
        """See the class."""
        height, width = shot.labels.ids.shape
        wanted = [instance.id for instance in shot.instances]
        counts, boxes = extents(shot.labels.ids, wanted)
        seen = counts > 0
        x, y, w, h = boxes.T.astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            aspect = np.where(seen, w / h, np.nan)
        truncated = np.full(len(wanted), np.nan)
        for i, id in enumerate(wanted):
            alone = shot.amodal.get(id)
            if seen[i] and alone is not None and alone.pixels > 0:
                truncated[i] = 1.0 - np.count_nonzero(alone.mask) / alone.pixels
        border = (boxes[:, 0] == 0) | (boxes[:, 1] == 0)
        border |= (boxes[:, 0] + boxes[:, 2] == width) | (boxes[:, 1] + boxes[:, 3] == height)
        return Columns(
            bbox={
                "bbox": [box.tolist() if s else None for box, s in zip(boxes, seen, strict=True)],
                "bbox_area": np.where(seen, w * h / (width * height), np.nan),
                "aspect": aspect,
                "center_x": np.where(seen, (x + w / 2) / width, np.nan),
                "center_y": np.where(seen, (y + h / 2) / height, np.nan),
                "truncated_share": truncated,
                "truncated": [None if np.isnan(t) else bool(t > 0) for t in truncated],
                "touches_border": [bool(b) if s else None for b, s in zip(border, seen, strict=True)],
            }
        )
