# SPDX-License-Identifier: GPL-3.0-or-later
"""Run inside Blender by test_addon.py: assets of the Asset Browser in classes, classes as catalogues, dropped files."""

from __future__ import annotations

import importlib
import types
import uuid
from pathlib import Path
from typing import Any

import bpy
import pytest

NAME = "bl_ext.user_default.twinset"
ops = bpy.ops.twinset


def part(name: str) -> Any:
    return importlib.import_module(f"{NAME}.{name}")


assets, catalogs = part("addon.operators.assets"), part("addon.assets.catalogs")


@pytest.fixture(autouse=True)
def scene() -> bpy.types.Scene:
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    return bpy.context.scene


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A file with the object ``stool`` and the collection ``sofa`` of two objects."""
    stool = bpy.data.objects.new("stool", bpy.data.meshes.new("stool"))
    sofa = bpy.data.collections.new("sofa")
    for name in ("seat", "back"):
        sofa.objects.link(bpy.data.objects.new(name, bpy.data.meshes.new(name)))
    path = tmp_path / "library.blend"
    bpy.data.libraries.write(str(path), {stool, sofa}, fake_user=True)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    return path


def asset(name: str, kind: str, catalog: str, path: Path, local: Any = None) -> Any:
    """What the Asset Browser gives for a selected asset."""
    data = types.SimpleNamespace(catalog_simple_name=catalog)
    own = {"name": name, "id_type": kind, "metadata": data, "local_id": local, "full_library_path": str(path)}
    return types.SimpleNamespace(**own)


def selected(monkeypatch: pytest.MonkeyPatch, *chosen: Any) -> None:
    monkeypatch.setattr(assets, "assets_in", lambda context: list(chosen))


def members(scene: bpy.types.Scene) -> dict[str, list[str]]:
    return {e.name: sorted(o.name for o in e.collection.objects) for e in scene.twinset.classes if e.collection}


def test_assets_of_a_catalogue_become_its_class(
    scene: bpy.types.Scene, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = bpy.context.scene
    own = bpy.data.objects.new("own", bpy.data.meshes.new("own"))
    selected(
        monkeypatch,
        asset("stool", "OBJECT", "Furniture-Stools", library),
        asset("own", "OBJECT", "Furniture-Stools", library, own),
        asset("sofa", "COLLECTION", "Furniture-Sofas", library),
    )
    assert ops.add_assets() == {"FINISHED"}
    assert members(scene) == {"stools": ["own", "stool"], "sofas": ["sofa"]}
    holder = scene.objects["sofa"]
    assert holder.instance_type == "COLLECTION" and len(holder.instance_collection.all_objects) == 2
    assert all(o.library is None for o in bpy.data.objects)


def test_assets_go_to_a_named_class_and_missing_ones_are_mentioned(
    library: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    selected(
        monkeypatch,
        asset("stool", "OBJECT", "", library),
        asset("gone", "OBJECT", "", library),
        asset("lost", "OBJECT", "", tmp_path / "none.blend"),
    )
    assert ops.add_assets(name="chair") == {"FINISHED"}
    assert members(bpy.context.scene) == {"chair": ["stool"]}


@pytest.mark.parametrize(
    ("catalog", "known", "name"),
    [
        ("Furniture-Chairs", ["table", "chair"], "chair"),
        ("Furniture/Office Chairs", ["chair"], "chair"),
        ("Sofas", ["couch"], "couch"),
        ("Dragons", ["chair"], "dragons"),
        ("", [], ""),
    ],
)
def test_catalogues_are_named_after_classes(catalog: str, known: list[str], name: str) -> None:
    assert catalogs.class_of_catalog(catalog, known) == name


def test_classes_are_offered_as_catalogues(tmp_path: Path, scene: bpy.types.Scene) -> None:
    o = bpy.data.objects.new("chair a", bpy.data.meshes.new("a"))
    scene.collection.objects.link(o)
    part("addon.settings.presets").set_up(scene)
    assets.add_to_class(scene, "chair: old", [o])
    with pytest.raises(RuntimeError, match="Save the file first"):
        ops.offer_assets()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "room.blend"))
    assert ops.offer_assets() == {"FINISHED"} == ops.offer_assets()
    lines = (tmp_path / catalogs.FILE).read_text(encoding="utf-8").splitlines()
    entries = [line.split(":") for line in lines if line.count(":") == 2]
    assert "VERSION 1" in lines and len(entries) == 1  # once, although asked twice
    number, path, simple = entries[0]
    assert uuid.UUID(number) == uuid.UUID(o.asset_data.catalog_id)
    assert (path, simple) == ("Twinset/chair  old", "Twinset-chair  old")


def test_catalogues_of_others_are_kept(tmp_path: Path) -> None:
    own = f"# mine\n\nVERSION 1\n\n{uuid.uuid4()}:Trees:Trees\n"
    (tmp_path / catalogs.FILE).write_text(own, encoding="utf-8")
    catalogs.define_catalogs(tmp_path, ["chair"])
    text = (tmp_path / catalogs.FILE).read_text(encoding="utf-8")
    assert text.startswith(own) and text.count(":Twinset/chair:") == 1


def test_dropped_models_are_added_to_a_class(scene: bpy.types.Scene, tmp_path: Path) -> None:
    files = [{"name": "a.glb"}, {"name": "b.OBJ"}, {"name": "notes.txt"}]
    assert ops.drop_models(name="chair", directory=str(tmp_path), files=files) == {"FINISHED"}
    ops.drop_models(name="chair", directory=str(tmp_path), files=files[:1])
    (entry,) = scene.twinset.classes
    assert [each.value for each in entry.models] == [str(tmp_path / "a.glb"), str(tmp_path / "b.OBJ")]
    assert ops.drop_models(name="chair", directory=str(tmp_path), files=files[2:]) == {"CANCELLED"}
    handler = bpy.types.TWINSET_FH_models
    assert handler.bl_import_operator == "twinset.drop_models" and ".glb" in handler.bl_file_extensions.split(";")
    no_view = types.SimpleNamespace(area=None, scene=scene)
    view = types.SimpleNamespace(area=types.SimpleNamespace(type="VIEW_3D"), scene=scene)
    assert not handler.poll_drop(no_view) and handler.poll_drop(view)


def test_top_level_objects_stand_for_a_class(scene: bpy.types.Scene) -> None:
    root, leg = (bpy.data.objects.new(name, None) for name in ("root", "leg"))
    leg.parent = root
    part("addon.settings.presets").set_up(scene)
    assets.add_to_class(scene, "chair", [root, leg])
    assert assets.own_objects(scene.twinset.classes[0]) == [root]
    assert ops.make_thumbnails(name="chair") == {"FINISHED"}
