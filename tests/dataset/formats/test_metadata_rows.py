# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows kept as columns are the dicts that went in, whatever is in them."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from twinset.dataset.formats.metadata_rows import MetadataRows

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.text(max_size=3),
    st.lists(st.integers(0, 9), max_size=4),
)
dicts = st.lists(st.dictionaries(st.sampled_from("abcd"), values, max_size=4), max_size=12)


@settings(max_examples=examples(200))
@given(dicts)
def test_rows_come_out_as_they_went_in(given_rows):
    rows = MetadataRows()
    for row in given_rows:
        rows.append(row)
    assert list(rows) == given_rows and rows[:] == given_rows and len(rows) == len(given_rows)
    # 1, 1.0 and True are equal but not the same in JSON.
    assert [{k: type(v) for k, v in r.items()} for r in rows] == [
        {k: type(v) for k, v in r.items()} for r in given_rows
    ]
    for name in rows.names():
        assert list(rows.column(name)) == rows.column(name)[:] == [row.get(name) for row in given_rows]
        check_numbers(rows.column(name).numbers(), [row.get(name) for row in given_rows])


def check_numbers(numbers, values):
    """Numbers of a column are its values, NaN for None."""
    if numbers is None:
        known = [v for v in values if v is not None]
        assert not known or len({type(v) for v in known}) > 1 or not isinstance(known[0], float | bool)
        return
    for number, value in zip(numbers, values, strict=True):
        if value is None:
            assert np.isnan(number).all()
        else:
            assert np.array_equal(number, np.asarray(value, dtype=float)) or int(number) == value


def test_columns_are_added_and_replaced():
    rows = MetadataRows()
    for i in range(4):
        rows.append({"i": i})
    rows.add("j", [0.5, 1.5, 2.5, 3.5])
    rows.add("i", ["a", "b", "c", "d"])
    assert rows[-1] == {"i": "d", "j": 3.5} and rows.names() == ["i", "j"]
    with pytest.raises(IndexError):
        rows[4]


def test_numbers_take_eight_bytes_each():
    rows = MetadataRows()
    for i in range(10_000):
        rows.append(
            {"x": i / 3 if i % 5 else None, "n": i, "bbox": [i, 2, 3, 4], "main": i % 3 == 0, "shape": f"s{i % 7}"}
        )
    bytes_ = sum(sys.getsizeof(c._values) + sys.getsizeof(c._states) for c in rows._columns.values())
    # A number, a whole one, four of them, a boolean, the number of a text; a byte each that says what is there.
    assert bytes_ < 1.2 * 10_000 * (8 + 8 + 32 + 1 + 8 + 5)
