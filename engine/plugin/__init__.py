# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plugin is declared with: everything that an author of plugins imports, besides ``stage`` and ``goals``."""

from .contract import (
    ACCEPTED,
    CONTRACT,
    KINDS,
    Appearance,
    Camera,
    Columns,
    Draft,
    Filter,
    FittedTarget,
    Gate,
    Metric,
    Placement,
    Rejected,
    Target,
    Verdict,
    plugin,
)
from .params import Range, param

__all__ = [
    "ACCEPTED",
    "CONTRACT",
    "KINDS",
    "Appearance",
    "Camera",
    "Columns",
    "Draft",
    "Filter",
    "FittedTarget",
    "Gate",
    "Metric",
    "Placement",
    "Range",
    "Rejected",
    "Target",
    "Verdict",
    "param",
    "plugin",
]
