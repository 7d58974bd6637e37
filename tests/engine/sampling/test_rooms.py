# SPDX-License-Identifier: GPL-3.0-or-later
"""Several rooms in one recipe: read, refused, written back; the same frames in any order."""

from __future__ import annotations

import itertools
import json
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import attrs
import jsonschema
import numpy as np
import pytest
from pycocotools.coco import COCO
from twinset.dataset.analysis.augment import augment
from twinset.dataset.jobs.job import Job, open_job
from twinset.dataset.readers.yolo import read_yolo
from twinset.dataset.store.frames import FrameStore
from twinset.dataset.store.inputs import named_files
from twinset.engine.block import Block
from twinset.engine.errors import DataError, RecipeError, StageError
from twinset.engine.events import Event, FrameDone, Started, Stepped
from twinset.engine.recipe.reading import dump_recipe, json_schema, loads_recipe
from twinset.engine.recipe.settings import Recipe
from twinset.engine.recipe.variants import rooms_of, variants_of
from twinset.engine.sampling.rooms import Rooms, RoomSampler, sampler_of
from twinset.engine.sampling.sampler import Sampler
from twinset.engine.stage import Stage
from twinset.headless.cli import app
from twinset.testing.fixtures.scene import scene
from typer.testing import CliRunner

ROOMS = """
seed = 3
images = 24
[render]
block_size = 4
samples = 1
denoise = false
max_attempts = 40
[output]
width = 80
height = 60
yolo = true
masks = true
[[room]]
name = "hall"
builtin = "hall"
weight = 2
[[room]]
builtin = "hall"
hide = ["Boxes*"]
placement.on_surface.surfaces = ["Dais"]
[[class]]
name = "chair"
builtin = "chair"
[[class]]
name = "bag"
builtin = "bag"
[[distractor]]
builtin = "table"
[[placement]]
plugin = "on_surface"
surfaces = ["Floor"]
classes = ["chair", "bag"]
distractors = true
cluster_radius = 1.5
[[camera]]
plugin = "orbit"
distance = [1.5, 3.0]
"""
SPLIT = "[split]\nval = 0.2\ntest = 0.2\n"


def read(text: str = ROOMS, folder: Path = Path()) -> Recipe:
    return loads_recipe(text, folder, "recipe.toml")


def test_rooms_are_read_and_written_back(tmp_path: Path) -> None:
    (tmp_path / "floor.glb").touch()
    text = ROOMS.replace('["Dais"]\n', '["Dais"]\n[[room.models]]\npath = "floor.glb"\nlocation = [0.5, 0.0, 0.0]\n')
    recipe = read(text, tmp_path)
    first, second = rooms_of(recipe)
    assert [r.scene.builtin for r in (first, second)] == ["hall", "hall"] and second.scene.hide == ["Boxes*"]
    assert [m.path for m in second.models] == ["floor.glb"] and first.models == ()
    assert [r.plugins["placement"][0].plugin.surfaces for r in (first, second)] == [["Floor"], ["Dais"]]
    assert loads_recipe(dump_recipe(recipe), tmp_path, "again") == recipe
    moved = loads_recipe(dump_recipe(recipe, anchor=True), Path("/elsewhere"), "again")
    assert [p for _, p in named_files(moved)] == [p for _, p in named_files(recipe)] == [tmp_path / "floor.glb"]
    jsonschema.validate(tomllib.loads(text), json_schema())
    for wrong in (text + '[scene]\nbuiltin = "hall"\n', ROOMS.replace("[[room]]", "[[roam]]")):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(tomllib.loads(wrong), json_schema())


@pytest.mark.parametrize(
    ("old", "new", "place", "sentence"),
    [
        ("[[class]]", "[scene]\nbuiltin = 'hall'\n[[class]]", "[scene] (line 22)", "has one [scene] or several"),
        ('"hall"\nhide', '""\nhide', "[[room]] (line 18)", "[[room.models]] tables, or"),
        ("weight = 2", "weight = 0", "[[room]] weight (line 17)", "must be a float in (0, inf)"),
        ("weight = 2", "wait = 2", "[[room]] wait (line 17)", "has no parameter 'wait'. Did you mean 'weight'?"),
        ("hide =", "name = 'hall'\nhide =", "[[room]] name (line 20)", "There is already a room 'hall'."),
        ("on_surface.surfaces", "shelf.surfaces", "surfaces (line 21)", "The recipe has no placement 'shelf'."),
        ("placement.on", "metric.on", "[[room]] metric (line 21)", "Rooms cannot change the kind 'metric'."),
        ("[[class]]", "[[variant]]\nplacement.2.count = [1, 1]\n[[class]]", "[[variant.placement.2]]", "'2'"),
        (
            'placement.on_surface.surfaces = ["Dais"]\n',
            "placement.on_surface.enabled = false\n[[variant]]\nplacement.on_surface.count = [1, 1]\n",
            "[[room]] (line 18)",
            "A variant is not possible in this room: The recipe has no placement 'on_surface'.",
        ),
    ],
)
def test_bad_rooms_are_refused(old: str, new: str, place: str, sentence: str) -> None:
    with pytest.raises(RecipeError) as error:
        read(ROOMS.replace(old, new, 1))
    (problem,) = error.value.problems
    assert place in problem and sentence in problem, problem


def tiny(recipe: Recipe) -> Stage:
    """A room of known truth whose name says which it is."""
    stage = scene((recipe.output.width, recipe.output.height))
    stage.info_of = recipe.scene.hide  # type: ignore[attr-defined]
    return stage


def rooms_of_tiny(recipe: Recipe, opened: list[Recipe]) -> Rooms:
    def open_room(one: Recipe) -> Stage:
        opened.append(one)
        return tiny(one)

    return Rooms(recipe, open_room)


TINY = ROOMS.replace("Dais", "Table").replace('builtin = "table"', 'builtin = "bag"')


def test_a_block_is_in_one_room_and_the_same_in_any_order() -> None:
    recipe = read(TINY + "[[variant]]\n[[variant]]\nname = 'far'\ncamera.orbit.distance = [2.5, 3.0]\n")
    opened: list[Recipe] = []
    sampler = sampler_of(recipe, rooms_of_tiny(recipe, opened), {})  # type: ignore[arg-type]
    assert isinstance(sampler, RoomSampler) and not opened
    frames = [sampler.frame(i, Block(), render=False) for i in range(24)]
    rooms = [frames[i].room for i in range(0, 24, 4)]
    assert [f.room for f in frames] == [r for r in rooms for _ in range(4)]
    assert Counter(rooms) == {"hall": 4, "2": 2}
    assert len(opened) == 1 + sum(a != b for a, b in itertools.pairwise(rooms))
    # Each room's frames are those of a sampler of that room alone, in its numbering.
    on_table = [i.matrix[2, 3] > 0.7 for f in frames if f.room == "2" and f.shot for i in f.shot.instances]
    assert on_table and all(on_table)
    assert Counter(f.variant for f in frames if f.room == "2") == {"1": 4, "far": 4}
    again = sampler_of(recipe, rooms_of_tiny(recipe, []), {})  # type: ignore[arg-type]
    for i in (20, 3, 9):
        assert again.frame(i, Block(), render=False).rows == frames[i].rows


def test_a_room_that_will_not_open_is_named() -> None:
    def refuse(one: Recipe) -> Stage:
        raise StageError("It is locked.")

    with pytest.raises(StageError, match=r"^Room '2': It is locked\.$"):
        Rooms(read(), refuse).enter(1)


def test_variants_and_files_are_those_of_all_rooms() -> None:
    recipe = read(ROOMS + "[[variant]]\n[[variant]]\n")
    assert len(variants_of(recipe)) == 4 and not any(r.rooms or r.variants for r in variants_of(recipe))
    plain = read(ROOMS.replace("[[room]]\nname", "[[room]]\nhide = ['X']\nname"))
    assert [r.scene.hide for r in rooms_of(plain)] == [["X"], ["Boxes*"]]
    assert rooms_of(rooms_of(plain)[0]) == (rooms_of(plain)[0],)


def test_one_room_of_several_is_a_recipe_like_any_other() -> None:
    """The only frames of a recipe with one room are those of the same recipe with a scene."""
    text = TINY[: TINY.index("[[room]]\nbuiltin")] + TINY[TINY.index("[[class]]") :]
    one = read(text)
    plain = read(text.replace('[[room]]\nname = "hall"', "[scene]").replace("weight = 2\n", ""))
    inside, bare = sampler_of(one, rooms_of_tiny(one, []), {}), Sampler(plain, tiny(plain), {})  # type: ignore[arg-type]
    for i in range(6):
        assert inside.frame(i, Block(), render=False).rows == bare.frame(i, Block(), render=False).rows


def test_what_cannot_keep_to_rooms_or_parts_says_so(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(ROOMS)
    command = ["tune", str(tmp_path / "r.toml"), "--column", "depth", "--vary", "a=1:2", "-o", str(tmp_path / "t.toml")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2 and "has several rooms. Tune a recipe with one of them as its [scene]." in done.output
    for text, what in ((ROOMS, "several rooms"), (TINY[: TINY.index("[[room]]")] + SPLIT, "parts of [split]")):
        whole = text if "[[class]]" in text else text + "[scene]\nbuiltin = 'hall'\n" + TINY[TINY.index("[[class]]") :]
        with pytest.raises(DataError, match=re.escape(what)):
            augment(FrameStore(tmp_path), [], 1, read(whole), tmp_path / "frames.json")


# With Blender


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    """A dataset of two rooms and three parts."""
    pytest.importorskip("bpy")
    from twinset.blender.stage import open_stage

    out = tmp_path_factory.mktemp("rooms") / "out"
    return out, list(Job(read(ROOMS + SPLIT), out, open_stage).run())


def records(out: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted((out / "frames").glob("*.json"))]


def test_rooms_are_entered_once_each_by_one_process(dataset: tuple[Path, list[Event]]) -> None:
    out, events = dataset
    steps = [e.message for e in events if isinstance(e, Stepped) and e.message.startswith("Opening")]
    assert sorted(steps) == ["Opening room '2'", "Opening room 'hall'"]
    assert not next(e for e in events if isinstance(e, Started)).notes
    done = [e.frame for e in events if isinstance(e, FrameDone)]
    assert sorted(done) == list(range(24))
    rooms = {r["frame"]: r["draws"]["room"] for r in records(out)}
    assert Counter(rooms.values()) == {"hall": 16, "2": 8}
    facts = json.loads((out / "stage.json").read_bytes())
    assert set(facts["rooms"]) == {"hall", "2"} and facts["rooms"]["2"]["stage"]["assets"]["chair"]


def test_no_shape_is_in_two_parts(dataset: tuple[Path, list[Event]]) -> None:
    out, _ = dataset
    seen: dict[str, set[str]] = {}
    for record in records(out):
        for one in (*record["instances"], *record.get("bystanders", ())):
            seen.setdefault(one["shape"], set()).add(record["draws"]["part"])
    assert len(seen) > 12 and all(len(parts) == 1 for parts in seen.values())
    facts = json.loads((out / "stage.json").read_bytes())
    listed = {name: part for part, names in facts["parts"].items() for name in names}
    assert {name: {part} for name, part in listed.items()}.items() >= seen.items()
    assert facts["rooms"]["hall"]["parts"] == facts["rooms"]["2"]["parts"]


def test_each_part_has_annotations_of_its_own(dataset: tuple[Path, list[Event]]) -> None:
    out, _ = dataset
    whole = COCO(str(out / "annotations" / "instances.json"))
    parts = {p: COCO(str(out / "annotations" / f"instances_{p}.json")) for p in ("train", "val", "test")}
    for part, coco in parts.items():
        assert (
            coco.dataset["categories"] == whole.dataset["categories"] and coco.dataset["info"] == whole.dataset["info"]
        )
        assert {image["twinset"]["part"] for image in coco.dataset["images"]} == {part}
        assert all(a["image_id"] in coco.imgs for a in coco.dataset["annotations"])
        assert all(coco.annToMask(a).sum() == a["area"] for a in coco.dataset["annotations"])
    for key in ("images", "annotations"):
        union = sorted((e for coco in parts.values() for e in coco.dataset[key]), key=lambda e: e["id"])
        assert union == whole.dataset[key]
    shapes = {p: {a["twinset"]["shape"] for a in coco.dataset["annotations"]} for p, coco in parts.items()}
    assert not any(shapes[a] & shapes[b] for a, b in itertools.combinations(shapes, 2))
    shares = [len(parts[p].imgs) / len(whole.imgs) for p in ("train", "val", "test")]
    assert np.abs(np.array(shares) - (0.6, 0.2, 0.2)).max() < 0.1
    assert json.loads((out / "summary.json").read_bytes())["parts"] == {p: len(c.imgs) for p, c in parts.items()}


def test_trainers_of_yolo_find_the_parts(dataset: tuple[Path, list[Event]]) -> None:
    out, _ = dataset
    yaml = (out / "data.yaml").read_text()
    assert "train: train.txt\nval: val.txt\ntest: test.txt\n" in yaml
    listed = {p: [out / line for line in (out / f"{p}.txt").read_text().splitlines()] for p in ("train", "val", "test")}
    assert sorted(f for files in listed.values() for f in files) == sorted((out / "images").glob("*.jpg"))
    for part, files in listed.items():
        coco = COCO(str(out / "annotations" / f"instances_{part}.json"))
        assert [f.name for f in files] == [image["file_name"] for image in coco.dataset["images"]]
    assert len(read_yolo(out).images) == 24


def test_what_is_missing_comes_again_to_the_byte(dataset: tuple[Path, list[Event]], tmp_path: Path) -> None:
    import shutil

    from twinset.blender.stage import open_stage

    out, _ = dataset
    again = tmp_path / "again"
    shutil.copytree(out, again)
    rooms = {r["frame"]: r["draws"]["room"] for r in records(out)}
    lost = [
        next(f for f, room in rooms.items() if room == name and f % 4 == k) for name in ("hall", "2") for k in (1, 3)
    ]
    for frame in lost:
        for kind, ending in (("frames", "json"), ("images", "jpg"), ("masks", "png")):
            (again / kind / f"{frame:06d}.{ending}").unlink()
    list(open_job(again, open_stage).run())
    for path in sorted(p for p in out.rglob("*") if p.is_file() and p.name != "contact_sheet.jpg"):
        assert (again / path.relative_to(out)).read_bytes() == path.read_bytes(), path
    # A replay goes into the room of its frame, whichever was open before.
    job = open_job(again, open_stage)
    assert [job.verify(f) for f in lost[1:3]] == ["", ""]


def test_a_room_without_frames_is_told(tmp_path: Path) -> None:
    pytest.importorskip("bpy")
    from twinset.blender.stage import open_stage

    recipe = attrs.evolve(read(), images=2)
    events = list(Job(recipe, tmp_path / "out", open_stage).run())
    (note,) = next(e for e in events if isinstance(e, Started)).notes
    assert note.endswith("2 frames are 1 blocks of 4. Lower 'block' in [render].")
