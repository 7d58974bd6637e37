# SPDX-License-Identifier: GPL-3.0-or-later
"""Changed materials on Blender: what a render shows of them, that labels stay, and that all is given back exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from recipes import recipe_of  # noqa: E402
from twinset.blender.stage import BlenderStage, open_room  # noqa: E402
from twinset.engine.errors import StageError  # noqa: E402
from twinset.engine.scene.material import PATTERNS, Material  # noqa: E402
from twinset.engine.stage import CameraPose, Instance  # noqa: E402

SIZE = (96, 72)


def _box(name: str, materials: list[Any]) -> bpy.types.Object:
    """A cube of 1 m standing on the ground without UV map, its faces sharing the materials in turn."""
    mesh = bpy.data.meshes.new(name)
    corners = [(x - 0.5, y - 0.5, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    mesh.from_pydata(corners, [], faces)
    for material in materials:
        mesh.materials.append(material)
    for number, face in enumerate(mesh.polygons):
        face.material_index = number % max(1, len(materials))
    o = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(o)
    return o


def _material(name: str, color: tuple[float, float, float], picture: Path | None = None) -> Any:
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    shader = next(n for n in made.node_tree.nodes if n.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = (*color, 1.0)
    shader.inputs["Roughness"].default_value = 1.0
    if picture is not None:
        node = made.node_tree.nodes.new("ShaderNodeTexImage")
        node.image = bpy.data.images.load(str(picture))
        made.node_tree.links.new(node.outputs["Color"], shader.inputs["Base Color"])
    return made


@pytest.fixture
def stage(tmp_path: Path) -> BlenderStage:
    """Asset ``crate`` (grey, no UV map) and ``sign`` (a green picture); fixed ``Left`` and ``Right`` share one mesh
    without a material; a white world."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    cv2.imwrite(str(tmp_path / "green.png"), np.full((8, 8, 3), (40, 160, 40), np.uint8))
    scene = bpy.context.scene
    scene.world = bpy.data.worlds.new("white")
    scene.world.use_nodes = True
    node = next(n for n in scene.world.node_tree.nodes if n.type == "BACKGROUND")
    node.inputs["Color"].default_value = (1.0, 1.0, 1.0, 1.0)
    scene.view_settings.view_transform = "Standard"
    _box("crate", [_material("grey", (0.5, 0.5, 0.5))])
    sign = _box("sign", [_material("picture", (1.0, 1.0, 1.0), tmp_path / "green.png"), _material("rim", (0, 0, 1))])
    sign.data.uv_layers.new(name="UVMap")
    left = _box("Left", [])
    right = bpy.data.objects.new("Right", left.data)
    scene.collection.objects.link(right)
    left.location, right.location = (-4.0, 0.0, 0.0), (4.0, 0.0, 0.0)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "room.blend"))
    recipe = recipe_of(
        tmp_path,
        scene="room.blend",
        classes=[{"name": "thing", "objects": ["crate", "sign"]}],
        size=SIZE,
        render={"samples": 8, "denoise": False, "device": "cpu", "bounces": 1},
        appearances=["world"],
    )
    return open_room(recipe)


def show(stage: BlenderStage, asset: str, *places: float) -> list[Instance]:
    """Instances of an asset beside each other, and a camera 5 m before them."""
    stage.clear()
    stage.set_world(hdri=None, color=(1.0, 1.0, 1.0), strength=1.0, rotation=0.0)
    shown = next(a for a in stage.assets["thing"] if a.name == asset)
    out = []
    for x in places:
        matrix = np.eye(4)
        matrix[0, 3] = x
        out.append(stage.place(shown, matrix))
    matrix = np.eye(4)
    matrix[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]  # looks along y
    matrix[:3, 3] = (0.0, -5.0, 0.5)
    stage.pose_camera(CameraPose(matrix, 35.0, *SIZE))
    return out


def mean_colors(stage: BlenderStage) -> dict[int, np.ndarray]:
    """Mean sRGB (3,) inside the mask of each instance, and under 0 of what is beside them."""
    shot = stage.shoot(3)
    return {id: shot.image[shot.labels.ids == id].mean(0) for id in range(len(stage.instances) + 1)}


def dump() -> dict[str, Any]:
    """Everything about materials, meshes and the slots of objects, down to the last socket."""

    def sockets(node: Any) -> list[Any]:
        values = [getattr(i, "default_value", None) for i in node.inputs]
        return [tuple(v) if hasattr(v, "__len__") else v for v in values]

    return {
        "materials": {
            m.name: (
                [(n.name, n.bl_idname, sockets(n)) for n in m.node_tree.nodes] if m.node_tree else [],
                [(k.from_node.name, k.to_node.name, k.to_socket.identifier) for k in m.node_tree.links]
                if m.node_tree
                else [],
            )
            for m in bpy.data.materials
        },
        "meshes": {m.name: [x and x.name for x in m.materials] for m in bpy.data.meshes},
        "slots": {
            o.name: [(s.link, s.material and s.material.name) for s in o.material_slots] for o in bpy.data.objects
        },
    }


def test_a_render_shows_the_chosen_colours_and_two_instances_differ(stage: BlenderStage) -> None:
    left, right = show(stage, "crate", -1.0, 1.0)
    grey = mean_colors(stage)
    assert np.abs(grey[1] - grey[2]).max() < 6  # the same material before
    before = dump()
    stage.set_material(left, "grey", Material(base_color=(0.5, 0.02, 0.02)))
    stage.set_material(right, "grey", Material(base_color=(0.02, 0.02, 0.3)))
    shown = mean_colors(stage)
    assert shown[1][0] > 2 * shown[1][2] and shown[2][2] > 2 * shown[2][0]
    # A brighter colour is brighter in the picture, too, in the order of the colours.
    levels = []
    for value in (0.05, 0.2, 0.8):
        stage.set_material(left, "grey", Material(base_color=(value, value, value)))
        levels.append(mean_colors(stage)[1].mean())
    assert levels[0] + 30 < levels[1] < levels[2] - 30
    stage.clear()
    assert dump() == before


def test_labels_are_byte_equal_with_and_without(stage: BlenderStage) -> None:
    show(stage, "crate", -0.7, 0.7)
    plain = stage.shoot(1)
    for instance in show(stage, "crate", -0.7, 0.7):
        stage.set_material(instance, "grey", Material(pattern="wood", bump=1.0))
    stage.set_material("Left", "", Material(base_color=(1.0, 0.0, 0.0)))
    changed = stage.shoot(1)
    assert changed.labels.ids.tobytes() == plain.labels.ids.tobytes()
    assert changed.labels.depth.tobytes() == plain.labels.depth.tobytes()
    assert all((changed.amodal[i].mask == plain.amodal[i].mask).all() for i in plain.amodal)
    assert (changed.image != plain.image).any()


def test_a_jitter_keeps_the_texture(stage: BlenderStage) -> None:
    (sign,) = show(stage, "sign", 0.0)
    slots = {s.name: s for s in stage.material_slots(sign)}
    assert set(slots) == {"picture", "rim"} and slots["picture"].base_color is None
    assert slots["rim"].base_color == pytest.approx((0.0, 0.0, 1.0))
    green = mean_colors(stage)[1]
    assert green[1] > green[0] + 30 and green[1] > green[2] + 30
    stage.set_material(sign, "picture", Material(hue=120.0))
    blue = mean_colors(stage)[1]
    assert blue[2] > blue[0] + 30 and blue[2] > blue[1] + 30  # green, shifted by a third of the circle
    stage.set_material(sign, "picture", Material(saturation=0.0))
    assert np.ptp(mean_colors(stage)[1]) < 8
    stage.set_material(sign, "picture", Material(value=0.25))
    assert mean_colors(stage)[1].mean() < 0.75 * green.mean()


def test_a_mesh_without_uv_map_is_textured_by_box_mapping(stage: BlenderStage, tmp_path: Path) -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::8] = stripes[:, 1::8] = stripes[:, 2::8] = stripes[:, 3::8] = 255
    cv2.imwrite(str(tmp_path / "stripes.png"), stripes)
    (crate,) = show(stage, "crate", 0.0)
    assert not stage.material_slots(crate)[0].has_uv
    flat = stage.shoot(3)
    mask = flat.labels.ids == 1
    assert flat.image[mask].std() < 12
    contrasts = []
    for size in (1.0, 4.0):
        stage.set_material(crate, "grey", Material(textures={"color": tmp_path / "stripes.png"}, size=size))
        image = stage.shoot(3).image
        inner = image[30:50, 40:56].astype(float).mean(-1)
        contrasts.append(int((np.abs(np.diff(inner.mean(0) > inner.mean())) > 0).sum()))
        assert image[mask].std() > 30
    assert contrasts[0] > contrasts[1]  # smaller tiles, more stripes


def test_fixed_objects_that_share_a_mesh_without_materials(stage: BlenderStage) -> None:
    show(stage, "crate", 0.0)
    before = dump()
    assert stage.scene_objects() == ("Left", "Right") and stage.scene_objects(["L*"]) == ("Left",)
    assert [s.name for s in stage.material_slots("Left")] == [""]
    stage.set_material("Left", "", Material(base_color=(0.5, 0.0, 0.0)))
    matrix = np.eye(4)
    matrix[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    matrix[:3, 3] = (0.0, -12.0, 0.5)
    stage.pose_camera(CameraPose(matrix, 35.0, *SIZE))
    shot = stage.shoot(3)
    depth = shot.labels.depth
    near = np.isfinite(depth) & (shot.labels.ids == 0)
    left, right = near.copy(), near.copy()
    left[:, SIZE[0] // 2 :] = right[:, : SIZE[0] // 2] = False
    red, grey = shot.image[left].mean(0), shot.image[right].mean(0)
    assert red[0] > red[1] + 60 and np.ptp(grey) < 6
    stage.clear()
    assert dump() == before
    with pytest.raises(StageError, match="Lefty"):
        stage.scene_objects(["Lefty"])


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_take_the_colour(stage: BlenderStage, pattern: str) -> None:
    (crate,) = show(stage, "crate", 0.0)
    stage.set_material(crate, "grey", Material(base_color=(0.05, 0.3, 0.05), pattern=pattern, seed=4))
    green = mean_colors(stage)[1]
    assert green[1] > green[0] + 20 and green[1] > green[2] + 20


def test_unknown_slots_and_missing_textures(stage: BlenderStage, tmp_path: Path) -> None:
    (crate,) = show(stage, "crate", 0.0)
    with pytest.raises(StageError, match="grey"):
        stage.set_material(crate, "gray", Material())
    with pytest.raises(StageError, match=r"nothing\.png"):
        stage.set_material(crate, "grey", Material(textures={"color": tmp_path / "nothing.png"}))


def test_materials_do_not_add_up(stage: BlenderStage) -> None:
    counts = []
    for _ in range(3):
        (crate,) = show(stage, "crate", 0.0)
        for value in (0.1, 0.2):
            stage.set_material(crate, "grey", Material(base_color=(value, value, value)))
        stage.take_back(1)
        stage.clear()
        counts.append(len(bpy.data.materials))
    assert len(set(counts)) == 1
