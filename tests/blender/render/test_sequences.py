# SPDX-License-Identifier: GPL-3.0-or-later
"""Sequences and rigs in Blender: each frame is what a stage shows whose things and camera are put there at once."""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np
import pytest

pytest.importorskip("bpy")

from recipes import ONE_SAMPLE, builtin_class, on_floor, orbit, recipe_text
from twinset.blender.stage import open_stage
from twinset.engine.block import Block
from twinset.engine.recipe.reading import loads_recipe
from twinset.engine.sampling.sampler import Sampler

GROUPS = """
[sequence]
length = 3
fps = 4.0
speed = [0.5, 0.6]
moving_share = 1.0
shake = 0.5

[[rig]]
position = [0.15, 0.0, 0.0]
"""


def test_frames_are_what_a_fresh_layout_shows(tmp_path: Path) -> None:
    text = recipe_text(
        seed=2,
        images=6,
        classes=[builtin_class("chair"), builtin_class("bag")],
        placements=[on_floor(3, 3)],
        cameras=[orbit(2.0, 2.5)],
        render={**ONE_SAMPLE, "block_size": 6},
        size=(80, 60),
        output={"normals": "exr"},
    )
    recipe = loads_recipe(text + GROUPS, tmp_path, "recipe.toml")
    stage = open_stage(recipe)
    sampler, block = Sampler(recipe, stage, {}), Block()
    frames = []
    for index in range(6):
        frame = sampler.frame(index, block)
        if index == 0:
            block.attempt = frame.attempts - 1
        frames.append((frame, stage.instances))
    assert all(frame.shot is not None for frame, _ in frames)
    first, last = (np.array([i.matrix for i in instances]) for _, instances in (frames[0], frames[-1]))
    assert np.abs(last - first).max() > 0.1
    for number, (frame, instances) in enumerate(frames):
        stage.clear()
        for instance in instances:
            stage.place(instance.asset, instance.matrix)
        stage.pose_camera(attrs.evolve(frame.shot.camera))
        fresh = stage.shoot()
        np.testing.assert_array_equal(fresh.labels.ids, frame.shot.labels.ids)
        np.testing.assert_array_equal(fresh.labels.depth, frame.shot.labels.depth)
        assert fresh.amodal.keys() == frame.shot.amodal.keys()
        for id, alone in fresh.amodal.items():
            np.testing.assert_array_equal(alone.mask, frame.shot.amodal[id].mask)
        normals = [each.rendered["normal"] for each in (fresh, frame.shot)]
        np.testing.assert_array_equal(*normals)
        if number % 2:
            left = frames[number - 1][0].shot.camera
            right = np.linalg.inv(left.matrix) @ frame.shot.camera.matrix
            np.testing.assert_allclose(right[:3, 3], (0.15, 0.0, 0.0), atol=1e-9)
