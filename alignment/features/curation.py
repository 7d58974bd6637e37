# SPDX-License-Identifier: GPL-3.0-or-later
"""Which boxes, images and shapes are too unlike the real ones: scores, thresholds and pools [Zhang2023, §5]."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import attrs
import numpy as np

from ...engine.errors import DataError

LEVEL = 0.95
ROUNDS = 1000

POOLS: dict[str, Callable[[np.ndarray], np.floating]] = {
    "mean": np.mean,
    "median": np.median,
    "min": np.min,
    "max": np.max,
}
"""How the scores of the boxes of one image make one number."""

_UNEVEN = 1.36
"""Over the square root of n: how far chance alone bends n evenly spread scores in 19 of 20 cases [Kolmogorov, 1933]."""
_BLOCK = 50


def typicality(distance: np.ndarray, calibration: np.ndarray) -> np.ndarray:
    """Distances to real samples on a scale that means the same for any extractor and density.

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
        (one standard deviation, were they Gaussian). It orders samples as ``Density.score`` does, but goes on falling
        where no real sample is less typical and every score is 0.
    """
    middle, far = np.quantile(calibration, [0.5, 0.84])
    spread = far - middle if far > middle else max(float(np.std(calibration)), 1e-9)
    return (middle - np.asarray(distance, dtype=float)) / spread


def elbow(scores: np.ndarray) -> float:
    """The score where a sorted curve of scores stops rising steeply: less typical ones are the few that stick out.

    Of the ascending scores, plotted against their rank with both axes scaled to [0, 1], it is the point farthest above
    the straight line from the first to the last ("Kneedle" without its smoothing [Satopää et al., "Finding a Kneedle in
    a Haystack", ICDCS Workshops 2011]).

    Parameters
    ----------
    scores : (n,) float
        Larger is better; negate distances. Not finite ones are left out.

    Returns
    -------
    float
        Keep what is at least as large. The smallest score, so that all are kept, where the curve has no elbow: it
        bends no more than that of as many evenly spread scores does by chance. -inf without scores.
    """
    ordered = np.sort(np.asarray(scores, dtype=float))
    ordered = ordered[np.isfinite(ordered)]
    if not len(ordered):
        return -math.inf
    span = ordered[-1] - ordered[0]
    if len(ordered) < 3 or not span > 0:
        return float(ordered[0])
    above = (ordered - ordered[0]) / span - np.linspace(0.0, 1.0, len(ordered))
    best = int(above.argmax())
    return float(ordered[best if above[best] > _UNEVEN / math.sqrt(len(ordered)) else 0])


def best(scores: np.ndarray, count: int) -> np.ndarray:
    """Which (n,) are the ``count`` best scores; among equals the first ones. Not finite ones come last."""
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
        Of boxes; NaN for those without one, which do not count.
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
    order = np.argsort(np.ravel(of)[known], kind="stable")
    owner, values = np.ravel(of)[known][order], scores[known][order]
    firsts = np.flatnonzero(np.diff(owner, prepend=-1))
    parts = np.split(values, firsts[1:]) if len(firsts) else []
    for image, part in zip(owner[firsts], parts, strict=True):
        pooled[image] = POOLS[how](part)
    return ids, pooled


@attrs.frozen
class GroupScore:
    """The mean score of the boxes of one group, a shape for one, with its bootstrap interval.

    ``worse`` says that the whole interval lies below the mean of all other boxes.
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
    rounds: int = ROUNDS,
    level: float = LEVEL,
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
        Which image each box is in. Boxes of one image are alike, so whole images are drawn; default is box by box.
    rounds, level
        Resamples, and the share of them that an interval holds.

    Returns
    -------
    list of GroupScore
        Of the groups that have a score, by their means. Percentile intervals; that of a group in one image has no
        width and says nothing.
    """
    from scipy import sparse

    scores = np.asarray(scores, dtype=float)
    known = np.isfinite(scores)
    if not known.any():
        return []
    scores, names = scores[known], np.asarray(groups, dtype=object)[known].astype(str)
    found, group = np.unique(names, return_inverse=True)
    photos = np.arange(len(scores)) if images is None else np.asarray(images)[known]
    photo = np.ravel(np.unique(photos, return_inverse=True)[1])
    group, size = np.ravel(group), (int(photo.max()) + 1, len(found))
    # Most images show few of the groups, and groups may be as many as images.
    counts = sparse.csr_array((np.ones(len(scores)), (photo, group)), shape=size)
    sums = sparse.csr_array((scores, (photo, group)), shape=size)
    images_of = np.diff(counts.tocsc().indptr)
    drawn = []
    for begin in range(0, rounds, _BLOCK):
        times = rng.multinomial(size[0], np.full(size[0], 1 / size[0]), size=min(_BLOCK, rounds - begin)).astype(float)
        with np.errstate(invalid="ignore"):
            drawn.append((times @ sums) / (times @ counts))
    tail = (1 - level) / 2
    low, high = np.nanquantile(np.concatenate(drawn), [tail, 1 - tail], axis=0)
    total, number = sums.sum(0), counts.sum(0)
    out = []
    for k, name in enumerate(found):
        mean = total[k] / number[k]
        others = number.sum() - number[k]
        worse = bool(others and high[k] < (total.sum() - total[k]) / others)
        ends = float(min(low[k], mean)), float(max(high[k], mean))
        out.append(GroupScore(str(name), int(number[k]), int(images_of[k]), float(mean), *ends, worse))
    return sorted(out, key=lambda g: (g.mean, g.name))


@attrs.frozen(eq=False)
class Judgement:
    """Which boxes are refused, bool (n,), and the typicality below which they are, by class or "" for images; empty
    where a number is kept."""

    refused: np.ndarray
    thresholds: dict[str, float]


def judge(
    scores: np.ndarray,
    classes: np.ndarray,
    images: np.ndarray,
    real: Mapping[str, np.ndarray],
    *,
    quantile: float | None = None,
    keep: int | None = None,
    per: str = "box",
    how: str = "mean",
) -> Judgement:
    """Refuse boxes, or whole images, whose typicality is too low [Zhang2023, §5].

    The threshold is the :func:`elbow` of the scores, of each class by itself or of all images; unless told otherwise.

    Parameters
    ----------
    scores : (n,) float
        Typicality of boxes; those without one (NaN) are never refused by themselves.
    classes, images : (n,)
        Class and image of each box.
    real : mapping
        By class, the typicality of its real boxes.
    quantile : float, optional
        The threshold is this quantile of the real boxes instead: so many new real boxes would be refused. Images are
        held against boxes of all classes together, so fewer real images would be.
    keep : int, optional
        The best so many boxes, or images, are kept instead.
    per : str
        ``box``, or ``image``: then its boxes are pooled and are refused together.
    how : str
        One of :data:`POOLS`.
    """
    scores, classes, images = np.asarray(scores, dtype=float), np.asarray(classes), np.asarray(images)
    if per == "image":
        ids, pooled = pool(scores, images, how)
        judged = judge(pooled, np.full(len(ids), "", dtype=object), ids, _together(real), quantile=quantile, keep=keep)
        return Judgement(np.isin(images, ids[judged.refused]), judged.thresholds)
    known = np.isfinite(scores)
    if keep is not None:
        return Judgement(known & ~best(scores, keep), {})
    refused, thresholds = np.zeros(len(scores), dtype=bool), {}
    for name in real:
        own = known & (classes == name)
        if own.any():
            limit = elbow(scores[own]) if quantile is None else float(np.quantile(real[name], quantile))
            refused |= own & (scores < limit)
            thresholds[name] = limit
    return Judgement(refused, thresholds)


def _together(real: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {"": np.concatenate(list(real.values()))} if real else {}
