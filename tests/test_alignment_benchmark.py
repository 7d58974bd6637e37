# SPDX-License-Identifier: GPL-3.0-or-later
"""The alignment benchmark's own arithmetic: classes of several files, prefixes of frames, distances and floors."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

pytest.importorskip("bpy")

from twinset.dataset.coco import read_coco
from twinset.engine.goals import Boxes


@pytest.fixture(scope="module")
def benchmark(root):
    spec = importlib.util.spec_from_file_location("alignment_benchmark", root / "benchmarks/alignment.py")
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
    same = benchmark.measure(real, real, 100, 0)
    assert {c["distance"] for c in same["columns"].values()} == {0.0}
    far = benchmark.measure(real, boxes(100, 6.0, 1), 100, 0)["columns"]
    assert far["sqrt_area"]["floors"] > 3 > far["center_x"]["floors"]


def test_whole_frames_are_counted_and_too_few_are_told(benchmark):
    found = benchmark.measure(boxes(50), boxes(40, seed=1), 31, 0)
    assert found["boxes"] == 32 and found["frames"] == 16  # two boxes a frame
    assert benchmark.measure(boxes(50), boxes(40, seed=1), 60, 0) is None


def test_what_no_box_shows_is_left_out_of_the_part_in_reach(benchmark):
    found = benchmark.measure(boxes(100), boxes(100, seed=1), 100, 0, {"log_aspect": (-0.1, 0.1)})
    part = found["columns"]["log_aspect"]["in_reach"]
    assert part["real_share"] == pytest.approx(np.mean(np.abs(np.log(boxes(100).aspect)) <= 0.1))
