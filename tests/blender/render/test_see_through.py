# SPDX-License-Identifier: GPL-3.0-or-later
"""See-through surfaces: labelled as a whole or not at all, alike in visible masks, amodal masks and depth."""

from __future__ import annotations

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from plain_blender import add, mesh, new_material, new_scene, plain_picture, save, stage_of  # noqa: E402

SQUARE = [(-0.5, 0.0, -0.5), (0.5, 0.0, -0.5), (0.5, 0.0, 0.5), (-0.5, 0.0, 0.5)]


def pane(name, material, y):
    return add(name, mesh(name, SQUARE, [(0, 1, 2, 3)], material), location=(0.0, y, 0.8))


def principled(alpha):
    material = new_material("veil")
    material.node_tree.nodes["Principled BSDF"].inputs["Alpha"].default_value = alpha
    return material


def mixed(alpha):
    material = new_material("veil")
    tree = material.node_tree
    mix, clear = tree.nodes.new("ShaderNodeMixShader"), tree.nodes.new("ShaderNodeBsdfTransparent")
    mix.inputs[0].default_value = alpha
    tree.links.new(clear.outputs[0], mix.inputs[1])
    tree.links.new(tree.nodes["Principled BSDF"].outputs[0], mix.inputs[2])
    tree.links.new(mix.outputs[0], tree.nodes["Material Output"].inputs["Surface"])
    return material


def grouped(alpha):
    """The mix in a group that takes its shader and its share from outside."""
    inner = bpy.data.node_groups.new("inner", "ShaderNodeTree")
    for name, kind in (("Share", "NodeSocketFloat"), ("Solid", "NodeSocketShader")):
        inner.interface.new_socket(name, in_out="INPUT", socket_type=kind)
    inner.interface.new_socket("Shader", in_out="OUTPUT", socket_type="NodeSocketShader")
    start, end = inner.nodes.new("NodeGroupInput"), inner.nodes.new("NodeGroupOutput")
    mix, clear = inner.nodes.new("ShaderNodeMixShader"), inner.nodes.new("ShaderNodeBsdfTransparent")
    inner.links.new(start.outputs["Share"], mix.inputs[0])
    inner.links.new(clear.outputs[0], mix.inputs[1])
    inner.links.new(start.outputs["Solid"], mix.inputs[2])
    inner.links.new(mix.outputs[0], end.inputs[0])
    material = new_material("veil")
    tree = material.node_tree
    group = tree.nodes.new("ShaderNodeGroup")
    group.node_tree = inner
    group.inputs["Share"].default_value = alpha
    tree.links.new(tree.nodes["Principled BSDF"].outputs[0], group.inputs["Solid"])
    tree.links.new(group.outputs[0], tree.nodes["Material Output"].inputs["Surface"])
    return material


def glass(_):
    material = new_material("glass")
    material.node_tree.nodes["Principled BSDF"].inputs["Transmission Weight"].default_value = 1.0
    return material


@pytest.mark.parametrize(
    ("build", "alpha", "threshold", "labelled"),
    [
        (principled, 0.4, None, False),
        (principled, 0.6, None, True),
        (principled, 0.4, 0.3, True),
        (mixed, 0.3, None, False),
        (mixed, 0.6, 0.7, False),
        (grouped, 0.45, None, False),
        (grouped, 0.55, None, True),
        (glass, 0.0, None, True),
    ],
)
def test_a_surface_is_labelled_where_it_covers_enough_of_the_light(build, alpha, threshold, labelled, tmp_path):
    new_scene()
    pane("Veil", build(alpha), -0.6)
    pane("Behind", new_material("wall", (0.1, 0.1, 0.8)), 0.6)
    bpy.data.objects["Behind"].scale = (3.0, 3.0, 3.0)
    path = save(tmp_path)
    picture = plain_picture(path)
    stage = stage_of(path, {"veil": "Veil", "behind": "Behind"}, alpha_threshold=threshold)
    ids = {i.asset.name: i.id for i in stage.instances}
    shot = stage.shoot()
    veil = shot.mask(ids["Veil"])
    # At 4 m less 0.6 m and 35 mm of 36, a pane of 1 m is 45.75 pixels wide.
    assert veil.sum() == (46 * 46 if labelled else 0)
    middle = shot.labels.depth[50:70, 70:90]
    np.testing.assert_allclose(middle, 3.4 if labelled else 4.6, rtol=1e-4)
    if labelled:
        np.testing.assert_array_equal(shot.amodal[ids["Veil"]].mask, veil)
    assert not (shot.amodal[ids["Behind"]].mask & veil).sum() < veil.sum()
    assert np.abs(picture.astype(float).mean((0, 1)) - shot.image.astype(float).mean((0, 1))).max() < 2
