# SPDX-License-Identifier: GPL-3.0-or-later
"""Metadata that only a renderer knows, told from features [Zhang2023, §2]: linear heads on features that a random
forest selects, scored on images that they have not seen."""

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

FEWEST = 20
"""Boxes below which no head is fitted."""

FOLDS = 5
TREES = 50
LEVEL = 0.9
OUTSIDE = 0.01
"""Boxes that look less typical than all but this share of those that a head has learnt from lie outside of them."""

_ROUNDS = 1000
_BLOCK = 50
_EXPONENTS = (-700.0, 700.0)
"""What is raised to the power of e, which wild features may not overflow."""

_MOST = 5000
"""So many boxes are enough for each tree, and to say what is typical."""


@attrs.frozen
class Score:
    """How well a head predicts boxes of images that it has not seen.

    Attributes
    ----------
    kind : str
        ``r2`` or ``accuracy``.
    value, low, high : float
        Over all boxes together, each predicted by a head that has not seen its image, and the 95 % interval from
        drawing images again.
    baseline : float
        What needs no features: 0 for R², else the share of the most frequent category.
    folds : tuple of float
        The score of each fold; NaN for R² where a fold's values are all as expected.
    error : float
        Half of the boxes are off by less than this, in the unit of the column; NaN for categories.
    """

    kind: str
    value: float
    low: float
    high: float
    baseline: float
    folds: tuple[float, ...]
    error: float

    def passes(self, threshold: float) -> bool:
        """Whether it reaches a threshold, and is more than what is known without features."""
        return self.value >= threshold and self.low > self.baseline


@attrs.frozen(eq=False)
class Prediction:
    """What a head says of n boxes.

    Attributes
    ----------
    values : (n,) float, str or bool
    low, high : (n,) float
        Interval in which the true value lies with the head's ``level``, as long as the boxes are like those that it
        learnt from; NaN for categories.
    probability : (n,) float
        Of the category; NaN for numbers.
    outside : (n,) bool
        The box is unlike those that the head learnt from, so that neither interval nor probability holds.
    """

    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    probability: np.ndarray
    outside: np.ndarray


class Head:
    """A linear (ridge) or logistic model of one metadata column.

    Features are standardised, those with at least half the mean importance in a random forest are selected, and the
    model is fitted on them. All of that is done anew in each fold of the cross-validation, of which each holds whole
    images: neither selection nor scale have seen what they are scored on.

    Parameters
    ----------
    folds : int
        Of the cross-validation; as many as there are images where these are fewer.
    level : float
        Share of the boxes in whose intervals the true value lies.
    trees : int
        Of the forest.
    seed : int
        Of the forest and of the interval of the score.
    threads : int
        Threads of the forest; however many, the numbers are the same.

    Attributes
    ----------
    categorical_ : bool
    log_ : bool
        Whether logarithms are fitted and scored: where all values are positive, their distribution has a long tail,
        and that of their logarithms has not.
    score_ : Score
    out_of_fold_ : (n,)
        The predictions that are scored, in the column's unit.
    fold_ : (n,) int
        The fold that each box is predicted in.
    selected_ : (d,) bool
        Features that the head for new boxes uses.
    known_ : (n,) bool
        Boxes that had a value.
    """

    def __init__(
        self, *, folds: int = FOLDS, level: float = LEVEL, trees: int = TREES, seed: int = 0, threads: int = 1
    ) -> None:
        self.folds, self.level, self.trees, self.seed, self.threads = folds, level, trees, seed, threads

    def fit(self, features: np.ndarray, y: Sequence[Any] | np.ndarray, groups: Sequence[Any] | np.ndarray) -> Head:
        """Fit and score.

        Parameters
        ----------
        features : (n, d) float
            Finite.
        y : (n,)
            Numbers, or else categories; None and NaN where a box has none.
        groups : (n,)
            The image that each box is in.

        Raises
        ------
        DataError
            Where nothing can be learnt: too few boxes or images, one value, or nearly as many categories as boxes.
        """
        values, known, self.categorical_ = as_target(y)
        features = _finite(features)[known]
        owners = np.unique(np.asarray(groups)[known], return_inverse=True)[1].ravel()
        self.known_ = known
        _check(values, owners, self.categorical_)
        self.log_ = not self.categorical_ and _long_tailed(values)
        target = np.log(values) if self.log_ else values
        self._bounds = _natural_bounds(target) if not (self.log_ or self.categorical_) else _EXPONENTS
        found = self._cross_validate(features, target, owners)
        self._model = self._fitted(features, target, stream(self.seed, "head"))
        self.selected_ = self._model[1].get_support()
        self.out_of_fold_ = found if self.categorical_ else self._back(found)
        self.score_ = self._scored(values, target, found, owners)
        if not self.categorical_:
            rank = min(math.ceil((len(target) + 1) * self.level), len(target)) - 1
            self._reach = float(np.sort(np.abs(target - found))[rank])
            self.range_ = float(values.min()), float(values.max())
        self._learnt = features[:, self.selected_], owners
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
        found = self._model.predict(features)
        if self.categorical_:
            return Prediction(found, unknown, unknown, self._model.predict_proba(features).max(1), outside)
        low, high = (self._back(found + sign * self._reach) for sign in (-1, 1))
        return Prediction(self._back(found), low, high, unknown, outside)

    def judge(self, prediction: Prediction, y: Sequence[Any] | np.ndarray) -> tuple[float, float, int]:
        """How right predictions are where the truth is known after all.

        Returns
        -------
        score : float
            R² on the scale of the fit, or the accuracy; NaN where R² is undefined.
        covered : float
            Share of the true values within their intervals; NaN for categories.
        count : int
            Boxes whose truth is known.
        """
        truth, known, _ = as_target(y)
        said = prediction.values[known]
        if self.categorical_:
            return float(np.mean(said == truth)) if len(truth) else math.nan, math.nan, len(truth)
        truth = truth.astype(float)
        covered = (prediction.low[known] <= truth) & (truth <= prediction.high[known])
        if self.log_:
            positive = truth > 0
            truth, said = np.log(truth[positive]), np.log(said[positive])
        spread = float(((truth - truth.mean()) ** 2).sum()) if len(truth) else 0.0
        score = 1 - float(((truth - said) ** 2).sum()) / spread if spread > 0 else math.nan
        return score, float(covered.mean()) if len(covered) else math.nan, len(covered)

    def _cross_validate(self, features: np.ndarray, target: np.ndarray, owners: np.ndarray) -> np.ndarray:
        """What each box is predicted to be by heads that have not seen its image."""
        from sklearn.model_selection import GroupKFold

        found = np.empty_like(target)
        self.fold_ = np.empty(len(target), dtype=int)
        splits = GroupKFold(min(self.folds, int(owners.max()) + 1)).split(features, target, owners)
        for fold, (learnt, held) in enumerate(splits):
            rng = stream(self.seed, "fold", fold)
            found[held] = self._kept(self._fitted(features[learnt], target[learnt], rng).predict(features[held]))
            self.fold_[held] = fold
        return found

    def _fitted(self, features: np.ndarray, target: np.ndarray, rng: np.random.Generator) -> Any:
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
            max_samples=_MOST if len(features) > _MOST else None,
            random_state=int(rng.integers(2**31)),
            n_jobs=self.threads,
        )
        head: Any = RidgeCV(np.logspace(-1, 5, 13))
        if self.categorical_:
            one = np.all(target == target[0])  # a fold may lack all other categories
            head = DummyClassifier() if one else LogisticRegression(max_iter=1000)
        model = make_pipeline(StandardScaler(), SelectFromModel(trees, threshold="0.5*mean"), head)
        # Threads of the linear algebra cost more than they bring here, and move last digits.
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a score needs no last digits
            return model.fit(features, target)

    def _scored(self, values: np.ndarray, target: np.ndarray, found: np.ndarray, owners: np.ndarray) -> Score:
        if self.categorical_:
            missed, whole = (found != target).astype(float), np.ones(len(target))
            baseline, error = float(np.unique(target, return_counts=True)[1].max() / len(target)), math.nan
        else:
            missed, whole = (target - found) ** 2, (target - target.mean()) ** 2
            baseline, error = 0.0, float(np.median(np.abs(values - self.out_of_fold_)))

        def share(of: np.ndarray) -> float:
            total = float(whole[of].sum())
            return 1 - float(missed[of].sum()) / total if total > 0 else math.nan

        folds = tuple(share(self.fold_ == fold) for fold in range(int(self.fold_.max()) + 1))
        low, high = _interval(np.bincount(owners, missed), np.bincount(owners, whole), stream(self.seed, "images"))
        kind = "accuracy" if self.categorical_ else "r2"
        return Score(kind, share(np.ones(len(target), bool)), low, high, baseline, folds, error)

    def _kept(self, found: np.ndarray) -> np.ndarray:
        """Predictions on the scale of the fit, kept within bounds."""
        return found if self.categorical_ else np.clip(found, *self._bounds)

    def _back(self, found: np.ndarray) -> np.ndarray:
        """Numbers on the scale of the fit in the column's unit."""
        found = self._kept(found)
        return np.exp(found) if self.log_ else found

    def _outside(self, features: np.ndarray) -> np.ndarray:
        learnt, owners = self._learnt
        if not np.ptp(learnt, axis=0).any():
            return (features != learnt[0]).any(1)
        if self._density is None:  # which takes as long as the fit, and scores do not need it
            some = np.unique(np.linspace(0, len(learnt) - 1, min(len(learnt), _MOST)).astype(int))
            self._density = fit_density(learnt[some], owners[some])
        return self._density.score(features) < OUTSIDE


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
    """What a box itself says, as features (n, 7): logarithms of area and aspect, centre, upper and lower edge in image
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
    """DataError where nothing can be learnt from the values of boxes."""
    count = len(values)
    if count < FEWEST:
        has = "box has" if count == 1 else "boxes have"
        raise DataError(f"{count} {has} a value and features; at least {FEWEST} are needed.")
    if owners.max() == 0:
        raise DataError(f"All {count} boxes are in one image, so none is left to score a head on. Take several images.")
    different = len(np.unique(values))
    if different == 1:
        raise DataError(f"All {count} boxes have the value {values[0]}: there is nothing to tell apart.")
    if categorical and different > count / 2:
        raise DataError(
            f"{count} boxes have {different} different values, which is too many to learn one from another."
        )


def _long_tailed(values: np.ndarray) -> bool:
    from scipy.stats import skew

    if not (values > 0).all():
        return False
    lean = float(skew(values))
    return lean > 1 and abs(float(skew(np.log(values)))) < lean


def _natural_bounds(values: np.ndarray) -> tuple[float, float]:
    """Shares stay shares, which reach up to 1, and what is never negative stays so."""
    if values.min() < 0:
        return -math.inf, math.inf
    return 0.0, 1.0 if 0.99 <= values.max() <= 1 else math.inf


def _interval(missed: np.ndarray, whole: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """The 95 % interval of 1 - missed / whole, of images drawn with replacement."""
    drawn: list[np.ndarray] = []
    for _ in range(0, _ROUNDS, _BLOCK):
        times = rng.multinomial(len(whole), np.full(len(whole), 1 / len(whole)), size=_BLOCK)
        total = times @ whole
        drawn.append(1 - (times @ missed)[total > 0] / total[total > 0])
    low, high = np.quantile(np.concatenate(drawn), [0.025, 0.975])
    return float(low), float(high)
