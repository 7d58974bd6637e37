# SPDX-License-Identifier: GPL-3.0-or-later
"""The alignment benchmark's own arithmetic: classes of several files, prefixes of frames, distances and floors."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

pytest.importorskip("bpy")

from twinset.dataset.formats.coco import read_coco
from twinset.engine.goals import Boxes, Reach


@pytest.fixture(scope="module")
def benchmark(root):
    spec = importlib.util.spec_from_file_location("alignment_benchmark", root / "benchmarks/alignment/alignment.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def coco(path, *boxes):
    names = ["chair", "handbag", "cat", "suitcase"]
    data = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 50} for i in (7, 8, 9)],
        "annotations": [
            {"id": k, "image_id": i, "category_id": names.index(n), "bbox": [1, 2, w, 20], "area": w * 20, "iscrowd": c}
            for k, (i, n, w, c) in enumerate(boxes, 1)
        ],
        "categories": [{"id": k, "name": n} for k, n in enumerate(names)],
    }
    path.write_text(json.dumps(data))
    return path


def test_classes_of_several_files_come_together(benchmark, tmp_path):
    one = coco(tmp_path / "a.json", (7, "chair", 10, 0), (7, "handbag", 20, 0), (8, "cat", 30, 0))
    other = coco(tmp_path / "b.json", (7, "suitcase", 40, 0), (9, "chair", 50, 0), (9, "chair", 60, 1))
    found = read_coco(benchmark.furniture([one, other], tmp_path))
    assert found.boxes("chair").area == pytest.approx([0.04, 0.2])
    assert found.boxes("bag").area == pytest.approx([0.08, 0.16])
    assert len(found.images) == 3  # image 7 of each file, and 9
    assert found.boxes("chair").image[0] == found.boxes("bag").image[0] != found.boxes("bag").image[1]


def boxes(n, scale=1.0, seed=0):
    rng = np.random.default_rng(seed)
    area = np.clip(scale * np.exp(rng.normal(-3, 0.7, n)), 1e-4, 1)
    return Boxes(area, rng.uniform(0.2, 0.8, (n, 2)), np.exp(rng.normal(0, 0.3, n)), np.arange(n) // 2)


def test_equal_boxes_are_no_floor_apart_and_other_ones_many(benchmark):
    real = boxes(100)
    same = benchmark.measure(real, real, 100, 0, Reach(), 4 / 3)
    assert {c["distance"] for c in same["columns"].values()} == {0.0}
    far = benchmark.measure(real, boxes(100, 6.0, 1), 100, 0, Reach(), 4 / 3)["columns"]
    assert far["sqrt_area"]["floors"] > 3 > far["center_x"]["floors"]


def test_whole_frames_are_counted_and_too_few_are_told(benchmark):
    found = benchmark.measure(boxes(50), boxes(40, seed=1), 31, 0, Reach(), 4 / 3)
    assert found["boxes"] == 32 and found["frames"] == 16  # two boxes a frame
    assert benchmark.measure(boxes(50), boxes(40, seed=1), 60, 0, Reach(), 4 / 3) is None


def test_whole_boxes_of_shapes_out_of_reach_are_left_out_of_the_part_in_reach(benchmark):
    real, shown = boxes(100), boxes(100, seed=1)
    found = benchmark.measure(real, shown, 100, 0, Reach(aspect=(0.9, 1.1)), 4 / 3)["columns"]["log_aspect"]
    part = found["in_reach"]
    for one, name in ((real, "real_share"), (shown, "shown_share")):
        width = np.sqrt(one.area * one.aspect * 3 / 4)
        half = np.stack([width, one.area / width], -1) / 2
        cut = ((one.center - half < 0.01) | (one.center + half > 0.99)).any(1)
        assert 0 < cut.sum() < 50
        assert part[name] == pytest.approx(np.mean(cut | (np.abs(one.aspect - 1) <= 0.1)))
    assert part["distance"] != found["distance"]
    assert "in_reach" not in benchmark.measure(real, shown, 100, 0, Reach(), 4 / 3)["columns"]["log_aspect"]
