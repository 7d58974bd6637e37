# SPDX-License-Identifier: GPL-3.0-or-later
"""Standard image statistics of the whole image and of each box."""

from __future__ import annotations

import math

import numpy as np

from ...alignment.columns.id_map import crop, extents
from ...alignment.columns.image_statistics import NAMES, grey, statistics
from ...alignment.columns.registry import builtin_columns
from ...engine.plugin import Columns, plugin
from ...engine.stage import Shot


@plugin("metric")
class ImageQuality:
    """Measure sharpness, blur, entropy, brightness and contrast of the image and of each visible box.

    All are statistics of the luma.
    """

    columns = builtin_columns(*NAMES)

    used_by_default = "always"

    def measure(self, shot: Shot) -> Columns:
        """See the class."""
        luma = grey(shot.image)
        counts, boxes = extents(shot.labels.ids, [instance.id for instance in shot.instances])
        missing = dict.fromkeys(NAMES, math.nan)
        rows = [
            statistics(luma[crop(box, luma.shape)]) if count else missing
            for box, count in zip(boxes, counts, strict=True)
        ]
        return Columns(
            image=statistics(luma),
            bbox={name: np.array([row[name] for row in rows], dtype=float) for name in NAMES},
        )
