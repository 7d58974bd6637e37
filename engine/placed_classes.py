# SPDX-License-Identifier: GPL-3.0-or-later
"""Which classes a placement places, and how many instances of them a frame has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .errors import StageError
from .stage import Stage


def placed_classes(stage: Stage, classes: Sequence[str], distractors: bool, owner: str) -> list[str]:
    """Classes that a placement places: those named, or all annotated ones; "" for distractors.

    Parameters
    ----------
    classes : sequence of str
        Names of classes; if empty, all annotated ones, or only distractors where these are placed.
    distractors : bool
        Whether distractors are placed, too.
    owner : str
        The placement in messages.

    Raises
    ------
    StageError
        If a named class has no asset, or nothing is left to place.
    """
    class_names = [name for name, assets in stage.assets.items() if name and assets]
    for name in classes:
        if name not in class_names:
            raise StageError(
                f"{owner} names the class '{name}', but no asset has it. "
                f"Classes with assets: {', '.join(class_names) or 'none'}."
            )
    chosen = list(classes) if classes or distractors else class_names
    if distractors and stage.assets.get(""):
        chosen.append("")
    if not chosen:
        what = "distractors" if distractors else "assets"
        raise StageError(f"{owner} finds no {what} to place. Add some to the recipe.")
    return chosen


def draw_count(count: tuple[int, int], main: str | None, classes: Sequence[str], rng: np.random.Generator) -> int:
    """How many instances a frame gets: at least one where the main one is of these classes."""
    number = int(rng.integers(count[0], count[1] + 1))
    return max(number, 1) if main in classes else number


def check_count(name: str, count: tuple[int, int] | None) -> None:
    """Raise ValueError where a range of counts is not [minimum, maximum]."""
    if count is not None and count[0] > count[1]:
        raise ValueError(f"'{name}' must be [minimum, maximum]. Got {list(count)} instead.")
