# SPDX-License-Identifier: GPL-3.0-or-later
"""All declared two-sample distances: the one place where comparisons, rankings, reports and commands look them up."""

from __future__ import annotations

from ...engine.errors import DataError
from ...engine.plugin.declarations import Declarations
from .builtin import BUILTIN
from .distance import Distance

PRIMARY = BUILTIN[0].name
"""The method's own distance [Zhang2023, §3]: charts show it, and rankings and tuning use it by default."""

_DECLARED = Declarations[Distance](BUILTIN, "distance")
register, unregister, registered = _DECLARED.register, _DECLARED.unregister, _DECLARED.registered


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
