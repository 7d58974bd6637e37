# SPDX-License-Identifier: GPL-3.0-or-later
"""The distances that Twinset knows, in the order of tables: of columns, the method's own first, and of features."""

from __future__ import annotations

import math

import numpy as np

from .distance import Distance
from .feature_distance import FeatureDistance, FeaturePair
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


def _kid(pair: FeaturePair) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy: no vector is compared with itself."""
    kernel = pair.sets.kernel
    within = []
    for rows in (pair.real, pair.synth):
        own = kernel[np.ix_(rows, rows)]
        within.append((own.sum() - np.trace(own)) / (len(rows) * (len(rows) - 1)) if len(rows) > 1 else math.nan)
    return float(within[0] + within[1] - 2 * pair.between(kernel).mean())


def _share(inside: np.ndarray, radii: np.ndarray) -> float:
    return float(inside.mean()) if np.isfinite(radii).all() else math.nan


def _precision(pair: FeaturePair) -> float:
    radii = pair.real_radii(NEIGHBOURS_OF_PRECISION)
    return _share((pair.cross <= radii[:, None]).any(0), radii)


def _recall(pair: FeaturePair) -> float:
    radii = pair.synth_radii(NEIGHBOURS_OF_PRECISION)
    return _share((pair.cross <= radii).any(1), radii)


def _density(pair: FeaturePair) -> float:
    radii = pair.real_radii(NEIGHBOURS_OF_DENSITY)
    return _share((pair.cross <= radii[:, None]).sum(0) / NEIGHBOURS_OF_DENSITY, radii)


def _coverage(pair: FeaturePair) -> float:
    radii = pair.real_radii(NEIGHBOURS_OF_DENSITY)
    return _share(pair.cross.min(1) <= radii, radii)


def _variation(pair: FeaturePair) -> float:
    """A vector's distance to itself is left out."""
    means = []
    for rows in (pair.synth, pair.real):
        own = pair.sets.distances[np.ix_(rows, rows)]
        means.append(own.sum() / (len(rows) * (len(rows) - 1)) if len(rows) > 1 else math.nan)
    return means[0] / means[1] if means[1] > 0 else math.nan


NEIGHBOURS_OF_PRECISION = 3
NEIGHBOURS_OF_DENSITY = 5

BUILTIN_OF_FEATURES = (
    FeatureDistance(
        "kid",
        "KID",
        "Kernel distance: unbiased squared maximum mean discrepancy with the kernel (x · y / d + 1)³; 0 on average for "
        "two samples of one source.",
        _kid,
        source="Bińkowski, Sutherland, Arbel and Gretton, ICLR 2018",
    ),
    FeatureDistance(
        "precision",
        "Precision",
        "Share of synthetic boxes that are within the distance of a real box to its third nearest real one.",
        _precision,
        source="Kynkäänniemi, Karras, Laine, Lehtinen and Aila, NeurIPS 2019",
        similarity=True,
        bounds=(0.0, 1.0),
    ),
    FeatureDistance(
        "recall",
        "Recall",
        "Share of real boxes that are within the distance of a synthetic box to its third nearest synthetic one.",
        _recall,
        source="Kynkäänniemi, Karras, Laine, Lehtinen and Aila, NeurIPS 2019",
        similarity=True,
        bounds=(0.0, 1.0),
    ),
    FeatureDistance(
        "density",
        "Density",
        "How many real boxes reach a synthetic one, on average, where each reaches to its fifth nearest real one, "
        "divided by 5; about 1 for two samples of one source.",
        _density,
        source="Naeem, Oh, Uh, Choi and Yoo, ICML 2020",
        similarity=True,
        bounds=(0.0, math.inf),
    ),
    FeatureDistance(
        "coverage",
        "Coverage",
        "Share of real boxes that have a synthetic box nearer than their fifth nearest real one.",
        _coverage,
        source="Naeem, Oh, Uh, Choi and Yoo, ICML 2020",
        similarity=True,
        bounds=(0.0, 1.0),
    ),
    FeatureDistance(
        "variation",
        "Variation",
        "Mean distance between two synthetic boxes, divided by that between two real ones; below 1 where synthetic "
        "boxes vary less.",
        _variation,
        similarity=True,
        bounds=(0.0, math.inf),
    ),
)
"""Distances of sets of features that hold for sets of a few dozen boxes."""
