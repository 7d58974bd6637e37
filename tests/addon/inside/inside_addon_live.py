# SPDX-License-Identifier: GPL-3.0-or-later
"""Run inside Blender by test_addon.py: previews leave no trace, renders are those of the headless command."""

from __future__ import annotations

import filecmp
import importlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

NAME = "bl_ext.user_default.twinset"
RECIPE = """
seed = 3
images = 3
[real]
annotations = "live_real.json"
[scene]
file = "small.blend"
[[class]]
name = "chair"
collection = "Chairs"
[[placement]]
plugin = "on_surface"
surfaces = ["Floor"]
count = [1, 3]
[[appearance]]
plugin = "lights"
extra_range = [1, 2]
[[appearance]]
plugin = "world"
[[camera]]
plugin = "framed"
candidates = 16
[target]
plugin = "bbox_area_gmm"
[render]
samples = 1
denoise = false
max_attempts = 4
[output]
width = 96
height = 72
"""
REAL = (0.06, 0.07, 0.08, 0.1, 0.15, 0.2)
PARTS = ("objects", "lights", "worlds", "cameras", "materials", "meshes", "collections", "images", "scenes")
PASSING = {"rna_type", "session_uid", "is_evaluated", "tag", "original"}


def part(name: str) -> Any:
    return importlib.import_module(f"{NAME}.{name}")


recipe = part("addon.settings.recipe")
session, render_job = part("addon.processes.preview_session"), part("addon.processes.render_job")
ops = bpy.ops.twinset


@pytest.fixture(scope="module")
def place(rooms: Path) -> Path:
    sides = [100 * a**0.5 for a in REAL]
    data = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 100} for i in range(len(REAL))],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "bbox": [30, 30, s, s], "area": s * s, "iscrowd": 0}
            for i, s in enumerate(sides)
        ],
        "categories": [{"id": 1, "name": "chair"}],
    }
    (rooms / "live_real.json").write_text(json.dumps(data))
    (rooms / "live.toml").write_text(RECIPE)
    return rooms


@pytest.fixture
def scene(place: Path) -> bpy.types.Scene:
    """The small room, its panels filled."""
    bpy.ops.wm.open_mainfile(filepath=str(place / "small.blend"))
    recipe.import_recipe(bpy.context.scene, place / "live.toml")
    return bpy.context.scene


def plain(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(value)
    return value if isinstance(value, str | int | float) else [plain(v) for v in value]


def properties(block: Any) -> dict[str, Any]:
    out = {}
    for p in block.bl_rna.properties:
        if p.identifier in PASSING:
            continue
        value = getattr(block, p.identifier)
        if p.type != "POINTER" and p.type != "COLLECTION":
            out[p.identifier] = plain(value)
        elif isinstance(value, bpy.types.ID):
            out[p.identifier] = value.name_full
    return out


def structure() -> dict[Any, Any]:
    """All that an artist could find changed: every property of every data block, visibility, users, counts."""
    out: dict[Any, Any] = {}
    for name in dir(bpy.data):
        blocks = getattr(bpy.data, name)
        if isinstance(blocks, bpy.types.bpy_prop_collection):
            out[name] = [(b.name_full, b.users) for b in blocks]
    for name in PARTS:
        for block in getattr(bpy.data, name):
            own = {"keys": sorted(set(block.keys()) - set(block.bl_rna.properties.keys())), **properties(block)}
            out |= {(name, block.name_full, k): v for k, v in own.items()}
    for o in bpy.data.objects:
        out["slots", o.name] = [s.material and s.material.name for s in o.material_slots]
    for s in bpy.data.scenes:
        for sub in ("render", "cycles", "eevee", "view_settings"):
            out |= {(s.name, sub, k): v for k, v in properties(getattr(s, sub)).items()}
        for layer in s.view_layers:
            for o in layer.objects:
                out[layer.name, o.name] = o.hide_get(view_layer=layer), o.select_get(view_layer=layer)
    return out


def assert_same(before: dict[Any, Any]) -> None:
    after = structure()
    changed = {k: (before.get(k), after.get(k)) for k in before.keys() | after.keys() if before.get(k) != after.get(k)}
    assert not changed, changed


def finish_render() -> Any:
    until = time.monotonic() + 600
    while render_job.is_running():
        render_job.process_messages()
        assert time.monotonic() < until
        time.sleep(0.05)
    return render_job.current()


def predict() -> dict[str, Any]:
    """Let the timer's function run until a prediction is complete, as the window would."""
    until = time.monotonic() + 600
    while session.session.waiting or session.session.gap["done"] < session.session.gap["total"]:
        session._tick()
        assert not session.session.problems, session.session.problems
        assert time.monotonic() < until
        time.sleep(0.02)
    return session.session.gap


def problem(operator: Any, **arguments: Any) -> str:
    """What an operator complains about: Blender makes an exception of its report, and of nothing else."""
    with pytest.raises(RuntimeError) as caught:
        operator(**arguments)
    assert "Traceback" not in str(caught.value)
    return str(caught.value)


def test_samples_come_and_go_without_a_trace(scene, place, tmp_path):
    scene.objects["stool"].hide_set(True)
    before = structure()
    assert ops.preview_sample() == {"FINISHED"}
    shown = scene.twinset_preview
    assert [scene.objects[n].visible_get() for n in ("chair", "high", "stool", "Floor")] == [False, False, False, True]
    assert scene.camera == shown.camera and scene.world.name == "Twinset world"
    assert ops.preview_sample(step=1) == {"FINISHED"} == ops.preview_sample(step=1)
    assert shown.frame == 2 and len([c for c in bpy.data.collections if c.name.startswith("Twinset")]) == 1
    message = part("addon.preview.sample").shown_sample(scene)
    said = part("addon.preview.sample_labels")
    assert all(said.label_of(row, message["record"]) for row in message["record"]["instances"])
    assert said.headline_of(message)[0].startswith("Sample 2: ")
    assert ops.restore_scene() == {"FINISHED"}
    assert_same(before)
    # What was saved while a sample was shown is put right as well, the program closed in between.
    ops.preview_sample()
    saved = tmp_path / "saved.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(saved), copy=True)
    ops.restore_scene()
    clean = tmp_path / "clean.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(clean), copy=True)
    bpy.ops.wm.open_mainfile(filepath=str(clean))
    expected = structure()
    bpy.ops.wm.open_mainfile(filepath=str(saved))
    assert bpy.context.scene.twinset_preview.is_shown
    ops.restore_scene()
    assert_same(expected)


def test_a_render_is_the_preview_and_the_headless_dataset_and_leaves_the_scene_alone(scene, place, tmp_path):
    ops.preview_sample()
    ops.preview_sample(step=1)
    placed = {o.name: np.array(o.matrix_world) for o in scene.twinset_preview.collection.objects if o.type == "EMPTY"}
    view = np.array(scene.camera.matrix_world)
    before = structure()
    scene.twinset.output_folder = str(tmp_path / "out")
    recipe.export_recipe(scene, place / "exported.toml")
    assert ops.render_dataset() == {"FINISHED"}
    job = finish_render()
    assert (job.state, job.done, job.problems) == ("finished", 3, [])
    assert_same(before)
    record = json.loads((tmp_path / "out/frames/000001.json").read_text())
    for instance in record["instances"]:
        matrix = np.reshape(instance["matrix"], (4, 4))
        np.testing.assert_allclose(placed.pop(f"{instance['class']} {instance['id']}"), matrix, atol=1e-5)
    assert not placed
    np.testing.assert_allclose(view, np.reshape(record["camera"]["matrix"], (4, 4)), atol=1e-5)
    picture = part("addon.widgets.pictures").with_boxes(job.image, job.record)
    assert picture.size == (96, 72)
    command = part("addon.processes.process").command_line(
        "render", place / "exported.toml", "-o", tmp_path / "headless"
    )
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for folder in ("images", "frames", "annotations"):
        names = sorted(p.name for p in (tmp_path / "headless" / folder).iterdir())
        same, *others = filecmp.cmpfiles(
            tmp_path / "out" / folder, tmp_path / "headless" / folder, names, shallow=False
        )
        assert (sorted(same), others) == (names, [[], []])


def test_a_killed_render_is_reported_and_goes_on(scene, tmp_path):
    scene.twinset.output_folder = str(tmp_path / "out")
    scene.twinset.job.images = 200
    assert ops.render_dataset() == {"FINISHED"}
    assert "running" in problem(ops.render_dataset)
    while render_job.current().done < 2:
        assert render_job.is_running() or not render_job.current().problems
        render_job.process_messages()
        time.sleep(0.02)
    os.kill(render_job.current().process.pid, signal.SIGKILL)
    job = finish_render()
    assert job.state == "failed" and "killed" in job.problems[0] and "can be resumed" in job.problems[0]
    assert "already has frames" in problem(ops.render_dataset)
    frames = len(list((tmp_path / "out/frames").glob("*.json")))
    # Another session finds it by its folder alone, whatever the scene has become.
    bpy.ops.object.select_all(action="SELECT")
    bpy.ops.object.delete()
    scene.twinset.job.images = frames
    render_job._current.clear()
    assert ops.resume_render() == {"FINISHED"}
    assert finish_render().state == "finished"
    coco = json.loads((tmp_path / "out/annotations/instances.json").read_text())
    assert len(coco["images"]) == frames
    assert ops.dismiss_render() == {"FINISHED"} and render_job.current() is None


def test_cancelling_keeps_what_there_is(scene, tmp_path):
    scene.twinset.output_folder = str(tmp_path / "out")
    scene.twinset.job.images = 500
    ops.render_dataset()
    process = render_job.current().process
    while render_job.current().done < 1:
        render_job.process_messages()
        time.sleep(0.02)
    assert ops.cancel_render() == {"FINISHED"} and not render_job.is_running()
    assert process._process.wait(600) == 130
    assert render_job.can_resume(tmp_path / "out") and render_job.count_frames(tmp_path / "out") >= 1
    assert render_job.free_folder(tmp_path / "out") == tmp_path / "out_2"
    # The frames that there are get their annotations without being asked for.
    until = time.monotonic() + 600
    while render_job.is_ending():
        assert "being stopped" in problem(ops.resume_render)
        render_job.process_messages()
        assert time.monotonic() < until
        time.sleep(0.05)
    assert render_job.current().problems == []
    coco = json.loads((tmp_path / "out/annotations/instances.json").read_text())
    assert len(coco["images"]) == render_job.count_frames(tmp_path / "out") >= 1
    assert not render_job.needs_finish(tmp_path / "out") and render_job.can_resume(tmp_path / "out", scene)


def test_predictions_follow_the_settings(scene):
    bpy.context.window_manager.twinset_live.count = 4
    assert ops.preview_gap() == {"FINISHED"}
    session.session.gap = {"done": 0, "total": 4}
    first = predict()
    assert first["classes"]["chair"]["n_real"] == len(REAL) and first["frames"] == 4
    scene.twinset.placements[0].on_surface.count_min = 5  # and with it the most
    began = time.monotonic()
    while session.session.predicted != session.session.changed[0] or time.monotonic() - began < 1:
        session._tick()
        time.sleep(0.02)
    assert predict()["classes"]["chair"]["n_synth"] > first["classes"]["chair"]["n_synth"]
    # It can be stopped, and leaves the background process ready.
    kept = session.session.process
    scene.twinset.job.seed += 1
    ops.preview_gap()
    assert ops.stop_gap() == {"FINISHED"} and not ops.stop_gap.poll()
    while session.session.waiting:
        session.receive()
        time.sleep(0.02)
    assert session.session.process is kept and kept.code is None and not session.session.problems
    # A sample in between cuts the prediction short; it goes on afterwards.
    scene.twinset.job.seed += 1
    ops.preview_gap()
    ops.preview_sample()
    assert predict()["frames"] == 4
    process = session.session.process
    assert ops.stop_preview() == {"FINISHED"}
    assert process._process.wait(600) == 0


def test_awkward_scenes_are_told_in_words(scene, place, tmp_path):
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    for operator in (ops.preview_sample, ops.preview_gap, ops.render_dataset):
        assert "Mark some objects as a class first" in problem(operator)
    assert "No sample is shown" in problem(ops.restore_scene)
    assert "has no render" in problem(ops.resume_render)

    bpy.ops.wm.open_mainfile(filepath=str(place / "small.blend"))
    scene = bpy.context.scene
    recipe.import_recipe(scene, place / "live.toml")
    scene.twinset.classes[0].name = ""
    assert "name" in problem(ops.preview_sample)
    recipe.import_recipe(scene, place / "live.toml")
    (tmp_path / "file").write_text("in the way")
    scene.twinset.output_folder = str(tmp_path / "file")
    assert "cannot be created because a file has its name" in problem(ops.render_dataset)
    scene.twinset.placements[0].on_surface.surfaces[0].value = "Flor"
    assert "Flor" in problem(ops.preview_sample) and not scene.twinset_preview.is_shown


def test_awkward_scenes_work(scene, place, tmp_path):
    library = tmp_path / "library.blend"
    shutil.copy(place / "small.blend", library)
    with bpy.data.libraries.load(str(library), link=True) as (_, wanted):
        wanted.objects = ["stool"]
    odd = ["a/b", 'say "chair"', "Стул 椅子", "back\\slash"]
    for name, o in zip(odd, [bpy.data.objects["chair"], bpy.data.objects["high"]] * 2, strict=True):
        twin = o.copy()
        twin.name = name
        bpy.data.collections["Chairs"].objects.link(twin)
    bpy.data.collections["Chairs"].objects.link(wanted.objects[0])
    bpy.context.view_layer.layer_collection.children["Chairs"].hide_viewport = True
    bpy.context.view_layer.objects.active = scene.objects["Floor"]
    bpy.ops.object.mode_set(mode="EDIT")
    scene.twinset.placements[0].on_surface.count_min = 7
    before = structure()
    assert ops.preview_sample() == {"FINISHED"}
    shapes = {row["shape"] for row in part("addon.preview.sample").shown_sample(scene)["record"]["instances"]}
    assert len(shapes) >= 3
    ops.restore_scene()
    assert bpy.context.mode == "OBJECT"
    bpy.ops.object.mode_set(mode="EDIT")
    assert_same(before)


def test_a_file_that_was_never_saved_can_be_previewed(place):
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    with bpy.data.libraries.load(str(place / "small.blend")) as (_, wanted):
        wanted.collections, wanted.objects = ["Chairs"], ["Floor", "Light"]
    scene = bpy.context.scene
    scene.collection.children.link(wanted.collections[0])
    for o in wanted.objects:
        scene.collection.objects.link(o)
    recipe.import_recipe(scene, place / "live.toml")
    scene.twinset.room = "THIS"
    assert scene.camera is None and not bpy.data.filepath
    bpy.context.view_layer.update()
    before = structure()
    assert ops.preview_sample() == {"FINISHED"}
    ops.restore_scene()
    assert_same(before)
    assert "Save the file first" in problem(ops.render_dataset)


def test_nothing_is_left_when_the_add_on_goes(scene):
    ops.preview_sample()
    process = session.session.process
    package = importlib.import_module(NAME)
    package.unregister()
    try:
        assert process._process.wait(600) == 0
        assert not hasattr(bpy.types.Scene, "twinset_preview") and not hasattr(bpy.types, "TWINSET_PT_preview")
        handlers = [h for name in dir(bpy.app.handlers) for h in _functions(getattr(bpy.app.handlers, name))]
        assert not [h for h in handlers if h.startswith(NAME)]
        assert not bpy.app.timers.is_registered(session._tick)
    finally:
        package.register()
    ops.restore_scene()


def _functions(handlers: Any) -> list[str]:
    return [h.__module__ for h in handlers if callable(h)] if isinstance(handlers, list) else []
