# SPDX-License-Identifier: GPL-3.0-or-later
"""32-bit numbers, as Blender's properties hold them."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

INT_MAX = 2**31 - 1


def to_float32(value: float) -> float:
    """The nearest 32-bit float; inf beyond its range."""
    try:
        return struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)


def shortest_decimal(value: float, held: Callable[[float], float] = float) -> float:
    """The decimal with the fewest digits that Blender holds as this 32-bit ``value``.

    Parameters
    ----------
    value : float
        What the property holds.
    held : callable
        What the property holds for a decimal before rounding to 32 bits: radians for degrees.
    """
    inverse = math.degrees(value) if held is math.radians else value
    for digits in range(1, 17):
        guess = float(f"{inverse:.{digits}g}")
        if to_float32(held(guess)) == value:
            return guess
    return inverse
