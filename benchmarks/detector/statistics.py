# SPDX-License-Identifier: GPL-3.0-or-later
"""Intervals of AP50 and of its differences: a paired bootstrap over photos, renders and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import numpy as np

from .precision import Matches

RESAMPLES = 4000
LEVEL = 0.95


@attrs.frozen(eq=False)
class Estimate:
    """A value with its interval; ``p`` is that of the bootstrap, two-sided, for no difference."""

    value: float
    low: float
    high: float
    p: float


@attrs.frozen(eq=False)
class Resampled:
    """AP50 of an arm: ``value`` of the photos as they are, ``drawn`` (n,) of resamples, ``each`` (renders, seeds)."""

    value: float
    drawn: np.ndarray
    each: np.ndarray

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        low, high = np.quantile(self.drawn, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)


def photo_draws(sizes: Sequence[int], rng: np.random.Generator, n: int = RESAMPLES) -> list[np.ndarray]:
    """How often each photo of each fold is drawn, (n, photos) per fold: the same for all arms, which pairs them."""
    return [rng.multinomial(size, np.full(size, 1 / size), size=n).astype(float) for size in sizes]


def resample(
    runs: Mapping[tuple[int, int], Sequence[Sequence[Matches]]], draws: Sequence[np.ndarray], rng: np.random.Generator
) -> Resampled:
    """AP50 of an arm over resamples of photos, of its renders, and of the seeds within each render.

    Renders and seeds are drawn with one fewer than there are: the variance of their mean is then right for the few
    that there are, where the usual draw would be too narrow by that share. A single one is kept: then the interval
    says nothing about others.

    Parameters
    ----------
    runs : mapping
        By render and seed: for each fold, the matches of each class.
    draws : sequence
        See :func:`photo_draws`.
    """
    values = {key: _macro(folds, draws) for key, folds in runs.items()}
    whole = {key: float(_macro(folds, [np.ones((1, d.shape[1])) for d in draws])[0]) for key, folds in runs.items()}
    renders = sorted({render for render, _ in runs})
    seeds = {r: sorted(seed for render, seed in runs if render == r) for r in renders}
    count = draws[0].shape[0]
    per_render = np.zeros((len(renders), count))
    for k, r in enumerate(renders):
        table = np.stack([values[r, s] for s in seeds[r]])
        per_render[k] = _drawn_mean(table, rng)
    each = np.full((len(renders), max(len(s) for s in seeds.values())), np.nan)
    for k, r in enumerate(renders):
        each[k, : len(seeds[r])] = [whole[r, s] for s in seeds[r]]
    value = float(np.mean([np.mean([whole[r, s] for s in seeds[r]]) for r in renders]))
    return Resampled(value, _drawn_mean(per_render, rng), each)


def _macro(folds: Sequence[Sequence[Matches]], draws: Sequence[np.ndarray]) -> np.ndarray:
    """Mean over folds of the mean over classes; classes of which no box is drawn are left out."""
    of_folds = []
    for classes, times in zip(folds, draws, strict=True):
        table = np.stack([m.ap50(times) for m in classes])
        known = np.isfinite(table)
        of_folds.append(np.where(known, table, 0).sum(0) / np.maximum(known.sum(0), 1))
    return np.mean(of_folds, axis=0)


def _drawn_mean(table: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Means (n,) over rows (k, n) drawn with replacement for each column, k - 1 of them."""
    rows, columns = table.shape
    if rows == 1:
        return table[0]
    drawn = rng.integers(rows, size=(rows - 1, columns))
    return table[drawn, np.arange(columns)].mean(0)


def difference(first: Resampled, second: Resampled, null: float = 0.0, level: float = LEVEL) -> Estimate:
    """First minus second, from the same draws of photos; ``p`` tests the difference ``null``."""
    drawn = first.drawn - second.drawn
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    # Half of the resamples that hit it exactly lie on either side.
    below = ((drawn < null).sum() + (drawn == null).sum() / 2 + 1) / (len(drawn) + 2)
    return Estimate(first.value - second.value, float(low), float(high), float(2 * min(below, 1 - below)))
