# SPDX-License-Identifier: GPL-3.0-or-later
"""The limit of textures: what pictures show of fine patterns, and that nothing else is simplified."""

from __future__ import annotations

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from plain_blender import add, ball, mesh, new_material, new_scene, save  # noqa: E402
from twinset.blender.render.render_settings import limit_textures  # noqa: E402
from twinset.blender.stage import open_stage  # noqa: E402
from twinset.engine.recipe.reading import loads_recipe  # noqa: E402

SIDE, STRIPE = 1024, 4


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A wall of stripes of four texels, which fills the image, and a smoothed ball before it."""
    folder = tmp_path_factory.mktemp("stripes")
    new_scene(camera=(0.0, -4.0, 0.0), lens=36.0)
    columns = (np.arange(SIDE) // STRIPE % 2).astype(np.float32)
    picture = bpy.data.images.new("stripes", SIDE, SIDE)
    picture.pixels.foreach_set(np.tile(np.repeat(columns[:, None], 4, 1), (SIDE, 1, 1)).ravel())
    picture.filepath_raw, picture.file_format = str(folder / "stripes.png"), "PNG"
    picture.save()
    bpy.data.images.remove(picture)
    material = new_material("stripes")
    tree = material.node_tree
    texture, light = tree.nodes.new("ShaderNodeTexImage"), tree.nodes.new("ShaderNodeEmission")
    texture.image = bpy.data.images.load(str(folder / "stripes.png"))
    tree.links.new(texture.outputs[0], light.inputs["Color"])
    tree.links.new(light.outputs[0], tree.nodes["Material Output"].inputs["Surface"])
    wall = mesh("wall", [(-1, 0, -1), (1, 0, -1), (1, 0, 1), (-1, 0, 1)], [(0, 1, 2, 3)], material)
    wall.uv_layers.new().uv.foreach_set("vector", np.array([0, 0, 1, 0, 1, 1, 0, 1], np.float32))
    add("Wall", wall, scale=(2.2, 1.0, 2.2))
    smoothed = add("Ball", ball("ball", new_material("plain"), 1), location=(0.0, -1.0, 0.0), scale=(0.3, 0.3, 0.3))
    smoothed.modifiers.new("smooth", "SUBSURF").render_levels = 3
    return save(folder)


def shot_of(path, limit):
    text = f"images = 1\n[scene]\nfile = '{path.name}'\n[render]\nsamples = 16\ndenoise = false\n{limit}\n"
    text += "[output]\nwidth = 640\nheight = 480\n[[class]]\nname = 'ball'\nobjects = ['Ball']\n"
    text += "[[placement]]\nplugin = 'keep'\n[[camera]]\nplugin = 'keep'\n"
    stage = open_stage(loads_recipe(text, path.parent, "test"))
    stage.keep(["ball"])
    stage.pose_camera(stage.existing_cameras()[0])
    return stage.shoot()


def contrast(picture):
    """Difference between light and dark columns of the wall, where the ball is not."""
    return float(picture[:60].mean((0, 2)).std())


def test_a_limit_takes_fine_patterns_and_nothing_else(path):
    usual = shot_of(path, "")
    same, large = shot_of(path, "texture_limit = 'none'"), shot_of(path, "texture_limit = 'picture'")
    small = shot_of(path, "texture_limit = '128'")
    np.testing.assert_array_equal(same.image, usual.image)
    np.testing.assert_array_equal(large.image, usual.image)  # 640 pixels show 1024 texels
    assert contrast(usual.image) > 40.0
    assert contrast(small.image) < 10.0
    for other in (large, small):
        np.testing.assert_array_equal(other.labels.ids, usual.labels.ids)
        np.testing.assert_array_equal(other.labels.depth, usual.labels.depth)


@pytest.mark.parametrize(("size", "limit"), [((640, 480), "1024"), ((480, 1025), "2048"), ((1024, 16), "1024")])
def test_the_limit_of_a_picture_is_the_power_of_two_above_its_longer_side(size, limit):
    scene = new_scene()
    limit_textures(scene, "picture", size)
    assert scene.cycles.texture_limit_render == limit


def test_a_file_that_is_simplified_keeps_its_settings():
    scene = new_scene()
    scene.render.use_simplify, scene.render.simplify_subdivision_render = True, 1
    limit_textures(scene, "256", (64, 64))
    assert (scene.render.simplify_subdivision_render, scene.cycles.texture_limit_render) == (1, "256")
