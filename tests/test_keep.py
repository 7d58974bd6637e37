# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances as the artist left them."""

from __future__ import annotations

import numpy as np
import pytest
from twinset.engine.errors import StageError
from twinset.engine.goals import Goals
from twinset.plugins.placement.keep import Keep
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


def test_a_class_that_is_unknown_or_absent_is_an_error():
    with pytest.raises(StageError, match=r"'sofa'.*chair, bag"):
        Keep(classes=["sofa"]).place(room(), Goals(), np.random.default_rng(0))
    with pytest.raises(StageError, match="nothing of bag"):
        Keep(classes=["bag"]).place(room(), Goals(), np.random.default_rng(0))
