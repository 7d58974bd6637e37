# SPDX-License-Identifier: GPL-3.0-or-later
"""Records are checked against the declaration that writer and readers share; problems are named with their place."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from twinset.dataset.atomic_files import json_bytes
from twinset.dataset.store.frames import FrameStore
from twinset.dataset.store.record_check import record_problem
from twinset.engine.errors import DataError

MATRIX = np.eye(4).ravel().tolist()
RECORD: dict[str, Any] = {
    "frame": 3,
    "verdict": "accepted",
    "files": {"image": {"path": "images/000003.png", "sha256": "0" * 64}},
    "attempts": 2,
    "rejected": ["probe: nothing to annotate in view"],
    "refused": [
        {
            "attempt": 0,
            "stage": "draft",
            "score": None,
            "boxes": [["chair", "stool", 0.25, 0.01]],
            "elevation": 12.5,
            "appearance": [{"call": "set_world", "strength": 1.0}],
        }
    ],
    "goals": {"class_name": "chair", "area": 0.1, "boxes": [{"class_name": "chair", "area": 0.1}]},
    "draws": {"camera": "framed", "appearance": [{"call": "set_world", "strength": 1.0}]},
    "gate": {"score": 0.5, "traits": [[0.1, 0.2]]},
    "image": {"file_name": "000003.png", "width": 64, "height": 48},
    "camera": {"matrix": MATRIX},
    "columns": {"brightness": 0.5},
    "instances": [
        {"id": 1, "class": "chair", "annotated": True, "bbox": [1, 2, 3.5, 4], "area": 9, "goal": 0, "own_key": "kept"},
        {"id": 2, "class": "chair", "annotated": False, "bbox": None},
    ],
    "bystanders": [{"matrix": MATRIX}],
    "own_key": {"of": "an older or newer version"},
}


def test_a_record_as_written_is_in_order() -> None:
    assert record_problem(json.loads(json.dumps(RECORD))) == ""
    assert record_problem({"frame": 0, "verdict": "given up", "files": {}}) == ""


def at(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(record: dict[str, Any]) -> None:
        inside: Any = record
        for key in path[:-1]:
            inside = inside[key]
        inside[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (at("verdict", value="maybe"), "$.verdict"),
        (at("attempts", value=-1), "$.attempts"),
        (at("attempts", value=True), "$.attempts"),
        (at("files", "image", "sha256", value=7), "sha256"),
        (at("files", "image", "path", value=None), "path"),
        (at("refused", 0, "boxes", 0, value=["chair", "stool", 0.25]), "$.refused[0].boxes[0]"),
        (at("refused", 0, "appearance", 0, value={}), "$.refused[0].appearance[0]"),
        (at("goals", "boxes", 0, "area", value="large"), "$.goals.boxes[0].area"),
        (at("gate", "score", value="high"), "$.gate.score"),
        (at("image", "width", value=2**30), "$.image"),
        (at("image", "height", value=0), "$.image"),
        (at("camera", "matrix", value=MATRIX[:15]), "$.camera.matrix"),
        (at("instances", 1, "id", value=2**31), "$.instances[1].id"),
        (at("instances", 0, "id", value=1.5), "$.instances[0].id"),
        (at("instances", 0, "class", value=""), "$.instances[0].class"),
        (at("instances", 0, "bbox", value=[1, 2, 3]), "$.instances[0].bbox"),
        (at("instances", 0, "bbox", value=[1, 2, "3", 4]), "$.instances[0].bbox[2]"),
        (at("instances", 0, "columns", value=[1]), "$.instances[0].columns"),
        (at("instances", 0, "segmentation", value={"size": [4, 4]}), "`counts`"),
        (at("bystanders", value=None), "$.bystanders"),
        (lambda record: record["instances"][0].pop("annotated"), "`annotated`"),
        (lambda record: record.pop("instances"), "`instances`"),
        (lambda record: record.pop("files"), "`files`"),
        (lambda record: record.pop("verdict"), "`verdict`"),
    ],
)
def test_each_problem_is_named_with_its_place(change: Callable[[dict[str, Any]], None], place: str) -> None:
    record = copy.deepcopy(RECORD)
    change(record)
    assert place in record_problem(record)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "1" + "0" * 400])
def test_numbers_that_no_float_holds_are_refused(tmp_path: Path, number: str) -> None:
    store = FrameStore(tmp_path)
    store.prepare()
    data = json.dumps(RECORD).replace("3.5", number).encode()
    store.record_path(3).write_bytes(data)
    with pytest.raises(DataError, match="is damaged"):
        store.read(3)


def test_reading_keeps_what_is_not_declared(tmp_path: Path) -> None:
    store = FrameStore(tmp_path)
    store.prepare()
    store.record_path(3).write_bytes(json_bytes(RECORD))
    assert store.read(3) == RECORD


def test_decoded_floats_are_those_of_the_standard_library() -> None:
    numbers = np.random.default_rng(0).integers(0, 2**64, 20_000, dtype=np.uint64).view(np.float64)
    text = json.dumps([float(f"{v:.9g}") for v in numbers if np.isfinite(v)]).encode()
    assert msgspec.json.decode(text) == json.loads(text)


def test_records_are_read_where_msgspec_is_missing(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['msgspec'] = None\n"
        "from twinset.dataset.store.record_check import decode_record, record_problem\n"
        "print(repr(record_problem(decode_record(b'{\"frame\": 1}'))), repr(record_problem(decode_record(b'[]'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.split() == ["''", "'Expected", "`object`'"]
    assert "without checking their structure" in done.stderr
