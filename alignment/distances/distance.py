# SPDX-License-Identifier: GPL-3.0-or-later
"""The declaration of a two-sample distance: what comparisons, reports and rankings need to know of it."""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs
import numpy as np

from .support import SharePairs, common_support


@attrs.frozen
class Distance:
    """A distance of two one-dimensional samples: 0 for equal samples, the larger the less alike they are.

    A similarity ``s`` in [0, 1] becomes one as ``1 - s``. Intervals by bootstrap, floors and the null distribution
    follow from ``compute`` alone.

    Attributes
    ----------
    name : str
        Key in results.
    label : str
        Name in tables.
    definition : str
        What it measures, in one sentence.
    source : str
        Where it comes from.
    compute : callable
        ``compute(pairs)`` returns the distances (r,) of r pairs of samples, see :class:`.support.SharePairs`.
    of_samples : callable, optional
        ``of_samples(a, b, bins, range)`` returns the exact distance of two samples (N,), (M,); ``compute`` without
        grouping of values where left out.
    of_counts : callable, optional
        ``of_counts(p, q)`` returns the distance of two histograms of counts (bins,), always finite; ``compute`` on
        the numbers of the bins where left out. Rankings of datasets use it.
    bounds : (float, float)
        Smallest and largest possible value.
    short_label : str
        Name where space is scarce; the label where left out.
    unit_of_column : bool
        Whether it is in the unit of the column, rather than without unit.
    ordered : bool
        Whether it needs an order of the values, which categories lack.
    in_verdict : bool
        Whether it counts in the verdict: a column differs significantly where more than half of these do.
    floor_key : str
        Key of its floor in results; ``<name>_floor`` where left out.
    """

    name: str
    label: str
    definition: str
    compute: Callable[[SharePairs], np.ndarray]
    source: str = ""
    of_samples: Callable[[np.ndarray, np.ndarray, int, tuple[float, float]], float] | None = None
    of_counts: Callable[[np.ndarray, np.ndarray], float] | None = None
    bounds: tuple[float, float] = (0.0, math.inf)
    short_label: str = ""
    unit_of_column: bool = False
    ordered: bool = True
    in_verdict: bool = False
    floor_key: str = attrs.field()

    @floor_key.default
    def _default_floor_key(self) -> str:
        return f"{self.name}_floor"

    @property
    def short(self) -> str:
        """The name where space is scarce."""
        return self.short_label or self.label

    def between(self, a: np.ndarray, b: np.ndarray, bins: int, range: tuple[float, float]) -> float:
        """The distance of two samples of finite values (N,), (M,); bins and range are those of their histograms."""
        if self.of_samples is not None:
            return self.of_samples(a, b, bins, range)
        on = common_support(a, b, bins=bins, range=range, max_values=np.size(a) + np.size(b))
        return float(self.compute(SharePairs(on.values, on.bin_starts, on.p[None], on.q[None]))[0])

    def between_counts(self, p: np.ndarray, q: np.ndarray) -> float:
        """The distance of two histograms of counts (bins,), neither of them empty."""
        if self.of_counts is not None:
            return self.of_counts(p, q)
        number = np.arange(len(p))
        pairs = SharePairs(number.astype(float), number, p[None] / p.sum(), q[None] / q.sum())
        return float(self.compute(pairs)[0])
