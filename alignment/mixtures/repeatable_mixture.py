# SPDX-License-Identifier: GPL-3.0-or-later
"""Scikit-learn's Gaussian mixture, whose fit is the same to the last bit wherever memory is allocated."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.mixture import GaussianMixture

from ...engine.goals import contiguous


class RepeatableMixture(GaussianMixture):  # type: ignore[misc]  # scikit-learn has no types
    """A mixture of Gaussians with full covariances.

    Scikit-learn takes the logarithms of a strided diagonal, which NumPy rounds one way or the other, see
    :func:`...engine.goals.contiguous`; here they are taken of a copy.
    """

    def _estimate_log_prob(self, X: np.ndarray, **_: Any) -> np.ndarray:  # noqa: N803 - scikit-learn's name
        """Log-density (N, K) of each point in each component."""
        factors = self.precisions_cholesky_
        log_det = np.log(contiguous(np.diagonal(factors, axis1=1, axis2=2))).sum(1)
        squares = np.stack(
            [((X @ f - mean @ f) ** 2).sum(1) for mean, f in zip(self.means_, factors, strict=True)], axis=1
        )
        return np.asarray(-0.5 * (X.shape[1] * math.log(2 * math.pi) + squares) + log_det)
