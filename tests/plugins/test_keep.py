# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances and cameras as the artist left them."""

from __future__ import annotations

import numpy as np
import pytest
from twinset.engine.errors import StageError
from twinset.engine.goals import Goals
from twinset.engine.plugin import Rejected
from twinset.engine.stage import CameraPose
from twinset.plugins.cameras.keep import Keep as KeepCamera
from twinset.plugins.placements.keep import Keep
from twinset.testing import BruteStage, asset, box, plane


def room() -> BruteStage:
    chair, bag, block = (asset(n, c, box((0.3, 0.3, 0.3))) for n, c in (("a", "chair"), ("b", "bag"), ("c", "")))
    there = np.eye(4)
    there[:3, 3] = 1, 2, 0.3
    return BruteStage({"Floor": plane((4, 4))}, [chair, bag, block], kept=[(chair, there), (block, np.eye(4))])


def test_things_stay_where_they_were_and_distractors_are_not_annotated():
    stage = room()
    Keep().place(stage, Goals(), np.random.default_rng(0))
    assert [i.asset.name for i in stage.instances] == ["a"]
    np.testing.assert_array_equal(stage.instances[0].matrix[:3, 3], [1, 2, 0.3])


def test_each_thing_comes_first_in_some_frames():
    chairs = [(asset(str(k), "chair", box((0.3, 0.3, 0.3))), np.eye(4)) for k in range(6)]
    stage = BruteStage({"Floor": plane((4, 4))}, [chair for chair, _ in chairs], kept=chairs)
    first = set()
    for seed in range(60):
        stage.clear()
        Keep().place(stage, Goals(), np.random.default_rng(seed))
        assert sorted(i.asset.name for i in stage.instances) == list("012345")
        first.add(stage.instances[0].asset.name)
    assert first == set("012345")


def test_a_class_that_is_unknown_or_absent_is_an_error():
    with pytest.raises(StageError, match=r"'sofa'.*chair, bag"):
        Keep(classes=["sofa"]).place(room(), Goals(), np.random.default_rng(0))
    with pytest.raises(StageError, match="no instance of bag"):
        Keep(classes=["bag"]).place(room(), Goals(), np.random.default_rng(0))


def test_a_camera_moves_only_where_nothing_is_in_its_way(monkeypatch):
    stage = room()
    matrix = np.eye(4)
    matrix[:3, 3] = 0, 0, 0.1
    monkeypatch.setattr(stage, "existing_cameras", lambda: [CameraPose(matrix, 35.0, 80, 60)])
    heights, rejected = [], 0
    for seed in range(60):
        try:
            pose = KeepCamera(jitter=0.3).pose(stage, Goals(), np.random.default_rng(seed))
            heights.append(pose.position[2])
        except Rejected as rejection:
            assert rejection.reason == "camera: moved into something"
            rejected += 1
    # A third of the way down leads through the floor.
    assert min(heights) > 0 and 10 <= rejected <= 30
