# SPDX-License-Identifier: GPL-3.0-or-later
"""A digest of a value and everything in it, to see whether two values are equal or one was changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Set
from typing import Any

import attrs
import numpy as np


def digest(value: Any) -> str:
    """The same for equal values: arrays by type, shape and bytes, attrs classes and other objects by their fields."""
    return _digest(value, ()).hex()


def _digest(value: Any, above: tuple[int, ...]) -> bytes:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bytes | int | float | complex):
        return _hash(type(value).__name__, repr(value).encode())
    if id(value) in above:
        return _hash("loop", str(len(above) - above.index(id(value))).encode())
    above = (*above, id(value))
    if isinstance(value, np.ndarray) and value.dtype != object:
        return _hash("array", f"{value.dtype} {value.shape}".encode(), np.ascontiguousarray(value).tobytes())
    if isinstance(value, Mapping):
        pairs = sorted(_digest(k, above) + _digest(v, above) for k, v in value.items())
        return _hash("mapping", *pairs)
    if isinstance(value, Set):
        return _hash("set", *sorted(_digest(v, above) for v in value))
    if isinstance(value, list | tuple | np.ndarray):
        return _hash(type(value).__name__, *(_digest(v, above) for v in value))
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    if isinstance(value, np.random.Generator):
        return _hash(name, _digest(value.bit_generator.state, above))
    if attrs.has(type(value)):
        fields = attrs.fields(type(value))
        return _hash(name, *(f.name.encode() + _digest(getattr(value, f.name), above) for f in fields))
    if hasattr(value, "__dict__") and not isinstance(value, type) and not callable(value):
        return _hash(name, _digest(vars(value), above))
    return _hash(name, getattr(value, "__qualname__", repr(value)).encode())


def _hash(kind: str, *parts: bytes) -> bytes:
    out = hashlib.blake2b(kind.encode(), digest_size=16)
    for part in parts:
        out.update(len(part).to_bytes(8, "little"))
        out.update(part)
    return out.digest()
