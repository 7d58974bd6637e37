# SPDX-License-Identifier: GPL-3.0-or-later
"""Rejects frames by a cheap draft: a threshold corrected for the draft's bias, with a bounded share of errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import attrs
import numpy as np

Pool = Callable[[np.ndarray], float]


@attrs.frozen(eq=False)
class DraftRule:
    """Reject a draft whose pooled score, with features corrected by ``shift`` (d,), is below ``threshold``.

    Attributes
    ----------
    shift : (d,) float
        Mean of full features minus draft features: blur and noise shift all of them alike.
    threshold : float
        -inf if too few frames passed to bound the error: then no draft is rejected.
    passed, wrongly : int
        Warm-up frames whose full picture passes, and how many of them would have been rejected as drafts, each by a
        rule that was fitted without it.
    failed, caught : int
        The same of those whose full picture does not pass.
    """

    shift: np.ndarray
    threshold: float
    passed: int
    wrongly: int
    failed: int
    caught: int

    def false_refusals(self, level: float = 0.95) -> tuple[float, float, float]:
        """Share of good frames that drafts reject, with its Clopper-Pearson interval; (nan, 0, 1) if none passed."""
        return rate(self.wrongly, self.passed, level)


def rate(hits: int, of: int, level: float = 0.95) -> tuple[float, float, float]:
    """A share with its exact binomial interval [Clopper & Pearson, Biometrika 26(4), 1934]."""
    from scipy import stats

    if not of:
        return math.nan, 0.0, 1.0
    interval = stats.binomtest(hits, of).proportion_ci(level, method="exact")
    return hits / of, float(interval.low), float(interval.high)


def fit_draft_rule(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]],
    passes: Sequence[bool],
    score: Callable[[np.ndarray], np.ndarray],
    pool: Pool,
    allowed: float,
) -> DraftRule:
    """Choose the strictest threshold on drafts that rejects at most a share ``allowed`` of the frames that would pass.

    With n of them, the k-th smallest draft score, k = floor(allowed (n + 1)), is above that of a new good frame with a
    probability of at most k / (n + 1), whatever their distribution [Vovk, Gammerman & Shafer, "Algorithmic Learning in
    a Random World", 2005, §2]. Below 1 / allowed - 1 good frames there is no such k.

    Parameters
    ----------
    pairs : sequence of ((m, d), (m, d))
        Features of the same boxes in the draft and in the full picture, frame by frame; m >= 1.
    passes : sequence of bool
        Whether the full picture passes.
    score : callable
        Features (m, d) to scores (m,).
    pool : callable
        Scores of a frame's boxes to one number.
    allowed : float
        In (0, 1).
    """
    whole = _rule(pairs, passes, score, pool, allowed)
    wrongly = caught = 0
    for out, (draft, _) in enumerate(pairs):
        kept = [k for k in range(len(pairs)) if k != out]
        shift, threshold = _rule([pairs[k] for k in kept], [passes[k] for k in kept], score, pool, allowed)
        refused = pool(score(draft + shift)) < threshold
        wrongly += refused and passes[out]
        caught += refused and not passes[out]
    passing = sum(map(bool, passes))
    return DraftRule(whole[0], whole[1], passing, int(wrongly), len(pairs) - passing, int(caught))


def _rule(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]],
    passes: Sequence[bool],
    score: Callable[[np.ndarray], np.ndarray],
    pool: Pool,
    allowed: float,
) -> tuple[np.ndarray, float]:
    if not pairs:
        return np.zeros(1), -math.inf
    shift = np.concatenate([full - draft for draft, full in pairs]).mean(0)
    passing = np.sort([pool(score(draft + shift)) for (draft, _), ok in zip(pairs, passes, strict=True) if ok])
    k = math.floor(allowed * (len(passing) + 1) + 1e-9)
    return shift, float(passing[k - 1]) if k else -math.inf
