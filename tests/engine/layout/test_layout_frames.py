# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of whole layouts by the real engine on Blender's stage: every box on its goal, the same in any order."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("bpy")

from recipes import on_floor, plugin_table, recipe_text
from twinset.blender.stage import open_stage
from twinset.dataset.store.funnel import AttemptTally
from twinset.dataset.store.record import make_record
from twinset.engine.block import Block
from twinset.engine.goals import Boxes
from twinset.engine.recipe.reading import loads_recipe
from twinset.engine.sampling.sampler import Sampler, Survey

WIDTH, HEIGHT = 160, 120
RECIPE = recipe_text(
    seed=2,
    real="layout_real.json",
    scene="small.blend",
    distractors=[{"objects": ["Screen"]}],
    placements=[on_floor(), on_floor(1, 1, distractors=True)],
    cameras=[plugin_table("layout", candidates=12, options=5, views=3)],
    target="layout_gmm",
    render={"samples": 1},
    size=(160, 120),
)


def real():
    """Forty boxes, one to three to an image, the larger ones lower."""
    rng = np.random.default_rng(0)
    area = np.exp(rng.normal(np.log(0.04), 0.6, 40)).clip(0.008, 0.3)
    bottom = 0.45 + 0.8 * np.sqrt(area) + rng.normal(0, 0.03, 40)
    aspect = np.exp(rng.normal(-0.4, 0.1, 40))
    height = np.sqrt(area * 4 / 3 / aspect)
    center = np.stack([rng.uniform(0.25, 0.75, 40), (bottom - height / 2).clip(height / 2, 1 - height / 2)], 1)
    return {"chair": Boxes(area, center, aspect, np.repeat(np.arange(20), 2))}


def read(rooms):
    (rooms / "layout_real.json").write_text('{"images": [], "annotations": [], "categories": []}')
    return loads_recipe(RECIPE, rooms, "test")


def make(rooms, surveys):
    recipe = read(rooms)
    return Sampler(recipe, open_stage(recipe), real(), surveys=surveys)


def test_boxes_of_accepted_frames_are_on_their_goals_and_frames_the_same_in_any_order(rooms):
    surveys: list[Survey] = []
    sampler = make(rooms, surveys)
    frames = [sampler.frame(k, Block(), render=False) for k in range(3)]
    shown = asked = 0
    tally = AttemptTally()
    low, high = sampler.reach["chair"].aspect
    # Parallel rays show the narrowest chair 0.35 by 0.7 m, from above 0.45 times as wide as high, and the stool's
    # diagonal, 1.26 times its height, as the widest; a wide lens stretches what is at the side.
    assert 0.35 < low < 0.55 and 1.05 < high < 1.6
    assert json.loads(json.dumps(sampler.report()))["reach"]["chair"]["aspect"] == [low, high]
    for frame in frames:
        record = make_record(frame, sampler.recipe) | {"frame": frame.index}
        tally.add(record)
        if frame.shot is None:
            continue
        asked += len(frame.goals.boxes)
        assert [row["main"] for row in frame.rows].count(True) == 1
        goals = [row["goal"] for row in frame.rows if row["bbox"]]
        assert None not in goals and len(set(goals)) == len(goals) and 0 in goals
        for row in frame.rows:
            goal = record["goals"]["boxes"][row["goal"]]
            pixels = goal["area"] * WIDTH * HEIGHT
            assert abs(row["bbox"][2] * row["bbox"][3] / pixels - 1) <= max(0.05, 1 / np.sqrt(pixels))
            assert goal["cut"] or low <= goal["aspect"] <= high
            shown += 1
        assert len(frame.bystanders) == 1
    assert asked > 0 and shown >= 0.75 * asked
    counted = tally.funnel().boxes
    assert counted == {"asked": asked, "shown": shown, "left_out": asked - shown, "no_goal": 0}
    again = make(rooms, surveys)
    for k in (2, 0):
        frame = again.frame(k, Block(), render=False)
        assert frame.rejected == frames[k].rejected and list(frame.rows) == list(frames[k].rows)
        for a, b in zip(frame.shot.instances, frames[k].shot.instances, strict=True):
            np.testing.assert_array_equal(a.matrix, b.matrix)
        np.testing.assert_array_equal(frame.shot.camera.matrix, frames[k].shot.camera.matrix)


def test_what_was_put_on_the_stage_last_is_taken_back(rooms):
    stage = open_stage(read(rooms))
    chairs = stage.assets["chair"]
    places = [np.eye(4) for _ in range(3)]
    for k, place in enumerate(places):
        place[:3, 3] = 1.5 * k - 1.5, 0.0, 0.001
        stage.place(chairs[0], place)
    stage.take_back(2)
    assert [i.id for i in stage.instances] == [1]
    assert not stage.collides(chairs[1], places[1]) and stage.collides(chairs[1], places[0])
    moved = stage.place(chairs[0], places[2])
    assert moved.id == 2 and stage.collides(chairs[1], places[2])
