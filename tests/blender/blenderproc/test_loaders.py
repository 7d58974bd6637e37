# SPDX-License-Identifier: GPL-3.0-or-later
"""BlenderProc's loaders on Blender 4.5: datasets in their published formats as rooms and assets, pixels checked."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import attrs
import numpy as np
import pytest

bpy = pytest.importorskip("bpy")
if importlib.util.find_spec("blenderproc") is None:
    pytest.skip('BlenderProc is not installed: pip install "twinset[blenderproc]"', allow_module_level=True)

from recipes import ONE_SAMPLE, orbit, plugin_table, recipe_text  # noqa: E402
from twinset.blender.blenderproc.adapter import blenderproc  # noqa: E402
from twinset.blender.blenderproc.materials import SIDE  # noqa: E402
from twinset.blender.process.stdout import silenced_stdout  # noqa: E402
from twinset.blender.scene.open_scene import open_scene  # noqa: E402
from twinset.blender.stage import open_stage  # noqa: E402
from twinset.dataset.analysis.measure import measure  # noqa: E402
from twinset.dataset.formats.dataset_folder import image_folder, read_dataset  # noqa: E402
from twinset.dataset.formats.pixels import read_image  # noqa: E402
from twinset.engine.errors import StageError  # noqa: E402
from twinset.engine.recipe.settings import OutputSettings, Recipe, RenderSettings, SceneSettings  # noqa: E402
from twinset.engine.recipe.tables.classes import ClassSettings  # noqa: E402
from twinset.engine.stage import CameraPose  # noqa: E402
from twinset.headless.cli import app  # noqa: E402
from twinset.testing.conformance.global_random import states, touched  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

WIDTH, HEIGHT = 160, 120


def recipe(folder: Path, scene: SceneSettings, *classes: ClassSettings) -> Recipe:
    return Recipe(
        classes=classes,
        scene=scene,
        folder=folder,
        output=OutputSettings(width=WIDTH, height=HEIGHT),
        render=RenderSettings(samples=4),
    )


def room(loader: str, name: str = "") -> SceneSettings:
    return SceneSettings(blenderproc=loader, dataset=loader, scene=name)


def assert_box_around(found, points, slack=1.0):
    """The box [x, y, w, h] of pixels is that of points (N, 2) in pixels."""
    x, y, w, h = found
    low, high = points.min(0), points.max(0)
    assert np.allclose((x, y, x + w, y + h), (*low, *high), atol=slack), (found, low, high)


def color_under(shot, id):
    """The median colour under an instance's mask, a pixel inside its border."""
    mask = shot.mask(id)
    inner = mask.copy()
    inner[1:-1, 1:-1] &= mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    return np.median(shot.image[inner], axis=0)


def test_blenderproc_leaves_no_trace():
    before = (list(sys.path), dict(os.environ), os.getcwd(), len(bpy.data.objects), states())
    modules = {name for name in sys.modules if name.startswith(("blenderproc", "bop_toolkit"))}
    with blenderproc() as bproc:
        assert callable(bproc.loader.load_bop_objs) and "blenderproc" in sys.modules
        with pytest.raises(RuntimeError, match="downloads are disabled"):
            sys.modules["blenderproc.python.loader.Front3DLoader"].urlretrieve("http://x/y.png", "y.png")
    assert (list(sys.path), dict(os.environ), os.getcwd(), len(bpy.data.objects)) == before[:4]
    assert touched(before[4]) == ()
    assert {name for name in sys.modules if name.startswith(("blenderproc", "bop_toolkit"))} == modules
    with blenderproc() as again:
        assert again is bproc


def test_datasets_are_only_read(published):
    def tree():
        return {p: p.read_bytes() for p in sorted(published.rglob("*")) if p.is_file()}

    before, random_states = tree(), states()
    for loader, name in (("front3d", ""), ("replica", "room_0"), ("matterport3d", ""), ("bop", "")):
        open_scene(recipe(published, room(loader, name)))
    sources = [ClassSettings(n, blenderproc=n, dataset=n) for n in ("bop", "shapenet", "pix3d")]
    open_stage(recipe(published, SceneSettings(builtin="hall"), *sources))
    assert tree() == before
    assert touched(random_states) == ()


def test_a_scene_of_bop_is_seen_as_its_cameras_saw_it(published):
    sizes = {1: np.array([100.0, 60.0, 40.0]), 5: np.array([50.0, 50.0, 160.0])}
    scene = json.loads((published / "bop/test/000007/scene_gt.json").read_text())
    k = np.array(json.loads((published / "bop/test/000007/scene_camera.json").read_text())["0"]["cam_K"]).reshape(3, 3)
    classes = [ClassSettings("box", objects=["obj_000001*"]), ClassSettings("post", objects=["obj_000005*"])]
    stage = open_stage(recipe(published, room("bop", "test/000007"), *classes))
    stage.keep(["box", "post"])
    cameras = stage.existing_cameras()
    assert len(cameras) == 2
    for image, camera in enumerate(cameras):
        stage.pose_camera(camera)
        shot = stage.shoot()
        seen = {i.asset.class_name: i for i in shot.instances}
        for thing, name, channel in zip(scene[str(image)], ("box", "post"), (0, 2), strict=True):
            signs = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
            model = signs * sizes[thing["obj_id"]] / 2
            # The format's own projection: pixel centres lie at whole numbers there, at halves here.
            points = model @ np.array(thing["cam_R_m2c"]).reshape(3, 3).T + thing["cam_t_m2c"]
            pixels = points @ k.T
            pixels = pixels[:, :2] / pixels[:, 2:] + 0.5
            assert_box_around(shot.labels.bbox(seen[name].id), pixels)
            under = shot.labels.depth[shot.mask(seen[name].id)]
            assert np.isclose(under.min(), points[:, 2].min() / 1000, atol=1e-3)
            color = color_under(shot, seen[name].id)
            assert color[channel] > 1.5 * np.delete(color, channel).max(), color
    scene = bpy.context.scene
    assert (scene.frame_start, scene.frame_end, scene.render.pixel_aspect_x) == (1, 250, 1.0)


def test_a_house_of_3d_front_keeps_its_furniture(published):
    classes = [ClassSettings("chair", objects=["*Chair*"]), ClassSettings("table", objects=["*Table"])]
    stage = open_stage(recipe(published, room("front3d"), *classes))
    # Each chair is one asset, though its model has two objects; the desk that no room uses is gone.
    assert {name: len(assets) for name, assets in stage.assets.items()} == {"chair": 2, "table": 1}
    for asset in stage.assets["chair"]:
        assert np.allclose(asset.size, (0.4, 0.4, 0.9), atol=1e-5)
    (floor,) = stage.surfaces(["Floor*"])
    assert np.isclose(floor.areas.sum(), 12.0) and np.allclose(floor.normals, (0, 0, 1))
    stage.keep(["chair", "table"])
    down = np.eye(4)
    down[:3, 3] = (0.0, 0.0, 2.5)
    camera = CameraPose(down, 20.0, WIDTH, HEIGHT)
    stage.pose_camera(camera)
    shot = stage.shoot()
    colors = {"chair": 0, "table": 2}
    places = []
    for i in shot.instances:
        # Each instance covers its own corners and nothing else.
        assert_box_around(shot.labels.bbox(i.id), np.clip(camera.project(i.points)[0], 0, (WIDTH, HEIGHT)))
        color, channel = color_under(shot, i.id), colors[i.asset.class_name]
        assert color[channel] > 2 * np.delete(color, channel).max(), color
        places.append(tuple((i.points.min(0) + i.points.max(0)).round(3)[:2] / 2))
    # The house's own places, its y and z exchanged.
    assert sorted(places) == sorted([(-1.0, 0.5), (1.0, -0.5), (0.0, 0.9)])
    ids, pixels = shot.labels.ids, shot.image
    brown = pixels[(ids == 0) & (np.abs(shot.labels.depth - 2.5) < 1e-3)]
    assert len(brown) > 3000 and np.median(brown, 0)[0] > 1.2 * np.median(brown, 0)[2]


def test_rooms_of_replica_and_matterport_have_surfaces(published):
    stage = open_stage(recipe(published, room("replica", "room_0"), ClassSettings("chair", objects=["chair*"])))
    assert np.allclose(stage.assets["chair"][0].size, (0.5, 0.5, 0.9))
    (floor,) = stage.surfaces(["floor"])
    assert np.isclose(floor.areas[floor.normals[:, 2] > 0.9].sum(), 16.0)
    stage.keep(["chair"])
    down = np.eye(4)
    down[:3, 3] = (0.0, 0.0, 3.0)
    stage.pose_camera(CameraPose(down, 30.0, WIDTH, HEIGHT))
    shot = stage.shoot()
    color = color_under(shot, 1)
    assert color[1] > 1.5 * max(color[0], color[2]), "colours of the vertices are shown"
    scene = open_scene(recipe(published, room("replica", "plain_0")))
    assert [o.name for o in scene.objects] == ["mesh"]
    scene = open_scene(recipe(published, room("matterport3d")))
    assert np.allclose(scene.objects["Floor"].dimensions, (4.0, 4.0, 0.0), atol=1e-5)
    assert scene.objects["Floor"].matrix_world.translation.z + scene.objects["Floor"].data.vertices[0].co.z > 0.19


def test_objects_of_datasets_are_assets_of_real_size(published):
    sources = [
        ClassSettings("part", blenderproc="bop", dataset="bop"),
        ClassSettings("chair", blenderproc="shapenet", dataset="shapenet", select=["chair"], height=(0.8, 1.0)),
        ClassSettings("bed", blenderproc="pix3d", dataset="pix3d", select=["bed"]),
    ]
    stage = open_stage(recipe(published, SceneSettings(builtin="hall"), *sources))
    sizes = {a.name: tuple(a.size.round(4)) for assets in stage.assets.values() for a in assets}
    assert sizes == {
        "bop_000001": (0.1, 0.06, 0.04),
        "bop_000005": (0.05, 0.05, 0.16),
        "chair_aa11": (0.6, 0.6, 0.9),
        "chair_bb22": (0.6, 0.6, 0.9),
        "bed_IKEA_B_bed": (0.6, 0.6, 0.8),
    }
    assert not [o.name for o in bpy.context.scene.objects if "obj_" in o.name or "whole" in o.name]


def test_materials_of_haven_lie_on_the_room(published):
    on = ["Floor*: wood*", "Wall*: blue_plaster"]
    scene = attrs.evolve(room("front3d"), materials="haven", material_assignments=on)
    stage = open_stage(recipe(published, scene, ClassSettings("chair", objects=["*Chair*"])))
    names = {
        o.name: o.data.materials[0].name for o in bpy.context.scene.objects if o.name.startswith(("Floor", "Wall"))
    }
    assert names["Floor"] in ("wood_floor", "wood_planks")
    assert {name for key, name in names.items() if key != "Floor"} == {"blue_plaster"} and len(names) == 5
    assert len([m for m in bpy.data.materials if m.name.startswith("blue_plaster")]) == 1
    uv = np.empty(8 * 3)
    floor = bpy.data.objects["Floor"].data
    floor.uv_layers.active.data.foreach_get("uv", uv[: len(floor.loops) * 2])
    used = uv[: len(floor.loops) * 2].reshape(-1, 2)
    assert np.allclose(np.ptp(used, 0), (4.0 / SIDE, 3.0 / SIDE)), "textures have the same size everywhere"
    tilted = np.eye(4)
    tilted[:3, 1], tilted[:3, 2], tilted[:3, 3] = (0.0, 0.6, 0.8), (0.0, -0.8, 0.6), (0.0, -1.2, 1.8)
    stage.pose_camera(CameraPose(tilted, 18.0, WIDTH, HEIGHT))
    shot = stage.shoot()
    corners = stage.surfaces(["Floor*"])[0].corners.reshape(-1, 3)
    assert np.allclose(corners[:, 2], 0)
    below, above = shot.image[-30:].reshape(-1, 3), shot.image[:15].reshape(-1, 3)
    assert np.median(below, 0)[0] > 1.5 * np.median(below, 0)[2], "brown"
    assert np.median(above, 0)[2] > 1.5 * np.median(above, 0)[0], "blue"
    import addon_utils

    assert not addon_utils.check("node_wrangler")[1]
    with pytest.raises(StageError, match=r"no object named 'Flor\*'"):
        open_scene(recipe(published, attrs.evolve(scene, material_assignments=["Flor*: wood*"])))


RECIPE = recipe_text(
    images=2,
    scene={"blenderproc": "front3d", "dataset": "front3d"},
    classes=[
        {"name": "chair", "objects": ["Dining Chair*"]},
        {"name": "post", "blenderproc": "bop", "dataset": "bop", "select": ["5"]},
    ],
    placements=[
        plugin_table("keep", classes=["chair"]),
        plugin_table("on_surface", classes=["post"], surfaces=["Dining Table"], count=[1, 1]),
    ],
    cameras=[orbit(0.8, 1.5)],
    render=ONE_SAMPLE,
    size=(96, 72),
    output={"format": "png", "masks": True},
)


def test_a_recipe_of_both_renders(published, tmp_path, monkeypatch):
    for name in ("front3d", "bop"):
        shutil.copytree(published / name, tmp_path / name)
    (tmp_path / "r.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["render", "r.toml", "-o", "out", "--json"])
    assert done.exit_code == 0, done.output
    for line in done.stdout.splitlines():
        json.loads(line)  # the loaders print a good deal, which must not get here
    coco = json.loads((tmp_path / "out/annotations/instances.json").read_text())
    shapes = {a["twinset"]["shape"] for a in coco["annotations"]}
    assert "bop_000005" in shapes and shapes <= {"bop_000005", "Dining Chair", "Dining Chair.002"}
    inputs = json.loads((tmp_path / "out/inputs.json").read_text())
    files = inputs.get("files", inputs)
    assert files["bop/models/obj_000005.ply"]["used"] == ["class.dataset"]
    assert files["front3d/3D-FRONT/house-1.json"]["used"] == ["scene.dataset"]


def test_the_command_ends(published, tmp_path):
    """Blender ends with its module: whatever holds that to the last keeps the process for ever."""
    text = recipe_text(
        images=1,
        scene={"blenderproc": "replica", "dataset": str(published / "replica"), "scene": "room_0"},
        classes=[{"name": "chair", "objects": ["chair*"]}],
        cameras=[orbit(1.5, 2.0)],
        render={"samples": 1},
        size=(64, 48),
    )
    (tmp_path / "r.toml").write_text(text)
    command = [sys.executable, "-m", "twinset.headless", "render", "r.toml", "-o", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "Not freed memory" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("ply\nformat ascii 1.0\nelement vertex many\nend_header\n", "element vertex many"),
        ("ply\nformat ascii 1.0\nelement vertex 99999999999\nend_header\n", "element vertex 99999999999"),
        ("ply\nformat ascii 1.0\nelement vertex 8\nproperty float x\nend_header\n1\n", "select"),
        ("no model at all", "select"),
    ],
)
def test_a_broken_model_is_one_sentence(published, tmp_path, monkeypatch, text, sentence):
    for name in ("front3d", "bop"):
        shutil.copytree(published / name, tmp_path / name)
    (tmp_path / "bop/models/obj_000005.ply").write_text(text)
    (tmp_path / "r.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["render", "r.toml", "-o", "out"])
    assert done.exit_code == 2 and "Traceback" not in done.output
    assert "obj_000005.ply" in done.stderr and sentence in done.stderr
    assert not (tmp_path / "out/frames").exists()


def test_what_its_own_writers_write_is_read(tmp_path):
    """Two frames with a rectangle each, through BlenderProc's HDF5 and COCO writers and back."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = 0, 2
    ids = np.zeros((2, 30, 40), np.uint8)
    ids[0, 5:15, 10:30] = 1
    ids[1, 2:28, 3:9] = 1
    colors = np.stack([np.where(frame[..., None] > 0, 200, 30).astype(np.uint8).repeat(3, -1) for frame in ids])
    said = [{"idx": 0, "category_id": 0, "name": "World"}, {"idx": 1, "category_id": 4, "name": "Chair.001"}]
    data = {
        "colors": list(colors),
        "depth": [np.where(frame, 2.5, 1e10).astype(np.float32) for frame in ids],
        "instance_segmaps": list(ids),
        "instance_attribute_maps": [said, said],
    }
    with blenderproc() as bproc, silenced_stdout():
        bproc.writer.write_hdf5(str(tmp_path / "hdf5"), data)
        for form in ("rle", "rle", "polygon"):
            folder = tmp_path / form / "coco_data"
            segmaps, maps = data["instance_segmaps"], data["instance_attribute_maps"]
            bproc.writer.write_coco_annotations(str(folder), segmaps, maps, data["colors"], mask_encoding_format=form)
    frames = read_dataset(tmp_path / "hdf5")
    boxes = [[10, 5, 20, 10], [3, 2, 6, 26]]
    assert [a["bbox"] for a in frames.annotations] == boxes and frames.classes() == {"Chair": 2}
    assert [a["twinset"]["depth"] for a in frames.annotations] == [2.5, 2.5]
    assert np.array_equal(read_image(tmp_path / "hdf5" / "1.hdf5"), colors[1])
    appended = read_dataset(tmp_path / "rle")
    assert [a["bbox"] for a in appended.annotations] == boxes * 2 and appended.classes() == {"Chair": 4}
    outlined = read_dataset(tmp_path / "polygon")
    assert [a["bbox"] for a in outlined.annotations] == boxes
    for coco in (frames, appended, outlined):
        table = measure(coco, image_folder(coco), workers=1)
        assert not table.problems and np.allclose(table.columns["brightness"], 200 / 255, atol=0.01)


@pytest.mark.parametrize(
    ("version", "sentence"), [("3.0.0", "BlenderProc 3.0.0 is installed"), (None, "which is not installed")]
)
def test_other_releases_are_refused(monkeypatch, version, sentence):
    from twinset.blender.blenderproc import adapter

    def answer(name):
        if version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(importlib.metadata, "version", answer)
    monkeypatch.setattr(adapter, "_cached_modules", {})
    with pytest.raises(StageError, match=rf'{sentence}.*pip install "twinset\[blenderproc\]"'), blenderproc():
        pass


def test_a_missing_package_is_named(monkeypatch):
    from twinset.blender.blenderproc import adapter

    monkeypatch.setattr(adapter, "_cached_modules", {})
    monkeypatch.setitem(sys.modules, "trimesh", None)
    before = set(sys.modules)
    with pytest.raises(StageError, match="needs the package 'trimesh'"), blenderproc():
        pass
    assert not [name for name in set(sys.modules) - before if name.startswith("blenderproc")]
