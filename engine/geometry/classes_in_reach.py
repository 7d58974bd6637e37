# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits a target to the classes that the scene can show, and says which ones it leaves out and why."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs

from ..errors import UnreachableError
from ..goals import Boxes, Reach

log = logging.getLogger(__name__)

T = TypeVar("T")


def fit_in_reach(
    target: Any,
    real: Mapping[str, Boxes],
    reach: Mapping[str, Reach],
    fit: Callable[[Any, Mapping[str, Boxes]], T],
) -> T:
    """Fit a target without the classes that are out of reach, each of which is named in a warning.

    Parameters
    ----------
    target : target plugin
    real : mapping
        Class name to real boxes.
    reach : mapping
        What boxes the scene can show, by class.
    fit : callable
        Fits a target, which names the classes that are left, to real boxes of these.

    Raises
    ------
    UnreachableError
        No class is left.
    """
    names = target.handled_classes(list(real))
    lost = {name: reach[name].reason for name in names if name in reach and reach[name].reason}
    while True:
        left = [name for name in names if name not in lost]
        if lost and not left:
            raise UnreachableError(" ".join(lost.values()))
        try:
            fitted = fit(*_without(target, real, left)) if lost else fit(target, real)
        except UnreachableError as error:
            if error.class_name not in left:
                raise
            lost[error.class_name] = str(error)
            continue
        for name, reason in lost.items():
            log.warning("The class '%s' is left out of the target: %s", name, reason)
        return fitted


def _without(target: Any, real: Mapping[str, Boxes], left: list[str]) -> tuple[Any, dict[str, Boxes]]:
    """A target for the classes that are left, and their real boxes."""
    has_classes = "classes" in attrs.fields_dict(type(target))
    kept = {name: boxes for name, boxes in real.items() if name in left}
    return (attrs.evolve(target, classes=left) if has_classes else target), kept
