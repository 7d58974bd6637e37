# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras that hit their goals through the optics of a real camera, by what Blender then renders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("bpy")

from recipes import ONE_SAMPLE, on_floor, plugin_table, recipe_of
from twinset.blender.stage import BlenderStage, open_stage
from twinset.engine.goals import Goal, Goals
from twinset.engine.plugin import Rejected
from twinset.engine.stage import CameraPose
from twinset.plugins.cameras.close_up import CloseUp
from twinset.plugins.cameras.framed import Framed
from twinset.plugins.cameras.layout import Layout
from twinset.plugins.cameras.orbit import Orbit

WIDTH, HEIGHT = 160, 120

MODELS = {
    "shifted": "focal_length = [150, 130]\nprincipal_point = [60, 75]\n",
    "barrel": "focal_length = [110, 110]\nprincipal_point = [84, 56]\ndistortion = 'brown_conrady'\n"
    "coefficients = [-0.22, 0.05, 0.002, -0.002]\n",
    "fisheye": "focal_length = [75, 75]\nprincipal_point = [78, 63]\ndistortion = 'fisheye'\n"
    "coefficients = [0.03, -0.01, 0.0, 0.0]\n",
}


def stage_with(rooms: Path, model: str) -> BlenderStage:
    more = f"[camera_model]\n{MODELS[model]}"
    screen = {"name": "screen", "objects": ["Screen"]}
    recipe = recipe_of(
        rooms, more, scene="open.blend", distractors=[screen], render=ONE_SAMPLE, size=(WIDTH, HEIGHT)
    )  # fmt: skip
    stage = open_stage(recipe)
    assert isinstance(stage, BlenderStage)
    return stage


def at(x: float, y: float, yaw: float = 0.0) -> np.ndarray:
    matrix = np.eye(4)
    c, s = np.cos(yaw), np.sin(yaw)
    matrix[:2, :2] = [[c, -s], [s, c]]
    matrix[:3, 3] = x, y, 0.0005
    return matrix


def assert_has_optics(stage: BlenderStage, pose: CameraPose) -> None:
    stage.pose_camera(pose)
    assert stage.camera is not None and stage.camera.intrinsics is stage.intrinsics is not None
    assert stage.camera.focal == pytest.approx(stage.intrinsics.focal[0])


@pytest.mark.parametrize("model", MODELS)
def test_framed_hits_its_goals(rooms: Path, model: str) -> None:
    stage = stage_with(rooms, model)
    chair = stage.assets["chair"][0]
    hit = 0
    # At the side, at the centre, and near corners, where distortion is largest.
    for seed, (area, center) in enumerate(
        [(0.02, (0.15, 0.5)), (0.05, (0.5, 0.55)), (0.03, (0.85, 0.75)), (0.1, (0.3, 0.4))]
    ):
        stage.clear()
        main = stage.place(chair, at(0.3, 0.2, 0.4 * seed))
        try:
            pose = Framed().pose(stage, Goals(main=Goal("chair", area, center)), np.random.default_rng(seed))
        except Rejected:
            continue
        hit += 1
        assert_has_optics(stage, pose)
        box = stage.probe(1.0).bbox(main.id)
        assert box is not None
        pixels = area * WIDTH * HEIGHT
        assert abs(box[2] * box[3] - pixels) <= max(0.05 * pixels, np.sqrt(pixels))
        middle = (np.array(box[:2]) + np.array(box[2:]) / 2) / (WIDTH, HEIGHT)
        assert np.abs(middle - center).max() <= 0.02
        # The outline alone says where the box is, to a pixel: the solver and the labels have the same optics.
        seen, depth = pose.with_intrinsics(stage.intrinsics).project(
            main.asset.mesh.vertices @ main.matrix[:3, :3].T + main.matrix[:3, 3]
        )
        assert (depth > 0).all()
        np.testing.assert_allclose((*seen.min(0), *seen.max(0)), (*box[:2], box[0] + box[2], box[1] + box[3]), atol=1.5)
    assert hit >= 3


@pytest.mark.parametrize("model", ["shifted", "fisheye"])
def test_other_cameras_look_at_instances(rooms: Path, model: str) -> None:
    stage = stage_with(rooms, model)
    chair = stage.assets["chair"][0]
    for seed, camera in enumerate([CloseUp(), Orbit(distance=(1.5, 3.0)), Orbit(distance=(1.5, 3.0), off_axis=0.0)]):
        stage.clear()
        main = stage.place(chair, at(0.3, 0.2))
        pose = camera.pose(stage, Goals(), np.random.default_rng(seed))
        assert_has_optics(stage, pose)
        box = stage.probe(1.0).bbox(main.id)
        assert box is not None
        if isinstance(camera, CloseUp):
            whole = stage.amodal()[main.id].bbox
            assert 0.55 <= max(whole[2], whole[3]) / HEIGHT <= 1.7
        elif camera.off_axis == 0.0:
            middle = np.array(box[:2]) + np.array(box[2:]) / 2
            assert np.abs(middle - (WIDTH / 2, HEIGHT / 2)).max() < 12


@pytest.mark.parametrize("model", MODELS)
def test_layouts_hit_all_their_boxes(rooms: Path, model: str) -> None:
    goals = (Goal("chair", 0.05, (0.35, 0.6)), Goal("chair", 0.02, (0.7, 0.5)))
    recipe = recipe_of(
        rooms,
        f"[camera_model]\n{MODELS[model]}",
        scene="open.blend",
        distractors=[{"objects": ["Screen"]}],
        placements=[on_floor()],
        cameras=[plugin_table("layout")],
        render=ONE_SAMPLE,
        size=(WIDTH, HEIGHT),
    )
    stage = open_stage(recipe)
    camera = Layout(candidates=32, options=6, views=3, height=(0.5, 1.6))
    sites = [site for use in recipe.plugins["placement"] if (site := use.plugin.offer_site(stage)) is not None]
    pose = camera.place_and_pose(stage, Goals(main=goals[0], boxes=goals), sites, np.random.default_rng(3))
    assert_has_optics(stage, pose)
    labels = stage.probe(1.0)
    boxes = [box for i in stage.instances if i.asset.class_name and (box := labels.bbox(i.id)) is not None]
    assert len(boxes) == 2
    for goal, box in zip(goals, boxes, strict=True):
        pixels = goal.area * WIDTH * HEIGHT
        assert abs(box[2] * box[3] - pixels) <= max(0.05 * pixels, np.sqrt(pixels))
        assert abs((box[0] + box[2] / 2) / WIDTH - goal.center[0]) < 0.1
