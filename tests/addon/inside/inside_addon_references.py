# SPDX-License-Identifier: GPL-3.0-or-later
"""Run inside Blender by test_addon.py: settings follow renames, and say what is missing in the artist's words."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import bpy
import pytest

NAME = "bl_ext.user_default.twinset"


def part(name: str) -> Any:
    return importlib.import_module(f"{NAME}.{name}")


recipe, problems, references = (
    part("addon.settings.recipe"),
    part("addon.settings.problems"),
    part("addon.settings.references"),
)
ops = bpy.ops.twinset


@pytest.fixture(autouse=True)
def scene() -> bpy.types.Scene:
    """A set-up scene with a floor that is a surface, and a chair that is a class."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    references.forget_names()
    select(add("Floor[1]"))
    ops.mark_surface()
    select(add("chair"))
    ops.mark_class(name="chair")
    scene = bpy.context.scene
    scene.twinset.targets.clear()
    return scene


def add(name: str) -> bpy.types.Object:
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    o = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(o)
    return o


def select(*objects: bpy.types.Object) -> None:
    bpy.context.view_layer.update()
    for o in bpy.context.view_layer.objects:
        o.select_set(o in objects)


def surfaces(scene: bpy.types.Scene) -> Any:
    return scene.twinset.placements[0].on_surface.surfaces


def written(scene: bpy.types.Scene) -> list[str]:
    """The surfaces as the recipe has them."""
    return recipe.table_of(scene)["placement"][0]["surfaces"]


def told(scene: bpy.types.Scene) -> list[str]:
    references.forget_names()
    problems.forget_problems()
    return [problem.text for problem in problems.problems_of(scene)]


def test_a_renamed_object_is_followed(scene: bpy.types.Scene) -> None:
    assert written(scene) == ["Floor[[]1]"]
    bpy.data.objects["Floor[1]"].name = "Ground"
    assert written(scene) == ["Ground"] and told(scene) == []


def test_typed_names_find_their_object_and_patterns_stay(scene: bpy.types.Scene) -> None:
    rug = add("Rug")
    entry = surfaces(scene).add()
    entry.value = "Rug"
    assert entry.object == rug
    rug.name = "Carpet"
    assert written(scene) == ["Floor[[]1]", "Carpet"]
    entry.value = "Car*"
    assert entry.object is None and written(scene)[1] == "Car*" and told(scene) == []
    entry.value = "Nothing*"
    assert told(scene) == [
        "Placement > On Surface > Surfaces: there is no object 'Nothing*' in this scene. Choose another one."
    ]
    entry.object = rug
    assert entry.value == "Carpet" and told(scene) == []
    entry.object = None
    assert entry.value == ""


def test_an_object_in_place_of_another_takes_its_text(scene: bpy.types.Scene) -> None:
    entry = surfaces(scene)[0]
    entry.value = "Wall"  # which does not exist
    assert entry.object is None and written(scene) == ["Wall"]
    assert any("'Wall'" in text for text in told(scene))


@pytest.mark.parametrize("is_in_file", [True, False])
def test_a_deleted_object_is_missed_where_it_was_chosen(scene: bpy.types.Scene, is_in_file: bool) -> None:
    floor = bpy.data.objects["Floor[1]"]
    if is_in_file:
        select(floor)
        bpy.ops.object.delete()
    else:
        bpy.data.objects.remove(floor)
    (problem,) = [p for p in problems.problems_of(scene) if "Floor[1]" in p.text]
    assert problem.field == "surfaces"
    assert scene.path_resolve(problem.path) == scene.twinset.placements[0].on_surface
    surfaces(scene)[0].object = add("New")
    assert told(scene) == [] and written(scene) == ["New"]


def test_a_full_copy_has_its_own_surfaces_and_folder(scene: bpy.types.Scene) -> None:
    render = part("addon.operators.renders.render")
    bpy.ops.scene.new(type="FULL_COPY")
    copy = bpy.context.scene
    assert surfaces(copy)[0].object == copy.objects["Floor[1].001"] and written(copy) == ["Floor[[]1].001"]
    assert copy.twinset.classes[0].collection in copy.collection.children_recursive
    scene.twinset.output_folder = copy.twinset.output_folder = "/tmp/never/there"
    (problem,) = render.render_problems(copy)
    assert scene.name in problem.text and problem.operator == "twinset.own_folder"
    ops.own_folder()
    assert copy.twinset.output_folder == "/tmp/never/there_Scene_001" and render.render_problems(copy) == []
    assert render.render_problems(scene) == []


def test_a_render_of_another_scene_is_not_resumed(scene: bpy.types.Scene, tmp_path: Path) -> None:
    job = part("addon.processes.render_job")
    (tmp_path / "job").mkdir()
    for name in ("scene.blend", "recipe.toml"):
        (tmp_path / "job" / name).touch()
    (tmp_path / "job/job.json").write_text(json.dumps({"folder": "/x", "images": 3, "scene": scene.name}))
    other = bpy.data.scenes.new("Other")
    assert job.can_resume(tmp_path, scene) and not job.can_resume(tmp_path, other)
    scene.name = "Renamed"
    assert job.can_resume(tmp_path, scene)


def test_a_renamed_class_is_followed(scene: bpy.types.Scene) -> None:
    settings = scene.twinset
    settings.placements[0].on_surface.classes.add().value = "chair"
    settings.goals.add().class_name = "chair"
    settings.fit_class = "chair"
    settings.classes[0].name = "seat"
    table = recipe.table_of(scene)
    assert (table["placement"][0]["classes"], table["goal"][0]["class_name"]) == (["seat"], "seat")
    assert settings.fit_class == "seat"
    # Another class of the same name keeps what it is called by.
    settings.classes.add().name = "seat"
    settings.classes[1].name = "stool"
    assert recipe.table_of(scene)["placement"][0]["classes"] == ["seat"]


def test_a_zone_follows_its_material_and_is_missed_without_it(scene: bpy.types.Scene) -> None:
    use = scene.twinset.placements[0].on_surface
    floor, wood = bpy.data.objects["Floor[1]"], bpy.data.materials.new("Wood")
    floor.data.materials.append(wood)
    use.mask = "Wood"
    wood.name = "Oak"
    assert recipe.table_of(scene)["placement"][0]["mask"] == "Oak" and told(scene) == []
    floor.data.materials.clear()
    assert any("no mesh of this scene has a material" in text for text in told(scene))
    floor.vertex_groups.new(name="walkway")
    use.mask = "walkway"
    assert use.mask_material is None and told(scene) == []
    floor.vertex_groups[0].name = "path"
    assert any("Placement > On Surface > Mask" in text for text in told(scene))
    use.mask = ""
    assert told(scene) == []


def test_settings_of_a_version_with_names_only_find_their_objects(scene: bpy.types.Scene) -> None:
    migration = part("addon.settings.migration")
    saved = json.loads(migration.saved_text(scene))
    scene.twinset.saved = json.dumps(saved | {"version": 1})
    surfaces(scene).clear()
    surfaces(scene).add().value = "Floor[[]1]"
    surfaces(scene)[0].object = None
    assert migration.restore(scene)
    assert surfaces(scene)[0].object == bpy.data.objects["Floor[1]"]
    scene.twinset.classes[0].name = "seat"
    assert scene.twinset.classes[0].former == "seat"


def test_unmarking_the_last_object_removes_the_class(scene: bpy.types.Scene) -> None:
    select(bpy.data.objects["chair"])
    ops.unmark()
    assert not scene.twinset.classes and "chair" not in bpy.data.collections
    assert bpy.data.objects["chair"].users_collection == (scene.collection,)
    assert any("New Class" in text for text in told(scene))


def test_all_problems_are_told_in_the_words_of_the_panels(scene: bpy.types.Scene) -> None:
    settings = scene.twinset
    settings.classes[0].collection = None
    surfaces(scene).clear()
    settings.targets.add().plugin = "bbox_area_gmm"
    settings.models.add().path = "/nowhere/sofa.glb"
    ops.stack_add(key="appearance", plugin="world")
    settings.appearances[-1].world.hdri_folder = "/nowhere/skies"
    found = told(scene)
    wanted = (
        "Choose the COCO file",
        "Classes: Class 'chair' has no objects",
        "Placement > On Surface: No surface is marked",
        "/nowhere/sofa.glb does not exist",
        "/nowhere/skies",
    )
    for text in wanted:
        assert any(text in line for line in found), (text, found)
    assert not [line for line in found if "[" in line or "recipe" in line or "_" in line], found
    with pytest.raises(RuntimeError) as caught:
        ops.preview_sample()
    assert all(line in str(caught.value) for line in found)
    assert part("addon.processes.preview_session").session.process is None  # nothing was started in vain


def test_a_class_that_the_photos_do_not_have_is_told_before_anything_is_started(
    scene: bpy.types.Scene, tmp_path: Path
) -> None:
    categories = [{"id": 1, "name": "chair"}, {"id": 2, "name": "sofa"}]
    boxes = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 30, 40], "area": 1200, "iscrowd": 0}]
    images = [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 100}]
    (tmp_path / "real.json").write_text(
        json.dumps({"images": images, "annotations": boxes, "categories": categories}), encoding="utf-8"
    )
    settings = scene.twinset
    settings.real.annotations = str(tmp_path / "real.json")
    settings.targets.add().plugin = "bbox_area_gmm"
    assert told(scene) == []
    select(add("stool"), add("settee"))
    ops.mark_class(name="sofa")  # a category without a box
    found = told(scene)
    assert len(found) == 1 and "no boxes of 'sofa'" in found[0], found
    settings.targets[0].bbox_area_gmm.classes.add().value = "chair"
    assert told(scene) == []
    settings.targets[0].bbox_area_gmm.classes[0].value = "sofa"
    assert len(told(scene)) == 1
    settings.targets[0].enabled = False
    assert told(scene) == []


def test_missing_packages_are_told_before_anything_is_started(
    scene: bpy.types.Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert told(scene) == []
    monkeypatch.setattr(problems, "missing_packages", lambda: ["scipy"])
    problems.forget_problems()
    for operator in (ops.preview_sample, ops.preview_gap, ops.render_dataset):
        with pytest.raises(RuntimeError, match=r"Missing packages in Blender's Python .*: scipy\. Install the Twinset"):
            operator()
    assert part("addon.processes.preview_session").session.process is None
    problems.forget_problems()


def test_many_objects_keep_their_place_in_view_layers(scene: bpy.types.Scene) -> None:
    """Marking many objects takes their collection out of the scene meanwhile, which leaves no trace."""
    objects = [add(f"o{n}") for n in range(60)]
    select(*objects[:30])
    ops.mark_class(name="many")
    layer = bpy.context.view_layer
    layer.layer_collection.children["many"].holdout = True
    layer.layer_collection.children["many"].hide_viewport = False
    objects[3].hide_set(True)
    for o in objects[:30]:
        scene.collection.objects.unlink(o)
    select(*objects[5:])
    layer.active_layer_collection = layer.layer_collection.children["many"]
    ops.mark_class(name="many")
    collection = bpy.data.collections["many"]
    assert len(collection.objects) == 60 and layer.layer_collection.children["many"].holdout
    assert layer.active_layer_collection.name == "many"
    assert [o.select_get() for o in objects[:6]] == [False] * 5 + [True] and objects[3].hide_get()
    select(*objects[10:40])
    ops.unmark()
    assert len(collection.objects) == 60 - 30 and layer.layer_collection.children["many"].holdout
    assert objects[3].hide_get() and all(o.select_get() for o in objects[10:40])
    assert not [o for o in objects if not o.users_collection]
    assert {c.name for c in bpy.data.collections} == {"chair", "many"}
