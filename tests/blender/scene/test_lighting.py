# SPDX-License-Identifier: GPL-3.0-or-later
"""World, lights and background on Blender: what a render shows of them, and that all is given back exactly."""

from __future__ import annotations

import math

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from twinset.blender.scene import lighting, world  # noqa: E402
from twinset.engine.errors import StageError  # noqa: E402

COLLECTIONS = ("worlds", "images", "lights", "objects", "node_groups", "materials", "meshes", "collections", "scenes")


def counts():
    return {name: len(getattr(bpy.data, name)) for name in COLLECTIONS}


@pytest.fixture(autouse=True)
def nothing_left():
    """Whatever a test makes is gone when it ends, so that one test's leftovers never explain another's counts."""
    before = {name: set(getattr(bpy.data, name).keys()) for name in COLLECTIONS}
    yield
    for name in COLLECTIONS:
        blocks = getattr(bpy.data, name)
        for key in set(blocks.keys()) - before[name]:
            if key not in ("Render Result", "Viewer Node") and key in blocks:
                blocks.remove(blocks[key])


@pytest.fixture
def scene():
    """A camera at the origin, a world of the artist's own, two lamps that share one light, and a sun in an instance."""
    scene = bpy.data.scenes.new("lighting test")
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.cycles.use_denoising = False
    scene.render.resolution_x, scene.render.resolution_y = 48, 32
    scene.view_settings.view_transform = "Standard"
    scene.render.image_settings.file_format = "PNG"
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    world = bpy.data.worlds.new("artist's")
    world.use_nodes = True
    background = next(n for n in world.node_tree.nodes if n.bl_idname == "ShaderNodeBackground")
    background.inputs["Color"].default_value = (0.0, 1.0, 0.0, 1.0)
    background.inputs["Strength"].default_value = 1.0
    scene.world = world
    lamp = bpy.data.lights.new("lamp", "POINT")
    lamp.energy, lamp.color = 60.1, (0.9, 0.8, 0.3)
    for name in ("left", "right"):
        scene.collection.objects.link(bpy.data.objects.new(name, lamp))
    sun = bpy.data.lights.new("sun", "SUN")
    sun.energy = 3.3
    inside = bpy.data.collections.new("instanced")
    inside.objects.link(bpy.data.objects.new("sun", sun))
    empty = bpy.data.objects.new("instance", None)
    empty.instance_type, empty.instance_collection = "COLLECTION", inside
    scene.collection.objects.link(empty)
    return scene


def fingerprint(scene):
    """All that lighting may change, down to the last socket."""
    tree = scene.world.node_tree
    return (
        scene.world.as_pointer(),
        scene.render.film_transparent,
        sorted(scene.world.keys()),
        [
            (n.name, n.bl_idname, [tuple(i.default_value) for i in n.inputs if i.type in ("RGBA", "VECTOR")])
            for n in tree.nodes
        ],
        [(k.from_node.name, k.from_socket.identifier, k.to_node.name, k.to_socket.identifier) for k in tree.links],
        [
            (k.name, k.energy, tuple(k.color), sorted(key for key in k.keys() if key.startswith("twinset")))  # noqa: SIM118
            for k in bpy.data.lights
        ],
        [o.name for o in scene.objects],
    )


def save_exr(path, pixels):
    height, width = pixels.shape[:2]
    image = bpy.data.images.new("made", width, height, float_buffer=True)
    image.pixels.foreach_set(np.dstack([pixels, np.ones((height, width))]).astype(np.float32).ravel())
    image.filepath_raw, image.file_format = str(path), "OPEN_EXR"
    image.save()
    bpy.data.images.remove(image)
    return path


@pytest.fixture
def hdri(tmp_path):
    """Black, with a band of radiance 100 in red around +x, the middle of an equirectangular picture."""
    pixels = np.zeros((16, 32, 3))
    pixels[:, 14:18, 0] = 100.0
    return save_exr(tmp_path / "band.exr", pixels)


@pytest.fixture
def picture(tmp_path):
    """Four quarters of known colours, twice as wide as high."""
    cv2 = pytest.importorskip("cv2")
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:20, :40], pixels[:20, 40:] = (200, 100, 50), (10, 60, 250)
    pixels[20:, :40], pixels[20:, 40:] = (30, 220, 90), (120, 120, 120)
    cv2.imwrite(str(tmp_path / "quarters.png"), pixels[..., ::-1])
    return tmp_path / "quarters.png"


def look(scene, tmp_path, azimuth):
    """What the camera sees along the horizon; 0 degrees is +x, 90 is +y."""
    cv2 = pytest.importorskip("cv2")
    scene.camera.rotation_euler = (math.pi / 2, 0.0, math.radians(azimuth - 90))
    scene.render.filepath = str(tmp_path / "seen.png")
    bpy.ops.render.render(scene=scene.name, write_still=True)
    return cv2.imread(scene.render.filepath)[..., ::-1].astype(int)


@pytest.mark.parametrize("rotation", [0.0, 90.0, 200.0])
def test_hdri_turns_counter_clockwise(scene, hdri, tmp_path, rotation):
    lighting.set_world(scene, hdri, (1, 1, 1), 1.0, rotation)
    assert look(scene, tmp_path, rotation)[16, 24].tolist() == [255, 0, 0]
    assert look(scene, tmp_path, rotation + 120)[16, 24].tolist() == [0, 0, 0]


def test_radiance_is_capped_before_strength(scene, hdri, tmp_path):
    """Linear 0.25 is sRGB 137."""
    lighting.set_world(scene, hdri, (1, 1, 1), 0.5, 0.0, max_radiance=0.5)
    assert look(scene, tmp_path, 0)[16, 24] == pytest.approx([137, 0, 0], abs=1)
    lighting.set_world(scene, hdri, (1, 1, 1), 0.5, 0.0)
    assert look(scene, tmp_path, 0)[16, 24].tolist() == [255, 0, 0]


def test_colour_after_hdri(scene, hdri, tmp_path):
    lighting.set_world(scene, hdri, (1, 1, 1), 1.0, 0.0)
    lighting.set_world(scene, None, (0.0, 0.25, 1.0), 1.0, 0.0)
    assert look(scene, tmp_path, 0)[16, 24] == pytest.approx([0, 137, 255], abs=1)


def test_background_fills_the_frame_without_stretching(scene, picture, tmp_path):
    lighting.set_background(scene, picture)
    seen = look(scene, tmp_path, 33)
    for (y, x), colour in {
        (4, 4): (200, 100, 50),
        (4, 43): (10, 60, 250),
        (27, 4): (30, 220, 90),
        (27, 43): (120, 120, 120),
    }.items():
        assert seen[y, x] == pytest.approx(colour, abs=1)
    # 3:2 out of 2:1 keeps the full height and the middle 3/4 of the width, so the middle stays the middle.
    assert world._covering_scale(scene.render, 80, 40) == pytest.approx((0.75, 1.0))
    assert world._covering_scale(scene.render, 40, 80) == pytest.approx((1.0, 1 / 3))
    assert np.abs(np.diff(seen[4, :, 2])).argmax() in (22, 23, 24)


def test_background_is_behind_things_and_does_not_light_them(scene, picture, tmp_path):
    """A white wall in a black world stays black, whatever picture is behind it."""
    for lamp in list(bpy.data.lights):
        bpy.data.lights.remove(lamp)
    lighting.set_world(scene, None, (0, 0, 0), 0.0, 0.0)
    lighting.set_background(scene, picture)
    mesh = bpy.data.meshes.new("wall")
    mesh.from_pydata([(2, -0.3, -0.3), (2, 0.3, -0.3), (2, 0.3, 0.3), (2, -0.3, 0.3)], [], [(0, 1, 2, 3)])
    scene.collection.objects.link(bpy.data.objects.new("wall", mesh))
    seen = look(scene, tmp_path, 0)
    assert seen[16, 24].tolist() == [0, 0, 0]
    assert seen[4, 4] == pytest.approx([200, 100, 50], abs=1)


def test_without_background_the_artists_world_shows_again(scene, picture, tmp_path):
    lighting.set_background(scene, picture)
    lighting.set_background(scene, None)
    assert look(scene, tmp_path, 0)[16, 24].tolist() == [0, 255, 0]


def test_lights_are_scaled_once_each(scene):
    lamp, sun = bpy.data.lights["lamp"], bpy.data.lights["sun"]
    lighting.scale_lights(scene, 2.0, (1.0, 0.5, 0.25))
    assert lamp.energy == pytest.approx(2 * 60.1)
    assert tuple(lamp.color) == pytest.approx((0.9, 0.4, 0.075))
    assert sun.energy == pytest.approx(6.6)


def test_a_tint_above_one_brightens_as_it_should(scene):
    lamp = bpy.data.lights["lamp"]
    before = np.array(lamp.color) * lamp.energy
    lighting.scale_lights(scene, 0.5, (2.0, 1.0, 0.5))
    np.testing.assert_allclose(np.array(lamp.color) * lamp.energy, before * [1.0, 0.5, 0.25], rtol=1e-6)
    assert max(lamp.color) <= 1.0


def test_added_light_is_where_it_was_asked_for(scene):
    holder = lighting.add_light(scene, (1, 2, 3), 40.0, (1.5, 1.0, 0.5), 0.2)
    assert tuple(holder.location) == (1, 2, 3)
    np.testing.assert_allclose(np.array(holder.data.color) * holder.data.energy, [60.0, 40.0, 20.0], rtol=1e-6)
    assert holder.data.shadow_soft_size == pytest.approx(0.2)
    energy = holder.data.energy
    lighting.scale_lights(scene, 3.0, (1, 1, 1))
    assert holder.data.energy == energy


@pytest.mark.parametrize("keep_cache", [False, True])
def test_everything_is_given_back(scene, hdri, picture, keep_cache):
    blocks = counts()
    scene.render.film_transparent = True
    before = fingerprint(scene)
    state = lighting.capture(scene)
    lighting.set_background(scene, picture)
    lighting.set_world(scene, hdri, (1, 1, 1), 2.0, 45.0, max_radiance=10.0)
    lighting.scale_lights(scene, 1 / 3, (0.7, 1.3, 0.1))
    lighting.scale_lights(scene, 1.7, (0.7, 1.3, 0.1))
    lighting.add_light(scene, (0, 0, 1), 10.0, (1, 1, 1), 0.1)
    assert fingerprint(scene) != before
    lighting.restore(scene, state, keep_cache=keep_cache)
    assert fingerprint(scene) == before
    lighting.restore(scene, state)
    assert fingerprint(scene) == before
    assert counts() == blocks


def test_scene_without_world(scene, picture, tmp_path):
    scene.world = None
    state = lighting.capture(scene)
    lighting.set_background(scene, picture)
    assert look(scene, tmp_path, 0)[4, 4] == pytest.approx([200, 100, 50], abs=1)
    lighting.set_background(scene, None)
    assert look(scene, tmp_path, 0)[16, 24].tolist() == [0, 0, 0]
    lighting.restore(scene, state)
    assert scene.world is None


@pytest.mark.skipif(bpy.app.version >= (5, 0), reason="worlds always have nodes")
def test_world_without_nodes_keeps_its_colour_behind_nothing(scene, picture, tmp_path):
    scene.world.use_nodes = False
    scene.world.color = (0.0, 0.0, 1.0)
    state = lighting.capture(scene)
    lighting.set_background(scene, picture)
    lighting.set_background(scene, None)
    assert look(scene, tmp_path, 0)[16, 24].tolist() == [0, 0, 255]
    lighting.restore(scene, state)
    assert not scene.world.use_nodes


def test_a_frame_without_changes_shows_nothing_of_the_last_one(scene, hdri, picture, tmp_path):
    state = lighting.capture(scene)
    lighting.set_world(scene, hdri, (1, 1, 1), 1.0, 0.0)
    lighting.set_background(scene, picture)
    lighting.restore(scene, state, keep_cache=True)
    assert look(scene, tmp_path, 0)[16, 24].tolist() == [0, 255, 0]
    lighting.set_background(scene, picture)
    lighting.set_background(scene, None)
    assert look(scene, tmp_path, 0)[16, 24].tolist() == [0, 255, 0]


@pytest.mark.parametrize("keep_cache", [False, True])
def test_a_thousand_frames_leave_nothing_behind(scene, hdri, picture, tmp_path, keep_cache):
    cv2 = pytest.importorskip("cv2")
    other = tmp_path / "other.png"
    cv2.imwrite(str(other), np.full((8, 8, 3), 99, np.uint8))
    state, blocks = lighting.capture(scene), counts()
    most = 0
    for frame in range(1000):
        lighting.set_world(scene, hdri if frame % 2 else other, (1, 1, 1), 1.0, frame, 10.0 if frame % 3 else None)
        lighting.set_background(scene, (picture, other, None)[frame % 3])
        lighting.scale_lights(scene, 0.5 + frame / 1000, (1.2, 1.0, 0.8))
        lighting.add_light(scene, (0, 0, 1), 10.0, (1, 1, 1), 0.1)
        most = max(most, len(bpy.data.images), len(scene.world.node_tree.nodes))
        lighting.restore(scene, state, keep_cache=keep_cache)
    assert most < 20
    left = counts()
    assert left["worlds"] - blocks["worlds"] == (1 if keep_cache else 0)
    lighting.restore(scene, state)
    assert counts() == blocks


@pytest.mark.parametrize("name", ["missing.hdr", "broken.hdr", "broken.png"])
def test_pictures_that_cannot_be_read(scene, tmp_path, name):
    if name.startswith("broken"):
        (tmp_path / name).write_bytes(b"#?RADIANCE\nnot really")
    before, blocks = fingerprint(scene), counts()
    for change in (
        lambda p: lighting.set_world(scene, p, (1, 1, 1), 1.0, 0.0),
        lambda p: lighting.set_background(scene, p),
    ):
        with pytest.raises(StageError, match=name):
            change(tmp_path / name)
    assert fingerprint(scene) == before
    assert counts() == blocks


def test_real_hdri_with_a_cap(scene, data, tmp_path):
    """Poly Haven's street: lit by it, the picture is neither black nor burnt out."""
    lighting.set_world(scene, data / "hdri" / "potsdamer_platz_1k.hdr", (1, 1, 1), 1.0, 0.0, max_radiance=100.0)
    assert 20 < look(scene, tmp_path, 0).mean() < 250
