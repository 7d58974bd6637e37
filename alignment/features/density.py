# SPDX-License-Identifier: GPL-3.0-or-later
"""How typical features are of real ones: a density of few real samples, calibrated on the real samples themselves."""

from __future__ import annotations

import io
import json
import math
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ...engine.errors import DataError

FORMAT = 1
"""Version of the stored file."""

METHODS = ("knn", "kde")
MIN_SAMPLES, RECOMMENDED_SAMPLES = 10, 50
"""Fewest samples for a fit, and fewest without a note on their uncertainty."""

MAX_FOLDS = 50

MIN_BANDWIDTH = 1e-6
"""Bandwidth of Gaussians on copies of one sample."""

MIN_TRAINING_SAMPLES = 2
"""Fewest samples that define a scale for distances."""

_ARRAYS = ("mean", "scale", "axes", "points", "calibration")
_MAX_BYTES = 2**31
"""Bytes of all arrays together; a file that unpacks to more is an attack on memory."""
_DAMAGED = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, OverflowError, RecursionError, MemoryError),
    *(NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error),  # of files that are compressed in other ways
)


@attrs.frozen(eq=False)
class Density:
    """Real features, standardised, on their principal axes, and the distances of real samples from one another.

    Attributes
    ----------
    mean, scale : (d,) float
        Mean and standard deviation of each feature.
    axes : (c, d) float
        Principal axes of the standardised features.
    points : (n, c) float
        The real samples on these axes.
    calibration : (n,) float
        Distances of real samples to the others, those of the same photo left out, ascending.
    method : str
        ``knn``: mean distance to the ``neighbours`` nearest; ``kde``: negative log-density of Gaussians.
    bandwidth : float
        Of the Gaussians; 0 for ``knn``.
    origin : dict
        Where the features come from: ``model`` (hash), ``margin`` of the crops, ``class``, and more.
    """

    mean: np.ndarray
    scale: np.ndarray
    axes: np.ndarray
    points: np.ndarray
    calibration: np.ndarray
    method: str = "knn"
    neighbours: int = 5
    bandwidth: float = 0.0
    origin: dict[str, Any] = attrs.field(factory=dict)

    def distance(self, features: np.ndarray) -> np.ndarray:
        """Distances (m,) of samples (m, d) to the real ones; smaller is more typical. Each fit has its own unit."""
        features = np.asarray(features, dtype=float)
        if not len(features):
            return np.empty(0)
        if features.ndim != 2 or features.shape[1] != len(self.mean):
            raise DataError(
                f"Features must be an (n, {len(self.mean)}) array like the real ones. Got {features.shape} instead."
            )
        return _distance(self.transform(features), self.points, self)

    def transform(self, features: np.ndarray) -> np.ndarray:
        """Coordinates (m, c) of samples (m, d) on the principal axes of the real ones."""
        return (np.asarray(features, dtype=float) - self.mean) / self.scale @ self.axes.T

    def extended_score(self, features: np.ndarray) -> np.ndarray:
        """:meth:`score_samples` without steps, (m,): below 0 for samples farther out than every real sample.

        The i-th smallest of n real distances gets 1 - i / (n + 1), the probability that a new real sample lies farther
        out; between them it is linear. Beyond the largest it keeps falling, by 1 for each width of their range.
        """
        distance, n = self.distance(features), len(self.calibration)
        levels = 1 - np.arange(1, n + 1) / (n + 1)
        width = max(float(np.ptp(self.calibration)), 1e-9)
        beyond = np.maximum(distance - self.calibration[-1], 0) / width
        return np.interp(distance, self.calibration, levels) - beyond

    def spacing(self) -> float:
        """Median distance of real samples to the nearest other one, on the principal axes."""
        return float(np.median(_neighbour_distances(self.points, self.points, 2)[:, 1]))

    def score_samples(self, features: np.ndarray) -> np.ndarray:
        """Share (m,) of real samples that are less typical, in [0, 1]: 0.3 is more typical than 30 % of the real ones.

        A new real sample has a score of at least q with a probability of 1 - q, whatever the features.
        """
        return self.scores_of(self.distance(features))

    def scores_of(self, distances: np.ndarray) -> np.ndarray:
        """:meth:`score_samples` of samples whose :meth:`distance` (m,) is known."""
        ranks = np.searchsorted(self.calibration, distances, side="right")
        return 1 - ranks / len(self.calibration)

    def check_model(self, sha256: str, path: str | Path) -> None:
        """Raise a DataError if the fitted features came from another model, or other settings of it."""
        own = self.origin.get("model", "")
        if own != sha256:
            raise DataError(
                f"The real features were made with another model ({own[:12] or 'unknown'}) than '{path}' "
                f"({sha256[:12]}). Fit them again with this model and its settings."
            )

    def notes(self, quantile: float = 0.1) -> list[str]:
        """Sentences on the uncertainty of few samples; none from 50 samples on."""
        from scipy import stats

        n = len(self.calibration)
        if n >= RECOMMENDED_SAMPLES:
            return []
        # The share of new real samples beyond the l-th of n is Beta(l, n + 1 - l), whatever their distribution.
        rank = max(1, round(quantile * n))
        low, high = stats.beta.ppf([0.025, 0.975], rank, n + 1 - rank)
        return [
            f"{n} real samples give scores in steps of {1 / n:.1%}: a threshold of {quantile:.0%} may reject from "
            f"{low:.0%} to {high:.0%} of new real ones (95 % interval). "
            f"{RECOMMENDED_SAMPLES} or more samples make this narrower."
        ]

    def to_bytes(self) -> bytes:
        """The density as the bytes of an ``.npz`` file, without pickles; equal densities give equal bytes."""
        head = {
            "format": FORMAT,
            "method": self.method,
            "neighbours": self.neighbours,
            "bandwidth": self.bandwidth,
            "origin": self.origin,
        }
        out = io.BytesIO()
        np.savez(out, head=np.array(json.dumps(head, sort_keys=True)), **{k: getattr(self, k) for k in _ARRAYS})
        return out.getvalue()


def load_density(path: str | Path) -> Density:
    """Read a file of :meth:`Density.to_bytes`.

    Raises
    ------
    DataError
        If the file is missing, of another kind, damaged, or of a later format.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if sum(entry.file_size for entry in file.zip.infolist()) > _MAX_BYTES:
                raise ValueError("too large")
            head = json.loads(str(file["head"]))
            if head["format"] != FORMAT:
                raise DataError(f"'{path}' has format {head['format']}; this version reads {FORMAT}. Fit it again.")
            arrays = {k: np.asarray(file[k], dtype=float) for k in _ARRAYS}
            density = Density(
                **arrays,
                method=head["method"],
                neighbours=int(head["neighbours"]),
                bandwidth=float(head["bandwidth"]),
                origin=dict(head["origin"]),
            )
    except FileNotFoundError:
        raise DataError(f"The file '{path}' does not exist. Make it with `twinset fit-features`.") from None
    except _DAMAGED as error:
        text = f"'{path}' does not hold real features, or is damaged. Make it again with `twinset fit-features`."
        raise DataError(text) from error
    (c, d), n = density.axes.shape if density.axes.ndim == 2 else (0, 0), len(density.calibration)
    shapes = [density.mean.shape, density.scale.shape, density.points.shape, density.calibration.shape]
    whole = shapes == [(d,), (d,), (n, c), (n,)] and n > 0 and density.method in METHODS
    usable = 1 <= density.neighbours <= n and (density.method == "knn" or 0 < density.bandwidth < math.inf)
    if not (whole and usable and (density.scale != 0).all() and all(np.isfinite(a).all() for a in arrays.values())):
        raise DataError(f"'{path}' holds numbers that do not fit together. Make it again with `twinset fit-features`.")
    return density


def fit_density(
    features: np.ndarray,
    groups: Sequence[int] | np.ndarray | None = None,
    *,
    method: str = "knn",
    neighbours: int = 5,
    variance: float = 0.95,
    origin: dict[str, Any] | None = None,
) -> Density:
    """Fit a density of real features [Zhang2023, §5].

    The distance of each sample comes from a fit without it and its group, so that the calibration holds for new
    samples; with more than 50 groups, a fiftieth of them is left out at a time.

    Parameters
    ----------
    features : (n, d) float
        Features of real samples; at least 10 of them.
    groups : (n,) int, optional
        The photo that each comes from: samples of one photo are more similar than others.
    method : str
        ``knn`` or ``kde``; the Gaussians of ``kde`` are as wide as the median distance to the nearest ``neighbours``.
    neighbours : int
        Number of nearest real samples.
    variance : float
        Share of the variance that the principal axes keep.
    origin : dict, optional
        Kept with the density, see :class:`Density`.

    Raises
    ------
    DataError
        If there are too few samples, or they are all the same, or not finite.
    """
    features = np.asarray(features, dtype=float)
    if method not in METHODS:
        raise DataError(f"A density must be one of {', '.join(METHODS)}. Got '{method}' instead.")
    if features.ndim != 2 or len(features) < MIN_SAMPLES:
        samples = "sample is" if len(features) == 1 else "samples are"
        raise DataError(
            f"{len(features)} real {samples} too few to fit a density: "
            f"at least {MIN_SAMPLES} are needed, {RECOMMENDED_SAMPLES} or more are better."
        )
    if not np.isfinite(features).all():
        raise DataError("Real features must be finite numbers.")
    if not np.ptp(features, axis=0).any():
        raise DataError(
            f"All {len(features)} real samples have the same features. Take different pictures, or another model."
        )
    whole = _fit(features, method, neighbours, variance)
    left_out = leave_group_out_distances(features, groups, method=method, neighbours=neighbours, variance=variance)
    return attrs.evolve(whole, calibration=np.sort(left_out), origin=dict(origin or {}))


def leave_group_out_distances(
    features: np.ndarray,
    groups: Sequence[int] | np.ndarray | None = None,
    *,
    method: str = "knn",
    neighbours: int = 5,
    variance: float = 0.95,
) -> np.ndarray:
    """Distances (n,) of each sample (n, d) to the others, by a fit without its group; see :func:`fit_density`.

    If all but one of the samples are of its group, by a fit without the sample alone.
    """
    features = np.asarray(features, dtype=float)
    every = np.arange(len(features))
    photos = np.ravel(np.unique(every if groups is None else np.asarray(groups), return_inverse=True)[1])
    folds = photos % MAX_FOLDS
    out = np.empty(len(features))
    for fold in np.unique(folds):
        own = np.flatnonzero(folds == fold)
        # If too few would be left, as of one photo, only single samples can be left out.
        parts = [own] if len(features) - len(own) >= MIN_TRAINING_SAMPLES else own[:, None]
        for part in parts:
            out[part] = _fit(np.delete(features, part, axis=0), method, neighbours, variance).distance(features[part])
    return out


def _fit(features: np.ndarray, method: str, neighbours: int, variance: float) -> Density:
    from sklearn.decomposition import PCA

    mean, scale = features.mean(0), features.std(0)
    scale = np.where(scale > 1e-9 * (1 + np.abs(mean)), scale, 1.0)  # a constant feature carries no information
    standard = (features - mean) / scale
    if not standard.any():  # copies of one sample have no principal axes
        axes, bandwidth = np.eye(len(mean)), 0.0 if method == "knn" else MIN_BANDWIDTH
        return Density(mean, scale, axes, standard, np.empty(0), method, min(neighbours, len(features)), bandwidth)
    pca = PCA(svd_solver="full").fit(standard)
    shares = np.cumsum(pca.explained_variance_) / pca.explained_variance_.sum()
    kept = min(int(np.searchsorted(shares, variance)) + 1, len(shares))
    axes = pca.components_[:kept]
    density = Density(mean, scale, axes, standard @ axes.T, np.empty(0), method, min(neighbours, len(features)))
    if method == "knn":
        return density
    # The nearest sample of each is itself.
    near = _neighbour_distances(density.points, density.points, min(neighbours + 1, len(features)))[:, 1:].mean(1)
    return attrs.evolve(density, bandwidth=float(max(np.median(near), MIN_BANDWIDTH)))


def _distance(features: np.ndarray, points: np.ndarray, density: Density) -> np.ndarray:
    if density.method == "knn":
        return _neighbour_distances(features, points, density.neighbours).mean(1)
    from sklearn.neighbors import KernelDensity

    return -KernelDensity(bandwidth=density.bandwidth).fit(points).score_samples(features)


def _neighbour_distances(features: np.ndarray, points: np.ndarray, count: int) -> np.ndarray:
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=count).fit(points).kneighbors(features)[0]
