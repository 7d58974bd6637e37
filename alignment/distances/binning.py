# SPDX-License-Identifier: GPL-3.0-or-later
"""How one column of metadata is looked at: its bins, its scale, and its values image by image."""

from __future__ import annotations

import attrs
import numpy as np

from ..columns.registry import find_column
from .histograms import BINS, histogram

TINY = 1e-9


@attrs.frozen
class View:
    """How a column is looked at.

    Attributes
    ----------
    column : str
        Its name.
    low, high : float
        What the histogram of the distance spans; values outside count in its outermost bins.
    log : bool
        Whether components are Gaussian on the log scale.
    """

    column: str
    low: float
    high: float
    log: bool = False

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Values (any shape) on the scale where components are Gaussian."""
        v = np.asarray(values, dtype=float)
        return np.log(np.maximum(v, TINY)) if self.log else v

    def histogram(self, values: np.ndarray) -> np.ndarray:
        """Shares (BINS,) of values in the bins of the distance."""
        return histogram(values, BINS, (self.low, self.high))

    @property
    def edges(self) -> np.ndarray:
        """Where the bins of the distance begin and end, (BINS + 1,)."""
        return np.linspace(self.low, self.high, BINS + 1)

    @property
    def cuts(self) -> np.ndarray:
        """Where one bin ends and the next begins, on the scale of the components, (BINS - 1,)."""
        return self.scaled(self.edges[1:-1])


def view_of(column: str, real: np.ndarray) -> View:
    """How a column of these real values (N,) is looked at.

    Columns without natural bounds span the bulk of the real values and a quarter more on each side, so that what
    lies beyond falls into bins that the real values leave almost empty.
    """
    declared = find_column(column)
    low, high = bin_range(column, real, real)
    if declared.bin_range is None:
        low, high = low - (high - low) / 4, high + (high - low) / 4
    return View(column, low, high, declared.log and float(np.min(real)) > 0)


def bin_range(column: str, *samples: np.ndarray) -> tuple[float, float]:
    """What the histogram of a column spans: the declared range, else the bulk of all samples (N,)."""
    declared = find_column(column)
    if declared.bin_range is not None:
        return declared.bin_range
    # The widest of the bulks, so that no sample's outliers squeeze the others into one bin.
    low = min(float(np.quantile(x, 0.01)) for x in samples)
    high = max(float(np.quantile(x, 0.99)) for x in samples)
    if high - low < 1e-9 * max(1.0, abs(low), abs(high)):
        return low - 0.5, high + 0.5
    return low, high


@attrs.frozen(eq=False)
class Sample:
    """What probes of one configuration gave, or what real images give.

    Attributes
    ----------
    values : (N,) float
        Finite values of the column.
    image : (N,) int
        Which image each is from, from 0.
    images : int
        How many images were asked for, those without a value included.
    """

    values: np.ndarray
    image: np.ndarray
    images: int

    def __len__(self) -> int:
        return len(self.values)

    def half(self, which: int) -> Sample:
        """Its even images (0) or its odd ones (1)."""
        kept = self.image % 2 == which
        return Sample(self.values[kept], self.image[kept] // 2, (self.images + 1 - which) // 2)

    def by_image(self, view: View) -> np.ndarray:
        """How many values of each image fall into each bin, (images, BINS)."""
        inside = np.clip(self.values, view.low, view.high)
        where = np.minimum(((inside - view.low) / (view.high - view.low) * BINS).astype(int), BINS - 1)
        counts = np.zeros((max(self.images, 1), BINS))
        np.add.at(counts, (self.image, where), 1.0)
        return counts
