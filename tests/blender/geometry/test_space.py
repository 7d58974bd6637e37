# SPDX-License-Identifier: GPL-3.0-or-later
"""Rays, distances and collisions of the BVH space against brute force on every pair of triangles."""

from __future__ import annotations

import contextlib
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from executed_lines import executed_lines
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytest.importorskip("bpy", reason="needs Blender")

import bpy
from property_examples import examples
from twinset.blender.geometry import collision_shape, static_parts
from twinset.blender.geometry.collision_shape import clip_to_box, inverse
from twinset.blender.geometry.collision_space import CollisionSpace
from twinset.blender.geometry.tree_queries import RAY_DIRECTIONS
from twinset.engine.stage import Mesh
from twinset.testing import asset, box, heightfield, join, legged, plane
from twinset.testing.fixtures.brute_force import (
    point_distances,
    ray_distances,
    surface_distance,
    triangles_meet,
)


def soup(rng: np.random.Generator, count: int, size: float = 0.5, spread: float = 1.0) -> Mesh:
    centers = rng.uniform(-spread, spread, (count, 1, 3))
    vertices = (centers + rng.normal(0, size, (count, 3, 3))).reshape(-1, 3)
    return Mesh(vertices, np.arange(3 * count, dtype=np.int32).reshape(-1, 3))


def pose(rng: np.random.Generator, spread: float = 1.0, scale: float = 1.0) -> np.ndarray:
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    matrix = np.eye(4)
    matrix[:3, :3] = scale * turn * np.sign(np.linalg.det(turn))
    matrix[:3, 3] = rng.uniform(-spread, spread, 3)
    return matrix


def at(x: float, y: float, z: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = x, y, z
    return matrix


divided = pytest.mark.parametrize("most", [10**6, 6])
"""Static meshes as they are, and in parts of at most six triangles."""


@contextlib.contextmanager
def parts_of(most: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(static_parts, "_LARGE", most + 4)
        patch.setattr(static_parts, "_MOST", most)
        yield


def world(thing, matrix: np.ndarray) -> np.ndarray:
    return (thing.mesh.vertices @ matrix[:3, :3].T + matrix[:3, 3])[thing.mesh.triangles]


@divided
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=examples(15))
def test_first_hits_are_those_of_brute_force(most, seed):
    with parts_of(most):
        rng = np.random.default_rng(seed)
        static, thing = soup(rng, 40), asset("thing", "c", soup(rng, 30, 0.3))
        matrix = pose(rng, scale=float(rng.uniform(0.3, 2.0)))
        space = CollisionSpace(["soup"], [static])
        space.put(7, thing, matrix)
        origins = rng.uniform(-2, 2, (60, 3))
        directions = rng.normal(size=(60, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        corners = static.vertices[static.triangles]
        both = np.concatenate([corners, world(thing, matrix)])
        distances = ray_distances(origins, directions, both)
        expected, face = distances.min(1), distances.argmin(1)
        hits = space.cast(origins, directions)
        # A ray within a hair of an edge may go either way in single precision: most agree, exact where both hit.
        agree = np.isfinite(hits.distance) == np.isfinite(expected)
        assert agree.mean() >= 0.98
        hit = np.isfinite(hits.distance) & np.isfinite(expected)
        close = np.abs(hits.distance - np.where(hit, expected, 0)) < 1e-5
        assert close[hit].mean() >= 0.98
        assert (hits.owner[hit & close] == np.where(face >= 40, 7, 0)[hit & close]).all()
        normal = np.cross(both[:, 1] - both[:, 0], both[:, 2] - both[:, 0])
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        np.testing.assert_allclose(hits.normal[hit & close], normal[face[hit & close]], atol=1e-6)
        assert (hits.owner[~np.isfinite(hits.distance)] == -1).all()
        limit = rng.uniform(0.1, 3.0, len(origins))
        near = space.cast(origins, directions, within=limit)
        wanted = hits.distance <= limit
        np.testing.assert_array_equal(near.distance[wanted], hits.distance[wanted])
        np.testing.assert_array_equal(near.owner[wanted], hits.owner[wanted])
        assert (near.distance[~wanted] > limit[~wanted]).all()
        alone = space.cast(origins, directions, ignore=[7])
        assert not (alone.owner == 7).any()


def surrounds(outer, inner, matrix: np.ndarray) -> bool:
    """Whether ``inner``, moved by ``matrix`` into the frame of ``outer``, starts inside it, as closed meshes do.

    Soups are not closed, but by chance all rays that decide it may cross one an odd number of times.
    """
    start = np.tile(world(inner, matrix)[0, 0], (len(RAY_DIRECTIONS), 1))
    crossed = np.isfinite(ray_distances(start, RAY_DIRECTIONS, world(outer, np.eye(4)))).sum(1)
    return bool((crossed % 2 == 1).all())


@divided
@given(st.integers(0, 2**32 - 1))
@example(5704)
@settings(max_examples=examples(60))
def test_soups_collide_exactly_where_triangles_meet(most, seed):
    with parts_of(most):
        rng = np.random.default_rng(seed)
        static = soup(rng, int(rng.integers(1, 40)), 0.2)
        thing = asset("thing", "c", soup(rng, int(rng.integers(1, 8)), 0.3))
        matrix = pose(rng, scale=float(rng.uniform(0.5, 1.5)))
        corners = world(thing, matrix)
        expected = bool(triangles_meet(corners, static.vertices[static.triangles]).any())
        assert (CollisionSpace(["soup"], [static]).collides(thing, matrix) != "") == expected
        other = asset("other", "c", static)
        other_pose = pose(rng, 0.3)
        expected = bool(triangles_meet(corners, world(other, other_pose)).any())
        expected |= surrounds(other, thing, inverse(other_pose) @ matrix)
        expected |= surrounds(thing, other, inverse(matrix) @ other_pose)
        space = CollisionSpace([], [])
        space.put(1, other, other_pose)
        found = space.collides(thing, matrix)
        assert (found == "other") == expected
        assert space.collides(thing, matrix, ignore=[1]) == ""


def test_two_of_the_same_asset_collide_with_each_other():
    thing = asset("stool", "c", legged(0.4, 0.45))
    space = CollisionSpace([], [])
    space.put(1, thing, np.eye(4))
    assert space.collides(thing, at(0.2, 0.1, 0.0)) == "stool"
    assert space.collides(thing, at(0.5, 0.0, 0.0)) == ""


@given(st.integers(0, 2**32 - 1), st.floats(0.005, 0.3))
@settings(max_examples=examples(40))
def test_gap_is_the_distance_between_surfaces(seed, gap):
    rng = np.random.default_rng(seed)
    one, two = asset("one", "c", box((0.4, 0.3, 0.2))), asset("two", "c", legged(0.5, 0.6))
    a, b = pose(rng, 0.4), pose(rng, 0.4, float(rng.uniform(0.5, 2)))
    space = CollisionSpace([], [])
    space.put(1, two, b)
    if space.collides(one, a):
        return
    distance = surface_distance(world(one, a), world(two, b))
    free = space.collides(one, a, gap=gap) == ""
    if distance < 0.86 * gap - 1e-5:
        assert not free
    if distance > gap + 1e-5:
        assert free


@pytest.mark.parametrize("lift, expected", [(0.0005, ""), (-0.0005, "Ground")])
@pytest.mark.parametrize("extent", [1.0, 20.0, 20_000.0])
def test_resting_is_free_and_sinking_is_not_however_large_the_ground(lift, expected, extent):
    space = CollisionSpace(["Ground"], [plane((extent, extent), (0.3 * extent, 0.2 * extent, 0.0))])
    assert space.collides(asset("stool", "c", legged(0.4, 0.45)), at(0.1, 0.1, lift)) == expected


@divided
def test_inside_a_solid_is_taken_and_inside_a_room_is_free(most):
    with parts_of(most):
        crate = asset("crate", "c", box((0.2, 0.2, 0.2)))
        floor, cabinet = plane((6, 6)), box((1, 1, 2), (1, 1, 1.001))
        space = CollisionSpace(["Floor", "Cabinet"], [floor, cabinet])
        assert space.collides(crate, at(1, 1, 0.1)) == "Cabinet"
        assert space.collides(crate, at(-1, 1, 0.1)) == ""
        room = box((6, 6, 2.5), (0, 0, 1.25))
        inward = Mesh(room.vertices, room.triangles[:, ::-1])
        for walls in (room, inward):
            space = CollisionSpace(["Room", "Cabinet"], [walls, cabinet])
            assert space.collides(crate, at(-1, 1, 0.1)) == ""
            assert space.collides(crate, at(1, 1, 0.1)) == "Cabinet"
            assert space.collides(crate, at(3, 1, 0.1)) == "Room"


@divided
def test_a_lone_closed_mesh_is_a_room_if_a_camera_is_in_it(most):
    with parts_of(most):
        crate, room = asset("crate", "c", box((0.2, 0.2, 0.2))), box((6, 6, 2.5), (0, 0, 1.25))
        for cameras, expected in (
            ([], "Room"),
            ([np.array([1.0, 2.0, 4.0])], "Room"),
            ([np.array([1.0, 2.0, 1.6])], ""),
        ):
            assert CollisionSpace(["Room"], [room], cameras).collides(crate, at(-1, 1, 0.1)) == expected


@divided
def test_enclosing_counts_in_both_directions(most):
    with parts_of(most):
        small, large = asset("small", "c", box((0.1, 0.1, 0.1))), asset("large", "c", box((1, 1, 1)))
        space = CollisionSpace(["Vase"], [box((0.1, 0.1, 0.2), (5, 0, 0.5))])
        space.put(1, small, at(0, 0, 0.4))
        assert space.collides(large, np.eye(4)) == "small"
        assert space.collides(large, at(5, 0, 0)) == "Vase"
        space.clear()
        space.put(1, large, np.eye(4))
        assert space.collides(small, at(0, 0, 0.4)) == "large"
        space.remove(1)
        assert space.collides(small, at(0, 0, 0.4)) == ""


@divided
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=examples(15))
def test_clearance_is_the_distance_to_the_nearest_triangle(most, seed):
    with parts_of(most):
        rng = np.random.default_rng(seed)
        static, thing = soup(rng, 20), asset("thing", "c", soup(rng, 10, 0.3))
        matrix = pose(rng, 2.0, float(rng.uniform(0.3, 2.0)))
        space = CollisionSpace(["soup"], [static])
        space.put(3, thing, matrix)
        points = rng.uniform(-3, 3, (20, 3))
        corners = static.vertices[static.triangles]
        everything = np.concatenate([corners, world(thing, matrix)])
        np.testing.assert_allclose(space.clearance(points), point_distances(points, everything).min(1), atol=2e-6)
        near = space.clearance(points, within=0.5)
        np.testing.assert_array_equal(near[near <= 0.5], space.clearance(points)[near <= 0.5])
        assert ((near <= 0.5) == (space.clearance(points) <= 0.5)).all()
        np.testing.assert_allclose(
            space.clearance(points, ignore=[3]), point_distances(points, corners).min(1), atol=2e-6
        )


def test_instances_of_many_sizes_do_not_pile_up():
    space = CollisionSpace([], [])
    chair = asset("chair", "chair", box((0.4, 0.4, 0.4)))
    rng = np.random.default_rng(0)
    for scale in rng.uniform(0.8, 1.2, 40):
        space.clear()
        space.put(1, chair, np.eye(4) @ np.diag([scale, scale, scale, 1.0]))
        assert not space.collides(chair, at(1.0, 0.0, 0.0), gap=0.05)
    (shape,) = space._shapes.values()
    assert len(shape._edge_samples) <= 8
    points = shape.edge_samples(0.05)
    away = np.linalg.norm(points[:, None] - points, axis=-1) + np.eye(len(points))
    assert away.min(0).max() <= 0.05 + 1e-9


def test_trees_are_built_where_something_comes_near(monkeypatch) -> None:
    monkeypatch.setattr(static_parts, "_LARGE", 1000)
    built = []
    build = static_parts.build_tree
    monkeypatch.setattr(static_parts, "build_tree", lambda corners: built.append(len(corners)) or build(corners))
    hill = heightfield(lambda x, y: 0.3 + 0.1 * np.sin(5 * x) * np.cos(4 * y), 1.0, 30)
    hills = [Mesh(hill.vertices + np.array([4.0 * k, 0.0, 0.0]), hill.triangles) for k in range(3)]
    space = CollisionSpace(["Floor", "A", "B", "C"], [plane((40, 40)), *hills])
    assert not built
    crate = asset("crate", "c", box((0.2, 0.2, 0.2)))
    assert space.collides(crate, at(4.0, 0.0, 0.25)) == "B"
    assert space.cast([[2.0, 0.0, 0.3]], [[-1.0, 0.0, 0.0]]).distance[0] < 2.5  # A
    assert sum(count == len(hill.triangles) for count in built) == 2  # not C


def test_nothing_there():
    space = CollisionSpace([], [])
    hits = space.cast([[0, 0, 0]], [[0, 0, 1]])
    assert np.isinf(hits.distance[0]) and hits.owner[0] == -1
    assert np.isinf(space.clearance([[0, 0, 0]])[0])
    assert space.collides(asset("crate", "c", box((1, 1, 1))), np.eye(4)) == ""


def test_triangles_without_area_or_numbers_are_left_out():
    bad = Mesh(
        np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [np.nan, 0, 0.0]]), np.array([[0, 1, 2], [0, 1, 3]], dtype=np.int32)
    )
    np.testing.assert_array_equal(bad.bounds, [[0, 0, 0], [2, 0, 0]])
    space = CollisionSpace(["bad", "floor"], [bad, plane((4, 4))])
    assert space.cast([[0.3, 0.1, 1]], [[0, 0, -1]]).distance[0] == pytest.approx(1.0)
    assert space.collides(asset("crate", "c", box((0.2, 0.2, 0.2))), at(0, 0, -0.1)) == "floor"


def test_inverse_is_that_of_linear_algebra():
    rng = np.random.default_rng(2)
    matrix = pose(rng, 5.0, 1.7)
    matrix[:3, 0] *= 0.4
    np.testing.assert_allclose(inverse(matrix), np.linalg.inv(matrix), atol=1e-12)


def test_clipping_keeps_what_is_in_the_box():
    rng = np.random.default_rng(5)
    big = rng.uniform(-100, 100, (30, 3, 3))
    low, high = np.array([-1.0, -1.0, -1.0]), np.array([1.0, 2.0, 1.0])
    index, pieces = clip_to_box(big, low, high)
    target = world(asset("c", "c", box((2, 3, 2))), at(0, 0.5, -1))
    for k in range(30):
        whole = triangles_meet(big[k : k + 1], target).any()
        part = pieces[index == k]
        assert whole == (len(part) > 0 and triangles_meet(part, target).any())


def test_dense_meshes_are_left_to_compiled_code():
    ground = heightfield(lambda x, y: 0.02 * np.sin(7 * x) * np.cos(5 * y), 8.0, 300)
    dense = join(heightfield(lambda x, y: 0.4 + 0.1 * x * y, 0.5, 100), legged(0.4, 0.4))
    thing = asset("dense", "c", dense)
    space = CollisionSpace(["ground"], [ground])
    space.collides(thing, at(0, 0, 0.1))  # the first call builds the asset's tree
    space.put(1, thing, at(0, 0, 0.1))
    answers, lines = executed_lines(
        lambda: [space.collides(thing, at(0.52, 0.01 * k, 0.05), gap=0.02) for k in range(10)]
    )
    assert len(answers) == 10 and lines < 100_000


def test_large_trees_are_the_same_and_take_little_memory(monkeypatch) -> None:
    rng = np.random.default_rng(3)
    mesh = soup(rng, 20_000, 0.05, 3.0)
    corners = mesh.vertices[mesh.triangles]
    usual = collision_shape.build_tree(corners)
    blocks = len(bpy.data.user_map())
    monkeypatch.setattr(collision_shape, "_MANY", 10_000)
    tracemalloc.start()
    tree = collision_shape.build_tree(corners)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100 * len(corners)
    assert len(bpy.data.user_map()) == blocks
    for origin, direction in zip(rng.uniform(-4, 4, (500, 3)), rng.normal(size=(500, 3)), strict=True):
        assert tree.ray_cast(origin, direction) == usual.ray_cast(origin, direction)
        assert tree.find_nearest(origin) == usual.find_nearest(origin)
    other = collision_shape.build_tree(corners[:1000] + 0.02)
    assert tree.overlap(other) == usual.overlap(other) != []
