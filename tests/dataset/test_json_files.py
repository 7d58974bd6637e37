# SPDX-License-Identifier: GPL-3.0-or-later
"""Annotation files read entry by entry, against Python's own reader."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from twinset.dataset import json_files
from twinset.dataset.json_files import read_json
from twinset.engine.errors import DataError

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=30,
)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Batches of three entries; what is left of each one's text, once its memory was given back."""
    left: list[bytes] = []
    give_back = json_files._give_back

    def spy(content, end: int) -> None:
        give_back(content, end)
        left.append(content[:end])

    monkeypatch.setattr(json_files, "_BATCH", 3)
    monkeypatch.setattr(json_files, "_give_back", spy)
    return left


@given(values, st.booleans())
@settings(max_examples=examples(60))
def test_values_are_those_of_json(tmp_path_factory: pytest.TempPathFactory, value: object, has_mark: bool) -> None:
    path = tmp_path_factory.mktemp("json") / "value.json"
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    path.write_bytes(b"\xef\xbb\xbf" * has_mark + text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_files, "_BATCH", 2)
        assert read_json(path) == json.loads(text)


def long_list(last: str = "null") -> str:
    entries = [
        json.dumps({"id": k, "name": "é" * 500, "bbox": [k, 0.5, 1e-7, -3]}, ensure_ascii=False) for k in range(40)
    ]
    return f'{{"info": {{}}, "annotations": [{", ".join([*entries, last])}], "images": []}}'


def test_memory_of_what_was_read_is_given_back(small_batches: list[bytes], tmp_path: Path) -> None:
    path = tmp_path / "long.json"
    path.write_text(long_list(), "utf-8")
    assert read_json(path) == json.loads(long_list())
    ends = [len(text) for text in small_batches]
    assert len(ends) == 13 and ends == sorted(ends) and ends[-1] > 0.9 * path.stat().st_size
    if hasattr(json_files.mmap, "MADV_DONTNEED"):
        page = json_files.mmap.PAGESIZE
        assert not any(small_batches[-1][: ends[-1] // page * page])


def test_a_late_value_that_only_json_reads(small_batches: list[bytes], tmp_path: Path) -> None:
    path = tmp_path / "nan.json"
    path.write_text(long_list("NaN"), "utf-8")
    assert math.isnan(read_json(path)["annotations"][-1])
    path.write_text(long_list("nul"), "utf-8")
    with pytest.raises(DataError, match="line 1, column"):
        read_json(path)


def test_entries_share_values_of_equal_types(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(json_files, "_MOST_TEXTS", 2)
    name = "a name that Python does not share"
    entries = [
        {"image_id": 70_000, "of": {"shape": name}, "crowd": crowd, "file": f"file {n}"}
        for n, crowd in enumerate([1, True, 1.0, 1, False, 0, 0.0])
    ]
    path = tmp_path / "entries.json"
    path.write_text(json.dumps({"annotations": entries}), "utf-8")
    found = read_json(path)["annotations"]
    assert found == entries
    assert [type(e["crowd"]) for e in found] == [type(e["crowd"]) for e in entries]
    assert len({id(e["image_id"]) for e in found}) == len({id(e["of"]["shape"]) for e in found}) == 1
