# SPDX-License-Identifier: GPL-3.0-or-later
"""What the accepted frames of a block show: all that a frame may depend on of other frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .goals import Boxes


class Block:
    """The history of one block of consecutive frames. Only accepted frames are added, in the order of their index.

    Attributes
    ----------
    images : int
        How many frames there are in it.
    traits : list
        What gates keep of each frame, see :class:`.plugin.Verdict`.
    goal_values : list
        What each frame shows of the recipe's goals for columns, see :mod:`.sampling.column_goals`.
    layout : int or None
        The frame for which the layout was made that the coming views show; None in a recipe without views.
    attempt : int or None
        The attempt (from 0) by which the layout was made that the coming frames share, in a recipe with a sequence, a
        rig or views; None where it was given up.
    before : Block or None
        What there was before the frame for which that layout was made: the coming frames repeat its attempt, and must
        not depend on it.
    """

    def __init__(self) -> None:
        self.images = 0
        self.layout: int | None = None
        self.attempt: int | None = None
        self.before: Block | None = None
        self.traits: list[Sequence[Any]] = []
        self.goal_values: list[Sequence[Sequence[float]]] = []
        self._boxes: dict[str, list[tuple[float, float, float, float, int]]] = {}

    def add(
        self,
        boxes: Iterable[tuple[str, Sequence[float]]],
        size: tuple[int, int],
        traits: Sequence[Any] = (),
        goal_values: Sequence[Sequence[float]] = (),
    ) -> None:
        """Add one accepted frame.

        Parameters
        ----------
        boxes : iterable of (class name, [x, y, w, h])
            Its annotated boxes in pixels.
        size : (width, height)
            Of its image in pixels.
        traits : sequence, optional
            What gates keep of it.
        goal_values : sequence of sequence of float, optional
            Its values of each goal's column.
        """
        width, height = size
        for name, (x, y, w, h) in boxes:
            row = (w * h / (width * height), (x + w / 2) / width, (y + h / 2) / height, w / h, self.images)
            self._boxes.setdefault(name, []).append(row)
        self.images += 1
        if traits:
            self.traits.append(traits)
        if goal_values:
            self.goal_values.append(goal_values)

    def copy(self) -> Block:
        """The history so far, which later frames do not change."""
        out = Block()
        out.images, out.traits, out.goal_values = self.images, list(self.traits), list(self.goal_values)
        out._boxes = {name: list(rows) for name, rows in self._boxes.items()}
        return out

    def boxes(self, class_name: str) -> Boxes:
        """All boxes of a class that the block has shown; ``image`` counts its accepted frames from 0."""
        rows = np.array(self._boxes.get(class_name, ()), dtype=float).reshape(-1, 5)
        return Boxes(rows[:, 0], rows[:, 1:3], rows[:, 3], rows[:, 4].astype(int))
