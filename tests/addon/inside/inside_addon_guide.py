# SPDX-License-Identifier: GPL-3.0-or-later
"""Run inside Blender by test_addon.py: the guided path, real sizes, and settings beside the 3D view."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import bpy
import pytest

NAME = "bl_ext.user_default.twinset"
ops = bpy.ops.twinset


def part(name: str) -> Any:
    return importlib.import_module(f"{NAME}.{name}")


steps, sizes = part("addon.guide.steps"), part("addon.guide.sizes")


@pytest.fixture(autouse=True)
def scene() -> bpy.types.Scene:
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    return bpy.context.scene


def add(name: str, size: tuple[float, float, float], parent: bpy.types.Object | None = None) -> bpy.types.Object:
    """A selected box of this size in metres that stands on the ground."""
    x, y, z = size
    mesh = bpy.data.meshes.new(name)
    corners = [(i * x, j * y, k * z) for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    mesh.from_pydata(corners, [], [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])
    o = bpy.data.objects.new(name, mesh)
    o.parent = parent
    bpy.context.scene.collection.objects.link(o)
    bpy.context.view_layer.update()
    for other in bpy.context.view_layer.objects:
        other.select_set(other == o)
    return o


def real_file(folder: Path) -> str:
    boxes = [{"id": n, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "area": 81, "iscrowd": 0} for n in (1, 2)]
    images = [{"id": 1, "file_name": "1.jpg", "width": 100, "height": 100}]
    path = folder / "real.json"
    path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "chair"}]}))
    return str(path)


def next_step() -> str:
    return steps.current_step(bpy.context.scene, "", steps.steps_of(bpy.context.scene))


def test_each_step_leads_to_the_next_one(scene: bpy.types.Scene, tmp_path: Path) -> None:
    assert next_step() == "photos"
    assert ops.choose_photos(filepath=real_file(tmp_path)) == {"FINISHED"}
    assert next_step() == "classes" and scene.twinset.fit_class == "chair"
    add("Thing", (0.5, 0.5, 0.9))
    ops.mark_class(name="chair")
    assert next_step() == "surfaces"
    add("Plane", (5, 5, 0.1))
    ops.mark_surface()
    assert next_step() == "sample"  # the sizes are right
    steps.note_preview(scene)
    assert next_step() == "fit"
    gap = {"distance": 0.1, "floor": 0.2}
    session = part("addon.processes.preview_session").session
    session.scene, session.gap = (
        scene.name,
        {"done": 1, "total": 1, "classes": {"chair": {"columns": {"sqrt_area": gap}}}},
    )
    try:
        assert next_step() == "render"
        assert [step.note for step in steps.steps_of(scene)][-2] == "Match"
    finally:
        session.scene, session.gap = "", None
    assert steps.current_step(scene, "photos", steps.steps_of(scene)) == "photos"  # chosen by the user


def test_unreadable_annotations_are_refused_at_once(scene: bpy.types.Scene, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(RuntimeError, match="images"):
        ops.choose_photos(filepath=str(tmp_path / "bad.json"))
    assert next_step() == "photos" and not scene.twinset.real.annotations


def test_photos_can_be_left_out_and_chosen_later(scene: bpy.types.Scene, tmp_path: Path) -> None:
    ops.no_photos()
    found = {step.key: step.is_done for step in steps.steps_of(scene)}
    assert found["photos"] and found["fit"] and next_step() == "classes"
    ops.choose_photos(filepath=real_file(tmp_path))
    assert [use.enabled for use in scene.twinset.targets] == [True]


def test_a_class_of_the_wrong_size_gets_its_usual_one(scene: bpy.types.Scene) -> None:
    seat = add("Seat", (2, 2, 1))
    add("Back", (2, 0.1, 2), parent=seat)  # together two metres high
    ops.mark_class(name="chair")
    (advice,) = sizes.size_advice(scene)
    assert (advice.owner, advice.field) == ("chair", "height") and "2 m high" in advice.text
    assert advice.value[0] < 0.9 < advice.value[1]
    ops.apply_sizes()
    (entry,) = scene.twinset.classes
    assert entry.use_height and (entry.height_min, entry.height_max) == pytest.approx(advice.value)
    assert sizes.size_advice(scene) == ()
    table = part("addon.settings.recipe").table_of(scene)
    assert table["class"][0]["height"] == list(advice.value)


def test_a_size_can_be_kept_and_is_measured_again_after_changes(scene: bpy.types.Scene) -> None:
    o = add("Thing", (1, 1, 0.9))
    ops.mark_class(name="chair")
    assert sizes.size_advice(scene) == ()
    o.scale.z = 3.0
    bpy.context.view_layer.update()
    assert len(sizes.size_advice(scene)) == 1
    ops.keep_sizes()
    assert sizes.size_advice(scene) == () and not scene.twinset.classes[0].use_height


def test_a_room_of_the_wrong_scale_is_corrected_first(scene: bpy.types.Scene) -> None:
    add("Bed", (5, 4, 2))  # drawn 2.5 times life size
    add("Desk", (3, 1.5, 1.85))
    add("Asset", (1, 1, 0.9))  # has its real size
    ops.mark_class(name="chair")
    room, *_ = sizes.size_advice(scene)
    assert (room.owner, room.field) == ("", "scale") and room.value[0] == pytest.approx(0.4, rel=0.1)
    ops.apply_sizes()
    assert scene.twinset.scene.scale == pytest.approx(0.4, rel=0.1)
    # The chair is scaled with the room, and gets its height back.
    assert scene.twinset.classes[0].use_height and sizes.size_advice(scene) == ()


def test_the_height_of_a_room_without_known_objects_shows_its_scale(scene: bpy.types.Scene) -> None:
    add("Plane", (10, 10, 0.1))
    ops.mark_surface()
    add("Solid", (0.1, 10, 10.8))
    add("Asset", (0.5, 0.5, 0.9))
    ops.mark_class(name="chair")
    room, *_ = sizes.size_advice(scene)
    assert room.field == "scale" and room.value[0] == pytest.approx(0.25)


def test_units_other_than_metres_are_mentioned(scene: bpy.types.Scene) -> None:
    add("Thing", (1, 1, 0.9))
    ops.mark_class(name="chair")
    scene.unit_settings.scale_length = 0.01
    assert [(a.owner, a.value) for a in sizes.size_advice(scene)][:1] == [("", pytest.approx((0.01,)))]


def test_boxes_of_hierarchies_are_those_of_their_corners(scene: bpy.types.Scene) -> None:
    root = add("Root", (1, 1, 1))
    part_of_it = add("Part", (1, 1, 1), parent=root)
    part_of_it.location, part_of_it.rotation_euler.z = (2, 0, 0), 0.5
    root.location = (0, 0, 3)
    bpy.context.view_layer.update()
    low, high = sizes.root_boxes(scene)[root]
    corners = [o.matrix_world @ v.co for o in (root, part_of_it) for v in o.data.vertices]
    for axis in range(3):
        assert low[axis] == pytest.approx(min(c[axis] for c in corners), abs=1e-5)
        assert high[axis] == pytest.approx(max(c[axis] for c in corners), abs=1e-5)


@pytest.mark.parametrize(("distance", "floor", "is_right"), [(0.05, 0.1, True), (0.4, 0.1, False), (None, 0.1, False)])
def test_the_verdict_compares_the_distance_with_chance(distance: Any, floor: float, is_right: bool) -> None:
    gap = {"classes": {"chair": {"columns": {"sqrt_area": {"distance": distance, "floor": floor}}}}}
    found, sentence = steps.verdict(gap)
    assert found is is_right and sentence
    assert steps.verdict(None) == (False, "")


def test_all_settings_are_beside_the_view(scene: bpy.types.Scene) -> None:
    ops.set_up()
    for panel in part("addon.panels.recipe").recipe_panels():
        twin = getattr(bpy.types, panel.__name__.replace("_PT_", "_PT_view_"))
        assert (twin.bl_space_type, twin.bl_region_type, twin.bl_category) == ("VIEW_3D", "UI", "Twinset")
        assert twin.bl_label == panel.bl_label and twin.draw is panel.draw
        assert twin.poll(bpy.context) == panel.poll(bpy.context)
    assert bpy.types.TWINSET_PT_view_real.poll(bpy.context)


def test_folded_fields_exist(scene: bpy.types.Scene) -> None:
    settings, list_attribute = scene.twinset, part("addon.settings.properties").list_attribute
    layouts = part("addon.widgets.layouts")
    for key, names in (layouts.ADVANCED | layouts._BASIC).items():
        entries = getattr(settings, list_attribute(key), None)
        group = getattr(settings, key) if entries is None else entries.add()
        known = {field.param.name for field in group.twinset_fields}
        assert set(names) < known, key
