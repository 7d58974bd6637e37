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
        instance_ids = [instance.id for instance in shot.instances]
        counts, boxes = extents(shot.labels.ids, instance_ids)
        is_visible = counts > 0
        x, y, w, h = boxes.T.astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            aspect = np.where(is_visible, w / h, np.nan)
        truncated = np.full(len(instance_ids), np.nan)
        for i, id in enumerate(instance_ids):
            amodal = shot.amodal.get(id)
            if is_visible[i] and amodal is not None and amodal.pixels > 0:
                truncated[i] = 1.0 - np.count_nonzero(amodal.mask) / amodal.pixels
        border = (boxes[:, 0] == 0) | (boxes[:, 1] == 0)
        border |= (boxes[:, 0] + boxes[:, 2] == width) | (boxes[:, 1] + boxes[:, 3] == height)
        return Columns(
            bbox={
                "bbox": [box.tolist() if s else None for box, s in zip(boxes, is_visible, strict=True)],
                "bbox_area": np.where(is_visible, w * h / (width * height), np.nan),
                "aspect": aspect,
                "center_x": np.where(is_visible, (x + w / 2) / width, np.nan),
                "center_y": np.where(is_visible, (y + h / 2) / height, np.nan),
                "truncated_share": truncated,
                "truncated": [None if np.isnan(t) else bool(t > 0) for t in truncated],
                "touches_border": [bool(b) if s else None for b, s in zip(border, is_visible, strict=True)],
            }
        )
