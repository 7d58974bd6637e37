# SPDX-License-Identifier: GPL-3.0-or-later
"""Assets whose linked files are missing are named all together, and the others are used; names of model files."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy")

from twinset.blender.files.missed_assets import distinct_names  # noqa: E402
from twinset.blender.scene.assets.loading import load_assets  # noqa: E402
from twinset.engine.errors import StageError  # noqa: E402
from twinset.engine.recipe.settings import Recipe, SceneSettings  # noqa: E402
from twinset.engine.recipe.tables.classes import ClassSettings  # noqa: E402


def wedge(name):
    """A box in the scene."""
    bpy.ops.mesh.primitive_cube_add(size=0.5)
    bpy.context.object.name = name
    return bpy.context.object


def load(*classes, folder="."):
    recipe = Recipe(classes=classes, scene=SceneSettings(), folder=Path(folder).resolve())
    return load_assets(bpy.context.scene, recipe)


def linked_model(folder, name, library):
    """A model file that links a wedge from a library."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    wedge("Linked")
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / library), check_existing=False)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(str(folder / library), link=True) as (_, wanted):
        wanted.objects = ["Linked"]
    bpy.context.scene.collection.objects.link(wanted.objects[0])
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / name), check_existing=False)
    bpy.ops.wm.read_factory_settings(use_empty=True)


def test_assets_that_work_are_used_where_others_miss_their_files(tmp_path, caplog):
    for number in range(8):
        linked_model(tmp_path, f"chair{number}.blend", f"lib{number}.blend")
        if number:
            (tmp_path / f"lib{number}.blend").unlink()
    with caplog.at_level(logging.WARNING):
        entries = load(
            ClassSettings(name="chair", models=["chair*.blend"]),
            ClassSettings(name="stool", models=["chair1.blend"]),
            folder=tmp_path,
        )
    assert [e.asset.name for e in entries] == ["chair0"]
    (chairs,) = [m for m in caplog.messages if m.startswith("Class 'chair'")]
    for number in range(1, 8):
        assert f"chair{number}.blend" in chairs and f"lib{number}.blend" in chairs
    assert any(m.startswith("Class 'stool': the class is left out") for m in caplog.messages)
    with pytest.raises(StageError, match=r"No class has an asset left.*lib1\.blend, lib2\.blend"):
        load(ClassSettings(name="chair", models=["chair1.blend", "chair2.blend"]), folder=tmp_path)
    (tmp_path / "bad.blend").write_bytes(b"BLENDER")
    with pytest.raises(StageError, match=r"bad\.blend: cannot be imported"):  # that is another matter
        load(ClassSettings(name="chair", models=["chair0.blend", "bad.blend"]), folder=tmp_path)


def test_members_of_a_collection_without_their_library_are_left_out(tmp_path, caplog):
    linked_model(tmp_path, "scene.blend", "lib.blend")
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    chairs = bpy.data.collections.new("Chairs")
    bpy.context.scene.collection.children.link(chairs)
    chairs.objects.link(bpy.data.objects["Linked"])
    own = wedge("Own")
    if own.name not in chairs.objects:
        chairs.objects.link(own)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"), check_existing=False)
    (tmp_path / "lib.blend").unlink()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    with caplog.at_level(logging.WARNING):
        entries = load(ClassSettings(name="chair", collection="Chairs"))
    assert [e.asset.name for e in entries] == ["Own"]
    assert "Class 'chair': the assets Linked are left out, since linked files are missing: lib.blend." in caplog.text
    bpy.data.objects["Own"].name = "Gone"
    bpy.data.objects.remove(bpy.data.objects["Gone"])
    with pytest.raises(StageError, match=r"No class has an asset left: .* missing: lib\.blend"):
        load(ClassSettings(name="chair", collection="Chairs"))


def test_names_of_files_have_as_many_folders_as_they_need():
    paths = [Path(f"/m/{name}") for name in ("oak/a/model.blend", "pine/a/model.blend", "pine/b/model.blend", "x.glb")]
    assert distinct_names(paths) == ["oak_a_model", "pine_a_model", "b_model", "x"]
    same = [Path(f"/m/{number}/model.blend") for number in range(16)]
    assert distinct_names(same) == [f"{number}_model" for number in range(16)]
    assert distinct_names([Path("a/x.glb"), Path("a/x.obj")]) == ["a_x", "a_x"]
