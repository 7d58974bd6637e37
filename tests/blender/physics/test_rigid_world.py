# SPDX-License-Identifier: GPL-3.0-or-later
"""Rigid bodies against the laws of falling and friction, and the same bytes whatever was simulated before."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs Blender")

import bpy
from recipes import builtin_class, plugin_table, recipe_of
from twinset.blender.physics.rigid_world import simulate
from twinset.blender.stage import open_stage
from twinset.engine.goals import Goals
from twinset.engine.rng import stream
from twinset.engine.scene.bodies import BODY_SHAPES, RigidBody
from twinset.engine.stage import Instance
from twinset.testing import asset, box, join, legged, plane
from twinset.testing.fixtures.brute_force import surface_distance, triangles_meet, world_triangles

CUBE = asset("cube", "c", box((0.1, 0.1, 0.1)))
FLOOR = plane((4, 4))


def corners(mesh) -> np.ndarray:
    return mesh.vertices[mesh.triangles]


def body(thing, x=0.0, y=0.0, z=0.0, rotation=None, **settings) -> RigidBody:
    matrix = np.eye(4)
    matrix[:3, :3] = np.eye(3) if rotation is None else rotation
    matrix[:3, 3] = x, y, z
    return RigidBody(Instance(1, thing, matrix), **settings)


def about_y(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


@pytest.mark.parametrize("size", [0.03, 1.0])
def test_things_fall_as_galileo_says(size):
    thing = asset("cube", "c", box((size, size, size)))
    ended = simulate([body(thing, z=100.0)], np.zeros((0, 3, 3)), seconds=0.4)
    fallen = 100.0 - ended.matrices[0, 2, 3]
    # Two percent are air: what a unit of time takes of the speed.
    assert fallen == pytest.approx(9.81 / 2 * ended.seconds**2, rel=0.06)
    assert ended.seconds == pytest.approx(0.4, abs=0.01)
    assert ended.speeds[0] == pytest.approx(9.81 * 0.4, rel=0.2)


@pytest.mark.parametrize(("friction", "slides"), [(0.25, True), (0.6, False)])
def test_friction_decides_on_what_slides(friction, slides):
    # The surroundings have 0.6, and two bodies the geometric mean, so a slope of 24 degrees (0.445) is between.
    limit = np.sqrt(friction * 0.6)
    assert (limit < np.tan(np.radians(24))) == slides
    slope = plane((8, 8), tilt=24)
    up = about_y(24)
    start = up @ np.array([0.0, 0.0, 0.001])
    ended = simulate([body(CUBE, *start, rotation=up, friction=friction)], corners(slope), seconds=1.0)
    moved = np.linalg.norm(ended.matrices[0, :3, 3] - start)
    assert moved > 0.1 if slides else moved < 0.005


@pytest.mark.parametrize("shape", BODY_SHAPES)
def test_a_stool_over_a_block_keeps_its_legs_on_the_floor(shape):
    """Its hull would hit the block; the pieces and the mesh do not."""
    stool = asset("stool", "c", legged(0.4, 0.45))
    surroundings = np.concatenate([corners(FLOOR), corners(box((0.2, 0.2, 0.3), (0, 0, 0.15)))])
    ended = simulate([body(stool, z=0.01, shape=shape)], surroundings, seconds=1.0)
    z = float(ended.matrices[0, 2, 3])
    if shape == "convex_hull":
        assert z > 0.01 or not np.allclose(ended.matrices[0, :3, :3], np.eye(3), atol=0.02)
    else:
        assert z == pytest.approx(0.0007, abs=0.0012)
        assert np.allclose(ended.matrices[0, :3, :3], np.eye(3), atol=0.01)


def test_walls_hold_things_back():
    square = np.array([[-0.2, -0.2], [0.2, -0.2], [0.2, 0.2], [-0.2, 0.2]])
    bodies = [body(CUBE, 0.02 * k, 0.01 * k, 0.02 + 0.12 * k) for k in range(8)]
    ended = simulate(bodies, corners(FLOOR), seconds=2.0, walls=square)
    assert np.abs(ended.matrices[:, :2, 3]).max() < 0.2
    free = simulate(bodies, corners(FLOOR), seconds=2.0)
    assert np.abs(free.matrices[:, :2, 3]).max() > 0.2


def test_nothing_is_left_of_a_simulation_and_nothing_depends_on_earlier_ones():
    data = ("objects", "meshes", "collections", "scenes")
    before = {kind: len(getattr(bpy.data, kind)) for kind in data}
    bodies = [body(CUBE, 0.03 * k, 0.01 * k, 0.02 + 0.12 * k, rotation=about_y(20 * k)) for k in range(6)]
    first = simulate(bodies, corners(FLOOR), seconds=1.5).matrices.tobytes()
    simulate([body(asset("bar", "c", join(box((1, 0.1, 0.1)))), z=0.4)], corners(FLOOR), seconds=0.5)
    assert simulate(bodies, corners(FLOOR), seconds=1.5).matrices.tobytes() == first
    assert {kind: len(getattr(bpy.data, kind)) for kind in data} == before


@pytest.fixture(scope="module")
def bins():
    recipe = recipe_of(
        classes=[{**builtin_class("workpiece"), "exclude": ["gear", "bolt", "elbow", "bracket"]}],
        distractors=[{"name": "bin", "builtin": "bin"}],
        placements=[
            plugin_table("on_surface", surfaces=["Dais"], distractors=True, distractor_names=["bin"], count=[1, 1]),
            plugin_table("physics", containers=["bin"], count=[4, 5], density=4000.0),
        ],
        size=(64, 48),
    )
    return recipe, open_stage(recipe)


def filled(recipe, stage, frame: int) -> list[Instance]:
    stage.clear()
    for number, use in enumerate(recipe.plugins["placement"]):
        use.plugin.place(stage, Goals(frame=frame), stream(3, frame, number))
    return list(stage.instances)


def test_parts_in_a_bin_touch_something_and_intersect_nothing(bins):
    placed = filled(*bins, 0)
    assert len(placed) >= 5
    dais = bins[1].surfaces(["Dais"])[0].corners
    shapes = [world_triangles(i.asset, i.matrix) for i in placed]
    for k, own in enumerate(shapes[1:], 1):
        low, high = own.min((0, 1)) - 0.002, own.max((0, 1)) + 0.002
        gaps = []
        for other in (*shapes[:k], *shapes[k + 1 :], dais):
            near = other[((other.min(1) <= high) & (other.max(1) >= low)).all(1)]
            if len(near):
                assert not triangles_meet(own, near).any()
                gaps.append(surface_distance(own, near))
        assert min(gaps) < 0.001
    inverse = np.linalg.inv(placed[0].matrix)
    low, high = placed[0].asset.bounds
    for i in placed[1:]:
        middle = i.matrix[:3, :3] @ (sum(i.asset.bounds) / 2) + i.matrix[:3, 3]
        local = inverse[:3, :3] @ middle + inverse[:3, 3]
        assert (local[:2] >= low[:2] - 1e-6).all() and (local[:2] <= high[:2] + 1e-6).all()


def test_frames_are_the_same_in_any_order(bins):
    def matrices(frame):
        return np.array([i.matrix for i in filled(*bins, frame)]).tobytes()

    first = matrices(0)
    assert matrices(1) != first
    assert matrices(0) == first
