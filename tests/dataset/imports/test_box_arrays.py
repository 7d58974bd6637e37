# SPDX-License-Identifier: GPL-3.0-or-later
"""Boxes of annotations as arrays: the same as looked at one by one, whatever else the annotations hold."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from twinset.dataset.formats.coco import read_coco
from twinset.dataset.imports.box_arrays import box_arrays
from twinset.engine.errors import DataError

NUMBERS = st.sampled_from([0, 1, 2.5, -3.0, 40, 10**30, 10**400, math.inf, math.nan, True, "7", None])
BOXES = st.one_of(
    st.lists(st.integers(-5, 90), min_size=4, max_size=4),
    st.lists(NUMBERS, min_size=4, max_size=4),
    st.lists(NUMBERS, max_size=5),
    st.sampled_from([None, "box", 3, {}]),
)
IDS = st.sampled_from([1, 2, 3, True, 1.0, "1", None, [1], 2**70])
ANNOTATION = st.fixed_dictionaries({}, optional={"bbox": BOXES, "image_id": IDS, "iscrowd": st.sampled_from([0, 1])})
SIZES = {1: (100, 50), 2: (40.5, 60)}


@given(st.lists(ANNOTATION, max_size=8))
@settings(max_examples=examples(200))
def test_arrays_hold_what_each_annotation_says(annotations: list[dict[str, Any]]) -> None:
    def is_plain(value: Any) -> bool:
        return type(value) in (int, float) and abs(value) <= sys.float_info.max

    boxes = [a.get("bbox") for a in annotations]
    rows = [k for k, box in enumerate(boxes) if isinstance(box, list) and len(box) == 4 and all(map(is_plain, box))]
    found = box_arrays(annotations, SIZES)
    assert found.rows.tolist() == rows
    assert found.boxes.tolist() == [[float(v) for v in boxes[k]] for k in rows]
    assert found.are_crowds.tolist() == [bool(annotations[k].get("iscrowd")) for k in rows]
    for row, size, beyond in zip(rows, found.sizes.tolist(), found.beyond.tolist(), strict=True):
        image = annotations[row].get("image_id")
        if not isinstance(image, int) or image not in SIZES:
            assert np.isnan(size).all() and math.isnan(beyond)
            continue
        x, y, w, h = map(float, boxes[row])
        assert tuple(size) == SIZES[image]
        assert beyond == max(-x, -y, x + w - size[0], y + h - size[1])


def dataset(boxes: list[Any]) -> dict[str, Any]:
    annotations = [{"id": k, "image_id": 1, "category_id": 1, "bbox": box} for k, box in enumerate(boxes, 1)]
    images = [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 100}]
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "chair"}]}


def test_one_wrong_box_among_many_is_named(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    boxes: list[Any] = [[1, 2, 30.5, 40]] * 3000
    boxes[1234] = [1, 2, 0, 40]
    boxes[2345] = None
    path.write_text(json.dumps(dataset(boxes)))
    with pytest.raises(DataError) as error:
        read_coco(path)
    assert "2 problems" in str(error.value)
    assert "annotation 1235 (image 1) has the box [1, 2, 0, 40]" in str(error.value)
    assert "annotation 2346 (image 1) needs a 'bbox'" in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(dataset([[1, 2, 3, 4], [0.1, 1e-300, 5, 95.00000000000001], [-1.5, 0, 20, 99.5]])),
        json.dumps(dataset([[1, 2, 3, 4]])).replace("a.jpg", "\\ud83d\\ude00.jpg"),
        "\ufeff" + json.dumps(dataset([["1", "2.5", 3, 4]])),
        json.dumps(dataset([[1, 2, 3, 4]])).replace('"file_name"', '"gps": NaN, "file_name"'),
        json.dumps(dataset([[1, 2, 3, 4]])).replace("100", "1" * 40, 1),
        json.dumps(dataset([[1, 2, 3, 4]])).replace("a.jpg", "\\ud83d.jpg"),
        json.dumps(dataset([[1, 2, 3, 4]]))[:-1],
        json.dumps(dataset([[1, 2, 3, 4]])).replace("100", "1" * 5000, 1),
    ],
)
def test_files_are_read_the_same_without_msgspec(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "set.json"
    path.write_text(text, encoding="utf-8")

    def outcome() -> str:
        try:
            found = read_coco(path)
        except DataError as error:
            return str(error)
        return repr((found.images, found.annotations, found.categories, found.is_plain))

    quick = outcome()
    monkeypatch.setitem(sys.modules, "msgspec", None)
    assert outcome() == quick
