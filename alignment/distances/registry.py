# SPDX-License-Identifier: GPL-3.0-or-later
"""All declared two-sample distances: the one place where comparisons, rankings, reports and commands look them up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ...engine.errors import DataError
from .builtin import BUILTIN
from .distance import Distance

PRIMARY = BUILTIN[0].name
"""The method's own distance [Zhang2023, §3]: charts show it, and rankings and tuning use it by default."""

_DECLARED: dict[str, Distance] = {distance.name: distance for distance in BUILTIN}


def all_distances(*, categories: bool = False) -> tuple[Distance, ...]:
    """The declared distances in the order of tables; for ``categories``, those that need no order of the values."""
    return tuple(distance for distance in _DECLARED.values() if not (categories and distance.ordered))


def find_distance(name: str) -> Distance:
    """The declaration of a distance.

    Raises
    ------
    DataError
        Where there is none of that name.
    """
    if name not in _DECLARED:
        raise DataError(f"There is no distance '{name}'. Distances: {', '.join(_DECLARED)}.")
    return _DECLARED[name]


def register(distance: Distance) -> None:
    """Declare a distance for this process.

    Raises
    ------
    ValueError
        Where a distance of that name is declared already.
    """
    if distance.name in _DECLARED:
        raise ValueError(f"A distance '{distance.name}' is declared already. Give the new one another name.")
    _DECLARED[distance.name] = distance


def unregister(name: str) -> None:
    """Take back what :func:`register` declared."""
    del _DECLARED[name]


@contextmanager
def registered(*new: Distance) -> Iterator[None]:
    """Declare distances for the length of a ``with`` block."""
    done: list[str] = []
    try:
        for distance in new:
            register(distance)
            done.append(distance.name)
        yield
    finally:
        for name in done:
            unregister(name)
