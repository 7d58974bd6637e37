# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input through the command: one sentence with place and remedy, exit code 2, nothing half-written."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from recipes import ONE_SAMPLE, on_floor, plugin_table, recipe_text
from twinset.headless.cli import app
from typer.testing import CliRunner

pytest.importorskip("bpy")

RECIPE = recipe_text(
    images=2,
    real="real.json",
    scene="small.blend",
    placements=[on_floor(1, 2)],
    cameras=[plugin_table("framed", candidates=16)],
    target="bbox_area_gmm",
    render={**ONE_SAMPLE, "max_attempts": 2},
    size=(64, 48),
)


def coco(boxes=((20, 20, 30, 30), (30, 30, 35, 35), (10, 40, 40, 40)), name="chair"):
    return {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 100} for i in range(len(boxes))],
        "annotations": [
            {"id": 10 + i, "image_id": i, "category_id": 1, "bbox": list(b), "area": 9.0, "iscrowd": 0}
            for i, b in enumerate(boxes)
        ],
        "categories": [{"id": 1, "name": name}],
    }


@pytest.fixture
def place(rooms, tmp_path, monkeypatch):
    """A folder with a recipe, real annotations and rooms, which is the current one."""
    for room in rooms.glob("*.blend"):
        shutil.copy2(room, tmp_path)
    (tmp_path / "real.json").write_text(json.dumps(coco()))
    (tmp_path / "r.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def render(*more):
    return CliRunner().invoke(app, ["render", "r.toml", "-o", "out", *more])


def assert_refused(done, *parts):
    """Exit code 2, all parts in a few whole sentences on standard error, no traceback, nothing on standard output."""
    assert done.exit_code == 2, (done.exit_code, done.output, done.exception)
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert "Traceback" not in done.output and done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    text = " ".join(lines)
    missing = [part for part in parts if part not in text]
    assert not missing, (missing, text)
    assert len(lines) <= 3 and text.rstrip().endswith((".", "?")), text


def assert_nothing_written():
    out = Path("out")
    left = sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()) if out.exists() else []
    assert set(left) <= {"recipe.toml"}, left


def test_a_good_recipe_is_rendered(place):
    done = render()
    assert done.exit_code == 0, done.output
    assert "2 images with" in done.stdout and Path("out/annotations/instances.json").is_file()


NAN = "NaN"
REAL = {
    "missing": (None, ("real.json", "does not exist", "[real] annotations (line 3)", "Correct the path")),
    "broken": ('{"images": [1, ', ("real.json", "not valid JSON", "line 1, column", "Correct it there")),
    "no coco": ("[]", ("real.json", "not a COCO file")),
    "binary": (b"\xff\xfe\x00\x01", ("real.json", "not UTF-8")),
    "empty": ("", ("real.json", "not valid JSON")),
    "no class": (coco(name="sofa"), ("real.json", "no class 'chair'", "sofa (3)")),
    "no boxes": (coco(boxes=()), ("real.json", "no box of it")),
    "NaN box": (coco(boxes=[[float("nan"), 2, 3, 4]]), ("real.json", "annotation 10", "box", "correct or remove it")),
    "negative size": (coco(boxes=[[10, 10, -5, 5]]), ("real.json", "annotation 10", "box", "correct or remove it")),
    "no size": (coco(boxes=[[10, 10, 0, 5]]), ("real.json", "annotation 10", "box", "correct or remove it")),
    "outside": (
        coco(boxes=[[90, 90, 50, 50]]),
        ("real.json", "annotation 10", "beyond its image", "correct it, remove it"),
    ),
    "text box": (coco(boxes=["abcd"]), ("real.json", "annotation 10", "needs a 'bbox' of four numbers")),
    "short box": (coco(boxes=[[1, 2, 3]]), ("real.json", "annotation 10", "needs a 'bbox' of four numbers")),
}


@pytest.mark.parametrize("case", REAL)
def test_real_annotations_that_cannot_be_used(place, case):
    content, parts = REAL[case]
    path = Path("real.json")
    if content is None:
        path.unlink()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    assert_refused(render(), *parts)
    assert not Path("out").exists()


RECIPES = {
    "missing": (None, None, ("r.toml", "there is no such file", "Check the path")),
    "no TOML": ("images = 2", "images = = 2", ("r.toml", "line 1")),
    "unknown key": ("samples = 1", "sampels = 1", ("[render] sampels", "line 19", "samples")),
    "unknown table": ("[render]", "[rendering]", ("rendering", "render")),
    "unknown plugin": ('plugin = "framed"', 'plugin = "frmed"', ("frmed", "framed")),
    "wrong type": ("images = 2", 'images = "two"', ("images", "line 1", "two")),
    "out of bounds": ("samples = 1", "samples = 0", ("[render] samples", "line 19", "0")),
    "NaN": ("candidates = 16", "clearance = nan", ("clearance", "framed", "nan")),
    "range backwards": ("candidates = 16", "lens = [50.0, 24.0]", ("lens", "framed", "50")),
    "no class name": ('name = "chair"', 'name = ""', ("[[class]]", "name")),
    "room missing": ("small.blend", "smal.blend", ("smal.blend", "does not exist", "[scene] file")),
    "room a folder": ('file = "small.blend"', 'file = "."', ("[scene] file", "folder")),
}


@pytest.mark.parametrize("case", RECIPES)
def test_recipes_with_a_mistake(place, case):
    old, new, parts = RECIPES[case]
    if old is None:
        Path("r.toml").unlink()
    else:
        assert old in RECIPE
        Path("r.toml").write_text(RECIPE.replace(old, new))
    assert_refused(render(), *parts)
    assert not Path("out").exists()


def test_all_mistakes_are_told_at_once(place):
    text = RECIPE.replace("samples = 1", "samples = 0").replace("width = 64", "width = 3").replace("framed", "frmed")
    Path("r.toml").write_text(text)
    done = render()
    assert done.exit_code == 2
    assert all(part in done.stderr for part in ("samples", "width", "frmed"))


SCENES = {
    "broken file": (
        'file = "small.blend"',
        'file = "broken.blend"',
        ("broken.blend", "cannot be opened", "(Missing DNA block)", "save it again"),
    ),
    "no such scene": ("[[class]]", 'scene = "Lobby"\n[[class]]', ("Lobby", "Scene")),
    "nothing to hide": ("[[class]]", 'hide = ["Lamp*"]\n[[class]]', ("Lamp*", "Screen")),
    "no such collection": ('collection = "Chairs"', 'collection = "Chair"', ("Chair", "Chairs", "lass 'chair'")),
    "empty collection": ('collection = "Chairs"', 'collection = "Nothing"', ("Nothing", "no object with a mesh")),
    "no such object": ('collection = "Chairs"', 'objects = ["Sofa*"]', ("Sofa*", "stool")),
    "a flat model": ('collection = "Chairs"', 'objects = ["Screen"]\nheight = [0.0, 0.0]', ("height",)),
    "no such surface": ('surfaces = ["Floor"]', 'surfaces = ["Roof"]', ("Roof", "Floor")),
    "no such mask": ('surfaces = ["Floor"]', 'surfaces = ["Floor"]\nmask = "zone"', ("zone", "Floor")),
    "no area": ('surfaces = ["Floor"]', 'surfaces = ["Line"]', ("Line", "no area")),
    "too steep": ('surfaces = ["Floor"]', 'surfaces = ["Ramp"]', ("Ramp", "max_slope")),
    "model is no model": (
        'collection = "Chairs"',
        'models = ["real.json"]',
        ("real.json", "cannot be imported", ".glb"),
    ),
    "broken model": (
        'collection = "Chairs"',
        'models = ["broken.glb"]',
        ("broken.glb", "cannot be imported", "Export it again"),
    ),
    "empty model": ('collection = "Chairs"', 'models = ["empty.obj"]', ("empty.obj",)),
}


@pytest.fixture(scope="module")
def odd_room(rooms, tmp_path_factory):
    """The small room with an empty collection, a surface without area, and one that nothing can stand on."""
    import bpy

    bpy.ops.wm.open_mainfile(filepath=str(rooms / "small.blend"))
    scene = bpy.context.scene
    scene.collection.children.link(bpy.data.collections.new("Nothing"))
    for name, corners in (
        ("Line", [(0, 0, 1), (1, 0, 1), (2, 0, 1)]),
        ("Ramp", [(0, 0, 0.1), (1, 0, 0.1), (1, 0.1, 2.0), (0, 0.1, 2.0)]),
    ):
        mesh = bpy.data.meshes.new(name)
        mesh.from_pydata(corners, [], [tuple(range(len(corners)))])
        scene.collection.objects.link(bpy.data.objects.new(name, mesh))
    path = tmp_path_factory.mktemp("odd") / "small.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return path


@pytest.mark.parametrize("case", SCENES)
def test_scenes_that_cannot_be_used(place, odd_room, case):
    old, new, parts = SCENES[case]
    assert old in RECIPE
    shutil.copy2(odd_room, "small.blend")
    Path("broken.blend").write_bytes(b"BLENDER-v405" + bytes(200))
    Path("broken.glb").write_bytes(b"glTF" + bytes(50))
    Path("empty.obj").write_text("# nothing\n")
    Path("r.toml").write_text(RECIPE.replace(old, new, 1))
    assert_refused(render(), *parts)
    assert_nothing_written()


def test_real_boxes_that_the_scene_cannot_show_are_named_with_the_span_in_reach(place):
    """All real boxes fill nine tenths of their image; the camera keeps 90 cm away and has a wide lens."""
    Path("real.json").write_text(json.dumps(coco(boxes=[(2, 2, 95, 95), (1, 1, 96, 96), (3, 3, 94, 95)])))
    Path("r.toml").write_text(
        RECIPE.replace("candidates = 16", "candidates = 16\nclearance = 0.9\nlens = [18.0, 20.0]")
    )
    done = render()
    assert_refused(done, "'chair'", "89.30% to 92.16%", "the scene can show", "lens")
    shown = done.stderr.split("the scene can show ")[1].split(" ")
    low, high = float(shown[0].rstrip("%")), float(shown[2].rstrip("%;,."))
    assert 0.1 < low < high < 60
    assert_nothing_written()


def test_a_camera_that_sees_nothing(place):
    Path("r.toml").write_text(RECIPE.replace("candidates = 16", "height = [2.3, 2.4]\npitch = [0.0, 1.0]"))
    assert_refused(render(), "No camera position frames a chair", "'height', 'pitch' and 'lens'")
    assert_nothing_written()


def test_things_that_fit_nowhere(place):
    """Chairs of 6 m in a room of 5 m."""
    Path("r.toml").write_text(RECIPE.replace('collection = "Chairs"', 'collection = "Chairs"\nheight = [6.0, 6.0]'))
    assert_refused(render(), "chair", "find no room")
    assert_nothing_written()


def test_frames_that_never_succeed_end_with_the_reason(place):
    text = RECIPE[: RECIPE.index("[[camera]]")] + '[[camera]]\nplugin = "keep"\n'
    Path("r.toml").write_text(text + RECIPE[RECIPE.index("[render]") :])
    done = render()
    assert done.exit_code == 2 and "Traceback" not in done.output
    assert "None of the first 2 frames could be made" in done.stderr
    assert "the scene has no perspective camera of its own (2)" in done.stderr
    assert not Path("out/annotations/instances.json").exists() and not list(Path("out/images").iterdir())


def test_an_output_folder_that_is_a_file(place):
    Path("out").write_text("mine")
    assert_refused(render(), "out", "Remove that file or choose another output folder")
    assert Path("out").read_text() == "mine"


def test_an_output_folder_of_another_recipe(place):
    assert render("--images", "1").exit_code == 0
    before = {p: p.read_bytes() for p in Path("out").rglob("*") if p.is_file()}
    assert_refused(render("--seed", "9"), "out", "another recipe, seed or version", "Choose another output folder")
    assert {p: p.read_bytes() for p in Path("out").rglob("*") if p.is_file()} == before


def test_json_output_says_the_same_sentence(place):
    Path("real.json").unlink()
    done = render("--json")
    assert done.exit_code == 2
    (error,) = json.loads(done.stdout)["error"]
    assert "does not exist" in error and error in done.stderr


def test_the_real_command_says_it_too(place):
    """In a process of its own: Blender's own chatter is not on either stream, the exit code reaches the shell."""
    Path("broken.blend").write_bytes(b"BLENDER-v405" + bytes(200))
    Path("r.toml").write_text(RECIPE.replace("small.blend", "broken.blend"))
    args = [sys.executable, "-m", "twinset.headless", "render", "r.toml", "-o", "out"]
    done = subprocess.run(args, capture_output=True, text=True, timeout=600)
    assert done.returncode == 2 and done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert "broken.blend cannot be opened by Blender" in lines[-1] and "Traceback" not in done.stderr


def test_what_blender_prints_is_kept_off_the_results():
    """Its sound thread speaks whenever it likes, past Python."""
    code = (
        "import os\nfrom twinset.headless.console.output import Output, reserve_stdout\n"
        "Output(json=True).json_line({'n': 1})\nreserve_stdout()\n"
        "os.write(1, b'Unable to initialise audio\\n')\nOutput(json=True).json_line({'n': 2})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert [json.loads(line)["n"] for line in done.stdout.splitlines()] == [1, 2]
    assert "Unable to initialise audio" in done.stderr and done.returncode == 0
