# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps that are computed from ids, depth, camera and motions, against closed forms and against a second picture."""

from __future__ import annotations

import struct

import attrs
import cv2
import numpy as np
import pytest
from twinset.dataset.labels.backward_flow import BackwardFlow
from twinset.dataset.labels.edges import CONTOUR, DEPTH_EDGE, Edges
from twinset.dataset.labels.flow import Flow
from twinset.dataset.labels.nocs import Nocs
from twinset.dataset.labels.points import Points
from twinset.dataset.labels.semantic import Semantic
from twinset.engine.geometry.framing import look_rotation
from twinset.engine.sampling.moved_pixels import PixelMap
from twinset.engine.scene.intrinsics import Intrinsics
from twinset.engine.scene.motion import CAMERA, Motion, rotation_about
from twinset.engine.stage import CameraPose, Shot
from twinset.testing import BruteStage, scene

SIZE = (96, 72)


def view() -> CameraPose:
    matrix = np.eye(4)
    matrix[:3, :3] = look_rotation(np.array([np.pi / 2]), np.array([-0.6]), np.array([0.0]))[0]
    matrix[:3, 3] = (0.0, -1.6, 1.3)
    return CameraPose(matrix, 30.0, *SIZE)


def placed(x: float, y: float, degrees: float, scale: float = 1.0) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = scale * rotation_about((0.0, 0.0, 1.0), np.radians(degrees))
    matrix[:3, 3] = (x, y, 0.0)
    return matrix


def bare_scene() -> BruteStage:
    """The scene of known sizes; none of these maps needs amodal masks, which take most of the time."""
    made = scene(SIZE)
    made.amodal = dict  # type: ignore[method-assign,assignment]
    return made


def stage(**motions: dict) -> BruteStage:
    """A stool and a crate on the floor, with motions by name: ``camera``, ``stool``, ``crate``."""
    made = bare_scene()
    stool, crate = made.assets["chair"][0], made.assets["bag"][0]
    made.place(stool, placed(-0.25, 0.0, 20.0))
    made.place(crate, placed(0.3, -0.2, 50.0, 1.3))
    made.pose_camera(view())
    targets = {"camera": None, "stool": made.instances[0], "crate": made.instances[1]}
    for name, motion in motions.items():
        made.set_motion(targets[name], **motion)
    return made


@pytest.fixture(scope="module")
def shot() -> Shot:
    return stage().shoot()


def own_points(shot: Shot, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of an instance in its asset's frame, from its map of object coordinates, and their pixel centres."""
    instance = shot.instances[number]
    mask = shot.mask(instance.id)
    low, high = instance.asset.bounds
    nocs = Nocs().array(shot, {})[mask].astype(float)
    rows, columns = np.nonzero(mask)
    points = (nocs - 0.5) * np.linalg.norm(high - low) + (low + high) / 2
    return points, np.stack([columns, rows], -1) + 0.5


def test_object_coordinates_lie_on_the_object_and_at_their_pixel(shot: Shot, tmp_path) -> None:
    for number in range(2):
        points, pixels = own_points(shot, number)
        assert len(points) > 150
        matrix = shot.instances[number].matrix
        seen, _ = shot.camera.project(points @ matrix[:3, :3].T + matrix[:3, 3])
        assert np.abs(seen - pixels).max() < 1e-3
    # The crate is a box of 0.3 x 0.2 x 0.25, whose origin is the middle of its bottom.
    half = np.array([0.15, 0.1, 0.125])
    off = np.abs(np.abs(points - (0, 0, 0.125)) - half)
    assert off.min(1).max() < 1e-5
    pass_ = Nocs()
    array = pass_.array(shot, {})
    assert not array[shot.labels.ids == 0].any()
    pass_.save(array, "png", tmp_path / "a")
    read = cv2.imread(str(tmp_path / "a"), cv2.IMREAD_UNCHANGED)[..., ::-1]
    np.testing.assert_allclose(read / 65535, array, atol=1 / 65535)


def test_point_clouds_have_what_pixels_show(shot: Shot, tmp_path) -> None:
    pass_ = Points()
    pass_.save(pass_.array(shot, {}), "ply", tmp_path / "a.ply")
    header, _, body = (tmp_path / "a.ply").read_bytes().partition(b"end_header\n")
    seen = np.isfinite(shot.labels.depth)
    assert f"element vertex {seen.sum()}\n".encode() in header and len(body) == 19 * seen.sum()
    rows = [struct.unpack_from("<3f3Bi", body, 19 * k) for k in range(seen.sum())]
    points = np.array([row[:3] for row in rows])
    np.testing.assert_array_equal([row[3:6] for row in rows], shot.image[seen])
    np.testing.assert_array_equal([row[6] for row in rows], shot.labels.ids[seen])
    world = points * (1, -1, -1) @ shot.camera.matrix[:3, :3].T + shot.camera.position
    floor = (shot.labels.ids[seen] == 0) & (world[:, 1] < 0.5)
    assert floor.sum() > 1000 and np.abs(world[floor, 2]).max() < 1e-5
    pixels, depth = shot.camera.project(world)
    np.testing.assert_allclose(pixels, np.argwhere(seen)[:, ::-1] + 0.5, atol=1e-3)
    assert (depth > 0).all()


def test_semantic_maps_are_the_masks_by_class(shot: Shot, tmp_path) -> None:
    array = Semantic().array(shot, {"chair": 62, "bag": 300})
    np.testing.assert_array_equal(array, np.select([shot.mask(1), shot.mask(2)], [62, 300], 0))
    for chosen, dtype in ((array, np.uint16), (np.minimum(array, 255), np.uint8)):
        Semantic().save(chosen, "png", tmp_path / "a")
        read = cv2.imread(str(tmp_path / "a"), cv2.IMREAD_UNCHANGED)
        assert read.dtype == dtype
        np.testing.assert_array_equal(read, chosen)


def test_edges_are_where_surfaces_end(shot: Shot) -> None:
    edges = Edges().array(shot, {})
    ids, depth = shot.labels.ids, shot.labels.depth
    for y in range(1, SIZE[1] - 1):
        for x in range(1, SIZE[0] - 1):
            around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            is_contour = any(ids[at] != ids[y, x] and depth[at] >= depth[y, x] for at in around)
            assert (edges[y, x] == CONTOUR) == is_contour
    # The top of the stool hides its own legs and hides nothing else that is not a contour; no edge is on bare floor.
    world = shot.points() @ shot.camera.matrix[:3, :3].T + shot.camera.position
    bare = (ids == 0) & (world[..., 1] < 0.5)
    assert bare.sum() > 1000 and (edges[bare & (edges == DEPTH_EDGE)].size == 0)
    table = bare_scene()
    table.pose_camera(attrs.evolve(view(), matrix=at_table()))
    over = table.shoot()
    found = Edges().array(over, {})
    rows, columns = np.nonzero(found == DEPTH_EDGE)
    assert len(rows) > 40
    gaps = [
        np.ptp(over.labels.depth[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2])
        for y, x in zip(rows, columns, strict=True)
    ]
    assert min(gaps) > 0.1


def at_table() -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = look_rotation(np.array([np.pi / 2]), np.array([-0.7]), np.array([0.0]))[0]
    matrix[:3, 3] = (1.5, 0.0, 2.2)
    return matrix


MOTIONS = {
    "camera": {"displacement": (0.05, 0.02, -0.03), "rotation": (2.0, -3.0, 4.0)},
    "stool": {"displacement": (0.08, -0.06, 0.0), "rotation": (0.0, 0.0, 20.0)},
    "crate": {"displacement": (-0.04, 0.05, 0.0), "rotation": (0.0, 0.0, -12.0)},
}


def at_end(start: Shot, share: float, motions: dict) -> Shot:
    """The picture at the end of half the exposure, from a stage in which everything has moved for good."""
    made = bare_scene()
    for instance in start.instances:
        motion = start.motions.get(instance.id)
        made.place(instance.asset, instance.matrix if motion is None else motion.at(share) @ instance.matrix)
    camera = start.motions[0].at(share) @ start.camera.matrix if 0 in start.motions else start.camera.matrix
    made.pose_camera(attrs.evolve(start.camera, matrix=camera))
    return made.shoot()


def textured(shot: Shot) -> np.ndarray:
    """A picture whose colours go smoothly over every surface and move with it."""
    points = shot.points()
    out = np.zeros(points.shape)
    for id in np.unique(shot.labels.ids):
        mask = shot.labels.ids == id
        to_own = shot.camera.matrix if id == 0 else np.linalg.inv(shot.instances[id - 1].matrix) @ shot.camera.matrix
        out[mask] = np.sin(1.2 * (points[mask] @ to_own[:3, :3].T + to_own[:3, 3]) + id)
    return out


@pytest.mark.parametrize(("pass_", "share"), [(Flow(), 0.5), (BackwardFlow(), -0.5)])
def test_flow_warps_the_next_picture_onto_this_one(pass_: Flow, share: float) -> None:
    start = stage(**MOTIONS).shoot()
    end = at_end(start, share, MOTIONS)
    flow = pass_.array(start, {})
    assert flow.dtype == np.float32 and np.abs(flow).max() > 3
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    at = (x + flow[..., 0]).astype(np.float32), (y + flow[..., 1]).astype(np.float32)

    def warp(values: np.ndarray) -> np.ndarray:
        return cv2.remap(values, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=1e9)

    # Unoccluded: what lies there is the same instance, all four neighbours of it, at the depth at which it must be.
    same = np.abs(warp(end.labels.ids.astype(np.float32)) - start.labels.ids) < 1e-6
    inverse = warp((1 / end.labels.depth).astype(np.float32))
    now = start.points() @ start.camera.matrix[:3, :3].T + start.camera.position
    for id, motion in start.motions.items():
        if id:
            matrix = motion.at(share)
            now[start.mask(id)] = now[start.mask(id)] @ matrix[:3, :3].T + matrix[:3, 3]
    expected = 1 / end.camera.project(now)[1]
    seen = same & (np.abs(inverse / expected - 1) < 0.01)
    inside = (at[0] >= 0) & (at[0] <= SIZE[0] - 1) & (at[1] >= 0) & (at[1] <= SIZE[1] - 1)
    assert seen[inside].mean() > 0.8
    assert all(seen[start.mask(id)].mean() > 0.4 for id in (1, 2))
    error = np.abs(warp(textured(end).astype(np.float32)) - textured(start))[seen].max(-1)

    assert np.quantile(error, 0.98) < 0.015 < np.abs(textured(end) - textured(start))[seen].max(-1).mean()
    # To a hundredth of a pixel: the moved points, projected by the camera of the end.
    pixels, _ = end.camera.project(now)
    own = np.stack([x, y], -1) + 0.5
    np.testing.assert_allclose((own + flow)[seen], pixels[seen], atol=1e-3)


def test_flow_is_that_of_a_lens(shot: Shot) -> None:
    """Of a lens with distortion, by OpenCV: pixels to rays, moved, and back to pixels."""
    coefficients = (-0.1, 0.02, 0.001, -0.001)
    optics = Intrinsics(*SIZE, (80.0, 82.0), (47.0, 37.0), "brown_conrady", coefficients)
    motion = Motion(np.array((0.05, 0.02, -0.03)), np.array((2.0, -3.0, 4.0)), shot.camera.position)
    seen = attrs.evolve(shot, camera=shot.camera.with_intrinsics(optics), motions={CAMERA: motion})
    flow = Flow().array(seen, {})
    matrix = np.array([[80.0, 0, 47.0], [0, 82.0, 37.0], [0, 0, 1]])
    own = np.stack(np.meshgrid(np.arange(SIZE[0]) + 0.5, np.arange(SIZE[1]) + 0.5), -1)
    slopes = cv2.undistortPointsIter(
        own.reshape(-1, 1, 2), matrix, np.array(coefficients), None, None, (cv2.TERM_CRITERIA_COUNT, 100, 0)
    )[:, 0]
    hit = np.isfinite(shot.labels.depth).ravel()
    rays = np.column_stack([slopes[:, 0], -slopes[:, 1], -np.ones(len(slopes))])[hit]
    camera = shot.camera.matrix
    world = (rays * shot.labels.depth.ravel()[hit, None]) @ camera[:3, :3].T + camera[:3, 3]
    local = (np.column_stack([world, np.ones(len(world))]) @ np.linalg.inv(motion.at(0.5) @ camera).T)[:, :3]
    pixels = cv2.projectPoints(local * (1, -1, -1), np.zeros(3), np.zeros(3), matrix, np.array(coefficients))[0][:, 0]
    np.testing.assert_allclose((own + flow).reshape(-1, 2)[hit], pixels, atol=2e-3)


def test_without_motion_nothing_flows_and_files_say_so(shot: Shot, tmp_path) -> None:
    assert not Flow().array(shot, {}).any()
    flow = Flow().array(stage(**MOTIONS).shoot(), {})
    flow[0, 0] = np.nan
    Flow().save(flow, "flo", tmp_path / "a.flo")
    read = cv2.readOpticalFlow(str(tmp_path / "a.flo"))
    assert read[0, 0].min() > 1e9
    np.testing.assert_array_equal(read.reshape(-1, 2)[1:], flow.reshape(-1, 2)[1:])


def bent() -> np.ndarray:
    x, y = np.meshgrid(np.arange(SIZE[0]) + 0.5, np.arange(SIZE[1]) + 0.5)
    return np.stack([48 + (x - 48) * 0.9 + 5 * np.sin(y / 9), 36 + (y - 36) * 1.05 + 2 * np.cos(x / 20)], -1)


def test_maps_follow_moved_pixels(shot: Shot) -> None:
    moved = PixelMap(bent()[:, ::-1]).shot(PixelMap(bent()).shot(shot))
    np.testing.assert_array_equal(np.isfinite(moved.points()[..., 0]), np.isfinite(moved.labels.depth))
    for number in range(2):
        points, _ = own_points(moved, number)
        matrix = shot.instances[number].matrix
        world = points @ matrix[:3, :3].T + matrix[:3, 3]
        pixels, depth = shot.camera.project(world)
        shown = moved.centers[moved.mask(number + 1)]
        assert np.abs(pixels - shown).max() < 1e-3
        np.testing.assert_allclose(depth, moved.labels.depth[moved.mask(number + 1)], atol=1e-5)


def test_positions_land_where_maps_lead(shot: Shot) -> None:
    rng = np.random.default_rng(0)
    inner = rng.uniform((20, 15), (76, 57), (200, 2))
    first, second = bent(), bent()[::-1]

    def lead(source: np.ndarray, at: np.ndarray) -> np.ndarray:
        x, y = (at - 0.5).astype(np.float32).T
        return np.stack(
            [cv2.remap(source[..., k].astype(np.float32), x, y, cv2.INTER_LINEAR)[:, 0] for k in (0, 1)], -1
        )

    moved = PixelMap(second).shot(PixelMap(first).shot(shot))
    # From the picture back to the camera's image; OpenCV interpolates in steps of a 32nd of a pixel.
    back = lead(first, lead(second, inner))
    np.testing.assert_allclose(moved.in_picture(back), inner, atol=0.08)
    np.testing.assert_allclose(
        PixelMap(first).shot(shot).in_picture(first[30:40, 30:60]), own_centers()[30:40, 30:60], atol=1e-4
    )


def own_centers() -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(SIZE[0]) + 0.5, np.arange(SIZE[1]) + 0.5), -1)
