# SPDX-License-Identifier: GPL-3.0-or-later
"""Distances of two sets of features with intervals, floors and critical values, for sets of a few dozen boxes."""

from __future__ import annotations

import math

import attrs
import numpy as np

from ...engine.errors import DataError
from .bootstrap import CONFIDENCE_LEVEL
from .feature_distance import FeaturePair, FeatureSets
from .image_order import image_numbers
from .registry import all_feature_distances, find_feature_distance

MIN_BOXES = 12
"""In each set: half of them must have five neighbours."""

MAX_BOXES = 300
"""In each set: of larger ones, a random sample of whole images is used."""

N_RESAMPLES = 200


@attrs.frozen
class FeatureEstimate:
    """The value of one distance of two sets.

    Attributes
    ----------
    value : float
    low, high : float
        Ends of its interval.
    floor : float
        What two samples of one source show on average: the mean over random exchanges of whole images.
    critical : float
        The share ``confidence_level`` of the exchanges shows no more difference.
    significant : bool
        Whether the value shows more difference than ``critical``.
    """

    value: float
    low: float
    high: float
    floor: float
    critical: float
    significant: bool


def estimate_features(
    real: np.ndarray,
    synth: np.ndarray,
    rng: np.random.Generator,
    *,
    images: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
    reference: np.ndarray | None = None,
    n_resamples: int = N_RESAMPLES,
    confidence_level: float = CONFIDENCE_LEVEL,
    max_boxes: int = MAX_BOXES,
) -> dict[str, FeatureEstimate]:
    """Each declared feature distance of two sets, with interval, floor and critical value.

    Parameters
    ----------
    real, synth : (N, d), (M, d) float
        Finite features, at least ``MIN_BOXES`` rows each.
    rng : numpy.random.Generator
    images : pair of (N,) and (M,) int, optional
        Which image each vector is from; images are drawn whole. None: each vector has an image of its own.
    reference : (K, d) float, optional
        Vectors whose standard deviations scale the features, by default those of both sets. Values of several pairs
        of sets can be compared if they have one.
    n_resamples : int
        Half-samples for the interval, and exchanges for floor and critical value.
    confidence_level : float
        Share of cases in which the interval is to hold.
    max_boxes : int
        Of larger sets, a random sample of whole images with about so many boxes.

    Raises
    ------
    DataError
        If a set is too small, of another dimension, or not finite.

    Notes
    -----
    A bootstrap repeats vectors, and a copy is its own nearest neighbour at distance 0, which would shrink the radii of
    precision, recall, density and coverage. So both resamplings repeat none. Intervals are from random halves of the
    images of both sets: without repetition, the spread of halves equals that of the whole [Politis, Romano and Wolf,
    *Subsampling*, 1999]. Values of halves are shifted until their median is the measured value. Floors and critical
    values are from random exchanges of all images between the sets, which keep the sizes of both.
    """
    from sklearn import config_context

    sides = [np.asarray(values, dtype=float) for values in (real, synth)]
    for name, values in zip(("real", "synthetic"), sides, strict=True):
        if values.ndim != 2 or len(values) < MIN_BOXES:
            raise DataError(
                f"{len(values)} {name} boxes are too few for distances of features. At least {MIN_BOXES} are needed."
            )
        if not np.isfinite(values).all():
            raise DataError(f"The {name} features must be finite numbers.")
    if sides[0].shape[1] != sides[1].shape[1]:
        raise DataError("The real and the synthetic features come from different models. Use one model for both.")
    owners = [image_numbers(values, own) for values, own in zip(sides, images, strict=True)]
    for k in range(2):
        kept = _subsample(owners[k], max_boxes, rng)
        sides[k], owners[k] = sides[k][kept], np.ravel(np.unique(owners[k][kept], return_inverse=True)[1])
    n = len(sides[0])
    sets = FeatureSets(np.concatenate(sides), reference)
    rows = [np.arange(n), np.arange(n, len(sets.features))]
    image = np.concatenate([owners[0], owners[1] + owners[0].max() + 1])
    with config_context(assume_finite=True, skip_parameter_validation=True):  # twice as fast for small sets
        exact = _values(FeaturePair(sets, *rows))
        halves = [
            _values(FeaturePair(sets, *(r[_half(o, rng)] for r, o in zip(rows, owners, strict=True))))
            for _ in range(n_resamples)
        ]
        exchanged = [_values(_exchanged(sets, image, n, rng)) for _ in range(n_resamples)]
    return {
        name: _estimate(
            name,
            exact[name],
            np.array([values[name] for values in halves]),
            np.array([values[name] for values in exchanged]),
            confidence_level,
        )
        for name in exact
    }


def _values(pair: FeaturePair) -> dict[str, float]:
    return {distance.name: float(distance.compute(pair)) for distance in all_feature_distances()}


def _estimate(
    name: str, value: float, halves: np.ndarray, exchanged: np.ndarray, confidence_level: float
) -> FeatureEstimate:
    declared = find_feature_distance(name)
    low = high = floor = critical = math.nan
    halves, exchanged = halves[np.isfinite(halves)], exchanged[np.isfinite(exchanged)]
    if len(halves) and math.isfinite(value):
        below, middle, above = np.quantile(halves, [(1 - confidence_level) / 2, 0.5, (1 + confidence_level) / 2])
        low = max(min(float(value + below - middle), value), declared.bounds[0])
        high = min(max(float(value + above - middle), value), declared.bounds[1])
    if len(exchanged):
        floor = float(exchanged.mean())
        share, method = (1 - confidence_level, "inverted_cdf") if declared.similarity else (confidence_level, "higher")
        critical = float(np.quantile(exchanged, share, method=method))  # type: ignore[call-overload]
    significant = value < critical if declared.similarity else value > critical
    return FeatureEstimate(value, low, high, floor, critical, bool(significant))


def _subsample(owner: np.ndarray, limit: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of a random sample of whole images with about ``limit`` rows, at least ``MIN_BOXES``."""
    if len(owner) <= limit:
        return np.arange(len(owner))
    order = rng.permutation(int(owner.max()) + 1)
    filled = np.cumsum(np.bincount(owner)[order])
    kept = order[: int(np.searchsorted(filled, max(limit, MIN_BOXES))) + 1]
    return np.flatnonzero(np.isin(owner, kept))


def _half(owner: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows of a random half of the images; of one image, half of its rows."""
    count = int(owner.max()) + 1
    if count == 1:
        return np.sort(rng.permutation(len(owner))[: len(owner) // 2])
    # Images hold different numbers of boxes: images are taken until half of the boxes is there.
    order = rng.permutation(count)
    filled = np.cumsum(np.bincount(owner)[order])
    taken = order[: max(1, int(np.abs(filled - len(owner) / 2).argmin()) + 1)]
    return np.flatnonzero(np.isin(owner, taken))


def _exchanged(sets: FeatureSets, image: np.ndarray, n: int, rng: np.random.Generator) -> FeaturePair:
    """The pair after all images were assigned to the two sets at random; the first holds about ``n`` boxes."""
    order = rng.permutation(int(image.max()) + 1)
    filled = np.cumsum(np.bincount(image)[order])
    taken = order[: max(1, int(np.abs(filled - n).argmin()) + 1)]
    first = np.isin(image, taken)
    return FeaturePair(sets, np.flatnonzero(first), np.flatnonzero(~first))
