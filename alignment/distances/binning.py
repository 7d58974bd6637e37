# SPDX-License-Identifier: GPL-3.0-or-later
"""The histogram bins and the scale of a metadata column, and samples of its values by image."""

from __future__ import annotations

import attrs
import numpy as np

from ..columns.registry import find_column
from .histograms import BINS, histogram

TINY = 1e-9


@attrs.frozen
class Binning:
    """Histogram bins and scale of a column.

    Attributes
    ----------
    column : str
        Its name.
    low, high : float
        Range of the histogram of the distance; values outside count in its outermost bins.
    log : bool
        Whether components are Gaussian on the log scale.
    """

    column: str
    low: float
    high: float
    log: bool = False

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Values (any shape) on the scale where components are Gaussian."""
        v = np.asarray(values, dtype=float)
        return np.log(np.maximum(v, TINY)) if self.log else v

    def histogram(self, values: np.ndarray) -> np.ndarray:
        """Shares (BINS,) of values in the bins of the distance."""
        return histogram(values, BINS, (self.low, self.high))

    @property
    def bin_edges(self) -> np.ndarray:
        """Edges (BINS + 1,) of the bins of the distance."""
        return np.linspace(self.low, self.high, BINS + 1)

    @property
    def inner_edges(self) -> np.ndarray:
        """Edges (BINS - 1,) between bins, on the scale of the components."""
        return self.transform(self.bin_edges[1:-1])


def column_binning(column: str, real: np.ndarray) -> Binning:
    """Bins and scale of a column, from its real values (N,).

    Columns without a declared range span the bulk of the real values and a quarter more on each side, so that values
    beyond it fall into bins that the real values leave almost empty.
    """
    declared = find_column(column)
    low, high = bin_range(column, real, real)
    if declared.bin_range is None:
        low, high = low - (high - low) / 4, high + (high - low) / 4
    return Binning(column, low, high, declared.log and float(np.min(real)) > 0)


def bin_range(column: str, *samples: np.ndarray) -> tuple[float, float]:
    """Range of the histogram of a column: the declared range, else the bulk of all samples (N,)."""
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
    """Values of a column from probes of one configuration, or from real images.

    Attributes
    ----------
    values : (N,) float
        Finite values of the column.
    image : (N,) int
        Which image each is from, from 0.
    n_images : int
        Number of images, those without a value included.
    """

    values: np.ndarray
    image: np.ndarray
    n_images: int

    def __len__(self) -> int:
        return len(self.values)

    def half(self, which: int) -> Sample:
        """The even (0) or the odd (1) images."""
        kept = self.image % 2 == which
        return Sample(self.values[kept], self.image[kept] // 2, (self.n_images + 1 - which) // 2)

    def counts_by_image(self, binning: Binning) -> np.ndarray:
        """Number of values in each bin, (n_images, BINS)."""
        inside = np.clip(self.values, binning.low, binning.high)
        bin_index = np.minimum(((inside - binning.low) / (binning.high - binning.low) * BINS).astype(int), BINS - 1)
        counts = np.zeros((max(self.n_images, 1), BINS))
        np.add.at(counts, (self.image, bin_index), 1.0)
        return counts
