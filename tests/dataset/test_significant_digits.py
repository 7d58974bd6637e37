# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers rounded all at once are those that text gives, and so are the columns of tables."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from twinset.dataset.formats.metadata_table import read_columns, write_columns
from twinset.dataset.significant_digits import round_significant


def by_text(value: float) -> float:
    return float(f"{value:.9g}") + 0.0 if math.isfinite(value) else value


def check(values: np.ndarray) -> None:
    assert round_significant(values).tobytes() == np.array([by_text(v) for v in values.tolist()], float).tobytes()


@given(st.lists(st.floats(allow_nan=False), max_size=50))
@settings(max_examples=examples(200))
def test_any_floats(values: list[float]) -> None:
    check(np.array(values, dtype=float))


def test_numbers_of_all_sizes_and_near_halves() -> None:
    rng = np.random.default_rng(1)
    check(10 ** rng.uniform(-30, 30, 20_000) * rng.choice([-1, 1], 20_000))
    check(rng.uniform(0, 640, 20_000).round(2))
    halves = (rng.integers(10**8, 10**9, 20_000) + 0.5) / 10.0 ** rng.integers(0, 20, 20_000)
    check(np.concatenate([halves, np.nextafter(halves, 0), np.nextafter(halves, np.inf)]))
    powers = 10.0 ** np.arange(-20, 20)
    check(np.concatenate([powers, np.nextafter(powers, 0), np.nextafter(powers, np.inf), [0.0, -0.0, np.inf]]))


def test_columns_of_a_table(tmp_path: Path) -> None:
    columns = {
        "number": np.array([1 / 3, np.nan, np.inf, -0.0]),
        "listed": [2 / 3, None, float("nan"), 640.0],
        "whole": [1, None, 3, 2**40],
        "mixed": [1, 2.5, None, "x"],
        "word": ["a", None, "c", ""],
        "flag": [True, None, False, True],
        "nothing": [None, None, None, None],
        "parts": [[1, 1 / 3], None, {"b": 1, "a": 2}, []],
        "counts": np.array([1, 2, 3, 4]),
    }
    write_columns(tmp_path / "t.parquet", columns)
    found = read_columns(tmp_path / "t.parquet")
    np.testing.assert_array_equal(found["number"], [0.333333333, np.nan, np.nan, 0.0])
    np.testing.assert_array_equal(found["listed"], [0.666666667, np.nan, np.nan, 640.0])
    np.testing.assert_array_equal(found["whole"], [1, np.nan, 3, 2**40])
    assert list(found["mixed"]) == ["1", "2.5", None, "x"]
    assert list(found["word"]) == columns["word"]
    assert list(found["flag"]) == columns["flag"]
    assert list(found["nothing"]) == columns["nothing"]
    assert list(found["parts"]) == ["[1, 0.333333333]", None, '{"a": 2, "b": 1}', "[]"]
    assert found["counts"].tolist() == [1, 2, 3, 4]
