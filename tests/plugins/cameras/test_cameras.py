# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera plugins by what Blender then renders: boxes on their goals, cameras free, above ground, in sight."""

from __future__ import annotations

from itertools import pairwise

import attrs
import numpy as np
import pytest

pytest.importorskip("bpy")

from recipes import ONE_SAMPLE, recipe_of
from twinset.blender.stage import open_stage
from twinset.engine.goals import Goal, Goals
from twinset.engine.plugin import Rejected
from twinset.engine.stage import CameraPose, extent
from twinset.plugins.cameras.close_up import CloseUp
from twinset.plugins.cameras.framed import Framed
from twinset.plugins.cameras.keep import Keep
from twinset.plugins.cameras.orbit import Orbit
from twinset.testing.fixtures.brute_force import point_distances

WIDTH, HEIGHT = 160, 120


# The room that is open, by its name. Blender holds one scene: whoever opens another closes this one.
OPEN = {}


def open_room(folder, room, size=(WIDTH, HEIGHT)):
    OPEN.clear()
    screen = {"name": "screen", "objects": ["Screen"]}
    return open_stage(recipe_of(folder, scene=f"{room}.blend", distractors=[screen], render=ONE_SAMPLE, size=size))


@pytest.fixture(scope="module", params=["open", "small"])
def room(request):
    return request.param


@pytest.fixture
def stage(room, rooms):
    """The stage of a room, opened again where a test has opened another one."""
    if room not in OPEN:
        OPEN[room] = open_room(rooms, room)
    return OPEN[room]


def at(x, y, z=0.0, yaw=0.0):
    matrix = np.eye(4)
    c, s = np.cos(yaw), np.sin(yaw)
    matrix[:2, :2] = [[c, -s], [s, c]]
    matrix[:3, 3] = x, y, z + 0.0005
    return matrix


def looking(position, target, lens=36.0, near=0.01):
    """A camera at ``position`` that looks at ``target``, z up."""
    back = np.asarray(position, float) - target
    back /= np.linalg.norm(back)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([right, np.cross(back, right), back], 1)
    matrix[:3, 3] = position
    return CameraPose(matrix, lens, WIDTH, HEIGHT, near=near)


def chair(stage, name="chair"):
    return next(a for a in stage.assets["chair"] if a.name == name)


def triangles(stage):
    """All world triangles (T, 3, 3), read from the stage's meshes without its trees."""
    parts = [m.mesh.vertices[m.mesh.triangles] for m in stage._meshes]
    for i in stage.instances:
        vertices = i.asset.mesh.vertices @ i.matrix[:3, :3].T + i.matrix[:3, 3]
        parts.append(vertices[i.asset.mesh.triangles])
    return np.concatenate(parts)


def nearest(stage, point):
    """Distance of a point to the nearest triangle, by brute force."""
    return float(point_distances(np.atleast_2d(point), triangles(stage)).min())


GOALS = [
    (0.001, (0.5, 0.5)),
    (0.004, (0.12, 0.7)),
    (0.02, (0.8, 0.45)),
    (0.02, (0.06, 0.5)),
    (0.08, (0.5, 0.6)),
    (0.1, (0.88, 0.8)),
    (0.25, (0.35, 0.5)),
    (0.5, (0.5, 0.5)),
    (0.4, (0.65, 0.6)),
]


@pytest.mark.parametrize(("area", "center"), GOALS)
def test_framed_hits_area_and_centre_from_a_free_place(stage, area, center):
    plugin = Framed(roll=(-5.0, 5.0))
    hit, reasons = 0, []
    for seed in range(3):
        stage.clear()
        main = stage.place(chair(stage, ("chair", "stool", "high")[seed]), at(0.3, 0.2, yaw=0.4 * seed))
        stage.place(chair(stage, "stool"), at(-0.9, 0.5))
        try:
            pose = plugin.pose(stage, Goals(main=Goal("chair", area, center)), np.random.default_rng(seed))
        except Rejected as rejection:
            reasons.append(rejection.reason)
            continue
        hit += 1
        stage.pose_camera(pose)
        labels = stage.probe(1.0)
        boxes = [np.array(labels.bbox(i.id)) for i in stage.instances if labels.bbox(i.id)]
        middles = [(b[:2] + b[2:] / 2) / (WIDTH, HEIGHT) for b in boxes]
        pixels = area * WIDTH * HEIGHT
        errors = [abs(b[2] * b[3] - pixels) for b in boxes]
        far = [np.abs(m - center).max() for m in middles]
        best = int(np.argmin([e / pixels + f for e, f in zip(errors, far, strict=True)]))
        # 5 %, or a quarter of a pixel on each of the four sides of a box that is made of whole ones.
        assert errors[best] <= max(0.05 * pixels, np.sqrt(pixels)), (seed, boxes[best], pixels)
        assert far[best] <= max(0.02, 1 / HEIGHT) + 1e-9
        assert nearest(stage, pose.position) >= plugin.clearance - 1e-4
        assert plugin.height[0] - 0.06 <= pose.position[2] <= plugin.height[1] + 0.06
        away = main.points.mean(0) - pose.position
        assert np.linalg.norm(away) > 0.2
    # Few places of the small room are far enough away for a small box that has to lie beside the centre.
    assert hit >= (2 if stage.bounds[1][0] > 10 or area >= 0.08 else 0), reasons
    assert all(reason.startswith("camera: ") for reason in reasons)


def test_framed_sees_the_main_instance_and_no_wall(stage):
    """The camera is inside the room, and most of the chair's own points are first hits of rays towards them."""
    for seed in range(4):
        stage.clear()
        main = stage.place(chair(stage), at(0.8 * seed - 1.2, 0.7))
        goals = Goals(main=Goal("chair", 0.06, (0.4, 0.55)))
        pose = Framed().pose(stage, goals, np.random.default_rng(seed))
        low, high = stage.bounds
        assert (pose.position > low).all() and (pose.position[:2] < high[:2]).all()
        inside = (main.points - main.points.mean(0)) * 0.98 + main.points.mean(0)
        away = inside - pose.position
        length = np.linalg.norm(away, axis=1)
        hits = stage.cast(np.tile(pose.position, (len(away), 1)), away / length[:, None])
        assert ((hits.owner == main.id) | (hits.distance > length)).mean() >= 0.6


def test_framed_says_why_there_is_no_view(stage):
    stage.clear()
    with pytest.raises(Rejected, match="no chair on the stage"):
        Framed().pose(stage, Goals(main=Goal("chair", 0.05, (0.5, 0.5))), np.random.default_rng(0))
    stage.place(chair(stage), at(0, 0))
    with pytest.raises(Rejected, match="camera: no free viewpoint reaches the goal"):
        # From above the lamps, looking level: nothing of a chair on the floor is in such a picture.
        Framed(height=(2.2, 2.4), pitch=(0.0, 5.0)).pose(
            stage, Goals(main=Goal("chair", 0.3, (0.5, 0.5))), np.random.default_rng(0)
        )


def test_framed_stays_clear_although_half_of_the_main_instance_is_hidden(stage):
    """A hidden half makes the visible box smaller; closing in to make up for it must not end in the screen."""
    screen = stage.assets[""][0]
    plugin = Framed(min_visible_share=0.2, height=(0.3, 0.9))
    found = 0
    for seed in range(12):
        stage.clear()
        stage.place(chair(stage), at(0, 0))
        for k in range(4):
            angle = k * np.pi / 2 + 0.3
            stage.place(screen, at(0.75 * np.cos(angle), 0.75 * np.sin(angle), yaw=angle + np.pi / 2))
        try:
            pose = plugin.pose(stage, Goals(main=Goal("chair", 0.12, (0.5, 0.5))), np.random.default_rng(seed))
        except Rejected:
            continue
        found += 1
        assert nearest(stage, pose.position) >= plugin.clearance - 1e-4
        assert plugin.height[0] - 0.06 <= pose.position[2] <= plugin.height[1] + 0.06
    assert found >= 3


def test_framed_prefers_views_that_fill_the_gaps(rooms):
    stage = open_room(rooms, "open")
    sizes = {}
    for name, wanted in (("large", 0.35), ("small", 0.04)):
        areas = []
        for seed in range(8):
            stage.clear()
            stage.place(chair(stage, "high"), at(0, 0))
            for k in range(5):
                angle = 2 * np.pi * k / 5 + 0.2
                stage.place(chair(stage), at(1.6 * np.cos(angle), 1.6 * np.sin(angle), yaw=angle))
            gaps = tuple(((i + 0.5) / 20, float(abs((i + 0.5) / 20 - wanted) < 0.06)) for i in range(20))
            goals = Goals(main=Goal("chair", 0.01, (0.5, 0.5)), open_area=gaps)
            stage.pose_camera(Framed(tolerance=0.1, candidates=48).pose(stage, goals, np.random.default_rng(seed)))
            labels = stage.probe(1.0)
            boxes = [labels.bbox(i.id) for i in stage.instances]
            areas += sorted(b[2] * b[3] / (WIDTH * HEIGHT) for b in boxes if b)
        sizes[name] = np.mean(areas)
    assert sizes["large"] > 1.3 * sizes["small"], sizes


@pytest.mark.parametrize("fill", [(0.6, 0.8), (1.2, 1.6), (0.6, 1.6)])
def test_close_up_fills_the_picture_from_a_free_place(stage, fill):
    plugin = CloseUp(fill=fill)
    found = 0
    for seed in range(6):
        stage.clear()
        main = stage.place(chair(stage, ("chair", "stool", "high")[seed % 3]), at(0.4, 0.1, yaw=seed))
        try:
            pose = plugin.pose(stage, Goals(), np.random.default_rng(seed))
        except Rejected:
            continue
        found += 1
        vertices = main.asset.mesh.vertices @ main.matrix[:3, :3].T + main.matrix[:3, 3]
        pixels, depth = pose.project(vertices)
        assert (depth > 0).all()
        longer = np.ptp(pixels, axis=0).max() / HEIGHT
        assert fill[0] * 0.98 <= longer <= fill[1] * 1.02
        assert nearest(stage, pose.position) >= plugin.clearance - 1e-4
        stage.pose_camera(pose)
        # The line of sight to the thing is clear by a ray and by the picture.
        assert (stage.probe(1.0).ids == main.id).any()
    assert found >= 4


def test_close_up_never_looks_through_a_wall(stage):
    """A chair in a corner, boxed in by screens on its open sides: cameras are on the chair's side of them or none."""
    screen = stage.assets[""][0]
    for seed in range(8):
        stage.clear()
        main = stage.place(chair(stage), at(0, 0))
        stage.place(screen, at(0.0, 0.45))
        stage.place(screen, at(0.0, -0.45))
        try:
            pose = CloseUp().pose(stage, Goals(), np.random.default_rng(seed))
        except Rejected as rejection:
            assert rejection.reason.startswith("camera: ")
            continue
        stage.pose_camera(pose)
        labels, alone = stage.probe(1.0), stage.shoot().amodal[main.id]
        assert (labels.ids == main.id).sum() >= 0.4 * alone.mask.sum()
        assert (labels.depth > 0.04).all()


def test_what_is_5_cm_before_the_lens_is_rendered(stage):
    """Whatever camera plugin posed it: near clips are their own."""
    for plugin in (CloseUp(), Framed(clearance=0.05)):
        stage.clear()
        main = stage.place(chair(stage), at(0, 0))
        pose = plugin.pose(stage, Goals(main=Goal("chair", 0.3, (0.5, 0.5))), np.random.default_rng(2))
        stage.clear()
        forward = -pose.matrix[:3, 2]
        # A stool turned so that the top of its seat faces the lens, 5 cm away.
        matrix = np.eye(4)
        matrix[:3, :3] = pose.matrix[:3, :3]
        matrix[:3, 3] = pose.position + forward * (0.05 + 0.45)
        main = stage.place(chair(stage, "stool"), matrix)
        stage.pose_camera(pose)
        labels = stage.probe(1.0)
        assert (labels.ids == main.id).all()
        np.testing.assert_allclose(labels.depth, 0.05, atol=2e-4)


def test_orbit_is_near_what_it_looks_at(stage):
    plugin = Orbit(distance=(1.0, 2.0), off_axis=0.2)
    for seed in range(6):
        stage.clear()
        main = stage.place(chair(stage), at(0.2, 0.1))
        pose = plugin.pose(stage, Goals(), np.random.default_rng(seed))
        low, high = main.points.min(0), main.points.max(0)
        middle = (low + high) / 2
        assert 1.0 - 1e-9 <= np.linalg.norm(pose.position - middle) <= 2.0 + 1e-9
        assert nearest(stage, pose.position) >= plugin.clearance - 1e-4
        pixel, depth = pose.project(middle)
        assert depth > 0 and np.abs(pixel / (WIDTH, HEIGHT) - 0.5).max() <= 0.2 + 1e-6
        up = (middle - pose.position) / np.linalg.norm(middle - pose.position)
        assert -50.1 <= np.degrees(np.arcsin(up[2])) <= -4.9
    stage.clear()
    with pytest.raises(Rejected, match="nothing to look at"):
        plugin.pose(stage, Goals(), np.random.default_rng(0))


def test_keep_needs_a_camera_of_the_scene(stage):
    with pytest.raises(Rejected, match="no perspective camera"):
        Keep().pose(stage, Goals(), np.random.default_rng(0))


def test_keep_shows_what_blender_itself_shows(rooms, tmp_path):
    """All ways to fit a sensor, in both formats: points land where Blender's own projection puts them."""
    import bpy
    from bpy_extras.object_utils import world_to_camera_view
    from mathutils import Vector

    bpy.ops.wm.open_mainfile(filepath=str(rooms / "open.blend"))
    scene = bpy.context.scene
    for k, fit in enumerate(("AUTO", "HORIZONTAL", "VERTICAL")):
        data = bpy.data.cameras.new(fit)
        data.sensor_fit, data.lens, data.sensor_width, data.sensor_height = fit, 30.0 + k, 32.0, 20.0
        camera = bpy.data.objects.new(fit, data)
        camera.location, camera.rotation_euler, camera.scale = (3.0 + k, -4.0, 1.5), (1.2, 0.1, 0.6), (2.0, 2.0, 2.0)
        scene.collection.objects.link(camera)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "cameras.blend"))
    rng = np.random.default_rng(0)
    points = rng.uniform([-1, -1, 0], [1, 1, 1], (20, 3))
    for size in ((160, 120), (120, 160)):
        stage = open_room(tmp_path, "cameras", size)
        scene = bpy.context.scene
        poses = stage.existing_cameras()
        assert len(poses) == 3
        scene.render.resolution_x, scene.render.resolution_y = size
        for pose, fit in zip(poses, sorted(("AUTO", "HORIZONTAL", "VERTICAL")), strict=True):
            wanted = np.array([world_to_camera_view(scene, bpy.data.objects[fit], Vector(p))[:2] for p in points])
            wanted = np.stack([wanted[:, 0] * size[0], (1 - wanted[:, 1]) * size[1]], 1)
            np.testing.assert_allclose(pose.project(points)[0], wanted, rtol=1e-4, atol=1e-2)


def test_an_occluder_lowers_visible_share_and_a_d2(stage):
    stage.clear()
    main = stage.place(chair(stage), at(0, 0))
    pose = looking((0.0, -1.6, 0.6), (0.0, 0.0, 0.4), lens=30.0)
    stage.pose_camera(pose)
    screen = stage.assets[""][0]
    shares, values = [], []
    for x in (None, 0.7, 0.6, 0.5):
        if x is not None:
            stage.clear()
            main = stage.place(chair(stage), at(0, 0))
            stage.place(screen, at(x, -0.7))
            stage.pose_camera(pose)
        shot = stage.shoot()
        mask, alone = shot.mask(main.id), shot.amodal[main.id]
        assert not (mask & ~alone.mask).any()
        shares.append(mask.sum() / alone.pixels)
        values.append(mask.sum() * np.median(shot.labels.depth[mask]) ** 2 / pose.focal**2)
    assert shares[0] == pytest.approx(1.0, abs=0.01)
    assert all(a > b for a, b in pairwise(shares)), shares
    assert all(a > b for a, b in pairwise(values)), values


def test_a_d2_is_the_same_from_farther_back(rooms):
    stage = open_room(rooms, "open")
    main = stage.place(chair(stage), at(0, 0))
    values = []
    for distance in (5.0, 7.0, 10.0):
        stage.pose_camera(looking((0.0, -distance, 0.45), (0.0, 0.0, 0.45), lens=120.0))
        labels = stage.probe(1.0)
        mask = labels.ids == main.id
        values.append(mask.sum() * np.median(labels.depth[mask]) ** 2)
    assert np.ptp(values) <= 0.03 * np.mean(values), values


def test_labels_partition_the_picture_and_lie_within_amodal_masks(stage):
    """Random crowds: ids are those of instances, masks do not overlap, hidden and cut parts count as amodal."""
    rng = np.random.default_rng(5)
    for _ in range(5):
        stage.clear()
        for k in range(6):
            stage.place(
                chair(stage, ("chair", "stool", "high")[k % 3]), at(*rng.uniform(-1.2, 1.2, 2), yaw=rng.uniform(0, 6))
            )
        stage.place(stage.assets[""][0], at(*rng.uniform(-1.2, 1.2, 2)))
        stage.pose_camera(looking((*rng.uniform(-1.5, 1.5, 2), 1.3), (*rng.uniform(-0.5, 0.5, 2), 0.4), lens=24.0))
        shot = stage.shoot(3)
        ids = shot.labels.ids
        assert set(np.unique(ids)) <= set(range(8))
        assert sum(shot.mask(i).sum() for i in range(8)) == WIDTH * HEIGHT
        assert [i.id for i in shot.instances] == [1, 2, 3, 4, 5, 6]  # the screen is no annotated instance
        for i in shot.instances:
            mask = shot.mask(i.id)
            alone = shot.amodal.get(i.id)
            if not mask.any():
                continue
            assert alone is not None and not (mask & ~alone.mask).any()
            assert alone.pixels >= alone.mask.sum()
            x, y, w, h = alone.bbox
            seen = extent(alone.mask)
            assert x <= seen[0] and y <= seen[1] and x + w >= seen[0] + seen[2] and y + h >= seen[1] + seen[3]
        assert np.isfinite(shot.labels.depth[ids > 0]).all()


def test_the_same_stream_gives_the_same_camera(stage):
    for plugin in (Framed(), CloseUp(), Orbit(distance=(1.0, 2.0))):
        matrices = []
        for _ in range(2):
            stage.clear()
            stage.place(chair(stage), at(0.2, 0.1))
            goals = Goals(main=Goal("chair", 0.1, (0.5, 0.5)))
            matrices.append(attrs.asdict(plugin.pose(stage, goals, np.random.default_rng(7)))["matrix"])
        np.testing.assert_array_equal(*matrices)
