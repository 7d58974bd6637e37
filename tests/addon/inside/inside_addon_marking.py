# SPDX-License-Identifier: GPL-3.0-or-later
"""Run inside Blender by test_addon.py: marking things in ordinary and awkward scenes, lists, and leaving no trace."""

from __future__ import annotations

import importlib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import bpy
import pytest

NAME = "bl_ext.user_default.twinset"
ODD = ["a/b", 'say "chair"', "Стул", "椅子", "back\\slash", "[chair]*?", " spaced ", "x" * 63]


def part(name: str) -> Any:
    return importlib.import_module(f"{NAME}.{name}")


mark, recipe, properties = (
    part("addon.operators.marking"),
    part("addon.settings.recipe"),
    part("addon.settings.properties"),
)


@pytest.fixture(autouse=True)
def empty() -> None:
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)


def add(name: str, parent: bpy.types.Object | None = None, *, is_empty: bool = False) -> bpy.types.Object:
    mesh = None
    if not is_empty:
        mesh = bpy.data.meshes.new(name)
        mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    o = bpy.data.objects.new(name, mesh)
    o.parent = parent
    bpy.context.scene.collection.objects.link(o)
    return o


def select(*objects: bpy.types.Object) -> None:
    bpy.context.view_layer.update()
    chosen = set(objects)
    for o in bpy.context.view_layer.objects:
        o.select_set(o in chosen)
    bpy.context.view_layer.objects.active = objects[0] if objects else None


def test_a_class_is_a_collection_that_objects_move_between() -> None:
    a, b, c = add("a"), add("b"), add("c")
    select(a, b)
    assert bpy.ops.twinset.mark_class(name="chair") == {"FINISHED"}
    scene = bpy.context.scene
    assert recipe.is_set_up(scene)
    select(b, c)
    bpy.ops.twinset.mark_class(name="table")
    members = {entry.name: {o.name for o in entry.collection.objects} for entry in scene.twinset.classes}
    assert members == {"chair": {"a"}, "table": {"b", "c"}}
    bpy.ops.twinset.mark_distractor()
    assert [o.name for o in scene.twinset.distractors[0].collection.objects] == ["b", "c"]
    assert not scene.twinset.classes[1].collection.objects
    assert mark.roles_of(scene, a) == ["class chair"] and mark.roles_of(scene, b) == ["distractor"]
    # Wherever they were linked before, there they still are.
    assert {o.name for o in scene.collection.objects} == {"a", "b", "c"}
    scene.twinset.classes[0].collection.name = "renamed"
    bpy.data.objects["a"].name = "other"
    assert recipe.table_of(scene, Path("/x"), blend=Path("/x/y.blend"))["class"][0]["collection"] == "renamed"


def test_parts_of_a_hierarchy_mark_the_whole_or_themselves() -> None:
    root = add("root", is_empty=True)
    leg = add("leg", add("seat", root))
    select(leg)
    bpy.ops.twinset.mark_class(name="chair")
    (entry,) = bpy.context.scene.twinset.classes
    assert [o.name for o in entry.collection.objects] == ["root"]
    assert mark.roles_of(bpy.context.scene, leg) == ["class chair"]
    bpy.ops.twinset.mark_class(name="leg", whole=False)
    assert [o.name for o in bpy.context.scene.twinset.classes[1].collection.objects] == ["leg"]


@pytest.mark.parametrize("name", ODD)
def test_odd_names_mean_just_these_things(name: str) -> None:
    floor, other = add(name), add("other")
    select(floor)
    bpy.ops.twinset.mark_surface()
    bpy.ops.twinset.mark_surface()  # a second time changes nothing
    scene = bpy.context.scene
    (pattern,) = [entry.value for entry in mark.surfaces_of(scene)]
    assert fnmatchcase(floor.name, pattern) and not fnmatchcase(other.name, pattern)
    assert mark.roles_of(scene, floor) == ["surface"] and mark.roles_of(scene, other) == []
    select(other)
    bpy.ops.twinset.mark_class(name=name)
    scene.twinset.targets.clear()
    made = recipe.recipe_of(scene, blend=Path("room.blend").resolve())
    assert made.classes[0].name == name.strip() and made.plugins["placement"][0].plugin.surfaces == [pattern]
    select(floor)
    bpy.ops.twinset.unmark()
    assert mark.roles_of(scene, floor) == []


@pytest.mark.parametrize("operator", ["mark_class", "mark_surface", "mark_distractor", "unmark"])
def test_nothing_selected_and_edit_mode_are_told(operator: str) -> None:
    called = getattr(bpy.ops.twinset, operator)
    arguments = {"name": "chair"} if operator == "mark_class" else {}
    assert not called.poll()
    with pytest.raises(RuntimeError, match="Select objects first"):
        called(**arguments)
    select(add("a"))
    assert called.poll()
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(RuntimeError, match="Switch to Object Mode first"):
        called(**arguments)
    bpy.ops.object.mode_set(mode="OBJECT")


def test_lights_and_cameras_are_no_class() -> None:
    lamp = bpy.data.objects.new("lamp", bpy.data.lights.new("lamp", "POINT"))
    bpy.context.scene.collection.objects.link(lamp)
    select(lamp)
    assert bpy.ops.twinset.mark_class(name="chair") == {"CANCELLED"}
    assert bpy.ops.twinset.mark_surface() == {"CANCELLED"}
    assert not bpy.context.scene.twinset.classes and not recipe.is_set_up(bpy.context.scene)


def test_hidden_and_excluded_collections_can_hold_a_class() -> None:
    a = add("a")
    select(a)
    bpy.ops.twinset.mark_class(name="chair")
    layer = bpy.context.view_layer.layer_collection.children["chair"]
    layer.exclude = True
    b = add("b")
    select(b)
    assert bpy.ops.twinset.mark_class(name="chair") == {"FINISHED"}
    assert b.visible_get() and b.select_get()
    assert len(bpy.context.scene.twinset.classes[0].collection.objects) == 2


def test_linked_collections_are_left_alone(tmp_path: Path) -> None:
    select(add("stool"))
    bpy.ops.twinset.mark_class(name="chair")
    library = tmp_path / "library.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(library))
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    with bpy.data.libraries.load(str(library), link=True) as (_, wanted):
        wanted.collections = ["chair"]
    linked = wanted.collections[0]
    scene = bpy.context.scene
    scene.collection.children.link(linked)
    bpy.ops.twinset.set_up()
    entry = scene.twinset.classes.add()
    entry.name, entry.collection = "chair", linked
    stool, own = linked.objects[0], add("own")
    select(own)
    bpy.ops.twinset.mark_class(name="chair")
    assert entry.collection.library is None and [o.name for o in entry.collection.objects] == ["own"]
    assert list(linked.objects) == [stool]
    select(stool)
    bpy.ops.twinset.mark_class(name="chair")
    assert stool in set(entry.collection.objects)
    assert bpy.ops.twinset.unmark() == {"FINISHED"}
    assert list(linked.objects) == [stool]


def test_lists_of_names_and_entries() -> None:
    bpy.ops.twinset.set_up()
    settings = bpy.context.scene.twinset
    bpy.ops.twinset.entry_add(key="class")
    bpy.ops.twinset.entry_add(key="class")
    assert [entry.name for entry in settings.classes] == ["class", "class 2"]
    bpy.ops.twinset.entry_move(key="class", direction="UP")
    assert ([entry.name for entry in settings.classes], settings.class_index) == (["class 2", "class"], 0)
    bpy.ops.twinset.entry_remove(key="class")
    assert [entry.name for entry in settings.classes] == ["class"]
    path = "twinset.placements[0].on_surface.surfaces"
    bpy.ops.twinset.name_add(path=path)
    select(add("Floor"), add("Rug"))
    bpy.ops.twinset.name_add_selected(path=path)
    names = settings.placements[0].on_surface.surfaces
    assert sorted(entry.value for entry in names) == ["Floor", "Rug"]
    bpy.ops.twinset.name_remove(path=path, index=0)
    assert len(names) == 1
    bpy.ops.twinset.stack_add(key="target", plugin="bbox_area_gmm")
    assert len(settings.targets) == 1
    bpy.ops.twinset.stack_add(key="camera", plugin="orbit")
    assert [use.plugin for use in settings.cameras] == ["framed", "orbit"] and settings.camera_index == 1


def test_next_steps_are_shown_until_all_are_done() -> None:
    scene, next_steps = bpy.context.scene, part("addon.settings.validation").next_steps
    bpy.ops.twinset.set_up()
    steps = ["Select the objects to detect", "Select the objects to place them on", "Choose the COCO file"]
    assert [text.startswith(step) for text, step in zip(next_steps(scene), steps, strict=True)] == [True] * 3
    select(add("a"))
    bpy.ops.twinset.mark_class(name="chair")
    bpy.ops.twinset.mark_surface()
    assert len(next_steps(scene)) == 1
    scene.twinset.real.annotations = "//real.json"
    assert next_steps(scene) == [] and part("addon.settings.validation").recipe_problems(scene) == []


def test_commands_and_exports_say_what_is_wrong(tmp_path: Path) -> None:
    assert not bpy.ops.twinset.export_recipe.poll()
    bpy.ops.twinset.set_up()
    with pytest.raises(RuntimeError, match="Save the file first"):
        bpy.ops.twinset.copy_command()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "my room.blend"))
    with pytest.raises(RuntimeError, match="no class"):
        bpy.ops.twinset.export_recipe(filepath=str(tmp_path / "r.toml"))
    assert not (tmp_path / "r.toml").exists()
    (tmp_path / "bad.toml").write_text("seed = [", encoding="utf-8")
    with pytest.raises(RuntimeError, match="not valid TOML"):
        bpy.ops.twinset.import_recipe(filepath=str(tmp_path / "bad.toml"))
    command = part("addon.operators.recipe").farm_command(tmp_path / "my room.toml", tmp_path / "out")
    assert "my room.toml" in command and ("'" in command or '"' in command)


def test_disabling_leaves_nothing_behind() -> None:
    import addon_utils

    def traces() -> dict[str, Any]:
        named = {n: getattr(bpy.app.handlers, n) for n in dir(bpy.app.handlers)}
        handlers = {n: len(v) for n, v in named.items() if isinstance(v, list)}
        owners = (bpy.types.Scene, bpy.types.WindowManager, bpy.types.Object, bpy.types.Collection)
        return {
            "types": {n for n in dir(bpy.types)},
            "handlers": handlers,
            "operators": set(dir(bpy.ops.twinset)),
            "properties": [sorted(p.identifier for p in owner.bl_rna.properties) for owner in owners],
            "presets": [path for path in bpy.utils.preset_paths("twinset") if "extensions" in path],
        }

    addon_utils.disable(NAME)
    off = traces()
    assert not [n for n in off["types"] if "twinset" in n.lower()] and not off["operators"] and not off["presets"]
    addon_utils.enable(NAME)
    on = traces()
    assert on["types"] > off["types"] and on["operators"] and on["presets"]
    select(add("a"))
    bpy.ops.twinset.mark_class(name="chair")
    addon_utils.disable(NAME)
    try:
        assert traces() == off
    finally:
        addon_utils.enable(NAME)
    # What the scene held is still there.
    assert [entry.name for entry in bpy.context.scene.twinset.classes] == ["chair"]


def test_ten_thousand_objects_are_marked_in_moments() -> None:
    import time

    mesh, home = bpy.data.meshes.new("m"), bpy.data.collections.new("home")
    scene = bpy.context.scene
    for n in range(10_000):
        home.objects.link(bpy.data.objects.new(f"o{n}", mesh))
    scene.collection.children.link(home)
    select(*scene.objects)
    start = time.thread_time()  # of this thread: what others do on the machine does not count
    bpy.ops.twinset.mark_class(name="thing")
    assert time.thread_time() - start < 5.0
    assert len(scene.twinset.classes[0].collection.objects) == 10_000
    start = time.thread_time()
    bpy.ops.twinset.mark_surface()
    bpy.ops.twinset.unmark()
    assert time.thread_time() - start < 10.0
    assert not scene.twinset.classes and not len(mark.surfaces_of(scene))
    bpy.ops.twinset.mark_class(name="thing")
    start = time.thread_time()
    for _ in range(10):
        mark.roles_of(scene, scene.objects[5])
        part("addon.settings.validation").recipe_problems(scene)
    assert (time.thread_time() - start) / 10 < 0.05  # what each redraw costs
