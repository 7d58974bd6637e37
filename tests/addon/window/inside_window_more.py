# SPDX-License-Identifier: GPL-3.0-or-later
"""Run inside Blender's window by test_window.py: keys, dropped files, units, view layers, overrides, looks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy_extras.object_utils import world_to_camera_view

sys.path.append(str(Path(__file__).resolve().parent))
from window_driver import (
    DATA,
    OUT,
    area_of,
    drawn,
    drive,
    facts,
    install,
    is_modal,
    keys,
    part,
    places,
    press,
    preview,
    shot,
    show_sidebar,
    tick,
    view,
    wait,
)

ops = bpy.ops.twinset


def do(operator: Any, **arguments: Any) -> None:
    with view():
        assert operator("EXEC_DEFAULT", True, **arguments) == {"FINISHED"}, operator


def only(o: Any) -> None:
    """Select one object."""
    for other in bpy.context.scene.objects:
        other.select_set(other == o)
    bpy.context.view_layer.objects.active = o


def a_scene(unit: float = 1.0) -> Iterator[float]:
    """A box of chair size on a floor, in a file whose unit is so many metres, set up as a dataset."""
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    yield 1.0
    yield from show_sidebar()
    scene = bpy.context.scene
    scene.unit_settings.scale_length = unit
    with view():
        bpy.ops.object.select_all(action="DESELECT")
        cube = bpy.data.objects["Cube"]
        cube.scale = (0.25 / unit, 0.25 / unit, 0.45 / unit)
        cube.location.z = 0.45 / unit
        only(cube)
        bpy.ops.object.transform_apply(location=False, scale=True)
    do(ops.choose_photos, filepath=str(DATA / "annotations/cartucho_map_A45.json"))
    do(ops.mark_class, name="chair")
    do(bpy.ops.mesh.primitive_plane_add, size=8.0 / unit)
    do(ops.mark_surface)
    settings = scene.twinset
    settings.output.width, settings.output.height = 320, 240
    settings.render.use_samples, settings.render.samples = True, 2
    bpy.ops.ed.undo_push(message="Set up")
    yield from drawn()


def new_class_by_keyboard() -> Iterator[float]:
    only(bpy.data.objects["Light"])
    bpy.data.objects["Cube"].select_set(True)
    press(ops.mark_class, name="")
    yield 0.5
    subprocess.run(["xdotool", "type", "lamp"], check=False)
    yield 0.3
    keys("Return")
    yield 0.3
    keys("Return")
    yield 0.5
    names = [entry.name for entry in bpy.context.scene.twinset.classes]
    assert "lamp" in names, names
    with view():
        bpy.ops.ed.undo()
    yield 0.3
    assert "lamp" not in [entry.name for entry in bpy.context.scene.twinset.classes]


def escape() -> Iterator[float]:
    """Esc ends a request and leaves the scene alone; before it, undo does nothing."""
    before = places()
    for operator in (ops.preview_sample, ops.render_here, ops.preview_sample):
        press(operator)
        yield 0.4
        assert is_modal(operator)
        keys("ctrl+z")
        yield 0.3
        assert is_modal(operator) and places() == before
        keys("Escape")
        yield from wait(lambda operator=operator: not is_modal(operator), 60)
        assert not preview().is_shown and places() == before
    press(ops.preview_sample)
    yield from wait(lambda: preview().is_shown)
    shown = places()
    bpy.context.scene.twinset.placements[0].on_surface.count_max = 4  # a request that takes longer
    press(ops.preview_sample, step=1)
    keys("Escape")
    yield from wait(lambda: not is_modal(ops.preview_sample), 60)
    assert preview().frame == 0 and places() == shown
    press(ops.restore_scene)
    yield from wait(lambda: places() == before, 20)


def dropped_model() -> Iterator[float]:
    """A model that is dragged from Blender's own file browser into the 3D view becomes one of a class."""
    area = area_of("PROPERTIES")
    area.type = "FILE_BROWSER"
    yield 1.0
    space = area.spaces.active
    space.show_region_toolbar = space.show_region_tool_props = False
    space.params.directory = str(DATA / "models3d/aws").encode()
    space.params.filter_search = "ChairA"
    space.params.display_type = "LIST_VERTICAL"
    yield from drawn()
    yield 1.0
    region = next(r for r in area.regions if r.type == "WINDOW")
    target = next(r for r in area_of("VIEW_3D").regions if r.type == "WINDOW")
    place = ["xdotool", "getactivewindow", "getwindowgeometry", "--shell"]
    lines = subprocess.run(place, capture_output=True, text=True, check=True).stdout.splitlines()
    window = dict(line.split("=") for line in lines)

    def move(x: float, y: float) -> None:
        at = (int(x) + int(window["X"]), int(window["Y"]) + int(window["HEIGHT"]) - int(y))
        subprocess.run(["xdotool", "mousemove", *map(str, at)], check=True)

    x, y = region.x + 60, region.y + region.height - 12
    move(x, y)
    yield 0.5
    subprocess.run(["xdotool", "mousedown", "1"], check=True)
    yield 0.3
    for share in np.linspace(0.05, 1.0, 12):
        move(
            x + share * (target.x + target.width / 2 - x),
            y + share * (target.y + target.height / 2 - y),
        )
        yield 0.1
    yield from shot("more_drag")
    subprocess.run(["xdotool", "mouseup", "1"], check=True)
    yield from shot("more_drop")
    keys("a")  # of the menu of file handlers
    yield from shot("more_class")
    for _ in range(2):  # ends typing, and confirms
        keys("Return")
        yield 0.5
    area.type = "PROPERTIES"
    yield 0.5
    models = {entry.name: [each.value for each in entry.models] for entry in bpy.context.scene.twinset.classes}
    assert models == {"chair": [str(DATA / "models3d/aws/ChairA.glb")]}, models


def projected(holder: Any) -> np.ndarray:
    """The box in pixels, (left, top, right, bottom), of an instance of the sample in the camera of the scene."""
    scene, camera = bpy.context.scene, bpy.context.scene.camera
    size = np.array([scene.render.resolution_x, scene.render.resolution_y])
    points = []
    for o in holder.instance_collection.all_objects:
        if o.type == "MESH":
            matrix = holder.matrix_world @ o.matrix_world
            for vertex in o.data.vertices:
                x, y, _ = world_to_camera_view(scene, camera, matrix @ vertex.co)
                points.append((x, 1.0 - y) * size)
    return np.array([*np.min(points, axis=0), *np.max(points, axis=0)])


def in_centimetres() -> Iterator[float]:
    """A scene drawn in centimetres: what the guide suggests gives images of a chair of 0.9 m."""
    yield from a_scene(unit=0.01)
    scene, sizes = bpy.context.scene, part("addon.guide.sizes")
    advice = sizes.size_advice(scene)
    assert advice and advice[0].field == "scale", advice
    do(ops.apply_sizes)
    assert abs(scene.twinset.scene.scale - 0.01) < 1e-6 and not sizes.size_advice(scene)
    before, compared = places(), 0
    for number in range(6):
        press(ops.preview_sample, step=1 if number else 0)
        yield from wait(lambda number=number: preview().is_shown and preview().frame == number)
        record = part("addon.preview.sample").shown_sample(scene)["record"]
        for holder in preview().collection.objects:
            entry = next((e for e in record["instances"] if e["id"] == holder.get("twinset_instance")), None)
            if entry is None:
                continue
            assert np.allclose(np.array(holder.matrix_world)[:3, 3], 100 * np.reshape(entry["matrix"], (4, 4))[:3, 3])
            x, y, w, h = entry.get("amodal_bbox") or (0, 0, 0, 0)  # one out of the picture has none
            if x > 0 and y > 0 and x + w < 320 and y + h < 240:
                assert np.abs(projected(holder) - (x, y, x + w, y + h)).max() < 1.5, (projected(holder), entry)
                compared += 1
    assert compared >= 3, compared
    # In other units the recipe's scale is what counts, and the sample is the same.
    scene.unit_settings.system = "IMPERIAL"
    scene.unit_settings.scale_length = 0.3048
    press(ops.preview_sample)
    yield from wait(lambda: not is_modal(ops.preview_sample))
    assert part("addon.preview.sample").shown_sample(scene)["record"]["instances"] == record["instances"]
    scene.unit_settings.system = "METRIC"
    scene.unit_settings.scale_length = 0.01
    press(ops.restore_scene)
    yield from wait(lambda: places() == before, 20)
    render_job = part("addon.processes.render_job")
    scene.twinset.job.images = 2
    scene.twinset.output_folder = str(OUT / "centimetres")
    do(ops.render_dataset)
    yield from wait(lambda: not render_job.is_running())
    assert render_job.current().state == "finished", render_job.current().problems
    coco = json.loads((OUT / "centimetres/annotations/instances.json").read_text())
    assert len(coco["images"]) == 2 and coco["annotations"]
    facts["boxes in centimetres"] = [each["bbox"] for each in coco["annotations"]]
    render_job._current.clear()


def seen(layer: Any) -> dict[str, Any]:
    return {o.name: (o.hide_get(view_layer=layer), o.select_get(view_layer=layer)) for o in layer.objects}


def view_layers() -> Iterator[float]:
    """A sample is in all view layers, hides its sources in that of the window, and leaves them as they were."""
    yield from a_scene()
    second = bpy.context.scene.view_layers.new("Second")
    second.layer_collection.children["chair"].exclude = True
    bpy.ops.ed.undo_push(message="Second layer")
    yield 0.5
    before = {layer.name: seen(layer) for layer in bpy.context.scene.view_layers}
    for name in ("ViewLayer", "Second"):
        scene = bpy.context.scene  # another one after each undo
        bpy.context.window_manager.windows[0].view_layer = scene.view_layers[name]
        yield 0.3
        press(ops.preview_sample)
        yield from wait(lambda: preview().is_shown)
        shown = {o.name for o in preview().collection.objects}
        assert all(shown <= {o.name for o in layer.objects} for layer in scene.view_layers)
        press(ops.restore_scene)
        yield from wait(lambda: not preview().is_shown, 20)
        yield 0.3
        assert {layer.name: seen(layer) for layer in bpy.context.scene.view_layers} == before
        with view():
            bpy.ops.ed.undo()  # of Restore Scene
        yield 0.3
        assert preview().is_shown
        with view():
            bpy.ops.ed.undo()
        yield 0.3
        assert {layer.name: seen(layer) for layer in bpy.context.scene.view_layers} == before


def overrides() -> Iterator[float]:
    """Chairs of a library, overridden here, are a class; samples of them are undone, saved and opened."""
    yield from a_scene()
    library = OUT / "library.blend"
    home = bpy.data.collections.new("furniture")
    for number in range(2):
        o = bpy.data.objects.new(f"stool {number}", bpy.data.objects["Cube"].data)
        o.location.x = 2.0 * number
        home.objects.link(o)
    bpy.data.libraries.write(str(library), {home})
    for o in list(home.objects):
        bpy.data.objects.remove(o)
    bpy.data.collections.remove(home)
    with bpy.data.libraries.load(str(library), link=True) as (_, wanted):
        wanted.collections = ["furniture"]
    scene = bpy.context.scene
    scene.collection.children.link(wanted.collections[0])
    own = wanted.collections[0].override_hierarchy_create(scene, bpy.context.view_layer)
    scene.collection.children.unlink(wanted.collections[0])
    stools = [o for o in scene.objects if o.override_library]
    assert len(stools) == 2 and own is not None
    stools[0].location.y = 1.5
    with view():
        bpy.ops.object.select_all(action="DESELECT")
    for o in stools:
        o.select_set(True)
    bpy.ops.ed.undo_push(message="Override")
    yield 0.3
    do(ops.mark_class, name="couch")
    bpy.ops.wm.save_as_mainfile(filepath=str(OUT / "overrides.blend"))
    bpy.ops.ed.undo_push(message="Saved")
    yield 0.3
    before = places()
    for number in (0, 1):
        press(ops.preview_sample, step=number)
        yield from wait(lambda number=number: preview().is_shown and preview().frame == number)
    with view():
        bpy.ops.ed.undo()
        bpy.ops.ed.undo()
    yield from wait(lambda: places() == before, 20)
    with view():
        bpy.ops.ed.redo()
    yield 0.3
    assert preview().is_shown
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=str(OUT / "overrides.blend"))
    yield 1.0
    assert preview().is_shown
    press(ops.restore_scene)
    yield from wait(lambda: not preview().is_shown, 20)
    yield 0.3
    found = places()
    assert {k: v for k, v in found.items() if k} == {k: v for k, v in before.items() if k}
    stools = [o for o in bpy.context.scene.objects if o.override_library]
    assert len(stools) == 2 and sorted(round(o.location.y, 3) for o in stools) == [0.0, 1.5]


def looks() -> Iterator[float]:
    """Pictures of the panels at other sizes and in another theme, to be looked at."""
    yield from a_scene()
    do(ops.apply_sizes)
    press(ops.preview_sample)
    yield from wait(lambda: preview().is_shown)
    preferences = bpy.context.preferences
    for theme in ("Blender_Dark", "Blender_Light"):
        (path,) = (
            Path(folder) / f"{theme}.xml"
            for folder in bpy.utils.preset_paths("interface_theme")
            if (Path(folder) / f"{theme}.xml").is_file()
        )
        bpy.ops.script.execute_preset(filepath=str(path), menu_idname="USERPREF_MT_interface_theme_presets")
        for scale in (1.0, 2.0):
            preferences.view.ui_scale = scale
            yield 0.5
            yield from shot(f"more_{theme}_{int(100 * scale)}".lower())
    preferences.view.ui_scale = 1.0
    yield 0.5


def the_way() -> Iterator[float]:
    install()
    bpy.app.timers.register(tick, persistent=True)
    yield from a_scene()
    for part_of_it in (new_class_by_keyboard, escape, dropped_model, in_centimetres, view_layers, overrides, looks):
        facts["at"] = part_of_it.__name__
        yield from part_of_it()


drive(the_way)
