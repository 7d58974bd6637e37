# SPDX-License-Identifier: GPL-3.0-or-later
"""How well a classifier tells synthetic from real boxes by their features: the classifier two-sample test."""

from __future__ import annotations

import math

import numpy as np

from ...engine.errors import DataError
from .bootstrap import CONFIDENCE_LEVEL
from .feature_estimates import MIN_BOXES, FeatureEstimate
from .image_order import image_numbers

CLASSIFIER = "classifier_auc"
"""Key in results."""
FOLDS = 5
MAX_COMPONENTS = 32
N_PERMUTATIONS = 99
N_BOOTSTRAP = 400
MIN_IMAGES = 4
"""In each set: folds must have images of both."""


def classifier_auc(
    real: np.ndarray,
    synth: np.ndarray,
    rng: np.random.Generator,
    *,
    images: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
    n_permutations: int = N_PERMUTATIONS,
    confidence_level: float = CONFIDENCE_LEVEL,
) -> FeatureEstimate:
    """Area under the ROC curve of a classifier that tells two sets apart: 0.5 if it cannot, 1 if it always does.

    Logistic regression on the first principal components of the features, tested on images that it was not trained on
    [Lopez-Paz & Oquab, "Revisiting classifier two-sample tests", ICLR 2017]. Components are those of both sets
    together, so they know nothing of which set a vector is from.

    Parameters
    ----------
    real, synth : (N, d), (M, d) float
        Finite features, at least ``MIN_BOXES`` rows each.
    rng : numpy.random.Generator
    images : pair of (N,) and (M,) int, optional
        Which image each vector is from; images stay whole in folds and resamples. None: each has an image of its own.
    n_permutations : int
        Random exchanges of whole images between the sets, whose values give floor and critical value.
    confidence_level : float
        Share of cases in which the interval, by bootstrap over images of the tested scores, is to hold.

    Raises
    ------
    DataError
        If a set has too few vectors or images.
    """
    sides = [np.asarray(values, dtype=float) for values in (real, synth)]
    owners = [image_numbers(values, own) for values, own in zip(sides, images, strict=True)]
    for name, values, own in zip(("real", "synthetic"), sides, owners, strict=True):
        if len(values) < MIN_BOXES or len(np.unique(own)) < MIN_IMAGES:
            raise DataError(
                f"{len(values)} {name} boxes in {len(np.unique(own))} images are too few for a classifier. At least "
                f"{MIN_BOXES} boxes in {MIN_IMAGES} images are needed."
            )
    components = _components(np.concatenate(sides))
    image = np.concatenate([owners[0], owners[1] + owners[0].max() + 1])
    is_real_image = np.arange(int(image.max()) + 1) <= owners[0].max()
    scores, tested = _held_out_scores(components, image, is_real_image, rng)
    value = _auc(scores[tested], is_real_image[image[tested]])
    exchanged = []
    for _ in range(n_permutations):
        shuffled = rng.permutation(is_real_image)
        drawn, known = _held_out_scores(components, image, shuffled, rng)
        exchanged.append(_auc(drawn[known], shuffled[image[known]]))
    low, high = _interval(scores, tested, image, is_real_image, rng, confidence_level)
    null = np.array(exchanged)
    critical = float(np.quantile(null, confidence_level, method="higher")) if len(null) else math.nan
    floor = float(null.mean()) if len(null) else math.nan
    return FeatureEstimate(value, min(low, value), max(high, value), floor, critical, bool(value > critical))


def _components(features: np.ndarray) -> np.ndarray:
    """Standardised principal components (n, k), at most a third as many as vectors."""
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    scaled = StandardScaler().fit_transform(features)
    count = max(1, min(MAX_COMPONENTS, features.shape[1], len(features) // 3))
    reduced = PCA(count, svd_solver="full").fit_transform(scaled)
    return np.asarray(reduced / max(float(reduced[:, 0].std()), 1e-12))


def _held_out_scores(
    components: np.ndarray, image: np.ndarray, is_real_image: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Score (n,) of each vector for being real, by classifiers that its image did not train; and which have one.

    Each fold has its share of the images of both sets. Both sets weigh the same in training.
    """
    from sklearn import config_context
    from sklearn.linear_model import LogisticRegression

    fold_of = np.empty(len(is_real_image), dtype=int)
    for side in (True, False):
        members = rng.permutation(np.flatnonzero(is_real_image == side))
        fold_of[members] = np.arange(len(members)) % FOLDS
    label, fold = is_real_image[image], fold_of[image]
    scores, tested = np.zeros(len(image)), np.zeros(len(image), dtype=bool)
    with config_context(assume_finite=True, skip_parameter_validation=True):
        for k in range(FOLDS):
            train, test = fold != k, fold == k
            if not test.any() or len(np.unique(label[train])) < 2:
                continue
            model = LogisticRegression(class_weight="balanced", max_iter=200)
            model.fit(components[train], label[train])
            # Scores of folds are compared by their ranks: each classifier has its own scale.
            values = model.decision_function(components[test])
            scores[test] = (np.argsort(np.argsort(values)) + 0.5) / len(values)
            tested |= test
    return scores, tested


def _auc(scores: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(label, scores, sample_weight=weight))


def _interval(
    scores: np.ndarray,
    tested: np.ndarray,
    image: np.ndarray,
    is_real_image: np.ndarray,
    rng: np.random.Generator,
    confidence_level: float,
) -> tuple[float, float]:
    """Percentiles of the value over resamples of the images of both sets."""
    drawn = []
    sides = [np.flatnonzero(is_real_image == side) for side in (True, False)]
    for _ in range(N_BOOTSTRAP):
        times = np.zeros(len(is_real_image))
        for members in sides:
            times[members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)))
        weight = times[image[tested]]
        label = is_real_image[image[tested]]
        if weight[label].sum() > 0 and weight[~label].sum() > 0:
            drawn.append(_auc(scores[tested], label, weight))
    low, high = np.quantile(drawn, [(1 - confidence_level) / 2, (1 + confidence_level) / 2])
    return float(low), float(high)
