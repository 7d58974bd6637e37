# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks as Label Studio's brush writes them: runs of a picture's red, green, blue and alpha values, as a bit stream.

The layout is that of ``label_studio_sdk.converter.brush``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...engine.errors import DataError

_CHANNELS = 4
_WORD_BITS = 8
_RUN_BITS = (3, 6, 10, 16)
"""How many bits the lengths of runs take; each run says which of these it is."""


def encode_brush(mask: np.ndarray) -> list[int]:
    """The bytes of a mask (H, W) bool; marked pixels are opaque white."""
    flat = np.asarray(mask, bool).ravel()
    ends = np.flatnonzero(np.concatenate([flat[1:] != flat[:-1], [True]])) + 1
    lengths = np.diff(np.concatenate([[0], ends])) * _CHANNELS
    bits = [_bits(flat.size * _CHANNELS, 32), _bits(_WORD_BITS - 1, 5), *(_bits(n - 1, 4) for n in _RUN_BITS)]
    for end, length in zip(ends.tolist(), lengths.tolist(), strict=True):
        value = _bits(255 if flat[end - 1] else 0, _WORD_BITS)
        while length > 0:
            which = next((k for k, n in enumerate(_RUN_BITS) if length <= 1 << n), len(_RUN_BITS) - 1)
            taken = min(length, 1 << _RUN_BITS[which])
            bits.append(f"1{_bits(which, 2)}{_bits(taken - 1, _RUN_BITS[which])}{value}")
            length -= taken
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return [int(text[k : k + 8], 2) for k in range(0, len(text), 8)]


def decode_brush(data: Sequence[int], height: int, width: int) -> np.ndarray:
    """The mask (H, W) bool of such bytes: pixels that are not fully transparent.

    Raises
    ------
    DataError
        Where they are no such stream, or of another image size.
    """
    problem = DataError("A brush region of Label Studio has an 'rle' that is damaged, or of another image size.")
    try:
        text = np.unpackbits(np.array(data, dtype=np.uint8))
    except (OverflowError, TypeError, ValueError):
        raise problem from None
    place = 0

    def read(bits: int) -> int:
        nonlocal place
        if place + bits > len(text):
            raise problem
        value = int("".join("1" if bit else "0" for bit in text[place : place + bits]) or "0", 2)
        place += bits
        return value

    count, word = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    if count != height * width * _CHANNELS:
        raise problem
    out = np.zeros(count, np.uint8)
    done = 0
    while done < count:
        is_run = read(1)
        end = done + 1 + read(sizes[read(2)])
        if end > count:
            raise problem
        if is_run:
            out[done:end] = min(read(word), 255)
        else:
            out[done:end] = [min(read(word), 255) for _ in range(end - done)]
        done = end
    return out.reshape(height, width, _CHANNELS)[..., _CHANNELS - 1] > 0


def _bits(value: int, count: int) -> str:
    return format(value, f"0{count}b")
