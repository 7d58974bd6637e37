# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sizes, places, lights, colours and shapes a synthetic dataset has too often or too seldom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from .slices import CONFIDENCE_LEVEL, Slice, find_slices

OVER, UNDER = "over", "under"


@attrs.frozen
class Representation:
    """How often one slice of boxes is in a real and in a synthetic dataset.

    Attributes
    ----------
    column, name : str
        As in :class:`.slices.Slice`; numbers are cut at thirds of the real boxes.
    low, high : float
    real, synth : int
        Boxes in the slice.
    real_share, synth_share : float
        Their shares of the boxes with a value.
    verdict : str
        ``over`` or ``under`` where the shares differ significantly, or "".
    adjusted : float
        p-value, adjusted for the number of slices and both directions.
    """

    column: str
    name: str
    low: float
    high: float
    real: int
    synth: int
    real_share: float
    synth_share: float
    verdict: str
    adjusted: float

    @property
    def ratio(self) -> float:
        """Synthetic share over real share; infinite for a slice without real boxes."""
        return self.synth_share / self.real_share if self.real_share > 0 else float("inf")


Columns = Mapping[str, Sequence[Any] | np.ndarray]


def representation(
    real: Columns,
    synth: Columns,
    real_images: np.ndarray,
    synth_images: np.ndarray,
    *,
    confidence_level: float = CONFIDENCE_LEVEL,
) -> list[Representation]:
    """Compare the shares of slices of boxes, for all columns that both have.

    Parameters
    ----------
    real, synth : mapping of str to (n,) and (m,)
        Numbers or names, as for :func:`.slices.find_slices`.
    real_images, synth_images : (n,), (m,) int
        Which image each box is of.
    confidence_level : float
        One minus the probability that any slice gets a verdict where both are samples of one source.

    Returns
    -------
    list of Representation
        The most significant first.
    """
    n, m = len(real_images), len(synth_images)
    is_synth = np.arange(n + m) >= n
    images = np.ravel(np.unique(real_images, return_inverse=True)[1])
    others = np.ravel(np.unique(synth_images, return_inverse=True)[1]) + (images.max() + 1 if n else 0)
    owner = np.concatenate([images, others])
    both = {name: [*real[name], *synth[name]] for name in real if name in synth}
    # Two directions share the error rate.
    level = 1 - (1 - confidence_level) / 2
    more = find_slices(both, is_synth, owner, cut_by=~is_synth, confidence_level=level)
    fewer = find_slices(both, ~is_synth, owner, cut_by=~is_synth, confidence_level=level)
    under = {(one.column, one.name): one for one in fewer}
    out = [_of(one, under[one.column, one.name], both[one.column], is_synth) for one in more]
    return sorted(
        out, key=lambda r: (np.inf if np.isnan(r.adjusted) else r.adjusted, -abs(r.synth_share - r.real_share))
    )


def _of(over: Slice, under: Slice, values: Sequence[Any], is_synth: np.ndarray) -> Representation:
    known = np.array([value == value if isinstance(value, float) else value not in (None, "") for value in values])
    counts = [int((~is_synth[over.members]).sum()), int(is_synth[over.members].sum())]
    totals = [max(int((known & side).sum()), 1) for side in (~is_synth, is_synth)]
    verdict = OVER if over.significant else UNDER if under.significant else ""
    adjusted = min(1.0, 2 * min(over.adjusted, under.adjusted))
    return Representation(
        over.column,
        over.name,
        over.low,
        over.high,
        counts[0],
        counts[1],
        counts[0] / totals[0],
        counts[1] / totals[1],
        verdict,
        adjusted,
    )
