# SPDX-License-Identifier: GPL-3.0-or-later
"""Amodal masks and visible shares with the artist's settings, against plain Blender renders of the lone instance."""

from __future__ import annotations

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from plain_blender import add, ball, cube, mesh, new_material, new_scene, plain_labels, save, stage_of  # noqa: E402
from twinset.blender.render.amodal import with_visible  # noqa: E402
from twinset.engine.stage import Amodal  # noqa: E402


def displaced(amount=0.25):
    material = new_material("rock")
    tree = material.node_tree
    node = tree.nodes.new("ShaderNodeDisplacement")
    node.inputs["Height"].default_value, node.inputs["Midlevel"].default_value = 1.0, 0.0
    node.inputs["Scale"].default_value = amount
    tree.links.new(node.outputs[0], tree.nodes["Material Output"].inputs["Displacement"])
    material.displacement_method = "DISPLACEMENT"
    return add("Thing", ball("rock", material, 4), location=(0.2, 0.0, 0.9))


def displaced_to_the_outside():
    displaced(1.1)


def displaced_by_a_material_for_all():
    displaced().data.materials.clear()
    bpy.context.view_layer.material_override = bpy.data.materials["rock"]


def layered(alpha_threshold=False):
    """A wall behind as many clear layers as only the artist's settings let light through."""
    clear = new_material("clear")
    clear.node_tree.nodes["Principled BSDF"].inputs["Alpha"].default_value = 0.3 if alpha_threshold else 0.0
    whole = add("Thing", cube("core"), location=(0.2, 0.0, 0.8), scale=(0.5, 0.5, 0.5))
    corners = [(-0.8, 0.0, -0.8), (0.8, 0.0, -0.8), (0.8, 0.0, 0.8), (-0.8, 0.0, 0.8)]
    for number in range(12):
        layer = add(f"Layer {number}", mesh("layer", corners, [(0, 1, 2, 3)], clear), parent=whole)
        layer.location = (0.0, -1.2 - 0.1 * number, 0.0)
    bpy.context.scene.cycles.transparent_max_bounces = 64


def alpha_threshold():
    layered(True)
    bpy.context.view_layer.pass_alpha_threshold = 0.2


def hidden_by(name="Post", **place):
    add(name, cube("post"), **{"location": (0.3, -1.8, 0.8), "scale": (0.12, 0.05, 3.0), **place})


@pytest.mark.parametrize(
    "build", [displaced, displaced_to_the_outside, displaced_by_a_material_for_all, layered, alpha_threshold]
)
def test_the_whole_extent_is_that_of_the_lone_instance_in_plain_blender(build, tmp_path):
    new_scene()
    build()
    hidden_by()
    path = save(tmp_path)
    names = {"Thing": 1, **{f"Layer {number}": 1 for number in range(12)}}
    visible = plain_labels(path, names).ids == 1
    whole = plain_labels(path, names, lambda: bpy.data.objects.remove(bpy.data.objects["Post"])).ids == 1
    stage = stage_of(path, {"thing": "Thing"})
    np.testing.assert_array_equal(stage.probe(1.0).ids == 1, visible)
    amodal = stage.amodal()[1]
    np.testing.assert_array_equal(amodal.mask, whole)
    rows, columns = np.nonzero(whole)
    x, y, width, height = amodal.bbox
    if build is displaced_to_the_outside:
        assert y < 0 and y + height > 120
    else:
        assert (x, y) == (columns.min(), rows.min())
        assert (width, height) == (np.ptp(columns) + 1, np.ptp(rows) + 1)
    assert 0 < np.count_nonzero(visible) < np.count_nonzero(whole)


def test_what_is_visible_is_part_of_the_whole_extent_whatever_its_render_left_out():
    mask, visible = np.zeros((2, 10, 10), bool)
    mask[2:5, 2:5] = True
    visible[4:8, 4] = True
    whole = with_visible(Amodal(mask, (2, 2, 3, 3), 9), visible)
    assert not (visible & ~whole.mask).any() and whole.pixels == whole.mask.sum() == 12
    assert whole.bbox == (2, 2, 3, 6)
    unchanged = with_visible(whole, visible)
    assert unchanged is whole
