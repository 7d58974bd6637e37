# SPDX-License-Identifier: GPL-3.0-or-later
"""How much boxes vary in features: the mean distance of two boxes of different images, within groups and classes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import attrs
import numpy as np

MIN_BOXES = 4
_RESAMPLES = 200


@attrs.frozen
class Spread:
    """The mean distance of two boxes of a group, divided by that of two real boxes.

    Attributes
    ----------
    name : str
    boxes : int
    value : float
    low, high : float
        95 % interval from random halves of its images; NaN for one or two images.
    floor : float
        95 % of random samples of as many real boxes vary more; NaN for the real boxes themselves.
    """

    name: str
    boxes: int
    value: float
    low: float
    high: float
    floor: float


def spreads(
    features: tuple[np.ndarray, np.ndarray],
    images: tuple[np.ndarray, np.ndarray],
    groups: Mapping[str, tuple[int, np.ndarray]],
    rng: np.random.Generator,
    n_resamples: int = _RESAMPLES,
) -> list[Spread]:
    """The spread of groups of real and synthetic boxes.

    Parameters
    ----------
    features : pair of (n, d) and (m, d) float
        Of real and synthetic boxes.
    images : pair of (n,) and (m,) int
        Which image each is of; only boxes of different images are compared.
    groups : mapping of str to (0 or 1, indices)
        0 for real boxes, 1 for synthetic ones. Groups with fewer than 4 boxes are left out.
    rng : numpy.random.Generator
    """
    from sklearn.metrics import pairwise_distances
    from sklearn.preprocessing import StandardScaler

    scaled = StandardScaler().fit(features[0]).transform(np.concatenate(features).astype(float))
    n = len(features[0])
    sides = [
        (pairwise_distances(part), np.ravel(np.unique(own, return_inverse=True)[1]))
        for part, own in zip((scaled[:n], scaled[n:]), images, strict=True)
    ]
    unit = _mean_distance(*sides[0], np.arange(n))
    if not unit > 0:
        return []
    out = []
    for name, (side, rows) in groups.items():
        distances, owner = sides[side]
        value = _mean_distance(distances, owner, rows) / unit
        if len(rows) < MIN_BOXES or not math.isfinite(value):
            continue
        halves = np.array([_mean_distance(distances, owner, _half(owner, rows, rng)) for _ in range(n_resamples)])
        halves = halves[np.isfinite(halves)] / unit
        low = high = math.nan
        if len(halves) > n_resamples / 2:
            below, middle, above = np.quantile(halves, [0.025, 0.5, 0.975])
            low, high = max(0.0, value + float(below - middle)), value + float(above - middle)
        floor = math.nan if side == 0 else _floor(*sides[0], min(len(rows), n), rng, n_resamples) / unit
        out.append(Spread(name, len(rows), value, low, high, floor))
    return out


def between_classes(
    real: Mapping[str, np.ndarray], synth: Mapping[str, np.ndarray]
) -> list[tuple[str, str, float, float]]:
    """For each pair of classes its names and the mean distance of two boxes, one of each, real and synthetic.

    Parameters
    ----------
    real, synth : mapping of str to (n, d) float
        Features by class; those of all real boxes scale them. In units of the mean distance of real boxes of one class.
    """
    from sklearn.metrics import pairwise_distances
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(np.concatenate([np.asarray(v, dtype=float) for v in real.values()]))
    sides = [{name: scaler.transform(np.asarray(v, dtype=float)) for name, v in side.items()} for side in (real, synth)]
    within = []
    for values in sides[0].values():
        if len(values) > 1:
            within.append(pairwise_distances(values).sum() / (len(values) * (len(values) - 1)))
    unit = float(np.mean(within)) if within else 1.0
    return [
        (a, b, *(float(pairwise_distances(side[a], side[b]).mean()) / unit for side in sides))  # type: ignore[misc]
        for a, b in itertools.combinations(sides[0], 2)
        if a in sides[1] and b in sides[1]
    ]


def _mean_distance(distances: np.ndarray, owner: np.ndarray, rows: np.ndarray) -> float:
    """The mean distance of pairs of boxes of different images; NaN for one image."""
    apart = owner[rows][:, None] != owner[rows]
    return float(distances[np.ix_(rows, rows)][apart].mean()) if apart.any() else math.nan


def _half(owner: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    own = np.unique(owner[rows])
    kept = rng.permutation(own)[: max(2, (len(own) + 1) // 2)]
    return rows[np.isin(owner[rows], kept)]


def _floor(distances: np.ndarray, owner: np.ndarray, count: int, rng: np.random.Generator, n_resamples: int) -> float:
    drawn = [_mean_distance(distances, owner, rng.permutation(len(owner))[:count]) for _ in range(n_resamples)]
    known = np.array(drawn)[np.isfinite(drawn)]
    return float(np.quantile(known, 0.05, method="inverted_cdf")) if len(known) else math.nan
