# SPDX-License-Identifier: GPL-3.0-or-later
"""Normals, colours, texture coordinates and AOVs as Blender renders them, against closed forms and plain Blender."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from mathutils import Matrix  # noqa: E402
from twinset.blender.render.render import Renderer  # noqa: E402
from twinset.dataset.labels.albedo import Albedo  # noqa: E402
from twinset.dataset.labels.aovs import Aovs  # noqa: E402
from twinset.dataset.labels.normals import Normals  # noqa: E402
from twinset.dataset.labels.points import Points  # noqa: E402
from twinset.dataset.labels.unlit import Unlit  # noqa: E402
from twinset.dataset.labels.uv import Uv  # noqa: E402
from twinset.dataset.labels.world_normals import WorldNormals  # noqa: E402
from twinset.engine.errors import StageError  # noqa: E402
from twinset.engine.output.label_pass import array_of  # noqa: E402
from twinset.engine.recipe.settings import OutputSettings, RenderSettings  # noqa: E402
from twinset.engine.scene.motion import rotation_about  # noqa: E402
from twinset.engine.stage import CameraPose, Shot  # noqa: E402

SIZE = (64, 48)
RADIUS, CENTER = 0.45, np.array([-0.5, 0.1, 0.0])
MATRIX = np.eye(4)
MATRIX[:3, :3] = rotation_about((0.6, 0.0, 0.8), 0.2)
MATRIX[:3, 3] = (0.3, -0.2, 2.4)
POSE = CameraPose(MATRIX, 35.0, *SIZE)
ASKED = {
    "normals": "exr",
    "world_normals": "png",
    "albedo": "exr",
    "unlit": "png",
    "uv": True,
    "aovs": ["place"],
    "value_aovs": ["height"],
}


def material(name: str, color: tuple[float, ...], *, shine: float = 0.0) -> bpy.types.Material:
    """Diffuse, with emission where it shines; it writes the position as the AOV ``place``, and its z as ``height``."""
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    nodes, links = made.node_tree.nodes, made.node_tree.links
    nodes.clear()
    surface = nodes.new("ShaderNodeBsdfDiffuse")
    surface.inputs["Color"].default_value = color
    if shine:
        light, both = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeAddShader")
        light.inputs["Color"].default_value, light.inputs["Strength"].default_value = (1, 1, 1, 1), shine
        links.new(surface.outputs[0], both.inputs[0])
        links.new(light.outputs[0], both.inputs[1])
        surface = both
    links.new(surface.outputs[0], nodes.new("ShaderNodeOutputMaterial").inputs["Surface"])
    geometry, split = nodes.new("ShaderNodeNewGeometry"), nodes.new("ShaderNodeSeparateXYZ")
    links.new(geometry.outputs["Position"], split.inputs[0])
    for aov, output, socket in (
        ("place", geometry.outputs["Position"], "Color"),
        ("height", split.outputs["Z"], "Value"),
    ):
        node = nodes.new("ShaderNodeOutputAOV")
        node.aov_name = aov
        links.new(output, node.inputs[socket])
    return made


def build() -> bpy.types.Collection:
    """A smooth sphere, and a square with texture coordinates on the plane z = -0.3 that is seen slantwise."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    holder, child = bpy.data.collections.new("instances"), bpy.data.collections.new("instance 1")
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=6, radius=RADIUS, location=CENTER)
    ball = bpy.context.object
    for polygon in ball.data.polygons:
        polygon.use_smooth = True
    ball.data.materials.append(material("ball", (0.8, 0.3, 0.1, 1.0)))
    bpy.ops.mesh.primitive_plane_add(size=1.0, location=(0.6, 0.0, -0.3), calc_uvs=True)
    square = bpy.context.object
    square.data.materials.append(material("square", (0.2, 0.4, 0.6, 1.0), shine=0.25))
    for number, o in enumerate((ball, square), 1):
        o.pass_index = number
        bpy.context.collection.objects.unlink(o)
        child.objects.link(o)
    holder.children.link(child)
    return holder


@pytest.fixture(scope="module")
def shot() -> Shot:
    holder = build()
    renderer = Renderer(
        bpy.context.scene, holder, RenderSettings(samples=1, device="cpu"), OutputSettings(*SIZE, **ASKED)
    )
    renderer.pose(POSE)
    calls = []
    original = renderer._render_exr
    renderer._render_exr = lambda *values: calls.append(values) or original(*values)  # type: ignore[method-assign]
    labels, further = renderer.labels(), renderer.further_passes()
    assert len(calls) == 3  # labels; normals and texture coordinates; colours and AOVs
    image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    return Shot(image, labels, (), {}, POSE, further)


def world_points(shot: Shot) -> np.ndarray:
    return shot.points() @ MATRIX[:3, :3].T + MATRIX[:3, 3]


def test_normals_are_those_of_sphere_and_plane(shot: Shot, tmp_path: Path) -> None:
    world = array_of(WorldNormals(), shot, {})
    ball, square, points = shot.mask(1), shot.mask(2), world_points(shot)
    assert ball.sum() > 250 and square.sum() > 250
    truth = points[ball] - CENTER
    truth /= np.linalg.norm(truth, axis=1, keepdims=True)
    degrees = np.degrees(np.arccos(np.clip((world[ball] * truth).sum(1), -1, 1)))
    assert degrees.max() < 0.05  # smooth shading of 20,480 triangles
    np.testing.assert_allclose(world[square], np.broadcast_to([0, 0, 1], (square.sum(), 3)), atol=1e-6)
    assert not world[shot.labels.ids == 0].any()
    own = array_of(Normals(), shot, {})
    np.testing.assert_allclose(own[ball], world[ball] @ MATRIX[:3, :3], atol=1e-6)
    assert (own[ball][:, 2] > -1e-3).all()  # what is seen faces the camera
    WorldNormals().save(world, "png", tmp_path / "a")
    read = cv2.imread(str(tmp_path / "a"), cv2.IMREAD_UNCHANGED)[..., ::-1] / 65535
    np.testing.assert_allclose(read[ball] * 2 - 1, world[ball], atol=2 / 65535)
    assert not read[shot.labels.ids == 0].any()


def test_texture_coordinates_and_aovs_are_exact_at_pixel_centres(shot: Shot, tmp_path: Path) -> None:
    points, square, hit = world_points(shot), shot.mask(2), shot.labels.ids > 0
    uv = array_of(Uv(), shot, {})
    np.testing.assert_allclose(uv[square][:, :2], points[square][:, :2] - (0.1, -0.5), atol=1e-4)
    np.testing.assert_array_equal(uv[..., 2], hit)
    aovs = Aovs(["place"], ["height"])
    array = array_of(aovs, shot, {})
    np.testing.assert_allclose(array[hit][:, :3], points[hit], atol=1e-4)
    np.testing.assert_allclose(array[hit][:, 3], points[hit][:, 2], atol=1e-4)
    assert not array[~hit].any()
    exr = pytest.importorskip("OpenEXR")
    aovs.save(array, "exr", tmp_path / "a.exr")
    with exr.File(str(tmp_path / "a.exr"), separate_channels=True) as file:
        read = {name: channel.pixels for name, channel in file.channels().items()}
    assert set(read) == {"place.R", "place.G", "place.B", "height.V"}
    np.testing.assert_array_equal(read["place.B"], array[..., 2])


def test_colours_are_those_of_materials_without_light(shot: Shot, tmp_path: Path) -> None:
    albedo, unlit = array_of(Albedo(), shot, {}), array_of(Unlit(), shot, {})
    for id, color, shine in ((1, (0.8, 0.3, 0.1), 0.0), (2, (0.2, 0.4, 0.6), 0.25)):
        mask = shot.mask(id)
        np.testing.assert_allclose(albedo[mask], np.broadcast_to(color, (mask.sum(), 3)), atol=1e-6)
        np.testing.assert_allclose(unlit[mask], np.add(albedo[mask], shine), atol=1e-6)
    assert not unlit[shot.labels.ids == 0].any()
    Albedo().save(albedo, "png", tmp_path / "a")
    read = cv2.imread(str(tmp_path / "a"))[..., ::-1]
    np.testing.assert_array_equal(read[shot.mask(1)][0], [231, 149, 89])  # sRGB of 0.8, 0.3, 0.1


def test_plain_blender_in_white_light_shows_the_shading_free_colours(shot: Shot, tmp_path: Path) -> None:
    """Under white light from all sides a lone convex surface shows its colour; and a material's AOV must exist."""
    holder = build()
    scene = bpy.context.scene
    scene.collection.children.link(holder)
    bpy.data.objects.remove(next(o for o in bpy.data.objects if o.pass_index == 2))
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.data.lens, camera.data.sensor_width = POSE.lens, POSE.sensor_width
    camera.matrix_world = Matrix(MATRIX.tolist())
    scene.collection.objects.link(camera)
    scene.camera, scene.world = camera, bpy.data.worlds.new("white")
    if bpy.app.version < (5, 0):
        scene.world.use_nodes = True
    scene.world.node_tree.nodes.clear()
    sky, out = (scene.world.node_tree.nodes.new(f"ShaderNode{n}") for n in ("Background", "OutputWorld"))
    sky.inputs["Color"].default_value = (1, 1, 1, 1)
    scene.world.node_tree.links.new(sky.outputs[0], out.inputs["Surface"])
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 4, False
    scene.view_settings.view_transform = "Standard"
    scene.render.resolution_x, scene.render.resolution_y = SIZE
    scene.render.filepath, scene.render.image_settings.file_format = str(tmp_path / "white.png"), "PNG"
    bpy.ops.render.render(write_still=True)
    picture = cv2.imread(str(tmp_path / "white.png"))[..., ::-1]
    Unlit().save(array_of(Unlit(), shot, {}), "png", tmp_path / "a")
    inner = cv2.erode(shot.mask(1).astype(np.uint8), np.ones((5, 5))) > 0
    unlit = cv2.imread(str(tmp_path / "a"))[..., ::-1]
    assert np.abs(picture[inner].astype(int) - unlit[inner]).max() <= 1

    with pytest.raises(StageError, match="no material has an AOV output named 'hight'"):
        Renderer(
            scene,
            bpy.data.collections.new("none"),
            RenderSettings(device="cpu"),
            OutputSettings(*SIZE, value_aovs=["hight"]),
        )


def test_blender_reads_point_clouds(shot: Shot, tmp_path: Path) -> None:
    Points().save(array_of(Points(), shot, {}), "ply", tmp_path / "cloud.ply")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.ply_import(filepath=str(tmp_path / "cloud.ply"), forward_axis="Y", up_axis="Z")
    (read,) = bpy.data.meshes
    points = np.array([v.co for v in read.vertices])
    seen = np.isfinite(shot.labels.depth)
    np.testing.assert_allclose(points * (1, -1, -1), shot.points()[seen], atol=1e-6)
