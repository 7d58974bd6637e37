# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths of cameras and things: they begin where the layout was made, keep their speed, and hit nothing."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from twinset.engine.geometry.framing import look_rotation
from twinset.engine.plugin import Rejected
from twinset.engine.recipe.tables.sequence import RigCamera, SequenceSettings
from twinset.engine.rng import stream
from twinset.engine.scene.motion import rotation_about
from twinset.engine.sequences.groups import FrameGroups, is_key_record, track_of
from twinset.engine.sequences.take import make_take, rig_matrix
from twinset.engine.stage import CameraPose
from twinset.testing import BruteStage, asset, box, plane

STOOL = asset("stool", "chair", box((0.4, 0.4, 0.45)))
CUP = asset("cup", "cup", box((0.08, 0.08, 0.1)))


GAP = 1e-3
"""Things stand this far above what carries them."""


def at(x: float, y: float, z: float = 0.0) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = x, y, z + GAP
    return matrix


def room(*walls, size: float = 8.0, assets=(STOOL, CUP)) -> BruteStage:
    """A floor, and walls 10 cm thick by their centres and sizes along x and y."""
    surfaces = {"Floor": plane((size, size))}
    for number, (center, extent) in enumerate(walls):
        surfaces[f"Wall {number}"] = box((*extent, 2.5), (*center, 1.25))
    return BruteStage(surfaces, list(assets), resolution=(160, 120))


def camera(x: float, y: float, z: float = 1.2, yaw: float = 90.0, pitch: float = -15.0) -> CameraPose:
    matrix = at(x, y, z)
    matrix[:3, :3] = look_rotation(np.radians([yaw]), np.radians([pitch]), np.zeros(1))[0]
    return CameraPose(matrix, 30.0, 160, 120)


def take(stage: BruteStage, pose: CameraPose, *rig: RigCamera, seed: int = 0, **values):
    settings = SequenceSettings(**{"length": 20, "fps": 5.0, **values})
    return make_take(stage, pose, settings, rig, stream(seed, 7, "sequence"))


def test_frames_of_a_group_are_its_moments_with_all_cameras_each():
    groups = FrameGroups(3, ("1", "right"), fps=4.0)
    assert groups.size == 6
    roles = [groups.role(frame) for frame in range(6, 12)]
    assert [(r.number, r.step, r.view, r.key) for r in roles] == [(1, k // 2, k % 2, 6) for k in range(6)]
    assert [r.is_key for r in roles] == [True] + [False] * 5
    assert groups.record(roles[3]) == {"number": 1, "step": 1, "view": 1, "time": 0.25, "camera": "right"}
    assert FrameGroups().record(FrameGroups().role(5)) == {} and FrameGroups().role(5).is_key
    assert is_key_record({}) and is_key_record({"sequence": {"step": 0, "view": 0}})
    assert not is_key_record({"sequence": {"step": 0, "view": 1}})
    assert track_of({}, 3) is None and track_of({"sequence": {"number": 2}}, 3) == 20_003


@pytest.mark.parametrize("path", ["still", "curve", "circle", "walk"])
@pytest.mark.parametrize("shake", [0.0, 2.0])
def test_paths_begin_at_the_posed_camera_and_keep_their_distance(path, shake):
    stage = room(((0, 2.0), (4.0, 0.1)), ((0, -2.0), (4.0, 0.1)))
    stage.place(STOOL, at(0.3, 0.8))
    for seed in range(4):
        pose = camera(0.0, -0.6)
        made = take(stage, pose, seed=seed, camera=path, shake=shake, shake_distance=shake / 200, clearance=0.2)
        assert made.camera(0, 0) is pose
        np.testing.assert_allclose(made.path[1], pose.matrix, atol=1e-12)
        inverse = np.linalg.inv(made.path)
        np.testing.assert_allclose(made.path @ inverse, np.repeat(np.eye(4)[None], 22, axis=0), atol=1e-9)
        places = made.path[1:-1, :3, 3]
        assert (stage.clearance(places) >= 0.2).all()
        ways = np.diff(places, axis=0)
        lengths = np.linalg.norm(ways, axis=1)
        moving = lengths > 1e-9
        if moving.any():
            hits = stage.cast(places[:-1][moving], ways[moving] / lengths[moving, None])
            assert (hits.distance > lengths[moving]).all()
        again = take(stage, pose, seed=seed, camera=path, shake=shake, shake_distance=shake / 200, clearance=0.2)
        np.testing.assert_array_equal(made.path, again.path)


def test_speeds_and_turns_are_those_of_the_settings():
    stage = room()
    stage.place(STOOL, at(0.0, 1.5))
    pose = camera(0.0, -1.0)
    for seed in range(5):
        made = take(stage, pose, seed=seed, camera="curve", speed=(0.4, 0.5), turn_rate=(0.0, 30.0))
        steps = np.linalg.norm(np.diff(made.path[:, :2, 3], axis=0), axis=1) * 5.0
        assert steps.min() >= 0.39 and steps.max() <= 0.5 + 1e-9
        walked = take(stage, pose, seed=seed, camera="walk", speed=(0.4, 0.5), turn_rate=(0.0, 30.0))
        steps = np.linalg.norm(np.diff(walked.path[:, :3, 3], axis=0), axis=1) * 5.0
        assert steps.max() <= 0.5 + 1e-9 and np.ptp(walked.path[:, 2, 3]) < 1e-12
        yaws = np.unwrap(np.arctan2(-walked.path[:, 1, 2], -walked.path[:, 0, 2]))
        assert np.abs(np.diff(yaws)).max() * 5.0 <= np.radians(30.0) + 1e-9


def test_circles_keep_distance_and_place_in_the_image():
    stage = room()
    chair = stage.place(STOOL, at(0.2, 1.5))
    pose = camera(0.0, -1.0)
    center = (chair.points.min(0) + chair.points.max(0)) / 2
    made = take(stage, pose, camera="circle", turn_rate=(20.0, 20.0), length=10)
    away = np.linalg.norm(made.path[:, :3, 3] - center, axis=1)
    np.testing.assert_allclose(away, away[0], rtol=1e-12)
    pixels = [made.camera(step, 0).project(center)[0] for step in range(10)]
    np.testing.assert_allclose(pixels, np.repeat(pixels[:1], 10, axis=0), atol=1e-9)
    azimuth = np.unwrap(np.arctan2(*(made.path[:, :2, 3] - center[:2]).T[::-1]))
    np.testing.assert_allclose(np.abs(np.diff(azimuth)), np.radians(20.0 / 5.0), rtol=1e-9)


def test_curves_stay_turned_to_the_main_instance():
    stage = room()
    chair = stage.place(STOOL, at(0.2, 2.5))
    pose = camera(0.0, -1.0)
    center = (chair.points.min(0) + chair.points.max(0)) / 2
    made = take(stage, pose, camera="curve", speed=(0.3, 0.3), turn_rate=(5.0, 5.0), length=10)
    x = [made.camera(step, 0).project(center)[0][0] for step in range(10)]
    assert np.ptp(x) < 3.0 and np.ptp(made.path[:, 0, 3]) > 0.02


def test_a_hand_shakes_as_much_as_the_settings_say():
    stage = room()
    made = take(stage, camera(0.0, 0.0), camera="still", shake=1.5, shake_distance=0.01, length=2000, fps=20.0)
    turns = np.linalg.inv(made.path[1]) @ made.path
    angles = np.degrees(np.stack([turns[:, 2, 1], turns[:, 0, 2], turns[:, 1, 0]]))
    # Each axis has five waves of equal strength, some of nearly the same length.
    np.testing.assert_allclose(angles.std(axis=1), 1.5, rtol=0.3)
    np.testing.assert_allclose(turns[:, :3, 3].std(axis=0), 0.01, rtol=0.3)


def test_walks_stay_inside_a_closed_room():
    walls = [((0, 1.0), (2.1, 0.1)), ((0, -1.0), (2.1, 0.1)), ((1.0, 0), (0.1, 2.1)), ((-1.0, 0), (0.1, 2.1))]
    stage = room(*walls)
    for seed in range(5):
        made = take(
            stage, camera(0.0, 0.0), seed=seed, camera="walk", speed=(0.5, 0.5), turn_rate=(0.0, 60.0), length=60
        )
        places = made.path[1:-1, :2, 3]
        assert np.abs(places).max() <= 0.85 + 1e-9 and np.ptp(places, axis=0).max() > 0.5


def test_a_camera_without_a_free_path_is_rejected():
    sides = [((0.0, 0.35), (1.0, 0.1)), ((0.0, -0.35), (1.0, 0.1)), ((0.5, 0.0), (0.1, 0.8)), ((-0.5, 0.0), (0.1, 0.8))]
    stage = room(*sides)
    with pytest.raises(Rejected, match="no free path"):
        take(stage, camera(0.0, 0.0), camera="curve", speed=(3.0, 3.0), clearance=0.2)
    take(stage, camera(0.0, 0.0), camera="still", clearance=0.2)
    with pytest.raises(Rejected, match="no free path"):  # the second camera is in the wall
        take(stage, camera(0.0, 0.0, yaw=0.0), RigCamera(position=(0.25, 0.0, 0.0)), camera="still", clearance=0.1)


def test_rigs_are_fixed_to_the_first_camera():
    stage = room()
    stage.place(STOOL, at(0.0, 1.5))
    rig = RigCamera("right", (0.12, 0.02, 0.05), (0.0, 10.0, 0.0))
    made = take(stage, camera(0.0, -1.0), rig, camera="curve")
    flip = np.diag([1.0, -1.0, -1.0, 1.0])
    expected = np.eye(4)  # in OpenCV's axes
    expected[:3, :3], expected[:3, 3] = rotation_about((0.0, 1.0, 0.0), np.radians(10.0)), (0.12, 0.02, 0.05)
    for step in (-1, 0, 7, 20):
        first, second = made.camera(step, 0).matrix, made.camera(step, 1).matrix
        np.testing.assert_allclose(flip @ np.linalg.inv(first) @ second @ flip, expected, atol=1e-12)
    np.testing.assert_allclose(rig_matrix(RigCamera(rotation=(0.0, 0.0, 0.0)))[:3, 3], (0.1, 0.0, 0.0))
    turned = rig_matrix(RigCamera(position=(0, 0, 0), rotation=(0.0, 90.0, 0.0)))[:3, :3]
    np.testing.assert_allclose(-turned[:, 2], (1.0, 0.0, 0.0), atol=1e-12)  # it looks to the right


def test_things_move_on_their_ground_and_hit_nothing():
    stage = room(((0.0, 2.0), (4.0, 0.1)), size=5.0)
    for k, (x, y) in enumerate([(-1.0, 0.0), (1.0, 0.5), (0.0, 1.0), (0.5, -1.0)]):
        stage.place(STOOL, at(x, y))
        assert len(stage.instances) == k + 1
    before = [i.matrix.copy() for i in stage.instances]
    made = take(stage, camera(0.0, -2.0), camera="still", moving_share=1.0, thing_speed=(0.8, 1.0), length=30)
    for instance, matrix in zip(stage.instances, before, strict=True):
        np.testing.assert_array_equal(instance.matrix, matrix)
    assert set(made.things) == {1, 2, 3, 4}
    groups = FrameGroups(30)
    moved = np.zeros(5)
    for frame in range(30):
        made.show(stage, groups.role(frame))
        for instance in stage.instances:
            assert not stage.collides(instance.asset, instance.matrix, ignore=[instance.id])
            assert abs(instance.matrix[2, 3] - GAP) < 1e-6 and np.abs(instance.matrix[:2, 3]).max() <= 2.5
            moved[instance.id] = max(
                moved[instance.id], np.linalg.norm(instance.matrix[:3, 3] - before[instance.id - 1][:3, 3])
            )
    assert (moved[1:] > 0.3).all()
    for path in made.things.values():
        steps = np.linalg.norm(np.diff(path[1:-1, :3, 3], axis=0), axis=1) * 5.0
        walking = steps > 1e-9
        assert ((steps[walking] >= 0.8 - 1e-9) & (steps[walking] <= 1.0 + 1e-9)).all()
        assert not (~walking[:-1] & walking[1:]).any()  # what has stopped stays


def test_what_carries_something_stays():
    stage = room()
    stage.place(STOOL, at(0.0, 0.0))
    stage.place(CUP, at(0.05, 0.05, 0.451))
    stage.place(STOOL, at(1.5, 0.0))
    made = take(stage, camera(0.0, -2.0), camera="still", moving_share=1.0)
    assert set(made.things) == {2, 3}
    top = made.things[2][:, :3, 3]
    assert np.abs(top[:, :2]).max() <= 0.2 + 1e-9 and np.allclose(top[:, 2], 0.452)  # it stops at the stool's edge


def test_things_that_were_taken_out_stay_out():
    stage = room()
    for x in (-1.0, 1.0):
        stage.place(STOOL, at(x, 0.5))
    settings = SequenceSettings(length=5, fps=5.0, camera="still", moving_share=1.0)
    both = make_take(stage, camera(0.0, -2.0), settings, (), stream(0, "sequence"))
    made = make_take(stage, camera(0.0, -2.0), settings, (), stream(0, "sequence"), still={1})
    assert set(both.things) == {1, 2} and set(made.things) == {2}
    np.testing.assert_array_equal(made.things[2], both.things[2])  # the others' draws stay the same


def test_moments_lead_from_one_frame_to_the_next():
    stage = room()
    stage.place(STOOL, at(0.0, 0.5))
    made = take(stage, camera(0.0, -2.0), RigCamera(), camera="curve", moving_share=1.0, length=6)
    groups = FrameGroups(6, ("1", "2"))
    for frame in range(12):
        role = groups.role(frame)
        after, before = made.moment(role, 1), made.moment(role, -1)
        np.testing.assert_allclose(after.camera.matrix, made.camera(role.step + 1, role.view).matrix)
        np.testing.assert_allclose(before.camera.matrix, made.camera(role.step - 1, role.view).matrix)
        now, then = made.things[1][role.step + 1], made.things[1][role.step + 2]
        np.testing.assert_allclose(after.moves[1] @ now, then, atol=1e-12)


def test_an_open_shutter_blurs_what_moves_by_its_share_of_the_moment():
    stage = room()
    stage.place(STOOL, at(0.0, 0.5))
    made = take(
        stage, camera(0.0, -2.0), camera="circle", turn_rate=(30.0, 30.0), moving_share=1.0, shutter=0.5, length=4
    )
    role = FrameGroups(4).role(2)
    made.show(stage, role)
    made.open_shutter(stage, role)
    motions = stage.shoot().motions
    assert set(motions) == {0, 1}
    for share, change in ((-1.0, -1), (1.0, 1)):  # the ends of the exposure are a quarter of a moment away
        quarter = motions[0].at(share / 2) @ made.camera(2, 0).matrix
        whole = made.camera(2 + change, 0).matrix
        start = made.camera(2, 0).matrix
        np.testing.assert_allclose(
            np.linalg.norm(quarter[:3, 3] - start[:3, 3]), np.linalg.norm(whole[:3, 3] - start[:3, 3]) / 4, rtol=0.02
        )
        turn = np.degrees(np.arccos((np.trace(quarter[:3, :3].T @ start[:3, :3]) - 1) / 2))
        assert turn == pytest.approx(30.0 / 5.0 / 4, rel=1e-3)
    assert attrs.evolve(made, settings=SequenceSettings()).open_shutter(stage, role) is None
