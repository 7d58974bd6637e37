# SPDX-License-Identifier: GPL-3.0-or-later
"""What datasets for BlenderProc consist of, and the recipe keys that name them, without Blender."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import shutil
from pathlib import Path

import pytest
from twinset.dataset.formats.blenderproc_sources import (
    find_objects,
    find_scene,
    model_files,
)
from twinset.dataset.store.inputs import read_inputs
from twinset.engine.errors import RecipeError, StageError
from twinset.engine.recipe.reading import loads_recipe
from twinset.engine.recipe.settings import SceneSettings
from twinset.engine.recipe.tables.classes import ClassSettings
from twinset.engine.recipe.writing import dump_recipe


def names(folder: Path, loader: str, *select: str) -> list[str]:
    settings = ClassSettings("thing", blenderproc=loader, dataset=loader, select=list(select))
    return [o.name for o in find_objects(settings, folder)]


def scene(folder: Path, loader: str, name: str = ""):
    return find_scene(SceneSettings(blenderproc=loader, dataset=loader, scene=name), folder)


def test_objects_are_selected_by_id_category_or_name(published):
    assert names(published, "bop") == ["bop_000001", "bop_000005"]
    assert names(published, "bop", "5") == names(published, "bop", "000005") == ["bop_000005"]
    assert names(published, "shapenet", "chair") == names(published, "shapenet", "03001627")
    assert names(published, "shapenet", "chair") == ["chair_aa11", "chair_bb22"]
    assert names(published, "shapenet", "*/bb22", "table") == ["chair_bb22", "table_cc33"]
    assert names(published, "pix3d", "bed") == ["bed_IKEA_B_bed"]
    # The order is the dataset's, not the selection's.
    assert names(published, "bop", "5", "1") == names(published, "bop")


def test_models_may_be_named_themselves(published):
    settings = ClassSettings("thing", blenderproc="bop", dataset="bop/models", select=["1"])
    assert [o.name for o in find_objects(settings, published)] == ["bop_000001"]


def test_files_are_all_that_an_object_or_scene_is_made_of(published):
    (chair,) = find_objects(
        ClassSettings("c", blenderproc="shapenet", dataset="shapenet", select=["*/aa11"]), published
    )
    root = published / "shapenet"
    found = {p.resolve().relative_to(root).as_posix() for p in chair.files()}
    model = "03001627/aa11/models/model_normalized.obj"
    texture = "03001627/aa11/images/texture0.png"
    assert found == {"taxonomy.json", model, "03001627/aa11/models/model.mtl", texture}
    house = {p.resolve().relative_to(published / "front3d").as_posix() for p in scene(published, "front3d").files}
    future = [
        f"3D-FUTURE-model/{m}/{f}"
        for m in ("chair-jid", "table-jid")
        for f in ("raw_model.obj", "model.mtl", "texture.png")
    ]
    assert house == {"3D-FRONT/house-1.json", "3D-FRONT-texture/f1007/texture.png", *future}
    used = {p.name for p in scene(published, "bop", "7").files}
    assert used == {
        "scene_gt.json",
        "scene_camera.json",
        "camera.json",
        "models_info.json",
        "obj_000001.ply",
        "obj_000005.ply",
    }


def test_textures_of_ply_files_count(tmp_path):
    (tmp_path / "skin.png").write_bytes(b"x")
    model = tmp_path / "a.ply"
    model.write_bytes(b"ply\nformat binary_little_endian 1.0\ncomment TextureFile skin.png\nend_header\n\xff\x00")
    assert model_files(model) == [model, tmp_path / "skin.png"]


@pytest.mark.parametrize(
    ("loader", "select", "parts"),
    [
        ("bop", ["2"], ["nothing called '2'", "000001"]),
        ("shapenet", ["chairs"], ["nothing called 'chairs'", "Did you mean 'chair'"]),
    ],
)
def test_an_unknown_object_is_named_with_the_known_ones(published, loader, select, parts):
    with pytest.raises(StageError) as caught:
        names(published, loader, *select)
    assert all(part in str(caught.value) for part in parts), caught.value


def test_an_unknown_scene_is_named_with_the_known_ones(published):
    with pytest.raises(StageError, match=r"no scene 'house-2'.*Did you mean 'house-1'"):
        scene(published, "front3d", "house-2")
    with pytest.raises(StageError, match=r"several scenes.*plain_0, room_0"):
        scene(published, "replica")


@pytest.mark.parametrize("loader", ["bop", "shapenet", "pix3d"])
def test_a_folder_of_another_kind_is_refused(tmp_path, loader):
    (tmp_path / loader).mkdir()
    with pytest.raises(StageError, match=str(tmp_path)):
        names(tmp_path, loader)


@pytest.mark.parametrize("loader", ["front3d", "replica", "matterport3d", "bop"])
def test_a_folder_without_scenes_is_refused(tmp_path, loader):
    (tmp_path / loader).mkdir()
    with pytest.raises(StageError, match=loader):
        scene(tmp_path, loader)


def test_nothing_leads_out_of_a_dataset(published, tmp_path):
    shutil.copytree(published / "pix3d", tmp_path / "pix3d")
    listing = tmp_path / "pix3d" / "pix3d.json"
    listing.write_text(json.dumps([{"category": "bed", "model": "../../secret.obj"}]))
    with pytest.raises(StageError, match="lies outside it"):
        names(tmp_path, "pix3d")
    shutil.copytree(published / "front3d", tmp_path / "front3d")
    house = tmp_path / "front3d" / "3D-FRONT" / "house-1.json"
    house.write_text(house.read_text().replace('"chair-jid"', '"../../.."'))
    with pytest.raises(StageError, match="lies outside it"):
        scene(tmp_path, "front3d")


def test_a_missing_texture_is_no_reason_to_download(published, tmp_path):
    shutil.copytree(published / "front3d", tmp_path / "front3d")
    texture = tmp_path / "front3d" / "3D-FRONT-texture" / "f1007"
    shutil.rmtree(texture)
    with pytest.raises(StageError, match=r"f1007 does not hold the one texture"):
        scene(tmp_path, "front3d")
    assert not texture.exists()


RECIPE = """
[scene]
blenderproc = "front3d"
dataset = "front3d"
[[class]]
name = "box"
blenderproc = "bop"
dataset = "bop"
select = ["1"]
"""


def test_recipes_keep_their_datasets(published):
    recipe = loads_recipe(RECIPE, published, "r.toml")
    assert loads_recipe(dump_recipe(recipe), published, "again") == recipe


def test_recipes_of_the_docs_are_recipes(root, tmp_path):
    text = (root / "docs" / "recipes" / "blenderproc.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        block += '[scene]\nbuiltin = "hall"\n' if "[scene]" not in block else ""
        block += '[[class]]\nname = "other"\nbuiltin = "chair"\n' if "[[class]]" not in block else ""
        loads_recipe(block, tmp_path, "docs", check_files=False)


def test_inputs_hold_the_files_of_datasets(published, tmp_path):
    recipe = loads_recipe(RECIPE.replace('dataset = "', f'dataset = "{published}/'), tmp_path, "r.toml")
    inputs = read_inputs(recipe)
    model = inputs["bop/models/obj_000001.ply"]
    data = (published / "bop" / "models" / "obj_000001.ply").read_bytes()
    assert model == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "used": ["class.dataset"]}
    assert "bop/models/obj_000005.ply" not in inputs
    # Files of the same name in several folders are told apart.
    assert {f"front3d/3D-FUTURE-model/{m}-jid/raw_model.obj" for m in ("chair", "table")} <= inputs.keys()


MATERIALS = RECIPE.replace("[[class]]", 'materials = "haven"\nmaterial_assignments = ["Floor*: wood*"]\n[[class]]', 1)


def test_materials_are_inputs(published):
    recipe = loads_recipe(MATERIALS, published, "r.toml")
    assert loads_recipe(dump_recipe(recipe), published, "again") == recipe
    used = {name for name, entry in read_inputs(recipe).items() if "scene.materials" in entry["used"]}
    names = [f"{n}/{n}_{k}_1k.jpg" for n in ("wood_floor", "wood_planks") for k in ("diff", "nor_gl", "rough")]
    assert used == {f"haven/textures/{name}" for name in names}
    with pytest.raises(StageError, match=r"no texture called 'marble\*'.*wood_floor"):
        read_inputs(loads_recipe(MATERIALS.replace("wood*", "marble*"), published, "r.toml"))
    with pytest.raises(StageError, match="has no textures"):
        read_inputs(loads_recipe(MATERIALS.replace('"haven"', '"bop"'), published, "r.toml"))
    with pytest.raises(RecipeError, match="one needs the other"):
        loads_recipe(MATERIALS.replace('materials = "haven"', ""), published, "r.toml")
    with pytest.raises(RecipeError, match="'Floor' must name objects and their textures"):
        loads_recipe(MATERIALS.replace('"Floor*: wood*"', '"Floor"'), published, "r.toml")


def test_without_blenderproc_the_remedy_is_told(published):
    if importlib.util.find_spec("blenderproc") is not None:
        pytest.skip("BlenderProc is installed here")
    pytest.importorskip("bpy")
    from twinset.blender.scene.open_scene import open_scene

    with pytest.raises(StageError, match=r'not installed. Run: pip install "twinset\[blenderproc\]"'):
        open_scene(loads_recipe(RECIPE, published, "r.toml"))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (('"front3d"\ndataset', '"front3"\ndataset'), "must be one of '', 'front3d', 'replica'"),
        (('dataset = "front3d"', ""), "The loader 'front3d' needs the folder of its dataset"),
        (('dataset = "front3d"', 'dataset = "nowhere"'), "There is no folder"),
        (('dataset = "bop"', ""), "The loader 'bop' needs the folder"),
        (('blenderproc = "bop"\ndataset = "bop"', 'builtin = "chair"'), "selects from a dataset, and there is none"),
        (('blenderproc = "bop"', 'builtin = "chair"'), "A dataset needs its loader"),
        (('dataset = "front3d"', 'dataset = "front3d"\nbuiltin = "hall"'), "Remove the others"),
    ],
)
def test_recipes_are_told_what_does_not_fit(published, change, sentence):
    with pytest.raises(RecipeError, match=sentence):
        loads_recipe(RECIPE.replace(*change), published, "r.toml")
