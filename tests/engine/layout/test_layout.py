# SPDX-License-Identifier: GPL-3.0-or-later
"""Layouts solved in small rooms without Blender: boxes on their goals by a rasteriser, things supported and apart."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from property_examples import examples
from scipy.optimize import linear_sum_assignment
from twinset.engine.geometry.framing import look_rotation
from twinset.engine.goals import Goal, Goals
from twinset.engine.layout.asset_options import draw_options
from twinset.engine.layout.fit import Cameras, GoalArrays, fit
from twinset.engine.layout.matching import UNMATCHED_COST, match
from twinset.engine.layout.silhouette import visible_box
from twinset.engine.plugin import Rejected
from twinset.engine.stage import CameraPose
from twinset.plugins.cameras.layout import Layout
from twinset.plugins.placements.on_surface import OnSurface
from twinset.testing.fixtures.brute_force import (
    surface_distance,
    triangles_meet,
    vertical_clearance,
)
from twinset.testing.fixtures.meshes import asset, box, join, legged, plane
from twinset.testing.fixtures.scene import scene
from twinset.testing.fixtures.stage import BruteStage

FEW = {"candidates": 24, "options": 6, "views": 3, "probes": 2}
SIZE = (96, 72)
_PHASES = [phase for phase in Phase if phase is not Phase.shrink]
"""A frame takes a second: shrinking would take an hour."""


@st.composite
def rooms(draw):
    """A room with a podium, a table and a wall of random sizes; chairs, a bag and a distractor of random shapes."""
    side, podium = draw(st.floats(4.0, 7.0)), draw(st.floats(0.1, 0.4))
    top = draw(st.floats(0.5, 0.9))
    return BruteStage(
        {
            "Floor": plane((side, side)),
            "Podium": box((side / 3, side, podium), (side / 3, 0.0, podium / 2 + 1e-4)),
            "Table": join(
                box((1.2, 0.8, 0.04), (-side / 4, side / 4, top)),
                box((0.1, 0.1, top - 0.021), (-side / 4, side / 4, top / 2 - 0.0095)),
            ),
            "Wall": box((side, 0.1, 2.5), (0.0, side / 2 + 0.05, 1.2501)),
        },
        [
            asset("stool", "chair", legged(draw(st.floats(0.3, 0.6)), draw(st.floats(0.4, 0.6))), (0.9, 1.1)),
            asset("high stool", "chair", legged(0.35, draw(st.floats(0.6, 0.9)))),
            asset("crate", "bag", box((draw(st.floats(0.2, 0.5)), 0.2, draw(st.floats(0.2, 0.4))))),
        ],
        resolution=SIZE,
    )


@st.composite
def layouts(draw):
    """Boxes on a floor seen from eye height, the lower, the larger; some are cut by a border."""
    goals = []
    for name in draw(st.lists(st.sampled_from(["chair", "chair", "bag"]), min_size=1, max_size=4)):
        bottom = draw(st.floats(0.6, 1.1))
        height = (bottom - 0.35) * draw(st.floats(0.5, 0.8)) * (1.0 if name == "chair" else 0.6)
        width, x = height * draw(st.floats(0.6, 0.9)), draw(st.floats(0.02, 0.98))
        x0, y0 = max(x - width / 2, 0.0), bottom - height
        x1, y1 = min(x + width / 2, 1.0), min(bottom, 1.0)
        cut = [side for side, at in (("left", x0 == 0), ("right", x1 == 1), ("bottom", y1 == 1)) if at]
        aspect = (x1 - x0) / (y1 - y0) * SIZE[0] / SIZE[1]
        goals.append(Goal(name, (x1 - x0) * (y1 - y0), ((x0 + x1) / 2, (y0 + y1) / 2), 0, aspect, tuple(cut)))
    return tuple(goals)


def corners(instance):
    vertices = instance.asset.mesh.vertices @ instance.matrix[:3, :3].T + instance.matrix[:3, 3]
    return vertices[instance.asset.mesh.triangles]


def boxes_of(stage):
    labels = stage.probe(1.0)
    found = np.array([labels.bbox(i.id) or (0, 0, 0, 0) for i in stage.instances], float)
    return np.column_stack([found[:, :2], found[:, :2] + found[:, 2:]])


@settings(max_examples=examples(6), derandomize=True, phases=_PHASES, suppress_health_check=list(HealthCheck))
@given(stage=rooms(), goals=layouts(), lens=st.floats(18.0, 40.0), seed=st.integers(0, 99))
def test_each_box_has_its_goals_area_and_things_stand_apart_or_the_frame_is_rejected(stage, goals, lens, seed):
    placements = [OnSurface(["Floor", "Podium"], gap=0.02), OnSurface(["Table"], classes=["bag"], gap=0.02)]
    plugin = Layout(lens=(lens, lens * 1.3), **FEW)
    try:
        pose = plugin.place_and_pose(
            stage,
            Goals(main=goals[0], boxes=goals),
            [p.offer_site(stage) for p in placements],
            np.random.default_rng(seed),
        )
    except Rejected as rejection:
        assert rejection.reason in ("camera: no free viewpoint for the layout", "camera: box off its goal")
        assert not stage.instances
        return
    stage.pose_camera(pose)
    found = boxes_of(stage)
    assert 1 <= len(found) <= len(goals)
    # Whichever goal each is taken for, the best assignment must have all areas on their goals.
    pixels = np.array([g.area for g in goals]) * SIZE[0] * SIZE[1]
    allowed = np.maximum(0.05, 1 / np.sqrt(pixels))
    off = np.abs((found[:, 2:] - found[:, :2]).prod(1)[:, None] / pixels - 1) / allowed
    same = np.array([[i.asset.class_name == g.class_name for g in goals] for i in stage.instances])
    rows, columns = linear_sum_assignment(np.where(same, np.maximum(off, 1.0), 99.0))
    assert (off[rows, columns] <= 1 + 1e-9).all(), off
    ground = np.concatenate([stage.surfaces([name])[0].corners for name in ("Floor", "Podium", "Table")])
    for instance in stage.instances:
        bottom = corners(instance)[..., 2].min()
        below = ground[ground[..., 2].max(1) < bottom]
        assert vertical_clearance(corners(instance), below, 30) == pytest.approx(0.0005, abs=2e-4)
        assert not triangles_meet(corners(instance), ground).any()
    for a, b in combinations(stage.instances, 2):
        assert not triangles_meet(corners(a), corners(b)).any()
        assert surface_distance(corners(a), corners(b)) >= 0.02 - 1e-9
    # The camera is free, and in its heights above what it stands over.
    assert stage.clearance(pose.position[None])[0] >= plugin.clearance
    height = stage.cast(pose.position[None], np.array([[0.0, 0.0, -1.0]]), ignore=[i.id for i in stage.instances])
    assert plugin.height[0] - 0.06 <= height.distance[0] <= plugin.height[1] + 0.06
    # The sight of every thing is free of the room: rays to its middle meet itself or another instance first.
    for instance in stage.instances:
        way = corners(instance).mean((0, 1)) - pose.position
        hit = stage.cast(pose.position[None], way[None] / np.linalg.norm(way))
        assert hit.owner[0] > 0 or hit.distance[0] > 0.5 * np.linalg.norm(way)


def test_the_same_stream_gives_the_same_layout():
    goals = (Goal("chair", 0.06, (0.4, 0.6), 0, 0.8), Goal("bag", 0.02, (0.8, 0.7), 0, 1.2))
    outcomes = []
    for _ in range(2):
        stage = scene(SIZE)
        pose = Layout(**FEW).place_and_pose(
            stage, Goals(main=goals[0], boxes=goals), [OnSurface(["Floor"]).offer_site(stage)], np.random.default_rng(5)
        )
        outcomes.append([pose.matrix, *(i.matrix for i in stage.instances)])
    assert len(outcomes[0]) == len(outcomes[1]) == 3
    for a, b in zip(*outcomes, strict=True):
        np.testing.assert_array_equal(a, b)


def test_without_goals_it_draws_one_of_its_own():
    stage = scene(SIZE)
    pose = Layout(area=(0.05, 0.06), **FEW).place_and_pose(
        stage, Goals(), [OnSurface(["Floor"]).offer_site(stage)], np.random.default_rng(1)
    )
    stage.pose_camera(pose)
    (found,) = boxes_of(stage)
    assert 0.047 <= (found[2:] - found[:2]).prod() / (SIZE[0] * SIZE[1]) <= 0.063


def test_where_nothing_moves_the_camera_is_solved_for_the_layout():
    """A stool and a crate that stand 0.8 m apart: with the second goal on the left or on the right of the first one,
    the crate is seen there."""
    sides = []
    for x in (0.2, 0.8):
        stage = scene((160, 120), furnished=True)
        stage.keep(["chair", "bag"])
        goals = (Goal("chair", 0.04, (0.5, 0.55)), Goal("bag", 0.02, (x, 0.55)))
        pose = Layout(height=(0.3, 1.2)).pose(stage, Goals(main=goals[0], boxes=goals), np.random.default_rng(0))
        stage.pose_camera(pose)
        stool, crate = boxes_of(stage)
        assert (stool[2:] - stool[:2]).prod() / (160 * 120) == pytest.approx(0.04, rel=0.05)
        sides.append(np.sign((crate[0] + crate[2]) - (stool[0] + stool[2])))
    assert sides == [-1, 1]


def test_fits_are_where_brute_force_finds_them():
    """Of a fine grid of places, the one with the nearest area and centre is where the fit has put the thing."""
    stage, rng = scene((160, 120)), np.random.default_rng(3)
    sites = [OnSurface(["Floor"]).offer_site(stage)]
    goal = Goal("chair", 0.05, (0.4, 0.6), aspect=0.8)
    options = draw_options(stage, sites, goal, 3, rng)
    turn, zero = np.array([0.3, 2.0]), np.zeros(2)
    cameras = Cameras(turn, np.array([-0.2, -0.4]), zero, np.array([28.0, 35.0]), zero, np.array([1.0, 1.5]))
    fits = fit(options, GoalArrays.of([goal] * 3, (160, 120)), cameras, (160, 120))
    for c in range(2):
        matrix = np.eye(4)
        matrix[:3, :3] = look_rotation(cameras.yaw[[c]], cameras.pitch[[c]], cameras.roll[[c]])[0]
        matrix[2, 3] = cameras.z[c]
        pose = CameraPose(matrix, float(cameras.lens[c]), 160, 120)
        for t, option in enumerate(options):
            best, place = np.inf, np.zeros(2)
            for distance in np.linspace(0.9, 1.1, 31) * fits.distance[c, t]:
                for angle in np.linspace(-0.1, 0.1, 31) + np.arctan2(*fits.offset_xy[c, t][::-1]):
                    put = np.eye(4)
                    put[:3, :3] = option.scale * option.rotation
                    put[:2, 3] = distance * np.array([np.cos(angle), np.sin(angle)])
                    seen = visible_box(option.asset, put, pose)
                    assert seen is not None
                    off = abs(np.log((seen[2] - seen[0]) * (seen[3] - seen[1]) / goal.area))
                    off += 4 * abs((seen[0] + seen[2]) / 2 - goal.center[0])
                    if off < best:
                        best, place = off, put[:2, 3].copy()
            assert np.linalg.norm(place - fits.offset_xy[c, t]) < 0.03 * fits.distance[c, t]


@settings(max_examples=examples(20), derandomize=True)
@given(st.floats(-1.2, 1.2), st.floats(-1.0, 0.6), st.floats(0.4, 3.0), st.floats(14.0, 60.0))
def test_visible_boxes_are_those_of_the_rasteriser(x, pitch, distance, lens):
    """Also where borders cut the thing, or part of it lies behind the camera."""
    stage = scene((320, 240))
    stool = stage.assets["chair"][0]
    matrix, put = np.eye(4), np.eye(4)
    matrix[:3, :3] = look_rotation(np.zeros(1), np.array([pitch]), np.zeros(1))[0]
    matrix[:3, 3] = -1.0, 0.0, 0.6
    put[:3, 3] = -1.0 + distance, x, 0.0
    pose = CameraPose(matrix, lens, 320, 240)
    stage.place(stool, put)
    stage.pose_camera(pose)
    lone = BruteStage({"Floor": plane((0.1, 0.1), (50.0, 50.0, -9.0))}, [stool], resolution=(320, 240))
    lone.place(stool, put)
    lone.pose_camera(pose)
    expected = lone.probe(1.0).bbox(1)
    found = visible_box(stool, put, pose)
    if expected is None:
        # What is seen between pixels' centres, or not at all.
        assert found is None or ((found[2:] - found[:2]) * (320, 240)).min() <= 1.01
    else:
        low, high = np.array(expected[:2]), np.add(expected[:2], expected[2:])
        np.testing.assert_allclose(found * (320, 240, 320, 240), [*low, *high], atol=1.01)


def test_boxes_are_matched_with_goals_of_their_class():
    goals = [Goal("chair", 0.04, (0.2, 0.5)), Goal("bag", 0.04, (0.2, 0.5)), Goal("chair", 0.04, (0.8, 0.5))]
    boxes = np.array([[0.7, 0.4, 0.9, 0.6], [0.1, 0.4, 0.3, 0.6], [0.1, 0.4, 0.3, 0.6], [0.1, 0.4, 0.3, 0.6]])
    found, cost = match(["chair", "bag", "chair", "chair"], boxes, goals)
    assert found[0] == 2 and found[1] == 1 and sorted(found[2:]) == [-1, 0]
    assert cost == pytest.approx(UNMATCHED_COST)
    assert match([], np.zeros((0, 4)), goals)[1] == 3 * UNMATCHED_COST
