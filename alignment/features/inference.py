# SPDX-License-Identifier: GPL-3.0-or-later
"""Predicts metadata that only a renderer knows from features [Zhang2023, §2]: linear heads on features that a random
forest selects, scored on held-out images."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from ...engine.errors import DataError
from ...engine.rng import stream
from ..columns.metadata import box_columns
from .density import Density, fit_density

MIN_BOXES = 20
"""Fewest boxes for a fit."""

FOLDS = 5
TREES = 50
CONFIDENCE_LEVEL = 0.9
OUTLIER_SHARE = 0.01
"""Boxes that are less typical than all but this share of the training boxes count as outside of them."""

_N_BOOTSTRAP = 1000
_BATCH = 50
_EXPONENTS = (-700.0, 700.0)
"""Bounds of logarithms, so that extreme features do not overflow."""

_MAX_SAMPLES = 5000
"""Most boxes for each tree, and for the density of the training boxes."""


@attrs.frozen
class Score:
    """How well a head predicts boxes of held-out images.

    Attributes
    ----------
    kind : str
        ``r2`` or ``accuracy``.
    value, low, high : float
        Over all boxes together, each predicted by a head fitted without its image, and the 95 % bootstrap interval
        by image.
    baseline : float
        The score without features: 0 for R², else the share of the most frequent category.
    folds : tuple of float
        The score of each fold; NaN for R² if all values of a fold equal the mean.
    error : float
        Median absolute error in the unit of the column; NaN for categories.
    """

    kind: str
    value: float
    low: float
    high: float
    baseline: float
    folds: tuple[float, ...]
    error: float

    def passes(self, threshold: float) -> bool:
        """Whether it reaches a threshold, and is significantly above the baseline."""
        return self.value >= threshold and self.low > self.baseline


@attrs.frozen(eq=False)
class Prediction:
    """The predictions of a head for n boxes.

    Attributes
    ----------
    values : (n,) float, str or bool
    low, high : (n,) float
        Interval that contains the true value with the head's ``confidence_level``, for boxes like the training boxes;
        NaN for categories.
    probability : (n,) float
        Of the category; NaN for numbers.
    outside : (n,) bool
        The box is unlike the training boxes, so that neither interval nor probability is valid.
    """

    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    probability: np.ndarray
    outside: np.ndarray


class Head:
    """A linear (ridge) or logistic model of one metadata column.

    Features are standardised, those with at least half the mean importance in a random forest are selected, and the
    model is fitted on them. All of that is repeated in each fold of the cross-validation, which splits by image:
    neither selection nor scaling depend on the boxes that are scored.

    Parameters
    ----------
    folds : int
        Of the cross-validation; at most as many as there are images.
    confidence_level : float
        Share of the boxes whose interval contains the true value.
    trees : int
        Of the forest.
    seed : int
        Of the forest and of the interval of the score.
    threads : int
        Threads of the forest; the numbers do not depend on it.

    Attributes
    ----------
    categorical_ : bool
    log_ : bool
        Whether logarithms are fitted and scored: if all values are positive, their distribution has a long tail, and
        that of their logarithms does not.
    score_ : Score
    out_of_fold_ : (n,)
        The predictions that are scored, in the column's unit.
    fold_ : (n,) int
        The fold in which each box is predicted.
    selected_ : (d,) bool
        Features that the final head uses.
    known_ : (n,) bool
        Boxes that had a value.
    """

    def __init__(
        self,
        *,
        folds: int = FOLDS,
        confidence_level: float = CONFIDENCE_LEVEL,
        trees: int = TREES,
        seed: int = 0,
        threads: int = 1,
    ) -> None:
        self.folds, self.confidence_level, self.trees, self.seed, self.threads = (
            folds,
            confidence_level,
            trees,
            seed,
            threads,
        )

    def fit(self, features: np.ndarray, y: Sequence[Any] | np.ndarray, groups: Sequence[Any] | np.ndarray) -> Head:
        """Fit and score.

        Parameters
        ----------
        features : (n, d) float
            Finite.
        y : (n,)
            Numbers, or else categories; None and NaN for boxes without a value.
        groups : (n,)
            The image that each box is in.

        Raises
        ------
        DataError
            If nothing can be learnt: too few boxes or images, one value, or nearly as many categories as boxes.
        """
        values, known, self.categorical_ = as_target(y)
        features = _finite(features)[known]
        owners = np.unique(np.asarray(groups)[known], return_inverse=True)[1].ravel()
        self.known_ = known
        _check(values, owners, self.categorical_)
        self.log_ = not self.categorical_ and _long_tailed(values)
        target = np.log(values) if self.log_ else values
        self._bounds = _natural_bounds(target) if not (self.log_ or self.categorical_) else _EXPONENTS
        predicted = self._cross_validate(features, target, owners)
        self._model = self._fit_model(features, target, stream(self.seed, "head"))
        self.selected_ = self._model[1].get_support()
        self.out_of_fold_ = predicted if self.categorical_ else self._inverse_transform(predicted)
        self.score_ = self._cross_validated_score(values, target, predicted, owners)
        if not self.categorical_:
            rank = min(math.ceil((len(target) + 1) * self.confidence_level), len(target)) - 1
            self._reach = float(np.sort(np.abs(target - predicted))[rank])
            self.range_ = float(values.min()), float(values.max())
        self._training_data = features[:, self.selected_], owners
        self._density: Density | None = None
        return self

    def predict(self, features: np.ndarray) -> Prediction:
        """Predict boxes by their features (m, d)."""
        from threadpoolctl import threadpool_limits

        features = _finite(features)
        count, unknown = len(features), np.full(len(features), np.nan)
        if not count:
            return Prediction(np.empty(0), unknown, unknown, unknown, np.empty(0, bool))
        with threadpool_limits(1):
            outside = self._outside(features[:, self.selected_])
        predicted = self._model.predict(features)
        if self.categorical_:
            return Prediction(predicted, unknown, unknown, self._model.predict_proba(features).max(1), outside)
        low, high = (self._inverse_transform(predicted + sign * self._reach) for sign in (-1, 1))
        return Prediction(self._inverse_transform(predicted), low, high, unknown, outside)

    def score_predictions(self, prediction: Prediction, y: Sequence[Any] | np.ndarray) -> tuple[float, float, int]:
        """Score predictions of boxes whose true value is known.

        Returns
        -------
        score : float
            R² on the scale of the fit, or the accuracy; NaN where R² is undefined.
        covered : float
            Share of the intervals that contain the true value; NaN for categories.
        count : int
            Boxes whose true value is known.
        """
        truth, known, _ = as_target(y)
        predicted_values = prediction.values[known]
        if self.categorical_:
            return float(np.mean(predicted_values == truth)) if len(truth) else math.nan, math.nan, len(truth)
        truth = truth.astype(float)
        covered = (prediction.low[known] <= truth) & (truth <= prediction.high[known])
        if self.log_:
            positive = truth > 0
            truth, predicted_values = np.log(truth[positive]), np.log(predicted_values[positive])
        spread = float(((truth - truth.mean()) ** 2).sum()) if len(truth) else 0.0
        score = 1 - float(((truth - predicted_values) ** 2).sum()) / spread if spread > 0 else math.nan
        return score, float(covered.mean()) if len(covered) else math.nan, len(covered)

    def _cross_validate(self, features: np.ndarray, target: np.ndarray, owners: np.ndarray) -> np.ndarray:
        """The prediction for each box by a head fitted without its image."""
        from sklearn.model_selection import GroupKFold

        predicted = np.empty_like(target)
        self.fold_ = np.empty(len(target), dtype=int)
        splits = GroupKFold(min(self.folds, int(owners.max()) + 1)).split(features, target, owners)
        for fold, (train, test) in enumerate(splits):
            rng = stream(self.seed, "fold", fold)
            predicted[test] = self._clipped(
                self._fit_model(features[train], target[train], rng).predict(features[test])
            )
            self.fold_[test] = fold
        return predicted

    def _fit_model(self, features: np.ndarray, target: np.ndarray, rng: np.random.Generator) -> Any:
        from sklearn.dummy import DummyClassifier
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.feature_selection import SelectFromModel
        from sklearn.linear_model import LogisticRegression, RidgeCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from threadpoolctl import threadpool_limits

        forest: Any = RandomForestClassifier if self.categorical_ else RandomForestRegressor
        trees = forest(
            self.trees,
            max_features="sqrt",
            min_samples_leaf=2,
            max_samples=_MAX_SAMPLES if len(features) > _MAX_SAMPLES else None,
            random_state=int(rng.integers(2**31)),
            n_jobs=self.threads,
        )
        head: Any = RidgeCV(np.logspace(-1, 5, 13))
        if self.categorical_:
            one = np.all(target == target[0])  # a fold may have one category only
            head = DummyClassifier() if one else LogisticRegression(max_iter=1000)
        model = make_pipeline(StandardScaler(), SelectFromModel(trees, threshold="0.5*mean"), head)
        # More threads of the linear algebra are slower here, and change last digits.
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a score does not need full convergence
            return model.fit(features, target)

    def _cross_validated_score(
        self, values: np.ndarray, target: np.ndarray, predicted: np.ndarray, owners: np.ndarray
    ) -> Score:
        if self.categorical_:
            residual, reference = (predicted != target).astype(float), np.ones(len(target))
            baseline, error = float(np.unique(target, return_counts=True)[1].max() / len(target)), math.nan
        else:
            residual, reference = (target - predicted) ** 2, (target - target.mean()) ** 2
            baseline, error = 0.0, float(np.median(np.abs(values - self.out_of_fold_)))

        def share(of: np.ndarray) -> float:
            total = float(reference[of].sum())
            return 1 - float(residual[of].sum()) / total if total > 0 else math.nan

        folds = tuple(share(self.fold_ == fold) for fold in range(int(self.fold_.max()) + 1))
        low, high = _interval(
            np.bincount(owners, residual), np.bincount(owners, reference), stream(self.seed, "images")
        )
        kind = "accuracy" if self.categorical_ else "r2"
        return Score(kind, share(np.ones(len(target), bool)), low, high, baseline, folds, error)

    def _clipped(self, predicted: np.ndarray) -> np.ndarray:
        """Predictions on the scale of the fit, clipped to its bounds."""
        return predicted if self.categorical_ else np.clip(predicted, *self._bounds)

    def _inverse_transform(self, predicted: np.ndarray) -> np.ndarray:
        """Predictions on the scale of the fit, in the column's unit."""
        predicted = self._clipped(predicted)
        return np.exp(predicted) if self.log_ else predicted

    def _outside(self, features: np.ndarray) -> np.ndarray:
        train, owners = self._training_data
        if not np.ptp(train, axis=0).any():
            return (features != train[0]).any(1)
        if self._density is None:  # as slow as the fit, and not needed for scores
            some = np.unique(np.linspace(0, len(train) - 1, min(len(train), _MAX_SAMPLES)).astype(int))
            self._density = fit_density(train[some], owners[some])
        return self._density.score_samples(features) < OUTLIER_SHARE


def as_target(y: Sequence[Any] | np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """The known values of a column, which of all values (n,) are known, and whether they are categories.

    Numbers are numbers; truth values and all else are categories.
    """
    cells = y.tolist() if isinstance(y, np.ndarray) else list(y)
    known = np.array([c is not None and not (isinstance(c, float) and not math.isfinite(c)) for c in cells], bool)
    kept = [c for c, k in zip(cells, known, strict=True) if k]
    if all(isinstance(c, int | float) and not isinstance(c, bool) for c in kept):
        return np.array(kept, dtype=float), known, False
    if all(isinstance(c, bool) for c in kept):
        return np.array(kept, dtype=bool), known, True
    return np.array([str(c) for c in kept]), known, True


def geometry(bboxes: np.ndarray, width: np.ndarray | float, height: np.ndarray | float) -> np.ndarray:
    """Features (n, 7) of the boxes themselves: logarithms of area and aspect, centre, upper and lower edge in image
    units, and whether it touches the border.

    Parameters
    ----------
    bboxes : (n, 4) float
        [x, y, w, h] in pixels.
    width, height : float, or (n,) float
        Size of the image of each box in pixels.
    """
    boxes = np.asarray(bboxes, dtype=float).reshape(-1, 4)
    columns = box_columns(boxes, width, height)
    shape = [np.log(columns["bbox_area"]), np.log(columns["aspect"])]
    edges = [boxes[:, 1] / height, (boxes[:, 1] + boxes[:, 3]) / height]
    return np.column_stack([*shape, columns["center_x"], columns["center_y"], *edges, columns["touches_border"]])


def _finite(features: np.ndarray) -> np.ndarray:
    features = np.asarray(features, dtype=float)
    if features.ndim != 2 or not np.isfinite(features).all():
        raise DataError(f"Features must be an (n, d) array of finite numbers. Got {features.shape} instead.")
    return features


def _check(values: np.ndarray, owners: np.ndarray, categorical: bool) -> None:
    """Raise a DataError if nothing can be learnt from the values of boxes."""
    count = len(values)
    if count < MIN_BOXES:
        has = "box has" if count == 1 else "boxes have"
        raise DataError(f"{count} {has} a value and features; at least {MIN_BOXES} are needed.")
    if owners.max() == 0:
        raise DataError(f"All {count} boxes are in one image, so none is left for scoring. Use several images.")
    different = len(np.unique(values))
    if different == 1:
        raise DataError(f"All {count} boxes have the value {values[0]}: there is nothing to learn.")
    if categorical and different > count / 2:
        raise DataError(f"{count} boxes have {different} different values, which is too many to learn from.")


def _long_tailed(values: np.ndarray) -> bool:
    from scipy.stats import skew

    if not (values > 0).all():
        return False
    skewness = float(skew(values))
    return skewness > 1 and abs(float(skew(np.log(values)))) < skewness


def _natural_bounds(values: np.ndarray) -> tuple[float, float]:
    """[0, 1] for shares, [0, inf) for values that are never negative, else no bounds."""
    if values.min() < 0:
        return -math.inf, math.inf
    return 0.0, 1.0 if 0.99 <= values.max() <= 1 else math.inf


def _interval(residual: np.ndarray, reference: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """The 95 % bootstrap interval of 1 - missed / whole, by image."""
    drawn: list[np.ndarray] = []
    for _ in range(0, _N_BOOTSTRAP, _BATCH):
        times = rng.multinomial(len(reference), np.full(len(reference), 1 / len(reference)), size=_BATCH)
        total = times @ reference
        drawn.append(1 - (times @ residual)[total > 0] / total[total > 0])
    low, high = np.quantile(np.concatenate(drawn), [0.025, 0.975])
    return float(low), float(high)
