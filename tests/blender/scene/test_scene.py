# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening scenes as real files have them: scripts, broken links, strays, instances, mirrored objects."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from twinset.blender.files.model_import import import_model  # noqa: E402
from twinset.blender.geometry.evaluated import evaluate  # noqa: E402
from twinset.blender.geometry.surfaces import (  # noqa: E402
    find_surfaces,
    main_cluster,
    robust_bounds,
    static_meshes,
)
from twinset.blender.geometry.up_axis import up_rotation  # noqa: E402
from twinset.blender.scene.default_light import add_default_light  # noqa: E402
from twinset.blender.scene.description import describe_scene  # noqa: E402
from twinset.blender.scene.open_scene import open_scene  # noqa: E402
from twinset.engine.errors import StageError  # noqa: E402
from twinset.engine.recipe.settings import ModelSettings, Recipe, SceneSettings  # noqa: E402


@pytest.fixture(autouse=True)
def empty():
    bpy.ops.wm.read_factory_settings(use_empty=True)


def box(name, size=(1.0, 1.0, 1.0), location=(0.0, 0.0, 0.0), collection=None):
    half = np.array(size) / 2
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * half
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(corners.tolist(), [], faces)
    o = bpy.data.objects.new(name, mesh)
    o.location = location
    (collection or bpy.context.scene.collection).objects.link(o)
    return o


def floor(name="Floor", size=4.0, z=0.0):
    mesh = bpy.data.meshes.new(name)
    h = size / 2
    mesh.from_pydata([(-h, -h, z), (h, -h, z), (h, h, z), (-h, h, z)], [], [(0, 1, 2, 3)])
    o = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(o)
    return o


def read():
    scene = bpy.context.scene
    return {m.name: m for m in static_meshes(scene, evaluate(scene), set())}


def volume(mesh):
    """Signed volume by the divergence theorem: positive where normals point outwards."""
    a, b, c = mesh.vertices[mesh.triangles].swapaxes(0, 1)
    return float((a * np.cross(b, c)).sum() / 6)


def recipe(folder, models=(), **scene):
    return Recipe(classes=(), scene=SceneSettings(**scene), folder=Path(folder), models=tuple(models))


def save(path):
    bpy.ops.wm.save_as_mainfile(filepath=str(path), check_existing=False)


@pytest.mark.parametrize("scale", [(1, 1, 1), (-1, 1, 1), (2, -3, 0.5), (-1, -1, -1)])
def test_normals_point_outwards_whatever_the_scale(scale):
    box("A", (1, 2, 3), (5, 0, 0)).scale = scale
    mesh = read()["A"].mesh
    assert volume(mesh) == pytest.approx(6 * abs(np.prod(scale)))
    assert mesh.vertices.min(0)[0] == pytest.approx(5 - abs(scale[0]) / 2)


def test_modifiers_curves_text_and_metaballs_are_solid():
    array = box("Array").modifiers.new("a", "ARRAY")
    array.count, array.relative_offset_displace = 3, (2, 0, 0)
    curve = bpy.data.curves.new("Text", "FONT")
    curve.body, curve.extrude = "I", 0.1
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Text", curve))
    ball = bpy.data.metaballs.new("Ball")
    ball.elements.new()
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Ball", ball))
    meshes = read()
    assert set(meshes) == {"Array", "Text", "Ball"}
    assert volume(meshes["Array"].mesh) == pytest.approx(3)
    assert np.ptp(meshes["Array"].mesh.vertices[:, 0]) == pytest.approx(5)
    assert volume(meshes["Ball"].mesh) > 0.5


def test_nested_collection_instances_stand_where_they_are_shown():
    inner, outer = bpy.data.collections.new("inner"), bpy.data.collections.new("outer")
    box("Brick", collection=inner)
    for name, collection, shown, z in (("E1", outer, inner, 1), ("E2", bpy.context.scene.collection, outer, 10)):
        e = bpy.data.objects.new(name, None)
        e.instance_type, e.instance_collection, e.location = "COLLECTION", shown, (0, 0, z)
        collection.objects.link(e)
    (m,) = read().values()
    assert m.name == "E2/Brick" and m.object == "Brick"
    assert m.mesh.vertices[:, 2].mean() == pytest.approx(11)
    assert find_surfaces([m], ["E2"])[0].areas.sum() == pytest.approx(6)


def test_geometry_nodes_instances_are_all_there():
    group = bpy.data.node_groups.new("g", "GeometryNodeTree")
    group.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    group.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    new = group.nodes.new
    start, end = new("NodeGroupInput"), new("NodeGroupOutput")
    scatter, cube = new("GeometryNodeInstanceOnPoints"), new("GeometryNodeMeshCube")
    group.links.new(start.outputs[0], scatter.inputs["Points"])
    group.links.new(cube.outputs[0], scatter.inputs["Instance"])
    group.links.new(scatter.outputs[0], end.inputs[0])
    mesh = bpy.data.meshes.new("points")
    mesh.from_pydata([(0, 0, 0), (5, 0, 0), (9, 0, 0)], [], [])
    o = bpy.data.objects.new("Scatter", mesh)
    o.modifiers.new("n", "NODES").node_group = group
    bpy.context.scene.collection.objects.link(o)
    m = read()["Scatter"]
    assert volume(m.mesh) == pytest.approx(3, rel=1e-4)
    assert np.ptp(m.mesh.vertices[:, 0]) == pytest.approx(10)


def test_visibility_is_that_of_renders(tmp_path):
    box("Shown").hide_viewport = True
    box("Hidden").hide_render = True
    box("Eye").hide_set(True)
    out = bpy.data.collections.new("Out")
    bpy.context.scene.collection.children.link(out)
    box("Excluded", collection=out)
    bpy.context.view_layer.layer_collection.children["Out"].exclude = True
    o = box("Smooth")
    o.modifiers.new("s", "SUBSURF").levels, o.modifiers["s"].render_levels = 0, 2
    o = box("Curtain", location=(3, 0, 0))
    box("Rod").parent = o
    save(tmp_path / "a.blend")
    scene = open_scene(recipe(tmp_path, file="a.blend", hide=["Curt*"]))
    meshes = {m.name: m for m in static_meshes(scene, evaluate(scene), set())}
    assert set(meshes) == {"Shown", "Eye", "Smooth"}
    assert len(meshes["Smooth"].mesh.triangles) == 6 * 16 * 2
    with pytest.raises(StageError, match=r"Did you mean 'Smooth'"):
        open_scene(recipe(tmp_path, file="a.blend", hide=["Smoth"]))


def test_embedded_scripts_never_run(tmp_path):
    trace, driven = tmp_path / "trace", tmp_path / "driven"
    text = bpy.data.texts.new("run.py")
    text.write(f"open({str(trace)!r}, 'w').write('ran')\n")
    text.use_module = True
    o = box("Driven")
    driver = o.driver_add("location", 0).driver
    driver.type = "SCRIPTED"
    driver.expression = f"__import__('pathlib').Path({str(driven)!r}).write_text('ran')"
    bpy.context.preferences.filepaths.use_scripts_auto_execute = False
    save(tmp_path / "evil.blend")
    assert not trace.exists() and not driven.exists()
    scene = open_scene(recipe(tmp_path, file="evil.blend"))
    scene.frame_set(2)
    assert len(static_meshes(scene, evaluate(scene), set())) == 1
    assert not trace.exists() and not driven.exists()
    # The same file as a model, appended.
    open_scene(recipe(tmp_path))
    import_model(tmp_path / "evil.blend")
    evaluate(bpy.context.scene)
    assert not trace.exists() and not driven.exists()
    # And the proof that it would have run.
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "evil.blend"), use_scripts=True)
    bpy.context.scene.frame_set(3)
    assert trace.exists() and driven.exists()


def test_missing_textures_become_grey(tmp_path, caplog):
    o = box("A")
    material = bpy.data.materials.new("M")
    material.use_nodes = True
    tree = material.node_tree
    for name, target in (("color.png", "Base Color"), ("normal.png", "Normal")):
        image = bpy.data.images.new(name, 8, 8)
        image.filepath_raw = str(tmp_path / name)
        image.file_format = "PNG"
        image.save()
        node = tree.nodes.new("ShaderNodeTexImage")
        node.image = bpy.data.images.load(str(tmp_path / name))
        bpy.data.images.remove(image)
        socket = node.outputs["Color"]
        if target == "Normal":
            bump = tree.nodes.new("ShaderNodeNormalMap")
            tree.links.new(socket, bump.inputs["Color"])
            socket = bump.outputs[0]
        tree.links.new(socket, tree.nodes["Principled BSDF"].inputs[target])
    o.data.materials.append(material)
    save(tmp_path / "a.blend")
    for name in ("color.png", "normal.png"):
        (tmp_path / name).unlink()
    with caplog.at_level(logging.WARNING):
        open_scene(recipe(tmp_path, file="a.blend"))
    assert "2 image files are missing" in caplog.text and "color.png" in caplog.text
    colors = {image.name.split(".")[0]: image.pixels[:3] for image in bpy.data.images if image.users}
    np.testing.assert_allclose(colors["color"], 0.5, atol=0.01)
    np.testing.assert_allclose(colors["normal"], (0.5, 0.5, 1.0), atol=0.01)


def test_a_missing_library_is_told_and_survived(tmp_path, caplog):
    box("Linked")
    save(tmp_path / "lib.blend")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    box("Own")
    with bpy.data.libraries.load(str(tmp_path / "lib.blend"), link=True) as (_, target):
        target.objects = ["Linked"]
    bpy.context.scene.collection.objects.link(target.objects[0])
    save(tmp_path / "a.blend")
    (tmp_path / "lib.blend").unlink()
    with caplog.at_level(logging.WARNING):
        scene = open_scene(recipe(tmp_path, file="a.blend"))
    assert "1 linked files are missing" in caplog.text
    assert [m.name for m in static_meshes(scene, evaluate(scene), set())] == ["Own"]


def test_the_named_scene_is_opened(tmp_path):
    box("First")
    other = bpy.data.scenes.new("Other")
    box("Second", collection=other.collection)
    save(tmp_path / "a.blend")
    scene = open_scene(recipe(tmp_path, file="a.blend", scene="Other"))
    assert scene == bpy.context.scene and scene.name == "Other"
    assert [m.name for m in static_meshes(scene, bpy.context.evaluated_depsgraph_get(), set())] == ["Second"]
    with pytest.raises(StageError, match=r"Did you mean 'Other'"):
        open_scene(recipe(tmp_path, file="a.blend", scene="Othr"))


def test_unreadable_files_are_told(tmp_path):
    (tmp_path / "bad.blend").write_bytes(b"no blend file at all")
    with pytest.raises(StageError, match=r"bad.blend cannot be opened"):
        open_scene(recipe(tmp_path, file="bad.blend"))
    with pytest.raises(StageError, match=r"does not exist"):
        open_scene(recipe(tmp_path, file="absent.blend"))
    with pytest.raises(StageError, match=r"no built-in room 'hell'. Did you mean 'hall'"):
        open_scene(recipe(tmp_path, builtin="hell"))


def test_bounds_leave_strays_and_backdrops_out():
    floor(size=6)
    for i in range(5):
        box(f"Box{i}", location=(i - 2, 1, 0.5))
    low, high = robust_bounds(list(read().values()))
    np.testing.assert_allclose([low, high], [[-3, -3, 0], [3, 3, 1]], atol=1e-6)
    box("Stray", size=(50, 50, 50), location=(9000, 0, 0))
    box("Sky", size=(2000, 2000, 2000))
    floor("Ground", size=5000, z=-1)
    low, high = robust_bounds(list(read().values()))
    np.testing.assert_allclose([low, high], [[-3, -3, 0], [3, 3, 1]], atol=1e-6)


def test_bounds_keep_a_wide_scene_whole():
    lows = np.array([[i * 12.0, 0, 0] for i in range(10)])
    assert main_cluster(lows, lows + 4).all()
    assert main_cluster(lows[:1], lows[:1] + 4).all()


def test_bounds_of_nothing_are_finite():
    assert np.isfinite(robust_bounds([])).all()


def test_surfaces_by_pattern_group_and_material():
    table = box("Table.top", (2, 1, 0.1), (0, 0, 1))
    parent = bpy.data.objects.new("Desk", None)
    bpy.context.scene.collection.objects.link(parent)
    table.parent = parent
    table.data.materials.append(bpy.data.materials.new("Wood"))
    table.data.materials.append(bpy.data.materials.new("Cloth"))
    top = max(table.data.polygons, key=lambda p: p.normal.z)
    top.material_index = 1
    table.vertex_groups.new(name="zone").add(list(top.vertices), 1.0, "REPLACE")
    meshes = list(read().values())
    assert find_surfaces(meshes, ["Table*"])[0].areas.sum() == pytest.approx(4.6)
    assert find_surfaces(meshes, ["Desk"])[0].name == "Table.top"
    for mask in ("Cloth", "zone"):
        (s,) = find_surfaces(meshes, ["Table.top"], mask)
        assert s.areas.sum() == pytest.approx(2)
        np.testing.assert_allclose(s.normals, [[0, 0, 1]] * 2, atol=1e-6)
        assert s.corners[..., 2] == pytest.approx(1.05)
    with pytest.raises(StageError, match=r"no object named 'table\*'.*Table.top"):
        find_surfaces(meshes, ["table*"])
    with pytest.raises(StageError, match=r"named 'Cloht'. Did you mean 'Cloth'"):
        find_surfaces(meshes, ["Table.top"], "Cloht")


def test_a_surface_without_area_is_refused():
    mesh = bpy.data.meshes.new("Line")
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (2, 0, 0)], [], [(0, 1, 2)])
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Line", mesh))
    with pytest.raises(StageError, match=r"no area"):
        find_surfaces(list(read().values()), ["Line"])


def test_excluded_objects_take_their_instances_along():
    library = bpy.data.collections.new("lib")
    box("Brick", collection=library)
    e = bpy.data.objects.new("Shows", None)
    e.instance_type, e.instance_collection = "COLLECTION", library
    bpy.context.scene.collection.objects.link(e)
    other = box("Other")
    scene = bpy.context.scene
    assert [m.name for m in static_meshes(scene, evaluate(scene), {e})] == ["Other"]
    assert [m.name for m in static_meshes(scene, evaluate(scene), {other})] == ["Shows/Brick"]


@pytest.mark.parametrize("up", ["x", "-x", "y", "-y", "z", "-z"])
def test_up_axes(up):
    turn = up_rotation(up)[:3, :3]
    axis = np.zeros(3)
    axis["xyz".index(up[-1])] = -1 if up.startswith("-") else 1
    np.testing.assert_allclose(turn @ axis, [0, 0, 1])
    assert np.linalg.det(turn) == pytest.approx(1)


def test_a_room_of_models(tmp_path):
    box("Crate", (1, 2, 3))
    bpy.ops.wm.obj_export(filepath=str(tmp_path / "crate.obj"), export_materials=False)
    model = ModelSettings(
        path="crate.obj", name="Wall", location=(10, 0, 1), rotation=(0, 0, 90), scale=2.0, up_axis="y"
    )
    scene = open_scene(recipe(tmp_path, models=[model]))
    (m,) = static_meshes(scene, evaluate(scene), set())
    # y up: depth 2 becomes the height, height 3 the depth; then a quarter turn swaps x and y.
    np.testing.assert_allclose(np.ptp(m.mesh.vertices, axis=0), [6, 2, 4], atol=1e-5)
    np.testing.assert_allclose(m.mesh.vertices.mean(0), [10, 0, 1], atol=1e-5)
    assert find_surfaces([m], ["Wall"])


@pytest.mark.parametrize(
    "lit",
    [
        "none",
        "lamp",
        "lamp in an instance",
        "lamp in a hidden instance",
        "world",
        "emission",
        "black world",
        "default world",
    ],
)
def test_light_is_added_only_where_there_is_none(lit, caplog):
    o = floor()
    scene = bpy.context.scene
    if lit == "lamp":
        scene.collection.objects.link(bpy.data.objects.new("L", bpy.data.lights.new("L", "POINT")))
    elif "instance" in lit:
        library = bpy.data.collections.new("Lamp")
        library.objects.link(bpy.data.objects.new("L", bpy.data.lights.new("L", "POINT")))
        instance = bpy.data.objects.new("Lamp", None)
        instance.instance_type, instance.instance_collection = "COLLECTION", library
        instance.hide_render = "hidden" in lit
        scene.collection.objects.link(instance)
    elif "world" in lit:
        scene.world = bpy.data.worlds.new("W")
        scene.world.use_nodes = True
        background = scene.world.node_tree.nodes["Background"].inputs
        background["Strength"].default_value = float(lit != "black world")
        if lit != "default world":
            background["Color"].default_value = (0.5, 0.5, 0.5, 1.0)
    elif lit == "emission":
        material = bpy.data.materials.new("E")
        material.use_nodes = True
        material.node_tree.nodes["Principled BSDF"].inputs["Emission Color"].default_value = (1, 1, 1, 1)
        material.node_tree.nodes["Principled BSDF"].inputs["Emission Strength"].default_value = 5
        o.data.materials.append(material)
    dark = lit in {"none", "lamp in a hidden instance", "black world", "default world"}
    with caplog.at_level(logging.WARNING):
        assert add_default_light(scene) == dark
    assert ("no light" in caplog.text) == dark
    assert not add_default_light(scene)


def test_a_closed_room_gets_a_lamp_inside():
    box("Room", (4, 4, 3), (0, 0, 1.5))
    scene = bpy.context.scene
    assert add_default_light(scene)
    (lamp,) = [o for o in scene.objects if o.type == "LIGHT"]
    assert 2 < lamp.location.z < 3 and not lamp.visible_camera


def test_the_real_bedroom_is_read(data, caplog):
    with caplog.at_level(logging.WARNING):
        scene = open_scene(recipe(data / "blend", file="megatank58_room.blend"))
    seen = describe_scene(scene)
    assert seen["cameras"] == ["Camera"] and seen["lights"] == ["LightLeft", "LightRight", "LightTop"]
    assert {"Floor", "Bed", "BedMattress"} < {row[0] for row in seen["surfaces"]}
    meshes = static_meshes(scene, evaluate(scene), set())
    assert "WindowBoolean" not in {m.name for m in meshes}
    (bed,) = find_surfaces(meshes, ["BedMattress"])
    top = bed.corners[bed.normals[:, 2] > 0.99]
    assert top[..., 2].max() == pytest.approx(1.9025, abs=1e-3)
