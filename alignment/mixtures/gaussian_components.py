# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussian components of values on a line, by expectation maximisation or by k-means."""

from __future__ import annotations

import numpy as np

from .clusters_on_line import best_clusters, silhouette

METHODS = ("gmm", "kmeans")
"""How components are found: as those of a Gaussian mixture, or as clusters that share no value."""

TOLERANCE = 1e-5
"""Rise of the mean log-likelihood of a value that ends a fit."""

MAX_ITERATIONS = 1000

Parts = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Weights, means and variances (K,)."""


def fit_components(
    x: np.ndarray, n: int, min_std: float, min_samples: int, method: str = "gmm"
) -> tuple[Parts, dict[str, float | None]] | None:
    """Weights, means, variances and scores of ``n`` components; None if one would have too few values.

    Parameters
    ----------
    x : (N,) float
    n : int
        Number of components.
    min_std : float
        Least standard deviation of a component.
    min_samples : int
        Fewest values of a component.
    method : str
        One of :data:`METHODS`. Components of k-means have mean and variance of the values of their clusters.

    Returns
    -------
    (weights, means, variances), {"silhouette", "bic"}
        By rising mean.
    """
    x = np.sort(x)
    regular = max(0.05 * float(x.std()), min_std) ** 2
    if n == 1:
        variance = float(x.var()) + regular if len(x) > 1 else (10 * min_std) ** 2
        single = np.ones(1), np.array([x.mean()]), np.array([variance])
        return single, {"silhouette": None, "bic": 2 * np.log(len(x)) - 2 * _expected(x, single)[1]}
    labels = best_clusters(x, n)
    if method == "kmeans":
        parts = _maximised(x, np.eye(n)[labels], regular)
    else:
        parts = _most_likely(x, n, labels, regular)
        labels = _expected(x, parts)[0].argmax(axis=1)
    if np.bincount(labels, minlength=n).min() < min_samples:
        return None
    # If every box is its own cluster, a silhouette has no meaning.
    score = silhouette(x, labels) if n < len(x) else None
    bic = (3 * n - 1) * float(np.log(len(x))) - 2 * _expected(x, parts)[1]
    order = np.argsort(parts[1])
    weights, means, variances = (p[order] for p in parts)
    return (weights, means, variances), {"silhouette": score, "bic": bic}


def _most_likely(x: np.ndarray, n: int, labels: np.ndarray, regular: float) -> Parts:
    """The likeliest mixture that is reached from the best clusters and from groups of equal size."""
    found = [_converged(x, start, n, regular) for start in (labels, np.arange(len(x)) * n // len(x))]
    return max(found, key=lambda parts: _expected(x, parts)[1])


def _converged(x: np.ndarray, labels: np.ndarray, n: int, regular: float) -> Parts:
    """Expectation maximisation from groups of values (N,) until the mean log-likelihood hardly rises."""
    parts = _maximised(x, np.eye(n)[labels], regular)
    before = -np.inf
    for _ in range(MAX_ITERATIONS):
        responsibilities, log_likelihood = _expected(x, parts)
        if log_likelihood - before < TOLERANCE * len(x):
            break
        before = log_likelihood
        parts = _maximised(x, responsibilities, regular)
    return parts


def _maximised(x: np.ndarray, responsibilities: np.ndarray, regular: float) -> Parts:
    """Components of values with these shares (N, K) in them; ``regular`` is added to the variances."""
    counts = responsibilities.sum(axis=0) + np.finfo(float).tiny
    means = (x @ responsibilities) / counts
    variances = ((x[:, None] - means) ** 2 * responsibilities).sum(axis=0) / counts + regular
    return counts / len(x), means, variances


def _expected(x: np.ndarray, parts: Parts) -> tuple[np.ndarray, float]:
    """Shares (N, K) of each value in the components, and the log-likelihood of all values."""
    weights, means, variances = parts
    density = -0.5 * ((x[:, None] - means) ** 2 / variances + np.log(2 * np.pi * variances)) + np.log(weights)
    top = density.max(axis=1, keepdims=True)
    shares = np.exp(density - top)
    total = shares.sum(axis=1, keepdims=True)
    return shares / total, float((np.log(total) + top).sum())
