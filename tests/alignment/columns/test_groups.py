# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of equal values, against a search for each value."""

from __future__ import annotations

import numpy as np
import pytest
from twinset.alignment.columns.groups import rows_by_value


@pytest.mark.parametrize("count", [0, 1, 200])
@pytest.mark.parametrize("width", [None, 2])
def test_rows_are_those_of_each_value_in_order(count: int, width: int | None) -> None:
    values = np.random.default_rng(count).integers(-5, 5, count if width is None else (count, width))
    expected = [
        np.flatnonzero((values.reshape(count, -1) == value).all(1)).tolist()
        for value in np.unique(values, axis=0).reshape(-1, width or 1)
    ]
    assert [rows.tolist() for rows in rows_by_value(values)] == expected
