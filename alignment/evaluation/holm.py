# SPDX-License-Identifier: GPL-3.0-or-later
"""Holm's correction for several tests at once."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number, in the same order [Holm, *Scandinavian Journal of Statistics* 6 (1979)]."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, k in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * float(p_values[k])))
        adjusted[k] = highest
    return adjusted
