# SPDX-License-Identifier: GPL-3.0-or-later
"""Detection of real boxes against their distance to the synthetic features [Zhang2023, §6]."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from .correlation import Correlation, rank_correlation
from .detection import iou

BINS = 5
FOUND_IOU = 0.5
"""Minimal IoU of the best prediction for a real box to count as found."""


@attrs.frozen
class Bin:
    """Real boxes at about the same distance.

    Attributes
    ----------
    low, high : float
        Least and largest distance in it.
    boxes, images : int
    mean : float
        Mean IoU of the best predictions.
    mean_low, mean_high : float
        95 % bootstrap interval of it, by image.
    found : float
        Share of boxes with an IoU of at least ``FOUND_IOU``.
    """

    low: float
    high: float
    boxes: int
    images: int
    mean: float
    mean_low: float
    mean_high: float
    found: float


@attrs.frozen(eq=False)
class Nearness:
    """IoU of the best prediction against distance to the synthetic features, for real boxes.

    Attributes
    ----------
    distance, overlap : (n,) float
        Per real box: mean distance to the nearest synthetic boxes in features, and IoU of its best prediction.
    bins : tuple of Bin
        Of about equally many boxes, from near to far.
    correlation : Correlation
        Spearman's; negative if near boxes are detected better.
    """

    distance: np.ndarray
    overlap: np.ndarray
    bins: tuple[Bin, ...]
    correlation: Correlation


def best_overlaps(
    annotations: Sequence[Mapping[str, Any]], predictions: Sequence[Mapping[str, Any]], score: float = 0.0
) -> np.ndarray:
    """IoU of each real box with the best prediction of its class on its image, (n,); 0 where there is none.

    Parameters
    ----------
    annotations, predictions : sequence of mappings
        With ``image_id``, ``category_id`` and ``bbox``; predictions with ``score``.
    score : float
        Predictions with a lower score are ignored.
    """
    predicted: dict[tuple[int, int], list[Any]] = defaultdict(list)
    for entry in predictions:
        if entry["score"] >= score:
            predicted[entry["image_id"], entry["category_id"]].append(entry["bbox"])
    real: dict[tuple[int, int], list[int]] = defaultdict(list)
    for k, entry in enumerate(annotations):
        real[entry["image_id"], entry["category_id"]].append(k)
    out = np.zeros(len(annotations))
    for key, indices in real.items():
        if predicted[key]:
            out[indices] = iou(np.array([annotations[k]["bbox"] for k in indices]), np.array(predicted[key])).max(1)
    return out


def nearness(
    distance: np.ndarray,
    overlap: np.ndarray,
    images: np.ndarray,
    rng: np.random.Generator,
    *,
    bins: int = BINS,
    n_bootstrap: int = 1000,
    confidence_level: float = 0.95,
) -> Nearness:
    """Bins and rank correlation of overlaps by distance, with intervals by image.

    Parameters
    ----------
    distance, overlap, images : (n,)
        Per real box: distance to the synthetic features, IoU of its best prediction, id of its image.
    rng : numpy.random.Generator
    bins : int
        Largest number of bins; each has at least five boxes if possible.
    """
    distance, overlap, images = np.asarray(distance, float), np.asarray(overlap, float), np.asarray(images)
    order = np.argsort(distance, kind="stable")
    parts = np.array_split(order, max(1, min(bins, len(order) // 5))) if len(order) else []
    binned = tuple(
        _bin(distance[part], overlap[part], images[part], rng, n_bootstrap, confidence_level) for part in parts
    )
    return Nearness(
        distance,
        overlap,
        binned,
        rank_correlation(
            distance, overlap, rng, groups=images, n_bootstrap=n_bootstrap, confidence_level=confidence_level
        ),
    )


def _bin(
    distance: np.ndarray,
    overlap: np.ndarray,
    images: np.ndarray,
    rng: np.random.Generator,
    n_bootstrap: int,
    confidence_level: float,
) -> Bin:
    of = np.ravel(np.unique(images, return_inverse=True)[1])
    counts, sums = np.bincount(of), np.bincount(of, overlap)
    times = rng.multinomial(len(counts), np.full(len(counts), 1.0 / len(counts)), size=max(100, n_bootstrap // 4))
    low, high = np.quantile((times @ sums) / (times @ counts), [(1 - confidence_level) / 2, (1 + confidence_level) / 2])
    return Bin(
        low=float(distance.min()),
        high=float(distance.max()),
        boxes=len(distance),
        images=len(counts),
        mean=float(overlap.mean()),
        mean_low=float(low),
        mean_high=float(high),
        found=float((overlap >= FOUND_IOU).mean()),
    )
