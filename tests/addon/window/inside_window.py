# SPDX-License-Identifier: GPL-3.0-or-later
"""Run inside Blender's window by test_window.py: an artist's whole way from a room and chairs to a dataset."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

sys.path.append(str(Path(__file__).resolve().parent))
from window_driver import (
    DATA,
    OUT,
    drawn,
    drive,
    facts,
    install,
    keys,
    note_ticks,
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


def perspectives() -> set[str]:
    """How the 3D views of the window look at the scene."""
    areas = bpy.context.window_manager.windows[0].screen.areas
    return {area.spaces.active.region_3d.view_perspective for area in areas if area.type == "VIEW_3D"}


def walk_over_previews() -> Iterator[float]:
    """Keys that once doubled the libraries of samples: preview, move, preview, restore, undo and redo."""
    scene, walk = bpy.context.scene, [places()]
    for number in (0, 1):
        press(ops.preview_sample, step=number)
        yield from wait(lambda number=number: preview().is_shown and preview().frame == number)
        with view():
            scene.objects["Floor"].location.z += 0.0
            bpy.ops.ed.undo_push(message="Move")
        walk.append(places())
    press(ops.restore_scene)
    yield 0.5
    for operator, times in ((bpy.ops.ed.undo, 3), (bpy.ops.ed.redo, 2)):
        for _ in range(times):
            with view():
                operator()
            yield 0.3
    assert preview().is_shown
    for _ in range(2):
        if preview().is_shown:
            with view():
                bpy.ops.ed.redo()
            yield 0.3
    found = places()
    changed = {
        key: (walk[0].get(key), found.get(key)) for key in {*walk[0], *found} if walk[0].get(key) != found.get(key)
    }
    assert not changed, changed


def from_the_default_scene() -> Iterator[float]:
    """Ten labelled images of Blender's cube; each step is one button, key or choice in the 3D view."""
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    yield 1.0
    done: list[str] = []

    def do(what: str, operator: Any = None, **arguments: Any) -> None:
        done.append(what)
        if operator is not None:
            with view():
                assert operator("EXEC_DEFAULT", True, **arguments) == {"FINISHED"}, what

    def next_step() -> str:
        steps = part("addon.guide.steps")
        return steps.current_step(bpy.context.scene, "", steps.steps_of(bpy.context.scene))

    scene = bpy.context.scene
    with view():
        area = bpy.context.area
        area.spaces.active.show_region_ui = True
    do("N")
    yield 1.0
    next(r for r in area.regions if r.type == "UI").active_panel_category = "Twinset"
    do("tab Twinset")
    assert next_step() == "photos"
    do("Choose Annotations")
    do("the file", ops.choose_photos, filepath=str(DATA / "annotations/cartucho_map_A45.json"))
    assert next_step() == "classes"
    do("chair", ops.mark_class, name="chair")
    do("Add > Mesh > Plane", bpy.ops.mesh.primitive_plane_add, size=10.0, location=(0.0, 0.0, -1.0))
    do("its size")
    do("its height")
    assert next_step() == "surfaces"
    do("Surface", ops.mark_surface)
    assert next_step() == "sizes"
    yield from shot("way_sizes")
    do("Use Usual Sizes", ops.apply_sizes)
    assert next_step() == "sample"
    done.append("Preview Sample")
    press(ops.preview_sample)
    yield from wait(lambda: preview().is_shown)
    yield from shot("way_sample")
    assert next_step() == "fit"
    done.append("Compare Boxes: open the step Render")  # or predict
    scene.twinset.job.images = 10
    done.append("Images: 10")
    bpy.ops.wm.save_as_mainfile(filepath=str(OUT / "default.blend"))
    done += ["Save", "the file"]
    render_job = part("addon.processes.render_job")
    do("Render 10 Images", ops.render_dataset)
    yield from wait(lambda: not render_job.is_running())
    assert render_job.current().state == "finished", render_job.current().problems
    coco = json.loads((OUT / "dataset/annotations/instances.json").read_text())
    assert len(coco["images"]) == 10 and coco["annotations"]
    facts["steps from the default scene"] = done
    yield from shot("way_done")
    press(ops.restore_scene)
    render_job._current.clear()
    (OUT / "dataset").rename(OUT / "default_dataset")


def the_way() -> Iterator[float]:
    install()
    yield from from_the_default_scene()
    recipe = part("addon.settings.recipe")
    session, render_job = part("addon.processes.preview_session"), part("addon.processes.render_job")
    bpy.ops.wm.open_mainfile(filepath=str(DATA / "blend/megatank58_room.blend"))
    yield 1.0
    while len(bpy.context.window_manager.windows) > 1:
        with bpy.context.temp_override(window=bpy.context.window_manager.windows[-1]):
            bpy.ops.wm.window_close()
        yield 0.2
    bpy.app.timers.register(tick, persistent=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(OUT / "bedroom.blend"))
    scene = bpy.context.scene
    with view():
        for n, name in enumerate(("aws/ChairA", "aws/ChairD", "kenney/chairCushion")):
            bpy.ops.import_scene.gltf(filepath=str(DATA / f"models3d/{name}.glb"))
            for o in bpy.context.selected_objects:
                o.location.x += 8 + 1.5 * n
            assert ops.mark_class(name="chair") == {"FINISHED"}
        for o in bpy.context.selected_objects:
            o.select_set(False)
        scene.objects["Floor"].select_set(True)
        assert ops.mark_surface() == {"FINISHED"}
    settings = scene.twinset
    settings.scene.scale = 0.4  # the room was drawn 2.5 times life size
    chair = settings.classes[0]
    chair.use_height, chair.height_min, chair.height_max = True, 0.8, 1.0
    settings.cameras[0].framed.above_surfaces.add().value = "Floor"
    settings.job.images, settings.render.use_samples, settings.render.samples = 10, True, 4
    settings.output.width, settings.output.height = 320, 240
    yield from show_sidebar()
    with view():
        bpy.ops.twinset.mark_class("INVOKE_DEFAULT", name="")
    yield from shot("addon_new_class")
    for _ in range(2):  # ends typing, and closes the dialog
        keys("Escape")
        yield 0.5
    bpy.data.objects["Floor"].name = "Ground"
    yield from shot("addon_problems")  # no annotations yet; the renamed floor is no problem
    settings.real.annotations = str(DATA / "annotations/cartucho_map_A45.json")
    bpy.data.objects["Ground"].name = "Floor"
    bpy.context.window_manager.windows[0].screen.areas[0].tag_redraw()
    with view():
        bpy.context.area.spaces.active.region_3d.view_perspective = "ORTHO"
    bpy.ops.wm.save_mainfile()
    # What scripts do is no step of its own.
    bpy.ops.ed.undo_push(message="Set up")
    yield from shot("addon_start")
    before = places()
    yield from drawn()

    began, clock = time.monotonic(), time.perf_counter()
    press(ops.preview_sample)
    yield from wait(lambda: preview().is_shown)
    facts["first preview s"] = round(time.monotonic() - began, 1)
    note_ticks("first preview", clock)
    nexts = []
    for number in (1, 2, 3):
        began = time.monotonic()
        press(ops.preview_sample, step=1)
        yield from wait(lambda number=number: preview().frame == number)
        nexts.append(round(time.monotonic() - began, 2))
    facts["next preview s"] = nexts
    yield from shot("addon_sample")
    with view():
        for _ in range(4):
            bpy.ops.ed.undo()
    yield from wait(lambda: places() == before, 20)  # four times undo is how it was
    with view():
        for _ in range(4):
            bpy.ops.ed.redo()
    yield 0.5
    assert preview().frame == 3 and len(preview().collection.objects) >= 2
    press(ops.restore_scene)
    yield from wait(lambda: places() == before, 20)
    assert "CAMERA" not in perspectives() and "ORTHO" in perspectives(), perspectives()
    with view():
        bpy.ops.ed.undo()
    yield 0.5
    assert preview().is_shown and all(o.instance_collection for o in preview().collection.objects if o.type == "EMPTY")

    press(ops.restore_scene)
    yield 0.5
    yield from walk_over_previews()
    press(ops.preview_sample)
    yield from wait(lambda: preview().is_shown)

    bpy.context.window_manager.twinset_live.count = 12
    began, clock = time.monotonic(), time.perf_counter()
    press(ops.preview_gap)
    known = session.session
    yield from wait(lambda: known.gap and known.gap["done"] == known.gap["total"])
    facts["preview 12 s"] = round(time.monotonic() - began, 1)
    note_ticks("preview 12", clock)
    yield from shot("addon_prediction")
    press(ops.preview_gap)
    yield 0.3
    press(ops.stop_gap)
    yield from wait(lambda: not known.waiting)
    assert not known.wants_gap and known.process is not None
    press(ops.preview_gap)
    yield from wait(lambda: known.gap and known.gap["done"] == known.gap["total"])
    bpy.context.scene.twinset.placements[0].on_surface.count_max = 2
    began = time.monotonic()
    yield from wait(lambda: known.gap["done"] < known.gap["total"])
    facts["first answer after a change s"] = round(time.monotonic() - began, 1)
    yield from wait(lambda: known.gap["done"] == known.gap["total"])
    press(ops.render_here)
    yield from wait(lambda: any(i.get("twinset_shown") for i in bpy.data.images))
    yield from shot("addon_picture")
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[-1]):
        bpy.ops.wm.window_close()
    part("addon.widgets.pictures").remove_picture()
    press(ops.restore_scene)
    press(ops.stop_preview)
    yield from wait(lambda: places() == before, 20)
    yield from drawn()

    clock, began = time.perf_counter(), time.monotonic()
    scene = bpy.context.scene
    scene.twinset.output_folder = str(OUT / "dataset")
    press(ops.render_dataset)
    yield from wait(lambda: render_job.current().done >= 4)
    note_ticks("render", clock)
    os.kill(render_job.current().process.pid, signal.SIGSTOP)  # a slow window would let it finish first
    yield from shot("addon_render")
    os.kill(render_job.current().process.pid, signal.SIGKILL)
    yield from wait(lambda: not render_job.is_running())
    assert "killed" in render_job.current().problems[0]
    yield from shot("addon_killed")
    press(ops.resume_render)
    yield from wait(lambda: render_job.current().rendered >= 1)
    press(ops.cancel_render)
    yield from wait(lambda: render_job.current().is_closed and render_job.current().finisher is None)
    assert (OUT / "dataset/annotations/instances.json").is_file(), render_job.current().problems
    yield from shot("addon_cancelled")
    press(ops.resume_render)
    yield from wait(lambda: not render_job.is_running())
    assert render_job.current().state == "finished", render_job.current().problems
    facts["ten images, killed and resumed s"] = round(time.monotonic() - began, 1)
    yield from shot("addon_finished")
    assert len(list((OUT / "dataset/images").iterdir())) == 10
    assert places() == before
    recipe.export_recipe(scene, OUT / "recipe.toml")


drive(the_way)
