# SPDX-License-Identifier: GPL-3.0-or-later
"""Specks are left unannotated or reject their frame."""

from __future__ import annotations

import numpy as np
import pytest
from twinset.engine.plugin.params import build
from twinset.plugins.filters.min_pixels import MinPixels
from twinset.testing.fixtures.shots import make_shot, whole


@pytest.fixture
def shot():
    """49, 50 and 100 visible pixels and none at all; half of the third one is hidden."""
    ids = np.zeros((40, 40), np.int32)
    ids[0:7, 0:7] = 1
    ids[10:15, 0:10] = 2
    ids[20:30, 0:10] = 3
    amodal = {1: whole(ids == 1), 2: whole(ids == 2), 3: whole(ids == 3, 200)}
    return make_shot(ids, n=4, amodal=amodal)


def test_fewer_than_fifty_pixels_lose_their_annotation(shot):
    verdict = MinPixels().judge(shot, [])
    assert verdict.accepted
    assert verdict.unannotated == {1, 4}
    assert "50 pixels" in verdict.reason


@pytest.mark.parametrize(("pixels", "dropped"), [(1, {4}), (49, {4}), (51, {1, 2, 4}), (101, {1, 2, 3, 4})])
def test_the_limit_is_the_fewest_pixels_that_stay(shot, pixels, dropped):
    assert MinPixels(pixels=pixels).judge(shot, []).unannotated == dropped


def test_visible_share_counts_the_whole_instance(shot):
    assert MinPixels(min_visible_share=0.5).judge(shot, []).unannotated == {1, 4}
    assert MinPixels(min_visible_share=0.51).judge(shot, []).unannotated == {1, 3, 4}


def test_reject_frame_names_the_reason(shot):
    verdict = MinPixels(action="reject frame").judge(shot, [])
    assert not verdict.accepted
    assert verdict.reason == "instance under 50 pixels"
    verdict = MinPixels(action="reject frame", pixels=1, min_visible_share=0.6).judge(shot, [])
    assert not verdict.accepted
    assert "visible" in verdict.reason


def test_an_instance_out_of_view_rejects_no_frame(shot):
    verdict = MinPixels(action="reject frame", pixels=10).judge(shot, [])
    assert verdict.accepted
    assert verdict.unannotated == {4}


def test_ids_alone_are_enough_before_the_render(shot):
    import attrs

    draft = attrs.evolve(shot, amodal={}, image=np.empty((0, 0, 3), np.uint8))
    assert MinPixels().judges_probes
    assert MinPixels(min_visible_share=0.9).judge(draft, []).unannotated == {1, 4}


def test_parameters_are_bounded():
    assert build(MinPixels, {"pixels": 0}, "filter 'min_pixels'")[1]
    assert build(MinPixels, {"action": "explode"}, "filter 'min_pixels'")[1]
    assert build(MinPixels, {"pixels": 7, "action": "reject frame"}, "filter 'min_pixels'")[0].pixels == 7
