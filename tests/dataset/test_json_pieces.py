# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of JSON that are written piece by piece have the bytes of those written as a whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from twinset.dataset.atomic_files import json_bytes, json_pieces, list_pieces, to_builtin_types, write_atomic

ENTRY = {"b": [1, 2.5, -0.0, 1 / 3], "a": None, "ü\n": float("nan"), "c": {"deep": (True, np.float32(0.1), Path("x"))}}


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2000])
def test_lists_of_any_length(count: int) -> None:
    values: list[Any] = [{**ENTRY, "id": k} for k in range(count)]
    assert b"".join(list_pieces(values)) + b"\n" == json_bytes(values)
    whole = {"images": values, "info": ENTRY, "annotations": values[:3], "licenses": [], "ü": "x", "n": 3}
    assert b"".join(json_pieces(whole)) == json_bytes(whole)


def test_pieces_are_written_as_one_file(tmp_path: Path) -> None:
    write_atomic(tmp_path / "new/set.json", json_pieces({"images": [ENTRY] * 1500}))
    assert len(json.loads((tmp_path / "new/set.json").read_bytes())["images"]) == 1500
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["set.json"]


def test_a_piece_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    path.write_bytes(b"old")
    with pytest.raises(TypeError):
        write_atomic(path, json_pieces({"images": [object()]}))
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["set.json"]


def test_floats_have_nine_digits_as_text_has() -> None:
    rng = np.random.default_rng(0)
    values = (rng.standard_normal(2000) * 10.0 ** rng.integers(-30, 30, 2000)).tolist()
    assert to_builtin_types(values) == [float(f"{value:.9g}") for value in values]
