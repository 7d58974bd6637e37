# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole extents without a render, or with one for several, against a render of each instance quite alone."""

from __future__ import annotations

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from recipes import ONE_SAMPLE, recipe_text  # noqa: E402
from twinset.blender.render.amodal import group_regions, is_unoccluded, projected_box, union  # noqa: E402
from twinset.blender.render.opaque_materials import all_opaque, is_opaque  # noqa: E402
from twinset.blender.stage import open_stage  # noqa: E402
from twinset.engine.recipe.reading import loads_recipe  # noqa: E402
from twinset.engine.stage import CameraPose  # noqa: E402

ROOM = recipe_text(
    scene="open.blend",
    classes=[{"name": "chair", "collection": "Chairs"}, {"name": "screen", "objects": ["Screen"]}],
    render=ONE_SAMPLE,
    size=(160, 120),
)


@pytest.fixture
def stage(rooms):
    return open_stage(loads_recipe(ROOM, rooms, "test"))


def look(x, y, height, tilt, turn, lens=30.0):
    """A camera at (x, y, height) that looks along +y, down by ``tilt`` and left by ``turn`` radians."""
    down = np.pi / 2 - tilt
    about_x = np.array([[1, 0, 0], [0, np.cos(down), -np.sin(down)], [0, np.sin(down), np.cos(down)]])
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = about_z @ about_x, (x, y, height)
    return CameraPose(matrix, lens, 160, 120)


def stand(stage, asset, x, y, turn):
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    matrix[:2, 3] = x, y
    return stage.place(asset, matrix)


def clutter(stage, rng):
    stage.clear()
    assets = [a for name in ("chair", "screen") for a in stage.assets[name]]
    for k in rng.permutation(len(assets)):
        stand(stage, assets[k], rng.uniform(-1.5, 1.5), rng.uniform(1.0, 5.0), rng.uniform(0, 7))
    stage.pose_camera(look(0.0, -1.0, rng.uniform(0.3, 2.0), rng.uniform(0.0, 0.3), rng.uniform(-0.3, 0.3)))


def test_every_extent_is_that_of_a_render_with_nothing_else_on_the_stage(stage):
    rng = np.random.default_rng(0)
    whole = rendered = 0
    for _ in range(4):
        clutter(stage, rng)
        placed, camera = stage.instances, stage._camera
        found, labels = stage.amodal(), stage.probe(1.0)
        boxes = {i.id: projected_box(i, camera) for i in placed}
        for instance in placed:
            if instance.id not in found:
                continue
            free = is_unoccluded(instance, boxes[instance.id], camera, labels)
            whole, rendered = whole + free, rendered + (not free)
            stage.clear()
            again = stage.place(instance.asset, instance.matrix)
            stage.pose_camera(camera)
            alone = stage._renderer.amodal_masks(stage._shown, {again.id: boxes[instance.id]})[again.id]
            np.testing.assert_array_equal(found[instance.id].mask, alone.mask)
            assert (found[instance.id].bbox, found[instance.id].pixels) == (alone.bbox, alone.pixels)
            assert not (~found[instance.id].mask & (labels.ids == instance.id)).any()
    assert whole >= 4 and rendered >= 4


def test_what_stands_free_is_whole_and_what_is_hidden_or_cut_is_not(stage):
    chair = next(a for a in stage.assets["chair"] if a.name == "chair")
    (screen,) = stage.assets["screen"]
    free = stand(stage, chair, 0.0, 3.0, 0.4)
    behind = stand(stage, chair, 1.2, 4.0, 0.4)
    stand(stage, screen, 1.2, 3.0, 0.0)
    cut = stand(stage, chair, -1.8, 2.0, 0.4)
    camera = look(0.0, -1.0, 1.2, 0.1, 0.0)
    stage.pose_camera(camera)
    labels = stage.probe(1.0)
    assert [is_unoccluded(i, projected_box(i, camera), camera, labels) for i in (free, behind, cut)] == [
        True,
        False,
        False,
    ]


def test_groups_hold_every_region_once_and_none_that_meet():
    rng = np.random.default_rng(1)
    for n in (0, 1, 5, 30):
        low = rng.integers(0, 500, (n, 2))
        high = low + rng.integers(1, 200, (n, 2))
        regions = {k: (*low[k].tolist(), *high[k].tolist()) for k in range(n)}
        made = group_regions(regions)
        assert sorted(id for group in made for id in group) == list(range(n))
        for group in made:
            covered = np.zeros((700, 700), int)
            for id in group:
                x0, y0, x1, y1 = regions[id]
                covered[y0:y1, x0:x1] += 1
            assert covered.max() == 1
            rows, columns = np.nonzero(covered)
            assert union(regions[id] for id in group) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def test_regions_far_apart_in_a_large_image_are_not_rendered_as_one():
    regions = {1: (0, 0, 10, 10), 2: (20, 0, 30, 10), 3: (3990, 2990, 4000, 3000)}
    assert sorted(map(sorted, group_regions(regions))) == [[1, 2], [3]]


def material(build):
    made = bpy.data.materials.new("test")
    made.use_nodes = True
    tree = made.node_tree
    build(tree, tree.nodes["Principled BSDF"], tree.nodes["Material Output"])
    return made


def transparent(tree, shader, output):
    mix, clear = tree.nodes.new("ShaderNodeMixShader"), tree.nodes.new("ShaderNodeBsdfTransparent")
    tree.links.new(shader.outputs[0], mix.inputs[1])
    tree.links.new(clear.outputs[0], mix.inputs[2])
    tree.links.new(mix.outputs[0], output.inputs["Surface"])


def half(tree, shader, output):
    shader.inputs["Alpha"].default_value = 0.5


def cut_out(tree, shader, output):
    tree.links.new(tree.nodes.new("ShaderNodeTexChecker").outputs["Fac"], shader.inputs["Alpha"])


def grouped(tree, shader, output):
    inner = bpy.data.node_groups.new("inner", "ShaderNodeTree")
    inner.interface.new_socket("Shader", in_out="OUTPUT", socket_type="NodeSocketShader")
    inner.nodes.new("ShaderNodeBsdfTransparent")
    tree.nodes.new("ShaderNodeGroup").node_tree = inner


def faded(tree, shader, output):
    shader.inputs["Alpha"].keyframe_insert("default_value", frame=1)


def fog(tree, shader, output):
    tree.links.new(tree.nodes.new("ShaderNodeVolumeScatter").outputs[0], output.inputs["Volume"])


def bare(tree, shader, output):
    tree.links.clear()


def coloured(tree, shader, output):
    tree.links.new(tree.nodes.new("ShaderNodeTexNoise").outputs["Color"], shader.inputs["Base Color"])
    shader.inputs["Transmission Weight"].default_value = 1.0


@pytest.mark.parametrize("build", [transparent, half, cut_out, grouped, faded, fog, bare])
def test_materials_that_rays_may_pass_are_told(build):
    assert not is_opaque(material(build))


def test_common_materials_are_opaque_and_catchers_of_shadows_are_not():
    assert is_opaque(material(coloured)) and is_opaque(bpy.data.materials.new("plain"))
    lamp = bpy.data.objects.new("lamp", bpy.data.lights.new("lamp", "AREA"))
    solid = bpy.data.objects.new("solid", bpy.data.meshes.new("solid"))
    assert all_opaque([], [lamp, solid])
    solid.is_shadow_catcher = True
    assert not all_opaque([], [lamp, solid])


@pytest.mark.parametrize("see_through", [False, True])
def test_labels_are_those_of_the_real_materials(rooms, tmp_path, see_through):
    bpy.ops.wm.open_mainfile(filepath=str(rooms / "open.blend"))
    look_of = material(cut_out if see_through else coloured)
    for o in bpy.data.objects:
        if o.type == "MESH":
            o.data.materials.append(look_of)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "open.blend"), check_existing=False)
    stage = open_stage(loads_recipe(ROOM, tmp_path, "test"))
    clutter(stage, np.random.default_rng(3))
    fast = stage.probe(1.0)
    layer = stage._renderer._labels.view_layers[0]
    assert (layer.material_override is None) == see_through
    layer.material_override = None
    shaded = stage._renderer.labels(1.0)
    np.testing.assert_array_equal(fast.ids, shaded.ids)
    np.testing.assert_array_equal(fast.depth, shaded.depth)
    assert len(np.unique(fast.ids)) > 2
