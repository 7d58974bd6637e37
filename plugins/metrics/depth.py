# SPDX-License-Identifier: GPL-3.0-or-later
"""How far away each instance is: one number from the depth map under its mask."""

from __future__ import annotations

from ...alignment.columns.id_map import STATISTICS, depths_under, extents
from ...engine.plugin import Columns, param, plugin
from ...engine.stage import Shot


@plugin("metric")
class Depth:
    """Read one planar depth in metres under each instance's visible mask.

    Column per instance: ``depth``. The median is the default because a few pixels seen through gaps of a chair's
    back, or a corner much nearer than the rest, move the mean and the minimum but not the median.
    """

    used_by_default = "always"
    measures_probes = True

    statistic: str = param("median", choices=tuple(STATISTICS), doc="How the depths of all pixels make one number")

    def measure(self, shot: Shot) -> Columns:
        """See the class."""
        wanted = [instance.id for instance in shot.instances]
        _, boxes = extents(shot.labels.ids, wanted)
        return Columns(bbox={"depth": depths_under(shot.labels.ids, shot.labels.depth, wanted, boxes, self.statistic)})
