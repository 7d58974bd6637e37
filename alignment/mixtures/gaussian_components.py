# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussian components of values on a line, by expectation maximisation or by k-means."""

from __future__ import annotations

from typing import Any

import numpy as np

METHODS = ("gmm", "kmeans")
"""How components are found: as those of a Gaussian mixture, or as clusters that share no value."""

Parts = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Weights, means and variances (K,)."""


def fit_components(
    x: np.ndarray, n: int, min_std: float, random_state: int, min_samples: int, method: str = "gmm"
) -> tuple[Parts, dict[str, float | None]] | None:
    """Weights, means, variances and scores of ``n`` components; None if one would have too few values.

    Parameters
    ----------
    x : (N,) float
    n : int
        Number of components.
    min_std : float
        Least standard deviation of a component.
    random_state : int
    min_samples : int
        Fewest values of a component.
    method : str
        One of :data:`METHODS`. Components of k-means have mean and variance of the values of their clusters.

    Returns
    -------
    (weights, means, variances), {"silhouette", "bic"}
        By rising mean.
    """
    regular = max(0.05 * float(x.std()), min_std) ** 2
    if n == 1:
        variance = float(x.var()) + regular
        if len(x) == 1:
            variance = (10 * min_std) ** 2
        log_likelihood = -0.5 * float(((x - x.mean()) ** 2 / variance + np.log(2 * np.pi * variance)).sum())
        bic = 2 * np.log(len(x)) - 2 * log_likelihood
        return (np.ones(1), np.array([x.mean()]), np.array([variance])), {"silhouette": None, "bic": float(bic)}

    from sklearn.metrics import silhouette_score
    from threadpoolctl import threadpool_limits

    X = x[:, None]  # noqa: N806 - scikit-learn's name
    # More threads are slower for so few values.
    with threadpool_limits(1):
        fitted = _clusters(X, n, regular, random_state) if method == "kmeans" else _mixture(X, n, regular, random_state)
    (weights, means, variances), labels, bic = fitted
    if len(np.unique(labels)) < n or np.bincount(labels, minlength=n).min() < min_samples:
        return None
    order = np.argsort(means)
    # If every box is its own cluster, a silhouette has no meaning.
    silhouette = float(silhouette_score(X, labels)) if n < len(x) else None
    return (weights[order], means[order], variances[order]), {"silhouette": silhouette, "bic": bic}


def _mixture(X: np.ndarray, n: int, regular: float, random_state: int) -> tuple[Parts, np.ndarray, float]:  # noqa: N803
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(n, reg_covar=regular, n_init=5, max_iter=500, random_state=random_state).fit(X)
    return (model.weights_, model.means_[:, 0], model.covariances_[:, 0, 0]), model.predict(X), float(model.bic(X))


def _clusters(X: np.ndarray, n: int, regular: float, random_state: int) -> tuple[Parts, np.ndarray, float]:  # noqa: N803
    from scipy.special import logsumexp
    from sklearn.cluster import KMeans

    model: Any = KMeans(n, n_init=10, random_state=random_state).fit(X)
    labels, x = model.labels_, X[:, 0]
    counts = np.bincount(labels, minlength=n)
    means = np.bincount(labels, x, minlength=n) / np.maximum(counts, 1)
    variances = np.bincount(labels, (x - means[labels]) ** 2, minlength=n) / np.maximum(counts, 1) + regular
    weights = counts / len(x)
    squared = (X - means) ** 2 / variances + np.log(2 * np.pi * variances)
    log_likelihood = float(logsumexp(-0.5 * squared, axis=1, b=weights).sum())
    return (weights, means, variances), labels, (3 * n - 1) * float(np.log(len(x))) - 2 * log_likelihood
