# SPDX-License-Identifier: GPL-3.0-or-later
"""First recipes: what names and sizes of a scene's things tell, and that what is written renders as it is."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from twinset.engine.recipe.reading import load_recipe
from twinset.engine.scene.usual_sizes import (
    detached_parts,
    estimate_scale,
    name_similarity,
    name_words,
)
from twinset.headless.cli import app
from twinset.headless.commands.generate.init import Findings, recipe_text
from twinset.headless.commands.generate.name_matching import (
    base_name,
    find_class_source,
    guess_surfaces,
    literal_pattern,
)
from twinset.headless.commands.generate.surface_choice import SurfaceChoice
from typer.testing import CliRunner, Result

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(app, [str(a) for a in args])


def coco(path: Path, names: list[str]) -> Path:
    """A COCO file with two images that show one box of each of these classes."""
    boxes = [(i, c, [1.0, 2.0, 10.0 + 8 * i, 12.0 + 5 * c]) for i in range(2) for c in range(len(names))]
    data = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 100} for i in range(2)],
        "annotations": [
            {"id": n, "image_id": i, "category_id": c, "bbox": b, "area": b[2] * b[3], "iscrowd": 0}
            for n, (i, c, b) in enumerate(boxes)
        ],
        "categories": [{"id": c, "name": name} for c, name in enumerate(names)],
    }
    path.write_text(json.dumps(data))
    return path


def test_words_and_likeness() -> None:
    assert name_words("OfficeChairs_02.001") == ["office", "chair"]
    assert name_words("glass") == ["glass"] and name_words("TVStand") == ["tv", "stand"]
    assert name_similarity("chair", "OfficeChair.003") >= 0.6 and name_similarity("dining table", "Table") >= 0.6
    assert name_similarity("backpack", "Back Pack") >= 0.6 and name_similarity("couch", "Sofa_L") >= 0.6
    assert name_similarity("chair", "Armchair") >= 0.6
    assert name_similarity("chair", "Chair") > name_similarity("chair", "chair cushion")
    for name in ("Armoire", "hair", "Table", "", "001"):
        assert name_similarity("chair", name) < 0.6


def test_sources_prefer_collections_and_gather_objects() -> None:
    objects = ["Chair", "Chair.001", "Lounge chair", "Lamp"]
    source = find_class_source("chair", {"Chairs": 3, "Room": 9}, objects)
    assert source is not None and source.toml == ('collection = "Chairs"',)
    source = find_class_source("chair", {"Chairs": 0}, objects)
    assert source is not None and source.toml == ('objects = ["Chair*", "Lounge chair*"]',)
    assert find_class_source("piano", {"Chairs": 3}, objects) is None
    assert base_name("Chair.001") == "Chair" and literal_pattern("Cup [old]") == "Cup [[]old]"
    beds = ["Bed", "Bed.001", "BedPillow", "BedMattress"]
    source = find_class_source("bed", {}, beds)
    assert source is not None and source.objects == ("Bed", "Bed.001")
    assert source.toml == ('objects = ["Bed", "Bed.001"]',)


def test_surfaces_by_name_else_the_largest() -> None:
    named = [("Wall", 50.0, 0, 3), ("Floor", 40.0, 0, 0), ("FloorTrim", 2.0, 0, 0), ("Desk.001", 1.2, 0.7, 0.7)]
    assert guess_surfaces(named, set()) == ["Floor", "Desk.001"]
    assert guess_surfaces(named, {"Desk.001"}) == ["Floor"]
    assert guess_surfaces([("Plane.003", 30.0, 0, 0), ("Cube", 2.0, 0, 0)], set()) == ["Plane.003"]
    assert guess_surfaces([], set()) == []


def test_pieces_of_a_thing_touch_it_and_have_its_name() -> None:
    def at(x: float, size: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        return np.array([x, 0.0, 0.0]), np.array([x + size, 1.0, 1.0])

    boxes = {"Bed": at(0), "BedCover": at(0.2), "BedPost.001": at(1.1), "Bed.001": at(0.5), "BedRoom": at(9)}
    boxes |= {"Bedding": at(0), "BedLamp": at(0), "Cover": at(0), "BedTable": at(0)}
    assert detached_parts("Bed", boxes, ["lamp"]) == ["BedCover", "BedPost.001"]
    assert detached_parts("Cover", boxes) == [] and detached_parts("none", boxes) == []


def test_proportions_are_those_of_known_kinds() -> None:
    def high(height: float) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros(3), np.array([0.5, 0.5, height])

    real = {"Chair": high(0.9), "Chair.001": high(1.0), "Table": high(0.75), "Blob": high(70.0)}
    assert estimate_scale(real) is None and estimate_scale({"Blob": high(70.0)}) is None
    assert estimate_scale({"Chair": high(1.4), "Table": high(0.5)}) is None
    large = estimate_scale({name: (low, high * 4) for name, (low, high) in real.items()})
    assert large is not None and large.scale == pytest.approx(0.25, rel=0.06)
    small = estimate_scale({name: (low, high / 100) for name, (low, high) in real.items()})
    assert small is not None and small.scale == pytest.approx(100, rel=0.06)
    # One odd thing does not decide.
    assert estimate_scale({**real, "Vase": high(40.0)}) is None
    told = estimate_scale({"Bench": high(4.0)})
    assert told is not None and told.description == "benches here are 4 m high, usually 0.45 to 0.9 m"
    laptop = estimate_scale({"Laptop": (np.zeros(3), np.array([3.5, 2.0, 0.1]))})
    assert laptop is not None and laptop.scale == 0.1 and "3.5 m long" in laptop.description


def test_init_writes_a_recipe_that_renders(run: Run, data: Path, tmp_path: Path) -> None:
    pytest.importorskip("bpy")
    blend = data / "blend" / "megatank58_room.blend"
    names = coco(tmp_path / "real.json", ["bed", "pillow", "chair", "dragon"])
    done = run("init", blend, names, "-o", "r.toml", "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout.splitlines()[-1])
    # A bed would be moved off its own mattress.
    assert result["classes"] == ["pillow"] and {"Floor", "BedMattress"} <= set(result["surfaces"])
    scale, bed, rest = result["todo"]
    assert "scale = 0.4: beds here are 2.36 m high, usually" in scale and result["scale"] == 0.4
    assert "'bed' (2 real boxes) consists of detached parts (Bed, BedBall" in bed and rest.endswith(": chair, dragon.")
    assert "The scene is scaled by 0.4: beds here" in done.stderr
    loaded = load_recipe("r.toml")
    assert loaded.path(loaded.scene.file) == blend.resolve() and loaded.scene.scale == 0.4
    assert [c.name for c in loaded.classes] == loaded.plugins["target"][0].plugin.classes == ["pillow"]
    text = Path("r.toml").read_text()
    # Sizes are told where they are known.
    blocks = text.split("# [[class]]")[1:]
    assert {b.split('"')[1]: "# height =" in b for b in blocks} == {"bed": True, "chair": True, "dragon": False}
    assert "twinset schema --markdown" in text and "docs/" not in text
    again = run("init", blend, names, "-o", "r.toml")
    assert again.exit_code == 2 and "--force" in again.stderr
    done = run("render", "r.toml", "-o", "out", "--images", "1", "--samples", "1")
    assert done.exit_code == 0, done.output


def test_init_says_what_is_missing(run: Run, data: Path, tmp_path: Path) -> None:
    pytest.importorskip("bpy")
    blend = data / "blend" / "megatank58_room.blend"
    other = coco(tmp_path / "other.json", ["zebra"])
    result = json.loads(run("init", blend, other, "-o", "z.toml", "--json").stdout.splitlines()[-1])
    assert len(result["todo"]) == 2 and "Class 'zebra' has no source" in result["todo"][0]
    assert "TODO" in Path("z.toml").read_text() and tomllib.loads(Path("z.toml").read_text())


def test_nothing_stands_on_what_belongs_to_an_asset(run: Run, tmp_path: Path) -> None:
    bpy = pytest.importorskip("bpy")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.mesh.primitive_plane_add(size=8)
    bpy.context.object.name = "Floor"
    shown = bpy.data.collections.new("Tables")
    bpy.context.scene.collection.children.link(shown)
    for name, size, parent in (("Table", 0.74, None), ("Desk top", 0.5, "Table"), ("Shelf", 1.0, None)):
        bpy.ops.mesh.primitive_cube_add(size=size, location=(2.0 * (name == "Shelf"), 0, size / 2))
        o = bpy.context.object
        o.name = name
        if name != "Shelf":
            shown.objects.link(o)
        if parent:
            o.parent = bpy.data.objects[parent]
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"), check_existing=False)
    real = coco(tmp_path / "real.json", ["table"])
    result = json.loads(run("init", "a.blend", real, "-o", "r.toml", "--json").stdout.splitlines()[-1])
    assert result["classes"] == ["table"] and result["surfaces"] == ["Floor", "Shelf"]
    assert result["scale"] == 1.0 and result["todo"] == []


def test_names_of_things_cannot_add_lines_to_a_recipe() -> None:
    name = "Chair\nplugin_folders = ['x']\x7f"
    scene = {"size": [4.0, 5.0, 2.6], "only_glows": False, "lights": [name], "levels": [], "cameras": [name]}
    source = find_class_source("chair", {}, [name]) or find_class_source("chair", {name: 1}, [])
    choice = SurfaceChoice((name,), None, (name,), (name,), True)
    findings = Findings(scene, {"chair": 3, name: 2}, {} if source is None else {"chair": source}, {}, choice, None)
    read = tomllib.loads(recipe_text(findings, "room.blend", "real.json"))
    assert "plugin_folders" not in read
    assert read["placement"][0]["surfaces"] == [name]
