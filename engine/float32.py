# SPDX-License-Identifier: GPL-3.0-or-later
"""32-bit numbers as in Blender's properties."""

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
    """The shortest decimal that rounds to this 32-bit ``value``.

    Parameters
    ----------
    value : float
        Value of the property.
    held : callable
        Converts a decimal to the property's unit before rounding to 32 bits: radians for degrees.
    """
    inverse = math.degrees(value) if held is math.radians else value
    for digits in range(1, 17):
        guess = float(f"{inverse:.{digits}g}")
        if to_float32(held(guess)) == value:
            return guess
    return inverse
