# SPDX-License-Identifier: GPL-3.0-or-later
"""Render passes that label passes ask for: rendered at pixel centres, and without a trace in ids and depth."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from recipes import ONE_SAMPLE, on_floor, orbit, recipe_text  # noqa: E402
from twinset.blender.render.render import Renderer  # noqa: E402
from twinset.blender.stage import open_stage  # noqa: E402
from twinset.dataset.jobs.job import Job  # noqa: E402
from twinset.engine.output.label_pass import LABEL_PASSES, LabelPass, RenderPass  # noqa: E402
from twinset.engine.recipe.reading import load_recipe  # noqa: E402
from twinset.engine.recipe.settings import OutputSettings, RenderSettings  # noqa: E402
from twinset.engine.stage import CameraPose  # noqa: E402

TILT = np.radians(30.0)


class Normals(LabelPass):
    """Unit normals in the camera's frame, 0 where nothing is hit."""

    name = key = folder = "facing"
    formats = ("npy",)
    dtype = "float32"
    channels = 3
    renders = (RenderPass("normal", "use_pass_normal", (("Normal.X",), ("Normal.Y",), ("Normal.Z",))),)

    def array(self, shot, categories):
        return (shot.rendered["normal"] @ shot.camera.matrix[:3, :3]).astype(np.float32)

    def save(self, array, suffix, path):
        with open(path, "wb") as file:
            np.save(file, array)


class Colors(Normals):
    """Diffuse colours of materials, linear RGB."""

    name = key = folder = "colors"
    renders: ClassVar = (
        RenderPass(
            "color",
            "use_pass_diffuse_color",
            tuple((f"DiffCol.{c}", f"Diffuse Color.{c}") for c in "RGB"),
            shaded=True,
        ),
    )

    def array(self, shot, categories):
        return shot.rendered["color"]


@pytest.fixture(autouse=True)
def registered():
    with LABEL_PASSES.registered(Normals), LABEL_PASSES.registered(Colors):
        yield


def tilted_square(output):
    """A renderer that sees a red square two metres off, turned by 30 degrees about the vertical axis."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    holder = bpy.data.collections.new("instances")
    child = bpy.data.collections.new("instance 1")
    mesh = bpy.data.meshes.new("square")
    mesh.from_pydata([(-0.4, -0.4, 0), (0.4, -0.4, 0), (0.4, 0.4, 0), (-0.4, 0.4, 0)], [], [(0, 1, 2, 3)])
    material = bpy.data.materials.new("red")
    material.use_nodes = True
    nodes = material.node_tree.nodes
    nodes.clear()
    diffuse = nodes.new("ShaderNodeBsdfDiffuse")
    diffuse.inputs["Color"].default_value = (0.8, 0.1, 0.2, 1.0)
    material.node_tree.links.new(diffuse.outputs["BSDF"], nodes.new("ShaderNodeOutputMaterial").inputs["Surface"])
    mesh.materials.append(material)
    part = bpy.data.objects.new("square", mesh)
    part.location, part.rotation_euler, part.pass_index = (0, 0, -2), (0, TILT, 0), 1
    child.objects.link(part)
    holder.children.link(child)
    renderer = Renderer(bpy.context.scene, holder, RenderSettings(samples=1, device="cpu"), output)
    renderer.pose(CameraPose(np.eye(4), 35.0, output.width, output.height))
    return renderer


def test_passes_show_the_truth_and_change_nothing_else():
    plain = tilted_square(OutputSettings(96, 72))
    before = plain.labels()
    assert plain.further_passes() == {}
    renderer = tilted_square(OutputSettings(96, 72, facing=True, colors=True))
    rendered = renderer.further_passes()
    assert {name: (a.shape, a.dtype) for name, a in rendered.items()} == {
        name: ((72, 96, 3), np.float32) for name in ("normal", "color")
    }
    seen = before.ids == 1
    assert 200 < seen.sum() < seen.size
    normal, color = (rendered[name][seen] for name in ("normal", "color"))
    np.testing.assert_allclose(normal, np.broadcast_to([np.sin(TILT), 0, np.cos(TILT)], normal.shape), atol=1e-5)
    np.testing.assert_allclose(color, np.broadcast_to([0.8, 0.1, 0.2], color.shape), atol=1e-3)
    assert not rendered["normal"][~seen].any() and not rendered["color"][~seen].any()
    after = renderer.labels()
    np.testing.assert_array_equal(after.ids, before.ids)
    np.testing.assert_array_equal(after.depth, before.depth)


RECIPE = recipe_text(
    images=2,
    placements=[on_floor()],
    cameras=[orbit(3.0, 6.0)],
    render={**ONE_SAMPLE, "device": "cpu"},
    size=(64, 48),
)


def test_a_job_writes_them_beside_the_same_pictures(tmp_path):
    for name, more in (("plain", ""), ("more", "facing = true\ncolors = true\n")):
        (tmp_path / "r.toml").write_text(RECIPE + more)
        list(Job(load_recipe(tmp_path / "r.toml"), tmp_path / name, open_stage).run())
    for frame in range(2):
        images = [(tmp_path / name / f"images/{frame:06d}.jpg").read_bytes() for name in ("plain", "more")]
        assert images[0] == images[1]
        normals = np.load(tmp_path / f"more/facing/{frame:06d}.npy")
        length = np.linalg.norm(normals, axis=-1)
        hit = length > 0
        assert hit.mean() > 0.5 and np.abs(length[hit] - 1).max() < 1e-3
        # What is seen faces the camera, which looks along -z.
        assert (normals[hit][:, 2] > -0.05).mean() > 0.99
    assert (tmp_path / "plain/annotations/instances.json").read_bytes() == (
        tmp_path / "more/annotations/instances.json"
    ).read_bytes()
