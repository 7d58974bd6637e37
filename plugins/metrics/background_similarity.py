# SPDX-License-Identifier: GPL-3.0-or-later
"""Similarity of each instance to its surroundings, as defined in [Zhang2023, §2]."""

from __future__ import annotations

import numpy as np

from ...alignment.columns.background_similarity import background_similarity
from ...alignment.columns.id_map import crop, extents
from ...alignment.columns.registry import builtin_columns
from ...engine.plugin import Columns, plugin
from ...engine.stage import Shot


@plugin("metric")
class BackgroundSimilarity:
    """Compare the colours along each instance's outline with those of the background next to it.

    ``background_similarity`` is the cosine of two vectors: RGB of the object's boundary pixels, concatenated, and RGB
    of the background pixels next to them in the same order; boundary and neighbours come from a 3x3 dilation of the
    visible mask. 1 means equal colours; NaN if it fills the image.
    """

    columns = builtin_columns("background_similarity")

    used_by_default = "always"

    def measure(self, shot: Shot) -> Columns:
        """See the class."""
        ids = shot.labels.ids
        instance_ids = [instance.id for instance in shot.instances]
        counts, boxes = extents(ids, instance_ids)
        values = np.full(len(instance_ids), np.nan)
        for i, id in enumerate(instance_ids):
            if counts[i]:
                window = crop(boxes[i], ids.shape, margin=2)
                values[i] = background_similarity(shot.image[window], ids[window] == id)
        return Columns(bbox={"background_similarity": values})
