# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels of the renderer against pinhole geometry worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from recipes import recipe_of  # noqa: E402
from twinset.blender.render.render import Renderer  # noqa: E402
from twinset.blender.render.render_settings import set_up_picture  # noqa: E402
from twinset.blender.scene import lighting  # noqa: E402
from twinset.blender.stage import open_stage as stage_of_recipe  # noqa: E402
from twinset.dataset.store.frames import encode_image  # noqa: E402
from twinset.engine.errors import TryAgainError  # noqa: E402
from twinset.engine.recipe.settings import QUALITIES, OutputSettings, RenderSettings  # noqa: E402
from twinset.engine.stage import CameraPose  # noqa: E402

WIDTH, HEIGHT = 160, 120


def add_square(collection, id, depth, x, y, half):
    """A square facing a camera at the origin that looks along -z."""
    mesh = bpy.data.meshes.new("square")
    corners = [(x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)]
    mesh.from_pydata([(a, b, -depth) for a, b in corners], [], [(0, 1, 2, 3)])
    part = bpy.data.objects.new("square", mesh)
    part.pass_index = id
    child = bpy.data.collections.new(f"instance {id}")
    child.objects.link(part)
    collection.children.link(child)
    return child


def expected_mask(pose, depth, x, y, half):
    """Pixels whose centre's ray meets the square."""
    columns = (np.arange(pose.width) + 0.5 - pose.width / 2) / pose.focal * depth
    rows = -(np.arange(pose.height) + 0.5 - pose.height / 2) / pose.focal * depth
    return (np.abs(rows - y) < half)[:, None] & (np.abs(columns - x) < half)[None, :]


def open_stage(width=WIDTH, height=HEIGHT, prepare=lambda scene: None):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    prepare(scene)
    holder = bpy.data.collections.new("instances")
    near = add_square(holder, 1, 2.0, 0.101, 0.053, 0.3)
    far = add_square(holder, 2, 4.0, 0.317, 0.011, 0.9)
    cut = add_square(holder, 3, 3.0, -1.613, 0.207, 0.5)
    renderer = Renderer(scene, holder, RenderSettings(samples=1, device="cpu"), OutputSettings(width, height))
    pose = CameraPose(np.eye(4), 35.0, width, height)
    renderer.pose(pose)
    return renderer, pose, (near, far, cut)


@pytest.fixture
def stage():
    return open_stage()


SQUARES = {1: (2.0, 0.101, 0.053, 0.3), 2: (4.0, 0.317, 0.011, 0.9), 3: (3.0, -1.613, 0.207, 0.5)}


@pytest.mark.parametrize("size", [(WIDTH, HEIGHT), (HEIGHT, WIDTH)])
def test_ids_and_depth_are_those_of_the_pinhole_at_pixel_centres(size):
    renderer, pose, _ = open_stage(*size)
    labels = renderer.labels()
    masks = {id: expected_mask(pose, *square) for id, square in SQUARES.items()}
    np.testing.assert_array_equal(labels.ids == 1, masks[1])
    np.testing.assert_array_equal(labels.ids == 2, masks[2] & ~masks[1])
    np.testing.assert_array_equal(labels.ids == 3, masks[3])
    for id, (depth, *_) in SQUARES.items():
        np.testing.assert_allclose(labels.depth[labels.ids == id], depth, rtol=1e-5)
    assert np.isinf(labels.depth[labels.ids == 0]).all()


@pytest.mark.parametrize("region", [(0, 0, 160, 120), (13, 7, 101, 95), (150, 100, 160, 120), (0, 30, 1, 31)])
def test_a_region_is_cut_out_of_the_whole(stage, region):
    renderer, _, _ = stage
    whole, part = renderer.labels(), renderer.labels(region=region)
    x0, y0, x1, y1 = region
    np.testing.assert_array_equal(part.ids[y0:y1, x0:x1], whole.ids[y0:y1, x0:x1])
    np.testing.assert_array_equal(part.depth[y0:y1, x0:x1], whole.depth[y0:y1, x0:x1])
    assert part.ids.sum() == whole.ids[y0:y1, x0:x1].sum()


def test_an_instance_alone_is_whole_behind_others_and_beyond_the_border(stage):
    renderer, pose, squares = stage
    shown = dict(enumerate(squares, 1))
    corners = np.array([[0.317 - 0.9, 0.011 + 0.9, -4.0], [0.317 + 0.9, 0.011 - 0.9, -4.0]])
    box = tuple(pose.project(corners)[0].ravel())
    amodal = renderer.amodal_masks(shown, {2: box})[2]
    np.testing.assert_array_equal(amodal.mask, expected_mask(pose, *SQUARES[2]))
    assert amodal.pixels == amodal.mask.sum()

    corners = np.array([[-1.613 - 0.5, 0.207 + 0.5, -3.0], [-1.613 + 0.5, 0.207 - 0.5, -3.0]])
    low, high = pose.project(corners)[0]
    assert low[0] < 0
    both = renderer.amodal_masks(shown, {3: (*low, *high), 2: box})
    np.testing.assert_array_equal(both[2].mask, amodal.mask)
    amodal = both[3]
    np.testing.assert_array_equal(amodal.mask, expected_mask(pose, *SQUARES[3]))
    whole = (np.ceil(high - 0.5) - np.ceil(low - 0.5)).astype(int)
    assert amodal.bbox[:2] == tuple(np.ceil(low - 0.5).astype(int))
    assert amodal.bbox[2:] == tuple(whole)
    assert amodal.pixels == whole.prod()


def test_pictures_are_the_same_bytes_every_time_whatever_was_rendered_between(stage):
    renderer, _, (near, *_) = stage
    light = bpy.data.objects.new("light", bpy.data.lights.new("light", "POINT"))
    bpy.context.scene.collection.objects.link(light)
    first = renderer.picture(7)
    renderer.labels(0.5)
    renderer.amodal_masks({1: near}, {1: (20.0, 20.0, 60.0, 60.0)})
    renderer.picture(8)
    np.testing.assert_array_equal(renderer.picture(7), first)
    assert first.shape == (HEIGHT, WIDTH, 3) and first.dtype == np.uint8


def leave_traps(scene):
    """What artists' files hold that would change cameras, samples or layers behind our back."""
    elsewhere = bpy.data.objects.new("artist's camera", bpy.data.cameras.new("artist's camera"))
    elsewhere.location = (0.0, 5.0, 0.0)
    scene.collection.objects.link(elsewhere)
    scene.timeline_markers.new("cut", frame=1).camera = elsewhere
    second = scene.view_layers.new("second")
    second.material_override = bpy.data.materials.new("clay")
    bpy.context.window.view_layer = second
    for layer in scene.view_layers:
        layer.samples = 64
    scene.cycles.time_limit = 1e-6
    # Depth for the denoiser is not planar, and its pass sorts before the one that is.
    scene.view_layers[0].cycles.denoising_store_passes = second.cycles.denoising_store_passes = True
    scene.render.use_border = scene.render.use_freestyle = scene.render.use_motion_blur = True


def test_settings_of_the_artist_do_not_reach_pictures_or_labels():
    pictures, ids, depths = [], [], []
    for prepare in (lambda scene: None, leave_traps):
        renderer, _, _ = open_stage(prepare=prepare)
        light = bpy.data.objects.new("light", bpy.data.lights.new("light", "POINT"))
        bpy.context.scene.collection.objects.link(light)
        pictures.append(renderer.picture(7))
        labels = renderer.labels()
        ids.append(labels.ids)
        depths.append(labels.depth)
    np.testing.assert_array_equal(depths[1], depths[0])
    np.testing.assert_array_equal(ids[1], ids[0])
    np.testing.assert_array_equal(pictures[1], pictures[0])
    assert pictures[0].std() > 1


@pytest.mark.parametrize("quality", QUALITIES)
def test_a_quality_says_samples_and_noise_whatever_the_file_says_and_samples_given_win(quality):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.cycles.samples, scene.cycles.adaptive_threshold, scene.cycles.adaptive_min_samples = 999, 0.9, 99
    found = []
    for samples in (None, 3):
        set_up_picture(scene, RenderSettings(quality=quality, samples=samples))
        cycles = scene.cycles
        assert cycles.use_adaptive_sampling and cycles.use_denoising and cycles.adaptive_min_samples == 0
        found.append((cycles.samples, round(cycles.adaptive_threshold, 6)))
    assert found == [QUALITIES[quality], (3, 0.01)]


def test_a_render_that_blender_cannot_do_ends_in_a_sentence(stage):
    renderer, _, _ = stage
    bpy.data.objects.remove(bpy.data.objects["Twinset camera"])
    with pytest.raises(TryAgainError, match=r"could not render 160 x 120 pixels.*no camera"):
        renderer.labels()


def test_the_first_background_fits_its_frame_like_all_later_ones(tmp_path):
    renderer, _, _ = open_stage(HEIGHT, WIDTH)
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    path = tmp_path / "noise.png"
    path.write_bytes(encode_image(noise, "png", 100))
    scene = bpy.context.scene
    state = lighting.capture(scene)
    pictures = []
    for _ in range(2):
        lighting.set_background(scene, path)
        pictures.append(renderer.picture(0))
        lighting.restore(scene, state)
    assert pictures[0].shape == (WIDTH, HEIGHT, 3)
    np.testing.assert_array_equal(*pictures)


def test_keys_in_the_file_do_not_undo_what_frames_set(tmp_path):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    for name, half, height in (("Floor", 3.0, 0.0), ("Chair", 0.5, 0.5)):
        mesh = bpy.data.meshes.new(name)
        corners = [(x * half, y * half, height) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        mesh.from_pydata(corners, [], [(0, 1, 2, 3)])
        bpy.context.scene.collection.objects.link(bpy.data.objects.new(name, mesh))
    lamp = bpy.data.lights.new("Lamp", "POINT")
    lamp.energy = 100.0
    holder = bpy.data.objects.new("Lamp", lamp)
    holder.location = (0.0, 0.0, 3.0)
    bpy.context.scene.collection.objects.link(holder)
    bpy.data.objects["Chair"].keyframe_insert("hide_render", frame=1)
    lamp.keyframe_insert("energy", frame=1)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "keyed.blend"))
    chair = {"name": "chair", "objects": ["Chair"]}
    recipe = recipe_of(tmp_path, scene="keyed.blend", classes=[chair], render={"samples": 1}, size=(64, 48))
    opened = stage_of_recipe(recipe)
    matrix = np.eye(4)
    matrix[2, 3] = 5.0
    opened.pose_camera(CameraPose(matrix, 35.0, 64, 48))
    # Nothing is placed, so all that is seen is the floor.
    assert opened.probe(1.0).depth.min() > 4.9
    bright = opened.shoot(0).image.mean()
    opened.scale_lights(0.1, (1.0, 1.0, 1.0))
    assert opened.shoot(0).image.mean() < 0.8 * bright
