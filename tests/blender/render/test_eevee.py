# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures by EEVEE with the labels of Cycles: the same labels, and the same pixels."""

from __future__ import annotations

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from twinset.alignment.columns.background_similarity import dilate  # noqa: E402
from twinset.blender.render.render import Renderer  # noqa: E402
from twinset.engine.recipe.settings import OutputSettings, RenderSettings  # noqa: E402
from twinset.engine.stage import CameraPose  # noqa: E402

COLOURS = {1: (1.0, 0.0, 0.0), 2: (0.0, 1.0, 0.0), 3: (0.0, 0.0, 1.0)}


def open_squares(engine, size):
    """Three glowing squares of pure colours before black, one of them cut by the border; and a camera at the origin."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.view_settings.view_transform = "Standard"
    holder = bpy.data.collections.new("instances")
    for id, (x, y, depth, half) in {
        1: (0.1, 0.05, 2.0, 0.3),
        2: (0.3, 0.01, 4.0, 0.9),
        3: (-1.6, 0.2, 3.0, 0.5),
    }.items():
        mesh = bpy.data.meshes.new("square")
        corners = [(x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)]
        mesh.from_pydata([(a, b, -depth) for a, b in corners], [], [(0, 1, 2, 3)])
        material = bpy.data.materials.new("glow")
        material.use_nodes = True
        tree = material.node_tree
        tree.nodes.clear()
        glow = tree.nodes.new("ShaderNodeEmission")
        glow.inputs["Color"].default_value = (*COLOURS[id], 1.0)
        tree.links.new(glow.outputs[0], tree.nodes.new("ShaderNodeOutputMaterial").inputs["Surface"])
        mesh.materials.append(material)
        part = bpy.data.objects.new("square", mesh)
        part.pass_index = id
        child = bpy.data.collections.new(f"instance {id}")
        child.objects.link(part)
        holder.children.link(child)
    render = RenderSettings(engine=engine, samples=4, denoise=False, device="cpu")
    renderer = Renderer(scene, holder, render, OutputSettings(*size))
    renderer.pose(CameraPose(np.eye(4), 35.0, *size))
    return renderer


@pytest.mark.parametrize("size", [(160, 120), (120, 160)])
def test_eevee_paints_the_very_pixels_that_cycles_labels(size):
    by_cycles = open_squares("cycles", size).labels()
    renderer = open_squares("eevee", size)
    labels = renderer.labels()
    np.testing.assert_array_equal(labels.ids, by_cycles.ids)
    np.testing.assert_array_equal(labels.depth, by_cycles.depth)
    picture = renderer.picture(0).astype(float) / 255
    for id, colour in {0: (0.0, 0.0, 0.0), **COLOURS}.items():
        mask = labels.ids == id
        sure = ~dilate(~mask)  # along an outline pixels are mixed
        assert sure.sum() > 50
        assert np.abs(picture[sure] - colour).max() < 0.1
    # Half of each mixed pixel is the object's: the two outlines lie on each other to a tenth of a pixel.
    light = np.where(picture <= 0.04045, picture / 12.92, ((picture + 0.055) / 1.055) ** 2.4)
    assert abs(light[..., 0].sum() / (labels.ids == 1).sum() - 1) < 0.01


def test_eevee_pictures_and_labels_do_not_depend_on_what_was_rendered_before():
    renderer = open_squares("eevee", (160, 120))
    first, labels = renderer.picture(0), renderer.labels()
    renderer.draft(0, 0.5, 1)
    renderer.labels(0.25)
    np.testing.assert_array_equal(renderer.picture(0), first)
    np.testing.assert_array_equal(renderer.labels().ids, labels.ids)
