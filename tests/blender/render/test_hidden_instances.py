# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances taken out of the picture in Blender: pictures and labels are those of a stage without them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("bpy")

from recipes import ONE_SAMPLE, builtin_class, on_floor, orbit, recipe_text
from twinset.blender.stage import open_stage
from twinset.engine.recipe.reading import loads_recipe
from twinset.engine.stage import CameraPose

RECIPE = recipe_text(
    scene={"builtin": "hall"},
    classes=[builtin_class("chair"), builtin_class("table")],
    placements=[on_floor(1, 1)],
    cameras=[orbit(2.0, 3.0)],
    render=ONE_SAMPLE,
    size=(96, 72),
)
POSE = CameraPose(np.array([[1, 0, 0, 0], [0, 0, -1, -5.0], [0, 1, 0, 0.8], [0, 0, 0, 1]], dtype=float), 28.0, 96, 72)


def at(x, y):
    matrix = np.eye(4)
    matrix[:2, 3] = x, y
    return matrix


def test_what_is_hidden_is_nowhere_until_it_is_placed_again(tmp_path: Path):
    stage = open_stage(loads_recipe(RECIPE, tmp_path, "test"))
    chair, table = stage.assets["chair"][0], stage.assets["table"][0]

    def shot(*things, hide=()):
        stage.clear()
        for asset, matrix in things:
            stage.place(asset, matrix)
        stage.pose_camera(CameraPose(POSE.matrix.copy(), POSE.lens, POSE.width, POSE.height))
        stage.probe(1.0)
        stage.hide(hide)
        made = stage.shoot(7)
        assert stage.amodal().keys() == made.amodal.keys()
        return made

    front, back = (chair, at(0.0, -3.0)), (table, at(0.3, -1.5))
    both, without, hidden = shot(front, back), shot(back), shot(front, back, hide=[1])
    assert (both.labels.ids == 1).any()
    assert [i.id for i in hidden.instances] == [1, 2]
    assert np.array_equal(hidden.image, without.image)
    assert np.array_equal(hidden.labels.ids == 2, without.labels.ids == 1)
    assert not (hidden.labels.ids == 1).any()
    assert hidden.amodal.keys() == {2}
    assert np.array_equal(hidden.amodal[2].mask, without.amodal[1].mask)
    assert stage.cast(POSE.position[None], np.array([[0.0, 1.0, 0.0]])).owner[0] != 1
    again = shot(front, back)
    assert np.array_equal(again.image, both.image)
    assert np.array_equal(again.labels.ids, both.labels.ids)
