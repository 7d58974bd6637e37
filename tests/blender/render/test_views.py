# SPDX-License-Identifier: GPL-3.0-or-later
"""Several views of a layout in Blender: each is what a fresh layout shows, and things that one left out come back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("bpy")

from recipes import ONE_SAMPLE, builtin_class, on_floor, orbit, plugin_table, recipe_text
from twinset.blender.stage import open_stage
from twinset.dataset.jobs.job import Job
from twinset.engine.recipe.reading import loads_recipe
from twinset.engine.stage import CameraPose
from twinset.testing.fixtures.render_process import file_bytes

VIEWS = 4


def test_views_are_the_bytes_of_layouts_made_again(tmp_path: Path) -> None:
    text = recipe_text(
        seed=4,
        images=VIEWS,
        views=VIEWS,
        classes=[builtin_class("chair"), builtin_class("bag")],
        placements=[on_floor(4, 4)],
        cameras=[orbit(1.5, 4.0)],
        appearances=["lights", "materials", plugin_table("depth_of_field", probability=0.5), "motion"],
        filters=[plugin_table("min_pixels", pixels=40)],
        render={**ONE_SAMPLE, "block_size": VIEWS},
        size=(80, 60),
        output={"format": "png"},
    )
    recipe = loads_recipe(text, tmp_path, "recipe.toml")
    list(Job(recipe, tmp_path / "whole", open_stage).run())
    # A process that has not rendered the views before.
    list(Job(recipe, tmp_path / "again", open_stage).run(range(2)))
    list(Job(recipe, tmp_path / "again", open_stage).run())
    for kind in ("images", "frames"):
        assert file_bytes(tmp_path / "again" / kind) == file_bytes(tmp_path / "whole" / kind), kind
    records = [json.loads(path.read_text()) for path in sorted((tmp_path / "whole/frames").glob("*.json"))]
    assert [r["draws"]["layout"] for r in records] == [{"frame": 0, "view": view} for view in range(VIEWS)]
    materials = [[c for c in r["draws"]["appearance"] if c["call"] == "set_material"] for r in records]
    assert materials[0] and all(each == materials[0] for each in materials)


def test_a_new_view_shows_what_was_hidden_without_the_look_of_the_last_one(tmp_path: Path) -> None:
    text = recipe_text(render=ONE_SAMPLE, size=(64, 48))
    stage = open_stage(loads_recipe(text, tmp_path, "recipe.toml"))
    asset = stage.assets["chair"][0]
    matrix = np.eye(4)
    matrix[:3, 3] = 0.0, 0.0, 0.01
    stage.place(asset, matrix)
    pose = np.array([[1.0, 0, 0, 0], [0, 0, -1, -2.0], [0, 1, 0, 0.6], [0, 0, 0, 1]])
    stage.pose_camera(CameraPose(pose, 30.0, 64, 48))
    before = stage.shoot(3)
    stage.hide([1])
    stage.set_exposure(2.0)
    stage.set_focus(0.3, f_number=0.5)
    stage.set_motion(None, displacement=(0.5, 0.0, 0.0), rotation=(0.0, 0.0, 0.0))
    hidden = stage.shoot(3)
    assert not (hidden.labels.ids == 1).any() and (before.labels.ids == 1).any()
    stage.begin_view()
    stage.pose_camera(CameraPose(pose.copy(), 30.0, 64, 48))
    after = stage.shoot(3)
    np.testing.assert_array_equal(after.labels.ids, before.labels.ids)
    np.testing.assert_array_equal(after.image, before.image)
    assert np.isfinite(stage.cast(np.array([[0.0, 0.0, 2.0]]), np.array([[0.0, 0.0, -1.0]])).distance).all()
    assert not after.motions
