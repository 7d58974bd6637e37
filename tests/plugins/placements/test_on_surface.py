# SPDX-License-Identifier: GPL-3.0-or-later
"""Placement on surfaces: contact, support and free room against brute force; area, slope, mask, storeys, reasons."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from twinset.engine.errors import StageError
from twinset.engine.geometry.contact import (
    centroid,
    footprint,
    highest_below,
    inside_hull,
    resting_height,
)
from twinset.engine.goals import Goal, Goals
from twinset.engine.plugin import Rejected
from twinset.engine.plugin.params import build
from twinset.engine.stage import Mesh
from twinset.plugins.placements.on_surface import OnSurface
from twinset.testing import BruteStage, asset, box, heightfield, join, legged, plane
from twinset.testing.fixtures.brute_force import (
    surface_distance,
    triangles_meet,
    vertical_clearance,
)
from twinset.testing.fixtures.scene import scene

STOOL = asset("stool", "chair", legged(0.4, 0.45))
CRATE = asset("crate", "bag", box((0.3, 0.2, 0.25)))
BUMPY = heightfield(lambda x, y: 0.02 * np.sin(5 * x) * np.cos(4 * y) + 0.01 * np.sin(17 * x + y), 4.0, 40)


def main(name: str) -> Goals:
    return Goals(Goal(name, 0.1, (0.5, 0.5)))


def run(stage: BruteStage, seed: int, goals: Goals | None = None, **params) -> list[np.ndarray]:
    stage.clear()
    OnSurface(**params).place(stage, goals or Goals(), np.random.default_rng(seed))
    return [i.matrix for i in stage.instances]


def world(instance) -> np.ndarray:
    matrix = instance.matrix
    return (instance.asset.mesh.vertices @ matrix[:3, :3].T + matrix[:3, 3])[instance.asset.mesh.triangles]


def raised(points: np.ndarray, height: float) -> np.ndarray:
    return points + np.array([0.0, 0.0, height])


def corners(mesh: Mesh) -> np.ndarray:
    return mesh.vertices[mesh.triangles]


@pytest.mark.parametrize("thing", [STOOL, CRATE], ids=["stool", "crate"])
@pytest.mark.parametrize(
    "ground, align",
    [
        (plane((4, 4)), False),
        (plane((4, 4), tilt=11.0), False),
        (plane((4, 4), tilt=11.0), True),
        (BUMPY, False),
        (BUMPY, True),
    ],
    ids=["plane", "tilted", "tilted aligned", "bumpy", "bumpy aligned"],
)
def test_things_touch_what_they_stand_on(thing, ground, align):
    stage = BruteStage({"Ground": ground}, [thing])
    options = {
        "surfaces": ["Ground"],
        "count": (1, 1),
        "align_to_normal": align,
        "max_slope": 20.0,
        "max_overhang": 0.3,
        "max_support_gap": 0.03,
    }
    for seed in range(3):
        run(stage, seed, **options)
        clearance = vertical_clearance(world(stage.instances[0]), corners(ground), samples=60)
        assert 0.0 < clearance <= 0.001
        z_axis = stage.instances[0].matrix[:3, 2]
        if ground is BUMPY:
            continue
        # Upright on a slope it would touch along one side only, so that it leans with the ground.
        a, b, c = corners(ground)[0]
        normal = np.cross(b - a, c - a) / np.linalg.norm(np.cross(b - a, c - a))
        assert z_axis == pytest.approx(normal, abs=1e-9)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=examples(25))
def test_resting_height_is_exact_for_any_two_meshes(seed):
    rng = np.random.default_rng(seed)
    ground = heightfield(lambda x, y: rng.uniform(0, 0.3, x.shape), 2.0, int(rng.integers(1, 9)))
    count = int(rng.integers(1, 12))
    soup = rng.uniform(-0.6, 0.6, (3 * count, 3))
    soup[:, 2] -= soup[:, 2].min()
    triangles = np.arange(3 * count).reshape(-1, 3)
    height = resting_height(soup, triangles, corners(ground), level=0.0, headroom=5.0)
    placed = raised(soup, height)
    assert vertical_clearance(placed[triangles], corners(ground), samples=80) >= -1e-9
    # A hair above it is free, a hair below it is not: the two are in contact.
    above, below = raised(soup, height + 1e-7), raised(soup, height - 1e-7)
    assert not triangles_meet(above[triangles], corners(ground)).any()
    assert triangles_meet(below[triangles], corners(ground)).any()


def test_resting_height_stays_under_the_ceiling():
    boards = np.concatenate([corners(plane((1, 1), (0, 0, z))) for z in (0.0, 0.3, 0.6)])
    thing = CRATE.mesh
    arguments = {"headroom": 0.1, "level": 0.3}
    assert resting_height(thing.vertices, thing.triangles, boards, ceiling=0.599, **arguments) == pytest.approx(0.3)
    far = thing.vertices + np.array([9, 0, 0])
    assert resting_height(far, thing.triangles, boards, **arguments) == -np.inf


def test_highest_below_on_known_planes():
    boards = np.concatenate([corners(plane((1, 1), (0, 0, z))) for z in (0.0, 0.5)])
    found = highest_below(np.array([[0.1, 0.2], [0.1, 0.2], [2.0, 0.0]]), np.array([0.4, 0.6, 1.0]), boards)
    assert found.tolist() == [0.0, 0.5, -np.inf]


def test_footprint_and_hull():
    feet = footprint(STOOL.mesh.vertices, STOOL.mesh.triangles)
    assert (np.abs(feet[:, :2]).min(1) >= 0.16 - 1e-9).all()  # under the legs alone, not under the seat
    bottom = footprint(CRATE.mesh.vertices, CRATE.mesh.triangles)
    assert len(bottom) > 50 and np.ptp(bottom, axis=0)[:2] == pytest.approx([0.3, 0.2], abs=0.03)
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1.0]])
    assert inside_hull(np.array([0.5, 0.2]), square) and inside_hull(np.array([0.0, 0.5]), square)
    assert not inside_hull(np.array([1.1, 0.5]), square)


def test_nothing_intersects_anything_and_the_gap_is_kept():
    stage = scene()
    for seed in range(6):
        run(stage, seed, main("chair"), surfaces=["Floor", "Table"], count=(7, 7), gap=0.05, cluster_radius=1.2)
        assert stage.instances[0].asset.class_name == "chair" and len(stage.instances) > 3
        solid = np.concatenate(list(stage._scene.values()))
        for k, one in enumerate(stage.instances):
            assert not triangles_meet(world(one), solid).any()
            for other in stage.instances[:k]:
                assert surface_distance(world(one), world(other)) >= 0.05
            assert np.linalg.norm(one.matrix[:3, 3] - stage.instances[0].matrix[:3, 3]) <= 1.2 + 1e-3


def test_the_same_stream_gives_the_same_poses():
    stage = scene()
    options = {"surfaces": ["Floor", "Table"], "count": (4, 4)}
    first, again, other = run(stage, 3, **options), run(stage, 3, **options), run(stage, 4, **options)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], other[0])


def test_points_are_uniform_by_area_over_two_levels():
    low, high = plane((3.0, 2.0), (-3, 0, 0)), plane((2.0, 1.0), (3, 0, 1))
    pebble = asset("pebble", "bag", box((0.002, 0.002, 0.002)))
    stage = BruteStage({"Low": low, "High": high}, [pebble])
    on_high, left = 0, 0
    for seed in range(400):
        (matrix,) = run(stage, seed, surfaces=["*"], count=(1, 1))
        on_high += matrix[2, 3] > 0.5
        left += matrix[0, 3] < -3
    # Chi-square with one degree of freedom: 10.8 is passed by chance once in a thousand; the draws are fixed.
    assert (on_high - 100) ** 2 / 100 + (on_high - 100) ** 2 / 300 < 10.8
    low_count = 400 - on_high
    assert (left - low_count / 2) ** 2 / (low_count / 4) < 10.8


def test_more_overhang_allowed_never_loses_a_place():
    board = plane((0.5, 0.5), (0, 0, 1.0))
    found = {}
    for allowed in (0.0, 0.1, 0.25, 0.45):
        stage = BruteStage({"Floor": plane((9, 9)), "Board": board}, [CRATE])
        found[allowed] = set()
        for seed in range(60):
            try:
                run(stage, seed, main("bag"), surfaces=["Board"], count=(1, 1), tries=1, max_overhang=allowed)
                found[allowed].add(seed)
            except Rejected as rejected:
                assert rejected.reason in {"placement: overhang", "placement: unbalanced"}
    assert found[0.0] < found[0.1] < found[0.25] <= found[0.45]
    stage = BruteStage({"Floor": plane((9, 9)), "Board": board}, [CRATE])
    for seed in sorted(found[0.0]):
        run(stage, seed, surfaces=["Board"], count=(1, 1), tries=1, max_overhang=0.0)
        assert np.abs(world(stage.instances[0])[..., :2]).max() <= 0.25 + 1e-9  # all of it on the board


def test_half_over_the_edge_falls():
    stage = BruteStage({"Floor": plane((9, 9)), "Board": plane((0.06, 3.0), (0, 0, 1.0))}, [CRATE])
    with pytest.raises(Rejected, match="placement: overhang"):
        run(stage, 0, main("bag"), surfaces=["Board"], count=(1, 1))


def test_a_model_that_would_topple_by_itself_still_stands_where_all_of_its_base_is_held():
    crooked = asset("crooked", "bag", join(box((0.1, 0.1, 0.3), (0, 0, 0.15)), box((0.9, 0.3, 0.1), (0.5, 0, 0.35))))
    stage = BruteStage({"Floor": plane((5, 5))}, [crooked])
    run(stage, 0, main("bag"), surfaces=["Floor"], count=(1, 1))
    assert stage.instances[0].matrix[2, 3] == pytest.approx(0.0005)
    # A sound one with room for its base on a narrow board must have its weight above it.
    sound = asset("sound", "bag", join(box((0.5, 0.1, 0.1), (0, 0, 0.05)), box((0.3, 0.3, 0.3), (0.1, 0, 0.25))))
    weight = centroid(sound.mesh.vertices, sound.mesh.triangles)[0]
    stage = BruteStage({"Floor": plane((9, 9)), "Board": plane((0.3, 9), (0, 0, 1.0))}, [sound])
    fallen = stood = 0
    for seed in range(60):
        try:
            run(stage, seed, main("bag"), surfaces=["Board"], count=(1, 1), max_overhang=0.9, yaw=(0.0, 0.0), tries=1)
        except Rejected as rejected:
            fallen += rejected.reason == "placement: unbalanced"
            continue
        stood += 1
        assert abs(stage.instances[0].matrix[0, 3] + weight) <= 0.15
    assert fallen > 3 and stood > 3


def test_the_border_is_kept_free():
    stage = BruteStage({"Floor": plane((9, 9)), "Board": plane((1.0, 1.0), (0, 0, 1.0))}, [CRATE])
    for seed in range(5):
        run(stage, seed, surfaces=["Board"], count=(1, 1), edge_margin=0.1)
        assert np.abs(world(stage.instances[0])[..., :2]).max() <= 0.42


def test_steep_faces_are_no_place():
    stage = BruteStage({"Ramp": plane((2, 2), (-2, 0, 0.5), tilt=25.0), "Flat": plane((1, 1), (2, 0, 0))}, [CRATE])
    assert all(run(stage, seed, surfaces=["*"], count=(1, 1))[0][0, 3] > 1 for seed in range(10))
    with pytest.raises(StageError, match="steeper than max_slope"):
        run(stage, 0, surfaces=["Ramp"])


def test_the_mask_bounds_the_zone():
    stage = scene()
    for seed in range(8):
        (matrix,) = run(stage, seed, surfaces=["Floor"], mask="zone", count=(1, 1), classes=["bag"])
        assert matrix[0, 3] >= matrix[1, 3]


def test_things_go_between_the_boards_of_a_shelf_where_they_fit():
    boards = {f"Board{k}": box((2.0, 0.5, 0.02), (0, 0, 0.4 * k)) for k in range(4)}
    levels = set()
    stage = BruteStage(boards, [CRATE])
    for seed in range(30):
        (matrix,) = run(stage, seed, surfaces=["Board*"], count=(1, 1))
        levels.add(round(float(matrix[2, 3]), 4))
    assert levels == {round(0.4 * k + 0.0105, 4) for k in range(4)}  # tops alone, never undersides
    tall = BruteStage(boards, [asset("tall", "bag", box((0.1, 0.1, 0.5)))])
    tops = {round(float(run(tall, seed, surfaces=["Board*"], count=(1, 1))[0][2, 3]), 4) for seed in range(10)}
    assert tops == {1.2105}


def test_a_floor_that_looks_down_is_a_floor_still():
    room = box((5, 5, 2.5), (0, 0, 1.25))
    stage = BruteStage({"Floor": plane((4, 4), flip=True)}, [STOOL])
    assert run(stage, 0, surfaces=["Floor"], count=(1, 1))[0][2, 3] == pytest.approx(0.0005)
    stage = BruteStage({"Room": room}, [STOOL])  # a plain cube, normals out, seen from inside
    heights = {round(float(run(stage, seed, surfaces=["Room"], count=(1, 1))[0][2, 3]), 4) for seed in range(12)}
    assert 0.0005 in heights


def test_reasons_are_counted():
    stage = BruteStage({"Floor": plane((0.5, 0.5)), "Low roof": plane((5, 5), (0, 0, 0.2))}, [STOOL])
    with pytest.raises(Rejected) as caught:
        run(stage, 1, main("chair"), surfaces=["Floor"], count=(1, 1), tries=40)
    details = caught.value.details
    assert sum(details.values()) == 40
    assert set(details) <= {"intersects", "overhang", "unbalanced"}
    assert caught.value.reason == "placement: " + max(details, key=details.get)


def test_further_instances_without_a_place_are_left_out():
    stage = BruteStage({"Floor": plane((0.5, 0.5))}, [STOOL])
    assert len(run(stage, 0, main("chair"), surfaces=["Floor"], count=(5, 5), tries=200)) == 1
    assert stage.instances[0].asset is STOOL


def test_which_classes_and_how_many():
    stage = scene()
    names = {
        i.asset.class_name for s in range(8) if run(stage, s, surfaces=["Floor"], count=(3, 3)) for i in stage.instances
    }
    assert names == {"chair", "bag"}
    run(stage, 0, surfaces=["Floor"], count=(3, 3), distractors=True)
    assert {i.asset.class_name for i in stage.instances} == {""}
    assert (
        run(stage, 0, main("chair"), surfaces=["Floor"], classes=["bag"], count=(2, 2), count_without_main=(0, 0)) == []
    )
    assert (
        len(run(stage, 0, main("bag"), surfaces=["Floor"], classes=["bag"], count=(0, 0), count_without_main=(0, 0)))
        == 1
    )
    with pytest.raises(StageError, match=r"'sofa'.*chair, bag"):
        run(stage, 0, surfaces=["Floor"], classes=["sofa"])


def test_scale_is_drawn_from_the_range_of_the_asset():
    thing = asset("crate", "bag", box((0.3, 0.2, 0.25)), (0.5, 2.0))
    stage = BruteStage({"Floor": plane((9, 9))}, [thing])
    scales = [np.cbrt(np.linalg.det(run(stage, s, surfaces=["Floor"], count=(1, 1))[0][:3, :3])) for s in range(20)]
    assert min(scales) >= 0.5 and max(scales) <= 2.0 and np.ptp(scales) > 0.7


def test_tilted_things_lie_on_their_side():
    stage = BruteStage({"Floor": plane((9, 9))}, [CRATE])
    (matrix,) = run(stage, 0, surfaces=["Floor"], count=(1, 1), tilt=(90.0, 90.0))
    assert abs(matrix[2, 2]) < 1e-9
    assert 0 < world(stage.instances[0])[..., 2].min() <= 0.001


@pytest.mark.parametrize(
    "values, sentence",
    [
        ({}, "needs the parameter 'surfaces'"),
        ({"surfaces": []}, "'surfaces' must name at least one object"),
        ({"surfaces": ["F"], "count": [3, 1]}, "'count' must be [minimum, maximum]"),
        ({"surfaces": ["F"], "max_overhang": 1.5}, "'max_overhang' parameter"),
    ],
)
def test_bad_parameters_are_told(values, sentence):
    made, problems = build(OnSurface, values, "placement 'on_surface'")
    assert made is None and sentence in problems[0]


def test_a_surface_without_area_is_told():
    flat = Mesh(np.zeros((3, 3)), np.array([[0, 1, 2]], dtype=np.int32))
    stage = BruteStage({"Floor": plane((2, 2)), "Nothing": flat}, [CRATE])
    with pytest.raises(StageError, match=r"Nothing.*have no area"):
        run(stage, 0, surfaces=["Nothing"])
