# SPDX-License-Identifier: GPL-3.0-or-later
"""Layouts solved in small rooms without Blender: boxes on their goals by a rasteriser, things supported and apart."""

from __future__ import annotations

import numpy as np
import pytest
from twinset.engine.framing import look
from twinset.engine.goals import Goal, Goals
from twinset.engine.layout.fit import Cameras, Wanted, fit
from twinset.engine.layout.matching import match
from twinset.engine.layout.options import draw_options
from twinset.engine.layout.silhouette import visible_box
from twinset.engine.plugin import Rejected
from twinset.engine.stage import CameraPose
from twinset.plugins.camera.layout import Layout
from twinset.plugins.placement.on_surface import OnSurface
from twinset.testing import scene
from twinset.testing.geometry import surface_distance, triangles_meet, vertical_clearance

FEW = {"candidates": 24, "options": 6, "views": 3, "probes": 2}


def layout(rng: np.random.Generator, names: list[str]) -> tuple[Goal, ...]:
    """Boxes on a floor seen from eye height: the lower, the larger."""
    goals = []
    for name in names:
        bottom = rng.uniform(0.6, 0.95)
        height = (bottom - 0.35) * rng.uniform(0.5, 0.8) * (1.0 if name == "chair" else 0.6)
        width = height * rng.uniform(0.6, 0.9)
        x = rng.uniform(0.15, 0.85)
        goals.append(Goal(name, width * height, (x, bottom - height / 2), aspect=width / height * 4 / 3))
    return tuple(goals)


def corners(instance):
    vertices = instance.asset.mesh.vertices @ instance.matrix[:3, :3].T + instance.matrix[:3, 3]
    return vertices[instance.asset.mesh.triangles]


@pytest.mark.parametrize("seed", range(6))
def test_each_box_has_its_goals_area_and_things_stand_apart(seed):
    rng = np.random.default_rng(seed)
    stage = scene((160, 120))
    names = [["chair"], ["chair", "bag"], ["chair", "chair", "bag"]][seed % 3]
    boxes = layout(rng, names)
    sites = [OnSurface(["Floor"], gap=0.02).site(stage), OnSurface(["Table"], classes=["bag"]).site(stage)]
    plugin = Layout(lens=(20.0, 35.0), **FEW)
    try:
        pose = plugin.arrange(stage, Goals(main=boxes[0], boxes=boxes), sites, rng)
    except Rejected as rejection:
        assert rejection.reason.startswith("camera: ")
        return
    stage.pose_camera(pose)
    labels = stage.probe(1.0)
    found = np.array([labels.bbox(i.id) for i in stage.instances], float)
    found[:, 2:] += found[:, :2]
    index, _ = match([i.asset.class_name for i in stage.instances], found / (160, 120, 160, 120), boxes)
    assert 0 in index and len(set(index)) == len(index)
    for box, goal in zip(found, index, strict=True):
        pixels = boxes[goal].area * 160 * 120
        assert abs((box[2:] - box[:2]).prod() / pixels - 1) <= max(0.05, 1 / np.sqrt(pixels))
    floor = np.concatenate([stage.surfaces([name])[0].corners for name in ("Floor", "Table")])
    for instance in stage.instances:
        assert vertical_clearance(corners(instance), floor, 40) == pytest.approx(0.0005, abs=2e-4)
        for other in stage.instances[: instance.id - 1]:
            assert not triangles_meet(corners(instance), corners(other)).any()
            assert surface_distance(corners(instance), corners(other)) >= 0.02


def test_fits_are_where_brute_force_finds_them():
    """Of a fine grid of places, the one with the nearest area and centre is where the fit has put the thing."""
    stage, rng = scene((160, 120)), np.random.default_rng(3)
    sites = [OnSurface(["Floor"]).site(stage)]
    goal = Goal("chair", 0.05, (0.4, 0.6), aspect=0.8)
    options = draw_options(stage, sites, goal, 4, rng)
    turn, zero = np.array([0.3, 2.0]), np.zeros(2)
    cameras = Cameras(turn, np.array([-0.2, -0.4]), zero, np.array([28.0, 35.0]), zero, np.array([1.0, 1.5]))
    fits = fit(options, Wanted.of([goal] * 4, (160, 120)), cameras, (160, 120))
    for c in range(2):
        matrix = np.eye(4)
        matrix[:3, :3] = look(cameras.yaw[[c]], cameras.pitch[[c]], cameras.roll[[c]])[0]
        matrix[2, 3] = cameras.z[c]
        pose = CameraPose(matrix, float(cameras.lens[c]), 160, 120)
        for t, option in enumerate(options):
            best, place = np.inf, np.zeros(2)
            for distance in np.linspace(0.7, 1.3, 41) * fits.distance[c, t]:
                for angle in np.linspace(-0.2, 0.2, 41) + np.arctan2(*fits.foot[c, t][::-1]):
                    put = np.eye(4)
                    put[:3, :3] = option.scale * option.turn
                    put[:2, 3] = distance * np.array([np.cos(angle), np.sin(angle)])
                    box = visible_box(option.asset, put, pose)
                    if box is not None:
                        off = abs(np.log((box[2] - box[0]) * (box[3] - box[1]) / goal.area))
                        off += 4 * abs((box[0] + box[2]) / 2 - goal.center[0])
                        if off < best:
                            best, place = off, put[:2, 3].copy()
            assert np.linalg.norm(place - fits.foot[c, t]) < 0.03 * fits.distance[c, t]
