# SPDX-License-Identifier: GPL-3.0-or-later
"""Keypoints, poses and cuboids, against OpenCV's projection and brute-force rays; oriented boxes against geometry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import attrs
import cv2
import numpy as np
import pytest
from twinset.dataset.annotations.keypoints import Keypoints
from twinset.dataset.annotations.oriented_boxes import OrientedBoxes
from twinset.dataset.annotations.poses import CORNERS, Poses
from twinset.engine.geometry.framing import look_rotation
from twinset.engine.output.annotation_source import entries_of
from twinset.engine.sampling.moved_pixels import PixelMap
from twinset.engine.scene.intrinsics import Intrinsics
from twinset.engine.scene.keypoint import Keypoint, keypoint_name, keypoint_place, skeleton_pairs
from twinset.engine.scene.motion import rotation_about
from twinset.engine.stage import Asset, CameraPose, Shot
from twinset.testing import BruteStage, asset, box, plane, scene
from twinset.testing.fixtures.brute_force import ray_distances

SIZE = (128, 96)


def matrix_at(x: float, y: float, z: float = 0.0, degrees: float = 0.0, scale: float = 1.0) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = scale * rotation_about((0.0, 0.0, 1.0), np.radians(degrees))
    matrix[:3, 3] = (x, y, z)
    return matrix


def view() -> CameraPose:
    matrix = matrix_at(0.0, -1.5, 1.0)
    matrix[:3, :3] = look_rotation(np.array([np.pi / 2]), np.array([-0.55]), np.array([0.1]))[0]
    return CameraPose(matrix, 32.0, *SIZE)


def speckled(of: Asset, count: int, seed: int) -> tuple[Asset, np.ndarray]:
    """The asset with keypoints anywhere on its surface, and the number of the triangle of each."""
    rng = np.random.default_rng(seed)
    corners = of.mesh.vertices[of.mesh.triangles]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    triangles = rng.choice(len(corners), count, p=area / area.sum())
    shares = rng.dirichlet((1, 1, 1), count)
    places = (shares[..., None] * corners[triangles]).sum(1)
    return attrs.evolve(of, keypoints={f"p{k}": Keypoint(place) for k, place in enumerate(places)}), triangles


@pytest.fixture(scope="module")
def scenery() -> tuple[BruteStage, Shot, list[np.ndarray]]:
    """A crate partly in front of a stool that is cut by the image's border, with 300 points on each."""
    made = scene(SIZE)
    made.amodal = dict  # type: ignore[method-assign,assignment]
    stool, on_stool = speckled(made.assets["chair"][0], 300, 0)
    crate, on_crate = speckled(made.assets["bag"][0], 300, 1)
    made.place(stool, matrix_at(-0.68, 0.0, degrees=30.0, scale=1.1))
    made.place(crate, matrix_at(-0.46, -0.45, degrees=70.0, scale=1.2))
    made.pose_camera(view())
    return made, made.shoot(), [on_stool, on_crate]


def row_of(shot: Shot, number: int) -> Mapping[str, Any]:
    return {"bbox": shot.labels.bbox(number + 1), "area": int(shot.mask(number + 1).sum())}


def by_opencv(points: np.ndarray, shot: Shot) -> np.ndarray:
    local = (points - shot.camera.position) @ shot.camera.matrix[:3, :3] * (1, -1, -1)
    focal = 32.0 / 36.0 * SIZE[0]
    lens = np.array([[focal, 0, SIZE[0] / 2], [0, focal, SIZE[1] / 2], [0, 0, 1]])
    return cv2.projectPoints(local, np.zeros(3), np.zeros(3), lens, None)[0][:, 0]


def first_hits(stage: BruteStage, pixels: np.ndarray, shot: Shot, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Owner of what is first hit through each pixel, and how far in front of the plane ``own`` that is, in metres."""
    corners, owners = stage._triangles(())
    rays = shot.camera.rays(pixels[:, 0], pixels[:, 1]) @ shot.camera.matrix[:3, :3].T
    distance = ray_distances(np.broadcast_to(shot.camera.position, rays.shape), rays, corners)
    to_plane = (own[3] - own[:3] @ shot.camera.position) / (rays @ own[:3])
    return owners[distance.argmin(1)], to_plane - distance.min(1)


def planes(corners: np.ndarray) -> np.ndarray:
    """Unit normal and distance from the origin (T, 4) of triangles."""
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    return np.column_stack([normal, (normal * corners[:, 0]).sum(1)])


def test_keypoints_are_where_opencv_projects_them_and_seen_where_rays_reach(scenery) -> None:
    stage, shot, triangles = scenery
    corners, owners = stage._triangles(())
    all_planes = planes(corners)
    checked: Counter = Counter()
    for number, instance in enumerate(shot.instances):
        entries = entries_of(Keypoints(), instance, row_of(shot, number), shot)
        found = np.reshape(entries["keypoints"], (-1, 3))
        places = np.array([point.position for point in instance.asset.keypoints.values()])
        world = places @ instance.matrix[:3, :3].T + instance.matrix[:3, 3]
        truth = by_opencv(world, shot)
        inside = ((truth >= 0) & (truth < SIZE)).all(1)
        labelled = found[:, 2] > 0
        np.testing.assert_array_equal(labelled, inside)
        np.testing.assert_allclose(found[labelled, :2], truth[labelled], atol=0.01)
        assert not found[~labelled].any() and entries["num_keypoints"] == labelled.sum()
        own = all_planes[np.flatnonzero(owners == instance.id)[triangles[number]]]
        offsets = np.array([(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)])
        centers = np.array([(x, y) for x in (-0.5, 0.5) for y in (-0.5, 0.5)])
        for k in np.flatnonzero(labelled):
            around = np.concatenate([truth[k] + offsets, np.round(truth[k]) + centers])
            owner, in_front = first_hits(stage, around, shot, own[k])
            if (np.abs(in_front) < 1e-3).all():
                by = "visible"
            elif (in_front > 0.01).all() and (owner == owner[0]).all():
                by = "hidden by itself" if owner[0] == instance.id else "hidden by others"
            else:
                continue  # within a pixel of an edge
            assert entries["keypoint_states"][k] == by
            assert found[k, 2] == (2 if by == "visible" else 1)
            checked[number, by] += 1
    assert sum(checked.values()) > 300
    assert min(checked[0, state] for state in ("visible", "hidden by itself", "hidden by others")) > 5
    assert (np.reshape(entries_of(Keypoints(), shot.instances[0], {}, shot)["keypoints"], (-1, 3))[:, 2] == 0).sum() > 5


def test_joints_inside_are_seen_through_their_own_surface_only() -> None:
    cube = attrs.evolve(
        asset("cube", "box", box((0.3, 0.3, 0.3))),
        keypoints={
            "joint": Keypoint(np.array([0, 0, 0.15]), 0.15),
            "back": Keypoint(np.array([0, 0.15, 0.15])),
            "no": None,
        },
    )
    stage = BruteStage({"Floor": plane((6.0, 6.0))}, [cube], resolution=SIZE)
    stage.place(cube, matrix_at(0, 0))
    stage.pose_camera(view())
    alone = entries_of(Keypoints(), stage.instances[0], {}, stage.shoot())
    assert alone["keypoint_states"] == ["visible", "hidden by itself", "missing"]
    assert alone["keypoints"][2::3] == [2, 1, 0] and alone["num_keypoints"] == 2
    stage.place(cube, matrix_at(0, -0.32))
    behind = entries_of(Keypoints(), stage.instances[0], {}, stage.shoot())
    assert behind["keypoint_states"][0] == "hidden by others"


def test_poses_and_cuboids_are_those_of_opencv(scenery) -> None:
    _, shot, _ = scenery
    for number, instance in enumerate(shot.instances):
        entries = entries_of(Poses(), instance, row_of(shot, number), shot)
        rotation, translation = np.reshape(entries["pose_rotation"], (3, 3)), np.array(entries["pose_translation"])
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1) and entries["pose_scale"] == pytest.approx(
            (1.1, 1.2)[number]
        )
        fx, fy, cx, cy = entries["intrinsics"]
        lens = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        low, high = instance.asset.bounds
        corners = np.where(CORNERS, high, low) * entries["pose_scale"]
        np.testing.assert_allclose(np.ptp(corners, axis=0), entries["cuboid_size"])
        truth = cv2.projectPoints(corners, cv2.Rodrigues(rotation)[0], translation, lens, None)[0][:, 0]
        np.testing.assert_allclose(np.reshape(entries["cuboid"], (8, 2)), truth, atol=1e-6)
        outside = ~((truth >= 0) & (truth < SIZE)).all(1)
        np.testing.assert_array_equal(np.array(entries["cuboid_visibility"]) == 0, outside)
    # The crate is a box: of its corners only the one at the far bottom is behind it.
    far = corners @ rotation.T + translation
    hidden = np.array(entries["cuboid_visibility"]) == 1
    assert hidden.sum() == 1 and hidden[(far[:, 2] + far[:, 1]).argmax()]


def test_corners_behind_the_camera_are_zero(scenery) -> None:
    _, shot, _ = scenery
    inside = attrs.evolve(shot, camera=attrs.evolve(shot.camera, matrix=matrix_at(-0.68, 0.0, 0.2)))
    entries = entries_of(Poses(), shot.instances[0], row_of(shot, 0), inside)
    behind = np.reshape(entries["cuboid"], (8, 2))[np.array(entries["cuboid_visibility"]) == 0]
    assert (behind == 0).all(1).any() and np.isfinite(entries["cuboid"]).all()


def test_a_mirrored_asset_still_has_a_rotation(scenery) -> None:
    _, shot, _ = scenery
    mirrored = attrs.evolve(shot.instances[0], matrix=shot.instances[0].matrix @ np.diag([-1.0, 1, 1, 1]))
    rotation = np.reshape(entries_of(Poses(), mirrored, row_of(shot, 0), shot)["pose_rotation"], (3, 3))
    assert np.linalg.det(rotation) == pytest.approx(1)


@pytest.mark.parametrize("kind", ["moved", "lens"])
def test_keypoints_follow_moved_pixels_and_lenses(scenery, kind: str) -> None:
    _, shot, _ = scenery
    x, y = np.meshgrid(np.arange(SIZE[0]) + 0.5, np.arange(SIZE[1]) + 0.5)
    if kind == "moved":
        source = np.stack([64 + (x - 64) * 0.95 + 4 * np.sin(y / 12), 48 + (y - 48) * 0.97], -1)
        seen = PixelMap(source).shot(shot)
    else:
        optics = Intrinsics(*SIZE, (110.0, 112.0), (62.0, 49.0), "brown_conrady", (-0.1, 0.02, 0.001, -0.001))
        seen = attrs.evolve(shot, camera=shot.camera.with_intrinsics(optics))
    crate = shot.instances[1]
    found = np.reshape(entries_of(Keypoints(), crate, row_of(seen, 1), seen)["keypoints"], (-1, 3))
    places = np.array([point.position for point in crate.asset.keypoints.values()])
    world = places @ crate.matrix[:3, :3].T + crate.matrix[:3, 3]
    labelled = found[:, 2] > 0
    assert labelled.sum() > 200
    if kind == "moved":  # the map leads from where they are found to where the camera has them
        at = [((found[labelled, k] - 0.5) * 1).astype(np.float32) for k in range(2)]
        back = np.stack(
            [cv2.remap(source[..., k].astype(np.float32), *at, cv2.INTER_LINEAR)[:, 0] for k in range(2)], -1
        )
        np.testing.assert_allclose(back, by_opencv(world, shot)[labelled], atol=0.05)
        mask = cv2.dilate(seen.mask(2).astype(np.uint8), np.ones((3, 3)))
        on = np.floor(found[found[:, 2] == 2, :2]).astype(int)
        assert len(on) > 80 and mask[on[:, 1], on[:, 0]].mean() > 0.98
    else:
        local = (world - shot.camera.position) @ shot.camera.matrix[:3, :3] * (1, -1, -1)
        lens = np.array([[110.0, 0, 62.0], [0, 112.0, 49.0], [0, 0, 1]])
        truth = cv2.projectPoints(local, np.zeros(3), np.zeros(3), lens, np.array([-0.1, 0.02, 0.001, -0.001]))[0][:, 0]
        np.testing.assert_allclose(found[labelled, :2], truth[labelled], atol=0.01)


@pytest.mark.parametrize("degrees", [0.0, 20.0, 45.0, 80.0, 90.0, 130.0])
def test_oriented_boxes_are_those_of_turned_rectangles(degrees: float) -> None:
    corners = cv2.boxPoints(((64.0, 48.0), (60.0, 24.0), degrees))
    y, x = np.mgrid[: SIZE[1], : SIZE[0]] + 0.5
    turned = (np.stack([x, y], -1) - (64.0, 48.0)) @ np.array(
        [[np.cos(a := np.radians(degrees)), -np.sin(a)], [np.sin(a), np.cos(a)]]
    )
    mask = (np.abs(turned) <= (30.0, 12.0)).all(-1)
    from twinset.testing.fixtures.shots import make_shot

    shot = make_shot(mask.astype(int), n=1)
    cx, cy, w, h, angle = entries_of(OrientedBoxes(), shot.instances[0], row_of(shot, 0), shot)["oriented_bbox"]
    assert 0 <= angle <= 90 and (cx, cy) == pytest.approx((64, 48), abs=0.6)
    found = cv2.boxPoints(((cx, cy), (w, h), angle))
    gaps = np.linalg.norm(found[:, None] - corners[None], axis=-1).min(1)
    assert gaps.max() < 2.0  # pixels have edges of their own
    assert not entries_of(OrientedBoxes(), shot.instances[0], {"bbox": None, "area": 0}, shot)


def test_recipes_write_keypoints_by_name_or_place() -> None:
    assert [keypoint_name(t) for t in ("head", "mixamorig:Hips", "hand.L: tail", "top: 0, -1, 2.5")] == [
        "head",
        "mixamorig:Hips",
        "hand.L",
        "top",
    ]
    assert keypoint_place("hand.L: tail") == "tail" and keypoint_place("mixamorig:Hips") == ""
    assert keypoint_place("top: 0, -1, 2.5").tolist() == [0.0, -1.0, 2.5]
    assert skeleton_pairs(["a - b", "b - c"], ["a", "b", "c"]) == [[1, 2], [2, 3]]
    with pytest.raises(ValueError, match="'a - d' is no edge between two keypoints: write two of a, b, c"):
        skeleton_pairs(["a - d"], ["a", "b", "c"])
