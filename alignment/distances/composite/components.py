# SPDX-License-Identifier: GPL-3.0-or-later
"""The components of the composite distance: samples of metadata columns and of features, by image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import attrs
import numpy as np

from ...columns.registry import by_default
from ...columns.table import Table
from ..binning import bin_range
from ..comparison import MAX_CATEGORIES
from ..histograms import BINS

FEATURES = "features"
"""Components of this name, or beginning with it and a space, are of features."""


def default_columns() -> tuple[str, ...]:
    """Columns whose alignment was found to raise detectors' scores: area, vertical position, background similarity and
    shape; aligning blur, entropy, contrast, sharpness, or occlusion alone did not [Zhang2023, §7]."""
    return by_default("composite")


@attrs.frozen(eq=False)
class ComponentSample:
    """The values of one component in one dataset.

    Attributes
    ----------
    values : (n,) or (n, d) float
        Finite values of a metadata column; numbers of the bins of a column of categories; or feature vectors, scaled
        alike in all datasets.
    images : (n,) int
        Which image each is of.
    """

    values: np.ndarray
    images: np.ndarray


@attrs.frozen
class Bins:
    """The histogram of a metadata component: ``bins`` equal bins from ``low`` to ``high``, of categories one each."""

    low: float
    high: float
    bins: int = BINS
    categories: bool = False

    def index(self, values: np.ndarray) -> np.ndarray:
        """Number of the bin of each value; values outside are in the outermost bins."""
        width = (self.high - self.low) / self.bins
        return np.clip(np.floor((values - self.low) / width), 0, self.bins - 1).astype(int)


Samples = Mapping[str, ComponentSample]
"""By component."""


def column_components(
    real: Table, others: Mapping[str, Table], columns: Sequence[str] | None = None
) -> tuple[dict[str, ComponentSample], dict[str, dict[str, ComponentSample]], dict[str, Bins], list[str]]:
    """The metadata components that a real table and several others have in common.

    Parameters
    ----------
    real : Table
    others : mapping of str to Table
        By dataset.
    columns : sequence of str, optional
        Those of :func:`default_columns` where left out.

    Returns
    -------
    real : dict of str to ComponentSample
    others : dict of str to dict of str to ComponentSample
        By dataset.
    bins : dict of str to Bins
        By component.
    left_out : list of str
        A sentence for each column that is left out.
    """
    tables = [real, *others.values()]
    names = ["the real set", *(f"'{name}'" for name in others)]
    samples: list[dict[str, ComponentSample]] = [{} for _ in tables]
    bins: dict[str, Bins] = {}
    left_out = []
    for column in default_columns() if columns is None else columns:
        missing = [name for name, table in zip(names, tables, strict=True) if not _has_values(table, column)]
        if missing:
            verb = "has" if len(missing) == 1 else "have"
            left_out.append(f"{column} is left out: {', '.join(missing)} {verb} none.")
            continue
        of_tables, histogram = (_categories if column in real.labels else _numbers)(tables, column)
        if histogram.bins > MAX_CATEGORIES:
            left_out.append(f"{column} is left out: {histogram.bins} different names.")
        elif np.ptp(of_tables[0].values) == 0:
            left_out.append(f"{column} is left out: all real values are the same, which says nothing about chance.")
        else:
            bins[column] = histogram
            for of_dataset, sample in zip(samples, of_tables, strict=True):
                of_dataset[column] = sample
    return samples[0], dict(zip(others, samples[1:], strict=True)), bins, left_out


def _has_values(table: Table, column: str) -> bool:
    return column in table.labels or bool(np.isfinite(table.columns.get(column, np.array([math.nan]))).any())


def _numbers(tables: Sequence[Table], column: str) -> tuple[list[ComponentSample], Bins]:
    samples = []
    for table in tables:
        values = table.columns.get(column, np.full(len(table), math.nan))
        finite = np.isfinite(values)
        samples.append(ComponentSample(values[finite], table.owners(column)[1][finite]))
    return samples, Bins(*bin_range(column, *(sample.values for sample in samples)))


def _categories(tables: Sequence[Table], column: str) -> tuple[list[ComponentSample], Bins]:
    names = [t.labels.get(column, np.full(len(t), "")) for t in tables]
    categories = np.unique(np.concatenate([n[n != ""] for n in names]))
    samples = [
        ComponentSample(np.searchsorted(categories, n[n != ""]).astype(float), t.owners(column)[1][n != ""])
        for n, t in zip(names, tables, strict=True)
    ]
    return samples, Bins(-0.5, len(categories) - 0.5, len(categories), categories=True)
