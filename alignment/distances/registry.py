# SPDX-License-Identifier: GPL-3.0-or-later
"""All declared two-sample distances: the one place where comparisons, rankings, reports and commands look them up."""

from __future__ import annotations

from ...engine.errors import DataError
from ...engine.plugin.declarations import Declarations
from .builtin import BUILTIN, BUILTIN_OF_FEATURES
from .distance import Distance
from .feature_distance import FeatureDistance

PRIMARY = BUILTIN[0].name
"""The method's own distance [Zhang2023, §3]: charts show it, and rankings and tuning use it by default."""

_DECLARED = Declarations[Distance](BUILTIN, "distance")
register, unregister, registered = _DECLARED.register, _DECLARED.unregister, _DECLARED.registered

_OF_FEATURES = Declarations[FeatureDistance](BUILTIN_OF_FEATURES, "feature distance")
register_of_features, registered_of_features = _OF_FEATURES.register, _OF_FEATURES.registered


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


def all_feature_distances() -> tuple[FeatureDistance, ...]:
    """The declared distances between sets of features in the order of tables."""
    return tuple(_OF_FEATURES.values())


def find_feature_distance(name: str) -> FeatureDistance:
    """The declaration of a distance between sets of features.

    Raises
    ------
    DataError
        Where there is none of that name.
    """
    for distance in _OF_FEATURES.values():
        if distance.name == name:
            return distance
    raise DataError(f"There is no feature distance '{name}'. They are: {', '.join(_OF_FEATURES)}.")
