# SPDX-License-Identifier: GPL-3.0-or-later
"""Name of the asset of each instance."""

from __future__ import annotations

from ...alignment.columns.id_map import extents
from ...alignment.columns.registry import builtin_columns
from ...engine.plugin import Columns, plugin
from ...engine.stage import Shot


@plugin("metric")
class Shape:
    """Record the unique name of each instance's asset."""

    columns = builtin_columns("shape")

    used_by_default = "always"
    measures_probes = True

    def measure(self, shot: Shot) -> Columns:
        """See the class."""
        counts, _ = extents(shot.labels.ids, [instance.id for instance in shot.instances])
        names = [i.asset.name if seen else None for i, seen in zip(shot.instances, counts, strict=True)]
        return Columns(bbox={"shape": names})
