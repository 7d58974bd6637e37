# SPDX-License-Identifier: GPL-3.0-or-later
"""Designs of experiments: a grid for few parameters, a scrambled Sobol sequence for many."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...engine.errors import DataError

DESIGNS = ("auto", "grid", "sobol")

MIN_LEVELS = 3
"""With fewer levels of a parameter in a grid, ``auto`` takes Sobol points."""


def points(
    levels: Sequence[int], max_levels: Sequence[int | None], count: int, *, design: str = "auto", seed: int = 0
) -> tuple[np.ndarray, np.ndarray, str]:
    """Points of the unit cube.

    Parameters
    ----------
    levels : sequence of int
        Levels of each parameter in a grid; 0 leaves that to ``count``.
    max_levels : sequence of int or None
        Number of different values of each parameter; None if it is unlimited.
    count : int
        Number of points. A grid may have fewer.
    design : str
        ``grid``; ``sobol``; or ``auto``, which takes a grid where each parameter gets :data:`MIN_LEVELS` of them, or
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
        Description of the design.

    Raises
    ------
    DataError
        If the requested levels make a larger grid than ``count``, or the design is unknown.
    """
    if design not in DESIGNS:
        raise DataError(f"'{design}' is not a design. Designs: {', '.join(DESIGNS)}.")
    grid = _grid_levels(levels, max_levels, count)
    has_enough_levels = all(
        requested or n >= min(MIN_LEVELS, m or MIN_LEVELS)
        for requested, n, m in zip(levels, grid, max_levels, strict=True)
    )
    if design == "grid" or (design == "auto" and has_enough_levels and math.prod(grid) <= count):
        if math.prod(grid) > count:
            raise DataError(
                f"A grid of {' x '.join(map(str, grid))} has {math.prod(grid)} configurations, more than {count}. "
                "Ask for more configurations, for fewer levels, or for the design 'sobol'."
            )
        axes = [(np.arange(n) + 0.5) / n for n in grid]
        design_points = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=-1)
        return design_points, 1.0 / np.array(grid), f"a grid of {' x '.join(map(str, grid))}"
    from scipy.stats import qmc

    sampler = qmc.Sobol(len(max_levels), scramble=True, seed=np.random.default_rng(seed))
    # Only powers of two are balanced; taking the first of them keeps most of that.
    design_points = sampler.random_base2(max(0, math.ceil(math.log2(count))))[:count]
    wide = max(MIN_LEVELS, round(count ** (1 / len(max_levels))))
    return design_points, np.array([1.0 / (n or wide) for n in levels]), f"{count} scrambled Sobol points"


def _grid_levels(levels: Sequence[int], max_levels: Sequence[int | None], count: int) -> list[int]:
    """Levels of each parameter: those requested; of the others as many as ``count`` allows, as equal as possible."""
    grid = [n or 1 for n in levels]
    free = [i for i, n in enumerate(levels) if not n]
    while free:
        i = min(free, key=lambda k: (grid[k], k))
        grid[i] += 1
        if math.prod(grid) > count or grid[i] > (max_levels[i] or grid[i]):
            grid[i] -= 1
            free.remove(i)
    return grid
