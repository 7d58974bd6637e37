# SPDX-License-Identifier: GPL-3.0-or-later
"""Distance of each instance: one number from the depth map under its mask."""

from __future__ import annotations

from ...alignment.columns.id_map import STATISTICS, depths_under, extents
from ...alignment.columns.registry import builtin_columns
from ...engine.plugin import Columns, param, plugin
from ...engine.stage import Shot


@plugin("metric")
class Depth:
    """Measure one planar depth in metres under each instance's visible mask.

    The median is the default because a few pixels seen through gaps of a chair's
    back, or a corner much nearer than the rest, move the mean and the minimum but not the median.
    """

    columns = builtin_columns("depth")

    used_by_default = "always"
    measures_probes = True

    statistic: str = param("median", choices=tuple(STATISTICS), doc="Statistic of the depths of all pixels")

    def measure(self, shot: Shot) -> Columns:
        """See the class."""
        instance_ids = [instance.id for instance in shot.instances]
        _, boxes = extents(shot.labels.ids, instance_ids)
        return Columns(
            bbox={"depth": depths_under(shot.labels.ids, shot.labels.depth, instance_ids, boxes, self.statistic)}
        )
