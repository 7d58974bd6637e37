# SPDX-License-Identifier: GPL-3.0-or-later
"""Rounding to significant decimal digits, a million numbers at once."""

from __future__ import annotations

import numpy as np

from .atomic_files import SIGNIFICANT_DIGITS

_MAX_EXACT_POWER = 22
"""Floats hold powers of ten exactly up to this one."""


def round_significant(values: np.ndarray) -> np.ndarray:
    """Floats (N,) rounded to :data:`.atomic_files.SIGNIFICANT_DIGITS`, the same as by way of text; -0.0 becomes 0.0.

    Values are scaled to whole numbers of that many digits. The quotient of two numbers that floats hold exactly is the
    float nearest to it, as text gives it. Only where scaling might have rounded a value to the other side, or the power
    of ten is inexact, does the text decide.
    """
    values = np.asarray(values, dtype=np.float64)
    with np.errstate(all="ignore"):
        exponent = SIGNIFICANT_DIGITS - 1 - np.floor(np.log10(np.abs(values)))
        usable = (exponent >= 0) & (exponent <= _MAX_EXACT_POWER)
        power = np.array([float(10**k) for k in range(_MAX_EXACT_POWER + 1)])[np.where(usable, exponent, 0).astype(int)]
        scaled = values * power
        whole = np.rint(scaled)
        size = np.abs(whole)
        usable &= (size >= 10 ** (SIGNIFICANT_DIGITS - 1)) & (size < 10**SIGNIFICANT_DIGITS)
        usable &= np.abs(np.abs(scaled - whole) - 0.5) > 1e-5
        rounded = whole / power + 0.0
    for k in np.flatnonzero(~usable & np.isfinite(values) & (values != 0)).tolist():
        rounded[k] = float(f"{values[k]:.{SIGNIFICANT_DIGITS}g}") + 0.0
    rounded[values == 0] = 0.0
    return np.where(np.isfinite(values), rounded, values)
