# SPDX-License-Identifier: GPL-3.0-or-later
"""Placements and appearances that place the distractors of some tables only."""

from __future__ import annotations

import numpy as np
import pytest
from twinset.engine.errors import StageError
from twinset.engine.goals import Goals
from twinset.engine.plugin import registry
from twinset.engine.stage import Asset
from twinset.testing import BruteStage, asset, box, plane, scene


def stage_with_tables():
    def thing(name, group, size):
        shape = asset(name, "", box(size))
        return Asset(shape.name, "", shape.mesh, shape.points, group=group)

    things = [thing("sofa", "furniture", (0.8, 0.5, 0.5)), thing("bed", "furniture", (0.9, 0.6, 0.3))]
    stool = asset("stool", "chair", box((0.4, 0.4, 0.45)))
    room = {"Floor": plane((6.0, 6.0)), "Wall": box((6.0, 0.1, 2.5), (0.0, 2.95, 1.25))}
    stage = BruteStage(room, [*things, thing("cup", "tableware", (0.1, 0.1, 0.1)), stool])
    stage.place(stool, np.eye(4))
    stage.pose_camera(scene(furnished=True).existing_cameras()[0])
    return stage


PLUGINS = [
    ("placement", "on_surface", {"surfaces": ["Floor"], "distractors": True, "count": (4, 6)}),
    ("placement", "in_air", {"distractors": True, "count": (4, 6), "low": (-2, -2, 1), "high": (2, 2, 2)}),
    ("appearance", "distractors", {"count_range": (4, 6), "tries": 200}),
    ("appearance", "clutter", {"count_range": (4, 6), "surfaces": ["Floor"], "tries": 200}),
]


def placed(kind, id, params):
    stage, made = stage_with_tables(), registry.find(kind, id)(**params)
    rng = np.random.default_rng(4)
    if kind == "placement":
        made.place(stage, Goals(), rng)
    else:
        made.vary(stage, rng)
    return {i.asset.name for i in stage.instances if not i.asset.class_name}


@pytest.mark.parametrize(("kind", "id", "params"), PLUGINS, ids=[id for _, id, _ in PLUGINS])
def test_only_distractors_of_the_named_tables_are_placed(kind, id, params):
    assert placed(kind, id, {**params, "distractor_names": ["tableware"]}) == {"cup"}
    furniture = placed(kind, id, {**params, "distractor_names": ["furniture"]})
    assert furniture and furniture <= {"sofa", "bed"}


@pytest.mark.parametrize(("kind", "id", "params"), PLUGINS, ids=[id for _, id, _ in PLUGINS])
def test_a_name_of_no_table_is_refused_with_the_closest_one(kind, id, params):
    with pytest.raises(StageError, match=r"'furnitures'.*Did you mean 'furniture'"):
        placed(kind, id, {**params, "distractor_names": ["furnitures"]})
