# SPDX-License-Identifier: GPL-3.0-or-later
"""The real boxes that a target learns from, class by class, and which of them the scene can show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import numpy as np

from ..engine.errors import DataError, UnreachableError
from ..engine.goals import Boxes

SUPPORT = 2.0
"""Goals lie within this factor of the smallest and largest real area: tails beyond are the Gaussians' own."""


@attrs.frozen(eq=False)
class RealClass:
    """One class: its real boxes, and the relative areas that the scene can show."""

    name: str
    boxes: Boxes
    reach: tuple[float, float]

    @property
    def reachable(self) -> np.ndarray:
        """Which real boxes (N,) have an area in reach."""
        return (self.boxes.area >= self.reach[0]) & (self.boxes.area <= self.reach[1])


def class_names(classes: Sequence[str], real: Mapping[str, Boxes]) -> list[str]:
    """The classes asked for, each once, or all that have real boxes; DataError where there is none."""
    names = list(dict.fromkeys(classes)) or list(real)
    if not names:
        raise DataError("The target has no class to learn: the real annotations hold none of the recipe's classes.")
    return names


def real_class(
    name: str, boxes: Boxes | None, reach: tuple[float, float] | None, min_real: int, *, remedy: str, where: str = ""
) -> RealClass:
    """A class with enough real boxes, some of them in reach.

    Parameters
    ----------
    reach : (low, high), optional
        Relative areas that the scene can show; None reaches everything.
    min_real : int
        Fewest real boxes that are enough.
    remedy : str
        What can be done where there are fewer.
    where : str
        Among which images they were looked for, where not among all.

    Raises
    ------
    DataError
        When there is no real box, or fewer than ``min_real``.
    UnreachableError
        When no real box is in reach.
    """
    count = 0 if boxes is None else len(boxes)
    if boxes is None or count < min_real:
        found = "no box" if not count else f"only {count} of at least {min_real} boxes"
        raise DataError(f"The real annotations have {found} of class '{name}'{where}; {remedy}.")
    low, high = (0.0, 1.0) if reach is None else (max(0.0, float(reach[0])), min(1.0, float(reach[1])))
    found_class = RealClass(name, boxes, (low, high))
    if not found_class.reachable.any():
        raise UnreachableError(
            f"No real box of class '{name}' can be reached in this scene: real boxes take {boxes.area.min():.2%} to "
            f"{boxes.area.max():.2%} of the image, the scene can show {low:.2%} to {high:.2%}; change the assets' "
            "size, the room or the camera's distance and lens."
        )
    return found_class
