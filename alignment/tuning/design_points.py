# SPDX-License-Identifier: GPL-3.0-or-later
"""Where to try a generator: points of a grid for few parameters, of a scrambled Sobol sequence for many."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...engine.errors import DataError

DESIGNS = ("auto", "grid", "sobol")

LEAST_LEVELS = 3
"""A grid with fewer levels of a parameter says little of it; ``auto`` turns to Sobol points then."""


def points(
    levels: Sequence[int], most: Sequence[int | None], count: int, *, design: str = "auto", seed: int = 0
) -> tuple[np.ndarray, np.ndarray, str]:
    """Points of the unit cube.

    Parameters
    ----------
    levels : sequence of int
        Levels of each parameter in a grid; 0 leaves that to ``count``.
    most : sequence of int or None
        How many different values each parameter has; None where there is no end of them.
    count : int
        How many points are wanted. A grid may have fewer.
    design : str
        ``grid``; ``sobol``; or ``auto``, which takes a grid where each parameter gets :data:`LEAST_LEVELS` of them, or
        all its values, or what ``levels`` asks for.
    seed : int
        Seed of the scrambling.

    Returns
    -------
    (n, d) float
        Points, each the middle of its cell in a grid.
    (d,) float
        Width of a cell along each parameter.
    str
        What the design is, as a sentence.

    Raises
    ------
    DataError
        When the levels asked for make a larger grid than ``count``, or the design is unknown.
    """
    if design not in DESIGNS:
        raise DataError(f"'{design}' is not a design. Designs: {', '.join(DESIGNS)}.")
    grid = _grid_levels(levels, most, count)
    enough = all(
        asked or n >= min(LEAST_LEVELS, m or LEAST_LEVELS) for asked, n, m in zip(levels, grid, most, strict=True)
    )
    if design == "grid" or (design == "auto" and enough and math.prod(grid) <= count):
        if math.prod(grid) > count:
            raise DataError(
                f"A grid of {' x '.join(map(str, grid))} has {math.prod(grid)} configurations, more than {count}. "
                "Ask for more configurations, for fewer levels, or for the design 'sobol'."
            )
        axes = [(np.arange(n) + 0.5) / n for n in grid]
        found = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=-1)
        return found, 1.0 / np.array(grid), f"a grid of {' x '.join(map(str, grid))}"
    from scipy.stats import qmc

    sampler = qmc.Sobol(len(most), scramble=True, seed=np.random.default_rng(seed))
    # Only powers of two are balanced; taking the first of them keeps most of that.
    found = sampler.random_base2(max(0, math.ceil(math.log2(count))))[:count]
    wide = max(LEAST_LEVELS, round(count ** (1 / len(most))))
    return found, np.array([1.0 / (n or wide) for n in levels]), f"{count} scrambled Sobol points"


def _grid_levels(levels: Sequence[int], most: Sequence[int | None], count: int) -> list[int]:
    """Levels of each parameter: those asked for; of the others as many as ``count`` allows, as equally as can be."""
    grid = [n or 1 for n in levels]
    free = [i for i, n in enumerate(levels) if not n]
    while free:
        i = min(free, key=lambda k: (grid[k], k))
        grid[i] += 1
        if math.prod(grid) > count or grid[i] > (most[i] or grid[i]):
            grid[i] -= 1
            free.remove(i)
    return grid
