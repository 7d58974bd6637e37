# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers and quantities as plots, tables and commands print them."""

from __future__ import annotations

import math

from ...alignment.columns.registry import find_column

DASH = "\N{EN DASH}"
"""Printed where there is no number."""


def format_number(value: float) -> str:
    """Three decimals, or as many digits as are needed to tell small and large values apart."""
    if not math.isfinite(value):
        return "inf"
    return f"{value:.3f}" if value == 0 or 0.01 <= value < 10 else f"{value:.2g}" if value < 0.01 else f"{value:.4g}"


def format_quantity(column: str, value: float) -> str:
    """A value of a column: shares in per cent, metres with their unit."""
    if not math.isfinite(value):
        return DASH
    declared = find_column(column)
    if declared.kind == "share":
        return f"{100 * value:.3g}%"
    return f"{value:.3g} m" if declared.unit == "m" else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
