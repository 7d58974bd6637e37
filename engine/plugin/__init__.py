# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plugin is declared with: everything that an author of plugins imports, besides ``stage`` and ``goals``."""

from .columns import Column
from .contract import CONTRACT, KINDS, plugin
from .finished_dataset import CONTENTS, DatasetFiles, FinishedDataset
from .gate import Draft, Gate
from .kinds import (
    Appearance,
    Camera,
    Effect,
    Filter,
    FittedTarget,
    Metric,
    Placement,
    SurfaceRules,
    Target,
    Writer,
)
from .params import Range, param
from .results import ACCEPTED, Columns, Rejected, Verdict

__all__ = [
    "ACCEPTED",
    "CONTENTS",
    "CONTRACT",
    "KINDS",
    "Appearance",
    "Camera",
    "Column",
    "Columns",
    "DatasetFiles",
    "Draft",
    "Effect",
    "Filter",
    "FinishedDataset",
    "FittedTarget",
    "Gate",
    "Metric",
    "Placement",
    "Range",
    "Rejected",
    "SurfaceRules",
    "Target",
    "Verdict",
    "Writer",
    "param",
    "plugin",
]
