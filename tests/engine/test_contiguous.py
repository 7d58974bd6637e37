# SPDX-License-Identifier: GPL-3.0-or-later
"""What a frame depends on does not depend on where NumPy allocates its results."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from source_tree import ROOT
from twinset.engine.goals import Boxes, contiguous
from twinset.engine.plugin.registry import Registry
from twinset.testing.conformance.declarations import missing
from twinset.testing.conformance.trials import run_frames

ROUNDED_BY_PLACE = (
    *("arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "cbrt", "cosh", "exp", "exp2"),
    *("expm1", "log", "log10", "log1p", "log2", "power", "sinh", "tan"),
)
"""Functions that NumPy 1.26 computes by one of two codes with different last bits, see :func:`contiguous`."""


def is_column(values: Any) -> bool:
    """Whether a result may be allocated right behind what a function believes to be the end of these values."""
    if not isinstance(values, np.ndarray) or values.size < 2:
        return False
    steps = sorted(abs(step) for step, size in zip(values.strides, values.shape, strict=True) if size > 1)
    return steps[0] > values.itemsize


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Lines of the package that call one of the functions with a column."""
    found: list[str] = []

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            caller = sys._getframe(1)
            if caller.f_code.co_filename.startswith(str(ROOT)) and any(map(is_column, arguments)):
                found.append(f"{caller.f_code.co_filename}:{caller.f_lineno} np.{function.__name__}")
            return function(*arguments, **options)

        return call

    for name in ROUNDED_BY_PLACE:
        monkeypatch.setattr(np, name, watched(getattr(np, name)))
    yield found


def test_columns_are_told_from_contiguous_arrays():
    table = np.ones((5, 3))
    assert is_column(table[:, 1]) and is_column(table.T[0]) and is_column(np.ones(9)[::2])
    assert not any(map(is_column, (table, table.T, table[2], table[:, 1:], contiguous(table[:, 1]), table[:1, 0], 2.0)))


def test_boxes_hold_no_columns():
    rows = np.arange(1.0, 21.0).reshape(4, 5)
    boxes = Boxes(rows[:, 0], rows[:, 1:3], rows[:, 3], rows[:, 4].astype(int))
    assert not is_column(boxes.area) and not is_column(boxes.aspect)
    np.testing.assert_array_equal(boxes.area, rows[:, 0])


@pytest.mark.parametrize("kind", ["placement", "appearance", "camera", "target", "effect", "metric"])
def test_plugins_that_frames_depend_on_use_no_columns(kind: str, calls: list[str]):
    ran = 0
    for cls in Registry(entry_points=False).catalogue():
        values = {"surfaces": ["Floor"]} if cls.plugin_id == "on_surface" else {}
        if cls.plugin_kind == kind and not missing(cls, values):
            runs = run_frames(functools.partial(cls, **values), (0, 1), 600.0)
            ran += not any(run.error for run in runs)
    assert ran > 1 and not calls, "\n".join(sorted(set(calls)))


def test_the_watch_sees_a_column_of_the_package(calls: list[str]):
    code = compile("import numpy as np\nnp.log(np.ones((5, 3))[:, 1])\nnp.log(np.ones(5))", str(ROOT / "x.py"), "exec")
    exec(code)
    assert calls == [f"{ROOT / 'x.py'}:2 np.log"]
