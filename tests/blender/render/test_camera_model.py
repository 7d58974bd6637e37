# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels and pictures of cameras with optics of their own, against rays through boxes and against plain Blender."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("bpy")

import bpy
import cv2
from plain_blender import add, ball, box, floor, new_material, new_scene, plain_labels, plain_picture, save
from twinset.blender.stage import BlenderStage, open_stage
from twinset.engine.errors import StageError
from twinset.engine.recipe.reading import loads_recipe
from twinset.engine.stage import CameraPose, Instance

WIDTH, HEIGHT = 160, 120

MODELS = {
    "pinhole": "focal_length = [150, 125]\nprincipal_point = [65.5, 75]",
    "tall pixels": "focal_length = [125, 150]\nprincipal_point = [100.25, 45]",
    "barrel": "focal_length = [150, 145]\nprincipal_point = [75, 62.5]\ndistortion = 'brown_conrady'\n"
    "coefficients = [-0.3, 0.1, 0.002, -0.003, -0.01]",
    "turned": "focal_length = [150, 145]\nprincipal_point = [55, 75]\nsize = [120, 160]\nrotation = 90\n"
    "distortion = 'brown_conrady'\ncoefficients = [-0.3, 0.1, 0.002, -0.003, -0.01]",
    "fisheye": "focal_length = [70, 71]\nprincipal_point = [75, 62.5]\ndistortion = 'fisheye'\n"
    "coefficients = [0.02, -0.01, 0.003, -0.001]",
}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two boxes, the farther one half hidden, and a third that the image cuts; a camera that looks along +y."""
    folder = tmp_path_factory.mktemp("scene")
    new_scene((0.0, -2.2, 0.9))
    box("crate near", (0.8, 0.6, 0.7), (0.25, 0.2, 0.35))
    box("crate far", (0.5, 0.5, 1.3), (-0.25, 0.9, 0.65))
    box("crate cut", (0.5, 0.4, 0.9), (-0.85, -0.3, 0.45))
    floor("Floor", 8.0, -0.001)
    return save(folder)


def open_with(scene: Path, model: str, more: str = "") -> BlenderStage:
    text = f"images = 1\n[scene]\nfile = '{scene.name}'\n[render]\nsamples = 1\ndenoise = false\n{more}"
    text += f"[output]\nwidth = {WIDTH}\nheight = {HEIGHT}\n[[class]]\nname = 'crate'\nobjects = ['crate*']\n"
    text += f"[[placement]]\nplugin = 'keep'\n[[camera]]\nplugin = 'keep'\n[camera_model]\n{model}\n"
    stage = open_stage(loads_recipe(text, scene.parent, "test"))
    assert isinstance(stage, BlenderStage)
    stage.keep(["crate"])
    stage.pose_camera(stage.existing_cameras()[0])
    return stage


def rays(pose: CameraPose, shift: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """Rays (H, W, 3) in the world through all pixels, by OpenCV's own inverse of the distortion."""
    optics = pose.intrinsics
    assert optics is not None
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5 + shift[0], np.arange(HEIGHT) + 0.5 + shift[1])
    pixels = np.stack([x, y], -1).reshape(-1, 1, 2)
    coefficients = np.array(optics.coefficients or (0.0,) * 4)
    if optics.distortion == "fisheye":
        criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 1e-12)
        slopes = cv2.fisheye.undistortPoints(pixels, optics.matrix, coefficients, criteria=criteria)
    else:
        criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 200, 1e-12)
        slopes = cv2.undistortPointsIter(pixels, optics.matrix, coefficients, None, None, criteria)
    slopes = slopes.reshape(HEIGHT, WIDTH, 2)
    local = np.concatenate([slopes * [1, -1], -np.ones((HEIGHT, WIDTH, 1))], -1)
    return local @ pose.matrix[:3, :3].T


def entry_depth(instance: Instance, pose: CameraPose, directions: np.ndarray) -> np.ndarray:
    """Planar depth (H, W) at which rays enter a box; inf where they miss it."""
    low, high = instance.asset.bounds
    inverse = np.linalg.inv(instance.matrix)
    origin, along = inverse[:3, :3] @ pose.position + inverse[:3, 3], directions @ inverse[:3, :3].T
    along = np.where(along == 0, 1e-12, along)
    a, b = (low - origin) / along, (high - origin) / along
    enter, leave = np.minimum(a, b).max(-1), np.maximum(a, b).min(-1)
    return np.where((enter <= leave) & (enter > 0), enter, np.inf)


def traced(stage: BlenderStage, shift: tuple[float, float] = (0.0, 0.0)) -> tuple[np.ndarray, np.ndarray, dict]:
    """Ids, depth, and the masks of the instances alone, by rays."""
    pose = stage.camera
    assert pose is not None
    directions = rays(pose, shift)
    depths = {i.id: entry_depth(i, pose, directions) for i in stage.instances}
    nearest = np.min(list(depths.values()), axis=0)
    ids = np.zeros((HEIGHT, WIDTH), int)
    for id, depth in depths.items():
        ids[np.isfinite(depth) & (depth == nearest)] = id
    return ids, nearest, {id: np.isfinite(depth) for id, depth in depths.items()}


def near_an_edge(stage: BlenderStage, off: float, alone: int = 0) -> np.ndarray:
    """Where moving a pixel by ``off`` pixels changes what it shows, of all instances or of one alone."""
    at = [traced(stage, (x * off, y * off)) for x in (-1, 0, 1) for y in (-1, 0, 1)]
    shown = [masks[alone] if alone else ids for ids, _, masks in at]
    return np.any([each != shown[4] for each in shown], axis=0)


@pytest.mark.parametrize("name", MODELS)
def test_masks_depth_and_amodal_masks_are_those_of_rays(scene: Path, name: str) -> None:
    stage = open_with(scene, MODELS[name])
    labels, amodals = stage.probe(1.0), stage.amodal()
    ids, depth, alone = traced(stage)
    # A distorted image's labels are looked up in a canvas with half the pixels' size: 0.25 pixels on each axis.
    off = 0.02 if name in ("pinhole", "tall pixels") else 0.26
    differs = labels.ids != ids
    assert not (differs & ~near_an_edge(stage, off)).any()
    assert differs.sum() < 0.25 * near_an_edge(stage, 0.5).sum()
    same = (labels.ids == ids) & (ids > 0)
    assert same.sum() > 400
    error = np.abs(labels.depth[same] - depth[same]) / depth[same]
    assert np.median(error) < 0.002
    for instance in stage.instances:
        amodal = amodals[instance.id]
        wrong = amodal.mask != alone[instance.id]
        assert not (wrong & ~near_an_edge(stage, off, instance.id)).any()
        rows, columns = np.flatnonzero(alone[instance.id].any(1)), np.flatnonzero(alone[instance.id].any(0))
        x, y, w, h = amodal.bbox
        inside = (max(x, 0), max(y, 0), min(x + w, WIDTH), min(y + h, HEIGHT))
        np.testing.assert_allclose(inside, (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1), atol=1)
    hidden = next(i for i in stage.instances if i.asset.name == "crate far")
    assert 0.2 < amodals[hidden.id].visible_share(int((labels.ids == hidden.id).sum())) < 0.9
    cut = next(i for i in stage.instances if i.asset.name == "crate cut")
    if name in ("pinhole", "barrel"):
        assert amodals[cut.id].bbox[0] < 0
    # The tiny probes that judge attempts show the same.
    small = stage.probe(0.5).bbox(hidden.id)
    assert small is not None
    np.testing.assert_allclose(np.multiply(small, 2), labels.bbox(hidden.id), atol=2.5)


def test_amodal_boxes_beyond_the_border_are_those_of_the_projected_corners(scene: Path) -> None:
    stage = open_with(scene, MODELS["barrel"])
    pose, amodal = stage.camera, stage.amodal()
    cut = next(i for i in stage.instances if i.asset.name == "crate cut")
    assert pose is not None and pose.intrinsics is not None
    edges = np.linspace(0, 1, 200)
    low, high = cut.asset.bounds
    points = [
        low + np.insert(np.tile(ends, (200, 1)), axis, edges, 1) * (high - low)
        for axis in range(3)
        for ends in np.ndindex(2, 2)
    ]
    world = np.concatenate(points) @ cut.matrix[:3, :3].T + cut.matrix[:3, 3]
    local = (world - pose.position) @ pose.matrix[:3, :3] * [1, -1, -1]
    # Within the angle up to which the polynomial grows; the rest of the box is not in any image of this lens.
    local = local[np.hypot(local[:, 0], local[:, 1]) / local[:, 2] < np.tan(pose.intrinsics.max_angle)]
    pixels = cv2.projectPoints(
        local.reshape(-1, 1, 3),
        np.zeros(3),
        np.zeros(3),
        pose.intrinsics.matrix,
        np.array(pose.intrinsics.coefficients),
    )[0][:, 0]
    x, y, w, h = amodal[cut.id].bbox
    assert x < -3
    np.testing.assert_allclose((x, y, x + w, y + h), (*pixels.min(0), *pixels.max(0)), atol=1.1)


def test_a_shifted_pinhole_is_that_of_plain_blender(scene: Path) -> None:
    """Ids as Blender renders them when its camera has shift, focal length and pixel aspect by their definitions."""

    def change() -> None:
        data, render = bpy.context.scene.camera.data, bpy.context.scene.render
        data.sensor_fit, data.sensor_width = "HORIZONTAL", 36.0
        data.lens = 150 / WIDTH * 36.0
        data.shift_x, data.shift_y = (WIDTH / 2 - 65.5) / WIDTH, (75 - HEIGHT / 2) * (150 / 125) / WIDTH
        render.pixel_aspect_x, render.pixel_aspect_y = 1.0, 150 / 125

    plain = plain_labels(scene, {"crate near": 1, "crate far": 2, "crate cut": 3}, change)
    stage = open_with(scene, MODELS["pinhole"])
    names = {"crate near": 1, "crate far": 2, "crate cut": 3}
    ids = np.zeros(1 + len(stage.instances), int)
    for instance in stage.instances:
        ids[instance.id] = names[instance.asset.name]
    assert (ids[stage.probe(1.0).ids] == plain.ids).mean() > 0.9999


def test_a_distorted_picture_is_a_plain_one_distorted_by_opencv(tmp_path: Path) -> None:
    """Coloured balls in plain Blender, through a pinhole wide enough, remapped by OpenCV."""
    new_scene((0.0, -2.0, 0.6))
    for k, color in enumerate([(0.8, 0.05, 0.05), (0.05, 0.6, 0.05), (0.05, 0.05, 0.8), (0.7, 0.6, 0.05)]):
        add(f"ball {k}", ball(f"b{k}", new_material(f"m{k}", color)), location=(k - 1.5, 0.3 * k, 0.3 + 0.25 * k))
    floor("Floor", 8.0, -0.2)
    path = save(tmp_path)
    text = MODELS["barrel"].replace("crate", "ball")
    stage = open_with_balls(path, text)
    picture = stage.shoot().image.astype(float)
    wide = 100.0

    def change() -> None:
        scene = bpy.context.scene
        scene.camera.data.sensor_fit, scene.camera.data.sensor_width = "HORIZONTAL", 36.0
        scene.camera.data.lens = wide / (2 * WIDTH) * 36.0
        scene.render.resolution_x, scene.render.resolution_y = 2 * WIDTH, 2 * HEIGHT

    plain = plain_picture(path, change, samples=16).astype(np.float32)
    directions = rays(stage.camera) @ stage.camera.matrix[:3, :3]
    x = WIDTH + wide * directions[..., 0] - 0.5
    y = HEIGHT - wide * directions[..., 1] - 0.5
    expected = cv2.remap(plain, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR).astype(float)
    inner = cv2.GaussianBlur(picture, (0, 0), 1.5) - cv2.GaussianBlur(expected, (0, 0), 1.5)
    assert np.abs(inner).mean() < 3.0
    assert np.quantile(np.abs(inner), 0.99) < 25.0
    # A pixel's shift would show: the same pictures, one of them moved.
    moved = cv2.GaussianBlur(np.roll(picture, 3, 1), (0, 0), 1.5) - cv2.GaussianBlur(expected, (0, 0), 1.5)
    assert np.abs(moved).mean() > 1.5 * np.abs(inner).mean()


def open_with_balls(path: Path, model: str) -> BlenderStage:
    text = f"images = 1\n[scene]\nfile = '{path.name}'\n[render]\nsamples = 16\ndenoise = false\n[output]\n"
    text += f"width = {WIDTH}\nheight = {HEIGHT}\n[[class]]\nname = 'ball'\nobjects = ['ball*']\n[[placement]]\n"
    text += f"plugin = 'keep'\n[[camera]]\nplugin = 'keep'\n[camera_model]\n{model}\n"
    stage = open_stage(loads_recipe(text, path.parent, "test"))
    assert isinstance(stage, BlenderStage)
    stage.keep(["ball"])
    stage.pose_camera(stage.existing_cameras()[0])
    return stage


def test_eevee_refuses_what_is_too_wide_for_a_pinhole(scene: Path) -> None:
    with pytest.raises(StageError, match=r"EEVEE cannot render the camera of .camera_model., which sees 1[5-8][0-9]"):
        open_with(scene, MODELS["fisheye"].replace("[70, 71]", "[50, 50]"), 'engine = "eevee"\n')


def test_distorted_ids_are_those_of_a_fine_plain_render(scene: Path) -> None:
    """Plain Blender renders a wide pinhole picture with eight pixels per pixel; OpenCV's rays look it up."""
    fine = 8 * 150.0

    def change() -> None:
        data, render = bpy.context.scene.camera.data, bpy.context.scene.render
        render.resolution_x, render.resolution_y = 12 * WIDTH, 12 * HEIGHT
        data.sensor_fit, data.sensor_width, data.lens = "HORIZONTAL", 36.0, fine / (12 * WIDTH) * 36.0

    names = {"crate near": 1, "crate far": 2, "crate cut": 3}
    plain = plain_labels(scene, names, change)
    stage = open_with(scene, MODELS["barrel"])
    assert stage.camera is not None
    numbers = np.zeros(1 + len(stage.instances), int)
    for instance in stage.instances:
        numbers[instance.id] = names[instance.asset.name]
    directions = rays(stage.camera) @ stage.camera.matrix[:3, :3]
    x = np.floor(6 * WIDTH + fine * directions[..., 0]).astype(int)
    y = np.floor(6 * HEIGHT - fine * directions[..., 1]).astype(int)
    inside = (x >= 0) & (x < 12 * WIDTH) & (y >= 0) & (y < 12 * HEIGHT)
    assert inside.mean() > 0.95
    expected = np.where(inside, plain.ids[np.clip(y, 0, 12 * HEIGHT - 1), np.clip(x, 0, 12 * WIDTH - 1)], 0)
    differs = (numbers[stage.probe(1.0).ids] != expected) & inside
    assert not (differs & ~near_an_edge(stage, 0.35)).any()
