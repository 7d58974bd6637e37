# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening scenes as real files have them: scripts, broken links, missing textures, other axes."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from plain_blender import box, save_as  # noqa: E402
from twinset.blender.files.model_import import import_model  # noqa: E402
from twinset.blender.geometry.evaluated import evaluate  # noqa: E402
from twinset.blender.geometry.surfaces import find_surfaces, static_meshes  # noqa: E402
from twinset.blender.geometry.up_axis import up_rotation  # noqa: E402
from twinset.blender.scene.description import describe_scene  # noqa: E402
from twinset.blender.scene.open_scene import open_scene  # noqa: E402
from twinset.engine.errors import StageError  # noqa: E402
from twinset.engine.recipe.settings import ModelSettings, Recipe, SceneSettings  # noqa: E402


@pytest.fixture(autouse=True)
def empty():
    bpy.ops.wm.read_factory_settings(use_empty=True)


def recipe(folder, models=(), **scene):
    return Recipe(classes=(), scene=SceneSettings(**scene), folder=Path(folder), models=tuple(models))


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
    save_as(tmp_path / "a.blend")
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
    save_as(tmp_path / "evil.blend")
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
    save_as(tmp_path / "a.blend")
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
    save_as(tmp_path / "lib.blend")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    box("Own")
    with bpy.data.libraries.load(str(tmp_path / "lib.blend"), link=True) as (_, target):
        target.objects = ["Linked"]
    bpy.context.scene.collection.objects.link(target.objects[0])
    save_as(tmp_path / "a.blend")
    (tmp_path / "lib.blend").unlink()
    with caplog.at_level(logging.WARNING):
        scene = open_scene(recipe(tmp_path, file="a.blend"))
    assert "1 linked files are missing" in caplog.text
    assert [m.name for m in static_meshes(scene, evaluate(scene), set())] == ["Own"]


def test_the_named_scene_is_opened(tmp_path):
    box("First")
    other = bpy.data.scenes.new("Other")
    box("Second", collection=other.collection)
    save_as(tmp_path / "a.blend")
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
