# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores, thresholds and pooling that select atypical boxes, images and shapes [Zhang2023, §5]."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import attrs
import numpy as np

from ...engine.errors import DataError
from ..columns.groups import rows_by_value

CONFIDENCE_LEVEL = 0.95
N_BOOTSTRAP = 1000

POOLS: dict[str, Callable[[np.ndarray], np.floating]] = {
    "mean": np.mean,
    "median": np.median,
    "min": np.min,
    "max": np.max,
}
"""Reductions of the scores of the boxes of one image to one number."""

_KOLMOGOROV_CRITICAL = 1.36
"""Over the square root of n: critical value, at the 5 % level, of the deviation of n scores from evenly spread ones
[Kolmogorov, 1933]."""
_BATCH = 50


def typicality(distance: np.ndarray, calibration: np.ndarray) -> np.ndarray:
    """Distances to real samples on a scale that is comparable between extractors and densities.

    Parameters
    ----------
    distance : (n,) float
        Of samples, see :meth:`..density.Density.distance`.
    calibration : (m,) float
        Distances of real samples to the others, ``Density.calibration``.

    Returns
    -------
    (n,) float
        0 for the median real sample, -1 where a sample lies farther by as much as the real sample of the upper 16 %
        (one standard deviation if they were Gaussian). It orders samples as ``Density.score_samples`` does, but keeps
        falling where no real sample is less typical and every score is 0.
    """
    middle, far = np.quantile(calibration, [0.5, 0.84])
    spread = far - middle if far > middle else max(float(np.std(calibration)), 1e-9)
    return (middle - np.asarray(distance, dtype=float)) / spread


def elbow(scores: np.ndarray) -> float:
    """The score at which the sorted curve of scores stops rising steeply; the few scores below it are outliers.

    Of the ascending scores, plotted against their rank with both axes scaled to [0, 1], it is the point farthest above
    the straight line from the first to the last ("Kneedle" without its smoothing [Satopää et al., "Finding a Kneedle in
    a Haystack", ICDCS Workshops 2011]).

    Parameters
    ----------
    scores : (n,) float
        Larger is better; negate distances. Scores that are not finite are left out.

    Returns
    -------
    float
        Keep scores that are at least as large. The smallest score, so that all are kept, if the curve has no elbow:
        it does not deviate significantly from that of evenly spread scores. -inf without scores.
    """
    ordered = np.sort(np.asarray(scores, dtype=float))
    ordered = ordered[np.isfinite(ordered)]
    if not len(ordered):
        return -math.inf
    span = ordered[-1] - ordered[0]
    if len(ordered) < 3 or not span > 0:
        return float(ordered[0])
    above = (ordered - ordered[0]) / span - np.linspace(0.0, 1.0, len(ordered))
    best_mask = int(above.argmax())
    return float(ordered[best_mask if above[best_mask] > _KOLMOGOROV_CRITICAL / math.sqrt(len(ordered)) else 0])


def best_mask(scores: np.ndarray, count: int) -> np.ndarray:
    """Mask (n,) of the ``count`` best scores; among equal ones the first. Scores that are not finite come last."""
    scores = np.asarray(scores, dtype=float)
    order = np.argsort(-np.where(np.isfinite(scores), scores, -np.inf), kind="stable")
    kept = np.zeros(len(scores), dtype=bool)
    kept[order[: max(count, 0)]] = True
    return kept


def pool(scores: np.ndarray, images: np.ndarray, how: str = "mean") -> tuple[np.ndarray, np.ndarray]:
    """One score per image from those of its boxes.

    Parameters
    ----------
    scores : (n,) float
        Of boxes; NaN for boxes without a score, which are left out.
    images : (n,) int
        Which image each box is in.
    how : str
        One of :data:`POOLS`.

    Returns
    -------
    ids : (k,) int
        The images, ascending.
    pooled : (k,) float
        NaN for an image none of whose boxes has a score.
    """
    if how not in POOLS:
        raise DataError(f"Boxes of an image are pooled by one of {', '.join(POOLS)}. Got '{how}' instead.")
    scores, images = np.asarray(scores, dtype=float), np.asarray(images)
    ids, of = np.unique(images, return_inverse=True)
    pooled = np.full(len(ids), np.nan)
    known = np.isfinite(scores)
    owner, values = np.ravel(of)[known], scores[known]
    for rows in rows_by_value(owner):
        pooled[owner[rows[0]]] = POOLS[how](values[rows])
    return ids, pooled


@attrs.frozen
class GroupScore:
    """The mean score of the boxes of one group, such as a shape, with its bootstrap interval.

    ``worse`` is True if the whole interval lies below the mean of all other boxes.
    """

    name: str
    count: int
    images: int
    mean: float
    low: float
    high: float
    worse: bool


def group_scores(
    scores: np.ndarray,
    groups: Sequence[str] | np.ndarray,
    rng: np.random.Generator,
    *,
    images: np.ndarray | None = None,
    n_bootstrap: int = N_BOOTSTRAP,
    confidence_level: float = CONFIDENCE_LEVEL,
) -> list[GroupScore]:
    """Mean score per group, the worst first [Zhang2023, §5: shape curation].

    Parameters
    ----------
    scores : (n,) float
        Of boxes, larger is better; NaN for those without one, which do not count.
    groups : (n,) str
        The group of each, such as its shape.
    rng : numpy.random.Generator
        For the intervals.
    images : (n,) int, optional
        Which image each box is in. Boxes of one image are similar, so whole images are resampled; default: boxes.
    n_bootstrap : int
        Resamples.
    confidence_level : float
        Share of them that an interval holds.

    Returns
    -------
    list of GroupScore
        Of the groups that have a score, by their means. Percentile intervals; that of a group in one image has no
        width and no meaning.
    """
    from scipy import sparse

    scores = np.asarray(scores, dtype=float)
    known = np.isfinite(scores)
    if not known.any():
        return []
    scores, names = scores[known], np.asarray(groups, dtype=object)[known].astype(str)
    group_names, group = np.unique(names, return_inverse=True)
    image_ids = np.arange(len(scores)) if images is None else np.asarray(images)[known]
    image_index = np.ravel(np.unique(image_ids, return_inverse=True)[1])
    group, size = np.ravel(group), (int(image_index.max()) + 1, len(group_names))
    # Sparse: most images show few of the groups, and there may be as many groups as images.
    counts = sparse.csr_array((np.ones(len(scores)), (image_index, group)), shape=size)
    sums = sparse.csr_array((scores, (image_index, group)), shape=size)
    images_of = np.diff(counts.tocsc().indptr)
    drawn = []
    for begin in range(0, n_bootstrap, _BATCH):
        times = rng.multinomial(size[0], np.full(size[0], 1 / size[0]), size=min(_BATCH, n_bootstrap - begin)).astype(
            float
        )
        with np.errstate(invalid="ignore"):
            drawn.append((times @ sums) / (times @ counts))
    tail = (1 - confidence_level) / 2
    low, high = np.nanquantile(np.concatenate(drawn), [tail, 1 - tail], axis=0)
    total, number = sums.sum(0), counts.sum(0)
    out = []
    for k, name in enumerate(group_names):
        mean = total[k] / number[k]
        others = number.sum() - number[k]
        worse = bool(others and high[k] < (total.sum() - total[k]) / others)
        ends = float(min(low[k], mean)), float(max(high[k], mean))
        out.append(GroupScore(str(name), int(number[k]), int(images_of[k]), float(mean), *ends, worse))
    return sorted(out, key=lambda g: (g.mean, g.name))


@attrs.frozen(eq=False)
class Rejection:
    """Which boxes are rejected, bool (n,), and the typicality below which they are, by class, or "" for images; empty
    if a fixed number is kept."""

    rejected: np.ndarray
    thresholds: dict[str, float]


def reject_atypical(
    scores: np.ndarray,
    classes: np.ndarray,
    images: np.ndarray,
    real: Mapping[str, np.ndarray],
    *,
    quantile: float | None = None,
    keep: int | None = None,
    keep_share: float | None = None,
    per: str = "box",
    how: str = "mean",
) -> Rejection:
    """Reject boxes, or whole images, whose typicality is too low [Zhang2023, §5].

    By default, the threshold is the :func:`elbow` of the scores, of each class by itself or of all images.

    Parameters
    ----------
    scores : (n,) float
        Typicality of boxes; boxes without one (NaN) are never rejected by themselves.
    classes, images : (n,)
        Class and image of each box.
    real : mapping
        By class, the typicality of its real boxes.
    quantile : float, optional
        The threshold is this quantile of the real boxes instead: that share of new real boxes would be rejected.
        Images are compared with boxes of all classes together, so fewer real images would be.
    keep : int, optional
        Number of the best boxes, or images, that are kept instead.
    keep_share : float, optional
        The same as a share of the boxes that have a typicality, or of their images.
    per : str
        ``box``, or ``image``: then its boxes are pooled and rejected together.
    how : str
        One of :data:`POOLS`.
    """
    scores, classes, images = np.asarray(scores, dtype=float), np.asarray(classes), np.asarray(images)
    if per == "image":
        ids, pooled = pool(scores, images, how)
        judged = reject_atypical(
            pooled,
            np.full(len(ids), "", dtype=object),
            ids,
            _together(real),
            quantile=quantile,
            keep=keep,
            keep_share=keep_share,
        )
        return Rejection(np.isin(images, ids[judged.rejected]), judged.thresholds)
    known = np.isfinite(scores)
    if keep_share is not None:
        keep = round(keep_share * int(known.sum()))
    if keep is not None:
        return Rejection(known & ~best_mask(scores, keep), {})
    rejected, thresholds = np.zeros(len(scores), dtype=bool), {}
    for name in real:
        own = known & (classes == name)
        if own.any():
            limit = elbow(scores[own]) if quantile is None else float(np.quantile(real[name], quantile))
            rejected |= own & (scores < limit)
            thresholds[name] = limit
    return Rejection(rejected, thresholds)


def _together(real: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {"": np.concatenate(list(real.values()))} if real else {}
