# SPDX-License-Identifier: GPL-3.0-or-later
"""The distances that Twinset knows, in the order of tables; the first is the method's own."""

from __future__ import annotations

import math

import numpy as np

from .distance import Distance
from .histograms import bhattacharyya, kolmogorov_smirnov, wasserstein
from .support import SharePairs


def _bhattacharyya(pairs: SharePairs) -> np.ndarray:
    p, q = pairs.histograms
    overlap = np.sqrt(p * q).sum(1)
    with np.errstate(divide="ignore"):
        return np.asarray(0.0 - np.log(np.minimum(overlap, 1.0)))


def _bhattacharyya_of_counts(p: np.ndarray, q: np.ndarray) -> float:
    """Histograms without a common bin count as far apart as two samples of their sizes that share one value can be."""
    n, m = p.sum(), q.sum()
    overlap = float(np.sqrt(p / n * q / m).sum())
    smallest = 1.0 / math.sqrt(max(n * m, 2.0))
    return max(0.0, -math.log(min(1.0, max(overlap, smallest))))


def _kolmogorov_smirnov(pairs: SharePairs) -> np.ndarray:
    return np.minimum(pairs.cdf_difference.max(1), 1.0)


def _wasserstein(pairs: SharePairs) -> np.ndarray:
    return np.asarray(pairs.cdf_difference[:, :-1] @ np.diff(pairs.values))


BUILTIN = (
    Distance(
        "bhattacharyya",
        "Bhattacharyya",
        "-ln of the sum of sqrt(p q) over a common histogram of 20 bins; infinite where no bin is shared.",
        _bhattacharyya,
        source="[Zhang2023, §3]",
        of_samples=bhattacharyya,
        of_counts=_bhattacharyya_of_counts,
        ordered=False,
        in_verdict=True,
        floor_key="floor",
    ),
    Distance(
        "ks",
        "Kolmogorov-Smirnov",
        "Largest difference of the two cumulative distributions.",
        _kolmogorov_smirnov,
        of_samples=lambda a, b, bins, range: kolmogorov_smirnov(a, b),
        bounds=(0.0, 1.0),
        short_label="KS",
        in_verdict=True,
    ),
    Distance(
        "wasserstein",
        "Wasserstein",
        "Area between the two cumulative distributions, in the unit of the column.",
        _wasserstein,
        of_samples=lambda a, b, bins, range: wasserstein(a, b),
        unit_of_column=True,
        in_verdict=True,
    ),
)
