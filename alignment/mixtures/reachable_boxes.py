# SPDX-License-Identifier: GPL-3.0-or-later
"""The real boxes that a target is fitted to, class by class, and which of them the scene can show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import numpy as np

from ...engine.errors import DataError, UnreachableError
from ...engine.goals import Boxes, Reach
from .box_density import as_arrays

SUPPORT = 2.0
"""Goals lie within this factor of the smallest and largest real area: tails beyond are the Gaussians' own."""


@attrs.frozen(eq=False)
class RealClass:
    """One class: its real boxes, and what boxes the scene can show."""

    name: str
    boxes: Boxes
    reach: Reach

    @property
    def reachable(self) -> np.ndarray:
        """Which real boxes (N,) have an area in reach."""
        return (self.boxes.area >= self.reach.area[0]) & (self.boxes.area <= self.reach.area[1])

    def has_reachable_aspect(self, image_aspect: float) -> np.ndarray:
        """Which real boxes (N,) have an aspect in reach; boxes that a border cuts always do."""
        return as_arrays(self.boxes, image_aspect).has_reachable_aspect(self.reach.aspect)

    def area_note(self) -> str:
        """A sentence on real boxes that are too small or too large for the scene; empty if there is none."""
        lost, span = self.boxes.area[~self.reachable], self.reach.area
        if not len(lost):
            return ""
        theirs = _beyond(lost, span, "smaller", "larger", ".2%")
        return (
            f"{len(lost)} of {len(self.boxes)} real boxes of '{self.name}' are out of reach: the scene shows "
            f"{span[0]:.2%} to {span[1]:.2%} of the image, theirs are {theirs}."
        )

    def aspect_note(self, image_aspect: float) -> str:
        """A sentence on real boxes with aspects that the scene does not show whole; empty if there is none."""
        lost, span = self.boxes.aspect[~self.has_reachable_aspect(image_aspect)], self.reach.aspect
        if not len(lost):
            return ""
        theirs = _beyond(lost, span, "narrower", "wider", ".2f")
        return (
            f"{len(lost)} of {len(self.boxes)} real boxes of '{self.name}' have a shape that the scene does not show "
            f"whole: its boxes are {span[0]:.2f} to {span[1]:.2f} times as wide as high, theirs are {theirs}."
        )


def _beyond(values: np.ndarray, span: tuple[float, float], below: str, above: str, form: str) -> str:
    """The values on either side of an interval, in words."""
    parts = []
    for side, there in ((below, values[values < span[0]]), (above, values[values > span[1]])):
        ends = dict.fromkeys(f"{v:{form}}" for v in np.sort(there)[[0, -1]]) if len(there) else ()
        if ends:
            parts.append(f"{side} ({' to '.join(ends)})")
    return " or ".join(parts)


def class_names(classes: Sequence[str], real: Mapping[str, Boxes]) -> list[str]:
    """The classes asked for, each once, or all that have real boxes; DataError where there is none."""
    names = list(dict.fromkeys(classes)) or list(real)
    if not names:
        raise DataError("The target has no class to learn: the real annotations hold none of the recipe's classes.")
    return names


def real_class(
    name: str, boxes: Boxes | None, reach: Reach | None, min_real: int, *, remedy: str, where: str = ""
) -> RealClass:
    """A class with enough real boxes, some of them in reach.

    Parameters
    ----------
    reach : Reach, optional
        What boxes the scene can show; None reaches everything.
    min_real : int
        Fewest real boxes.
    remedy : str
        What to do if there are fewer.
    where : str
        Images that were searched, if not all.

    Raises
    ------
    DataError
        When there is no real box, or fewer than ``min_real``.
    UnreachableError
        When no real box has an area in reach.
    """
    count = 0 if boxes is None else len(boxes)
    if boxes is None or count < min_real:
        found = "no box" if not count else f"only {count} of at least {min_real} boxes"
        raise DataError(f"The real annotations have {found} of class '{name}'{where}; {remedy}.")
    found_class = RealClass(name, boxes, Reach() if reach is None else reach)
    if not found_class.reachable.any():
        low, high = found_class.reach.area
        raise UnreachableError(
            f"No real box of class '{name}' can be reached in this scene: real boxes take {boxes.area.min():.2%} to "
            f"{boxes.area.max():.2%} of the image, the scene can show {low:.2%} to {high:.2%}; change the assets' "
            "size, the room or the camera's distance and lens.",
            name,
        )
    return found_class
