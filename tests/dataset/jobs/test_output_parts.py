# SPDX-License-Identifier: GPL-3.0-or-later
"""A label pass, an annotation source and a writer, each declared by one class, come through a whole job unaided."""

from __future__ import annotations

import contextlib
import csv
import importlib
import json
import re
import shutil
import sys
from pathlib import Path
from typing import ClassVar

import attrs
import cv2
import numpy as np
import pytest
import twinset
from recipes import on_floor, orbit, recipe_text
from twinset.dataset.formats.dataset_folder import read_dataset
from twinset.dataset.jobs.job import Job, open_job
from twinset.engine.errors import DataError, OutputError, PluginError, RecipeError
from twinset.engine.output.annotation_source import ANNOTATION_SOURCES, AnnotationSource, Entry, are_numbers
from twinset.engine.output.label_pass import LABEL_PASSES, LabelPass, RenderPass
from twinset.engine.plugin import Writer, param, plugin
from twinset.engine.plugin.registry import default
from twinset.engine.recipe.json_schema import json_schema
from twinset.engine.recipe.reading import load_recipe
from twinset.engine.recipe.reference_page import recipe_reference
from twinset.testing import scene
from twinset.testing.fixtures.render_process import file_bytes

RECIPE = recipe_text(
    seed=5,
    images=4,
    placements=[on_floor(2, 3)],
    cameras=[orbit(2.0, 3.0)],
    render={"block_size": 2},
    split={"val": 0.5},
    size=(96, 72),
)
ASKED = """
parity = "npy"
parity_modulus = 3
boxes_3d = true

[[writer]]
plugin = "lists"
header = "what"

[[writer]]
plugin = "outlines"
"""


@attrs.frozen
class Parity(LabelPass):
    """The id of each pixel's category, modulo a number; -1 where there is nothing."""

    name = "category_parity"
    key = "parity"
    doc = "Maps of parity"
    formats = ("npy", "png")
    folder = "parity"
    dtype = "int16"
    unit = "category id"
    parity_modulus: int = param(2, min=2, doc="Modulus of parity maps")

    def array(self, shot, categories):
        out = np.full(shot.labels.ids.shape, -1, np.int16)
        for instance in shot.instances:
            out[shot.mask(instance.id)] = categories[instance.asset.class_name] % self.parity_modulus
        return out

    def save(self, array, suffix, path):
        assert suffix == "npy"
        with open(path, "wb") as file:
            np.save(file, array)


class Corners(AnnotationSource):
    """The corners of an instance's bounding box as the camera sees them, in metres; its name; and a secret."""

    name = "corners"
    key = "boxes_3d"
    doc = "Corners of boxes in space"
    entries: ClassVar = {
        "bbox_3d": Entry("24 coordinates in metres: x right, y down, z forward", are_numbers(24), at="annotation"),
        "pivot": Entry("Where it stands, in metres", are_numbers(3), axes="xyz"),
        "secret": Entry("Only records say it", lambda value: isinstance(value, str), at="record"),
    }

    def annotate(self, instance, row, shot):
        axes = np.stack(np.meshgrid(*zip(*instance.asset.bounds, strict=True), indexing="ij"), -1).reshape(8, 3)
        world = axes @ instance.matrix[:3, :3].T + instance.matrix[:3, 3]
        camera = (world - shot.camera.position) @ shot.camera.matrix[:3, :3] * (1, -1, -1)
        return {"bbox_3d": camera.ravel(), "pivot": instance.matrix[:3, 3], "secret": instance.asset.name}

    def category(self, class_name):
        return {"corners": [f"{class_name} {k}" for k in range(8)]}


@plugin("writer", id="lists")
class Lists(Writer):
    """A text file per image, and one of the whole dataset."""

    image_files = (("lists", ".csv"), ("lists", ".jpg"))
    header: str = param("id", doc="First line of lists")

    def write(self, dataset, files):
        names = {c["id"]: c["name"] for c in dataset.categories}
        for image, own in dataset.by_image():
            assert own == list(dataset.annotations({image["id"]}))
            files.link(f"lists/{image['file_name']}", dataset.folder / "images" / image["file_name"])
            lines = [self.header, *(f"{a['id']} {names[a['category_id']]} {a['bbox']}" for a in own)]
            files.add(files.of_image("lists", image, ".csv"), "\n".join(lines).encode())
        with files.stream("lists.txt") as file:
            for image in dataset.images:
                matrix = dataset.record(image)["camera"]["matrix"]
                label = dataset.label_file(image, "category_parity")
                file.write(f"{image['file_name']} {label.relative_to(dataset.folder)} {matrix[3]:.6f}\n".encode())


@plugin("writer", id="outlines")
class Outlines:
    """Which instances each frame shows, by id, with the ids of their categories."""

    frame_file = ("outlines", ".json")

    def write_frame(self, shot, categories):
        ids = [i for i in shot.instances if shot.mask(i.id).any()]
        return json.dumps({i.id: categories[i.asset.class_name] for i in ids}).encode()


@pytest.fixture
def registered():
    with contextlib.ExitStack() as stack:
        for registry, cls in ((LABEL_PASSES, Parity), (ANNOTATION_SOURCES, Corners)):
            stack.enter_context(registry.registered(cls))
        for cls in (Lists, Outlines):
            stack.enter_context(default().registered(cls))
        yield


def open_stage(recipe):
    stage = scene((recipe.output.width, recipe.output.height))
    for name in ("", "bag"):
        stage._assets.pop(name)
    return stage


def run(tmp_path, out, text=RECIPE + ASKED, frames=None):
    (tmp_path / "r.toml").write_text(text)
    return list(Job(load_recipe(tmp_path / "r.toml"), tmp_path / out, open_stage).run(frames))


def test_what_one_class_declares_is_written(registered, tmp_path):
    run(tmp_path, "out")
    out = tmp_path / "out"
    coco = json.loads((out / "annotations/instances.json").read_text())
    assert len(coco["images"]) == 4 and len(coco["annotations"]) >= 4
    (category,) = coco["categories"]
    assert category["corners"][7] == "chair 7"
    record = json.loads((out / "frames/000002.json").read_text())
    parity = np.load(out / record["files"]["category_parity"]["path"])
    assert record["files"]["category_parity"]["path"] == "parity/000002.npy"
    assert parity.dtype == np.int16 and parity.shape == (72, 96)
    shown = [i for i in record["instances"] if i["area"]]
    assert record["files"]["outlines"]["path"] == "outlines/000002.json"
    outlined = json.loads((out / "outlines/000002.json").read_text())
    assert outlined == {str(i["id"]): category["id"] for i in shown}
    assert set(np.unique(parity)) == {-1, category["id"] % 3}
    assert (parity >= 0).sum() == sum(i["area"] for i in shown)
    assert all(i["secret"] in ("stool", "high stool") for i in record["instances"])

    by_frame = {image["id"]: image["twinset"]["frame"] for image in coco["images"]}
    for annotation in coco["annotations"]:
        assert not {"secret"} & {*annotation, *annotation["twinset"]}
        frame = json.loads((out / f"frames/{by_frame[annotation['image_id']]:06d}.json").read_text())
        focal = frame["camera"]["focal"]
        lens = np.array([[focal, 0, 48], [0, focal, 36], [0, 0, 1]])
        pixels = cv2.projectPoints(np.array(annotation["bbox_3d"]).reshape(8, 3), np.zeros(3), np.zeros(3), lens, None)
        low, high = pixels[0].reshape(8, 2).min(0), pixels[0].reshape(8, 2).max(0)
        x, y, w, h = annotation["twinset"]["amodal_bbox"]
        assert (low <= (x + 1, y + 1)).all() and (high >= (x + w - 1, y + h - 1)).all()
        assert annotation["twinset"]["pivot"][2] == pytest.approx(0.0, abs=1e-3)  # it stands on the floor

    lists = (out / "lists/000001.csv").read_text().splitlines()
    own = [a for a in coco["annotations"] if by_frame[a["image_id"]] == 1]
    assert lists == ["what", *(f"{a['id']} chair {a['bbox']}" for a in own)]
    for name in ("images", "lists"):
        assert (out / name / "000001.jpg").read_bytes() == (out / "images/000001.jpg").read_bytes()
    whole = [line.split() for line in (out / "lists.txt").read_text().splitlines()]
    assert [line[1] for line in whole] == [f"parity/{n:06d}.npy" for n in range(4)]
    assert float(whole[2][2]) == pytest.approx(record["camera"]["matrix"][3], abs=1e-6)


def test_table_and_readers_know_them(registered, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    run(tmp_path, "out")
    out = tmp_path / "out"
    rows = parquet.read_table(out / "annotations/metadata.parquet").to_pylist()
    coco = read_dataset(out)
    assert [[r[f"pivot_{axis}"] for axis in "xyz"] for r in rows] == [
        a["twinset"]["pivot"] for a in json.loads((out / "annotations/instances.json").read_text())["annotations"]
    ]
    assert len(rows) == len(coco.annotations) and "bbox_3d" not in rows[0]
    assert (out / "annotations/instances_val.json").is_file()


def test_resumed_merged_and_verified_as_all_else(registered, tmp_path):
    run(tmp_path, "whole")
    whole = file_bytes(tmp_path / "whole")
    run(tmp_path, "shares", frames=range(0, 2))
    run(tmp_path, "later", frames=range(2, 4))
    for folder in ("frames", "images", "parity", "outlines"):
        shutil.copytree(tmp_path / "later" / folder, tmp_path / "shares" / folder, dirs_exist_ok=True)
    job = open_job(tmp_path / "shares", open_stage)
    job.finish()
    assert file_bytes(tmp_path / "shares") == whole
    assert [state for *_, state in job.checksums()] == ["accepted"] * 4
    assert job.verify(3) == ""

    path = tmp_path / "shares/parity/000003.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert [state for *_, state in job.checksums()] == ["accepted"] * 3 + ["damaged"]
    run(tmp_path, "shares")  # only that frame is missing
    assert file_bytes(tmp_path / "shares") == whole

    (tmp_path / "shares/lists/000099.csv").write_text("of a frame that is gone")
    (tmp_path / "shares/lists/notes.csv").write_text("mine")
    job.finish()
    assert file_bytes(tmp_path / "shares") == whole | {"lists/notes.csv": b"mine"}


def test_formats_can_be_added_to_rendered_frames(registered, tmp_path):
    run(tmp_path, "out", RECIPE)
    before = file_bytes(tmp_path / "out")
    added = RECIPE + 'yolo = true\n\n[[writer]]\nplugin = "voc"\n'
    run(tmp_path, "out", added)
    after = file_bytes(tmp_path / "out")
    assert {name for name in before if after[name] != before[name]} == {"recipe.toml", "checksums.json"}
    assert {"data.yaml", "labels/000003.txt"} <= after.keys()
    assert len([name for name in after if name.startswith("voc/VOCdevkit/VOC2012/Annotations/")]) == 4
    with pytest.raises(OutputError, match="frames of another recipe"):  # its files are made with the frames
        run(tmp_path, "out", RECIPE + '\n[[writer]]\nplugin = "outlines"\n')


def test_records_of_anyone_are_checked(registered, tmp_path):
    run(tmp_path, "out")
    job = open_job(tmp_path / "out", open_stage)
    path = tmp_path / "out/frames/000001.json"
    record = json.loads(path.read_text())
    record.pop("sha256")
    record["instances"][0]["pivot"] = [1.0, 2.0]
    path.write_text(json.dumps(record))
    with pytest.raises(DataError, match=r"damaged: .*instances\[0\]\.pivot"):
        job._store.read(1)


def test_recipe_schema_and_reference_have_their_keys(registered, tmp_path):
    (tmp_path / "r.toml").write_text(RECIPE + ASKED)
    output = load_recipe(tmp_path / "r.toml").output
    assert (output.parity, output.parity_modulus, output.depth) == ("npy", 3, "none")
    uses = load_recipe(tmp_path / "r.toml").plugins["writer"]
    assert [use.id for use in uses] == ["lists", "outlines"] and uses[0].plugin.header == "what"
    properties = json_schema()["properties"]["output"]["properties"]
    assert properties["parity"]["enum"] == ["none", "npy", "png"]
    assert properties["parity_modulus"]["minimum"] == 2
    writers = json_schema()["properties"]["writer"]["items"]["oneOf"]
    assert {"coco", "yolo", "lists"} <= {each["properties"]["plugin"]["const"] for each in writers}
    assert "| `parity_modulus` | an int" in recipe_reference()
    (tmp_path / "r.toml").write_text(RECIPE + 'parity = "exr"\n[[writer]]\nplugin = "lists"\nheading = "x"\n')
    with pytest.raises(RecipeError) as error:
        load_recipe(tmp_path / "r.toml")
    assert "'none', 'npy', 'png'" in str(error.value) and "Did you mean 'header'?" in str(error.value)


def of_the_handbook(tmp_path, monkeypatch, registry, folder, name, base):
    """The class with a base that CONTRIBUTING shows, imported as a file of a folder of ``dataset``."""
    registry.all()  # lists the folder before the file is in it
    page = (Path(twinset.__file__).parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (code,) = (c for c in re.findall(r"^```python\n(.*?)^```", page, re.M | re.S) if f"({base}):" in c)
    (tmp_path / folder).mkdir()
    (tmp_path / folder / f"{name}.py").write_text(code)
    package = importlib.import_module(f"twinset.dataset.{folder}")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path / folder)])
    module = importlib.import_module(f"twinset.dataset.{folder}.{name}")
    monkeypatch.delitem(sys.modules, module.__name__)
    return getattr(module, re.search(rf"class (\w+)\({base}\)", code)[1])


def test_the_pass_of_the_handbook_shows_categories(tmp_path, monkeypatch):
    with LABEL_PASSES.registered(
        of_the_handbook(tmp_path, monkeypatch, LABEL_PASSES, "labels", "categories", "LabelPass")
    ):
        run(tmp_path, "out", RECIPE + "categories = true\nmasks = true\n")
        assert open_job(tmp_path / "out", open_stage).verify(1) == ""
    record = json.loads((tmp_path / "out/frames/000001.json").read_text())
    maps = [
        cv2.imread(str(tmp_path / "out" / record["files"][name]["path"]), cv2.IMREAD_UNCHANGED)
        for name in ("categories", "ids")
    ]
    (category,) = json.loads((tmp_path / "out/annotations/instances.json").read_text())["categories"]
    assert maps[0].dtype == np.uint16 and (maps[1] > 0).any()
    np.testing.assert_array_equal(maps[0], np.where(maps[1] > 0, category["id"], 0))


def test_the_writer_of_the_handbook_lists_all_boxes(tmp_path, monkeypatch):
    page = (Path(twinset.__file__).parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (code,) = (c for c in re.findall(r"^```python\n(.*?)^```", page, re.M | re.S) if '@plugin("writer")' in c)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "box_table.py").write_text(code)
    monkeypatch.setenv("TWINSET_PLUGINS", str(tmp_path / "own"))
    text = RECIPE.replace("[scene]", 'plugin_folders = ["own"]\n\n[scene]', 1)
    run(tmp_path, "out", text + '[[writer]]\nplugin = "box_table"\n')
    coco = json.loads((tmp_path / "out/annotations/instances.json").read_text())
    files = {image["id"]: image["file_name"] for image in coco["images"]}
    with (tmp_path / "out/boxes.csv").open(newline="") as file:
        rows = [(row["image"], row["class"], float(row["x"]), float(row["height"])) for row in csv.DictReader(file)]
    boxes = [(files[a["image_id"]], "chair", a["bbox"][0], a["bbox"][3]) for a in coco["annotations"]]
    assert rows and sorted(rows) == sorted(boxes)


def test_without_them_nothing_is_left(tmp_path):
    (tmp_path / "r.toml").write_text(RECIPE + ASKED)
    with pytest.raises(RecipeError, match="parity"):
        load_recipe(tmp_path / "r.toml")


def broken(**changes):
    """A label pass that does not keep to what it declares."""
    return attrs.frozen(type("Broken", (Parity,), {"name": "broken", "folder": "broken", "key": "broken", **changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtype": "uint8"}, r"'broken' gave int16 \(72, 96\) where it declares uint8 \(72, 96\)"),
        ({"channels": 3}, r"'broken' gave int16 \(72, 96\) where it declares int16 \(72, 96, 3\)"),
        ({"array": lambda self, shot, categories: 1 / 0}, "label pass plugin 'broken' failed with ZeroDivisionError"),
        ({"renders": (RenderPass("normal", "use_pass_normal", ()),)}, "needs the render pass 'normal'"),
    ],
)
def test_passes_are_held_to_their_declaration(tmp_path, changes, message):
    changes |= {"parity_modulus": 2}  # a plain attribute: two passes cannot have the same key
    with LABEL_PASSES.registered(broken(**changes)), pytest.raises(PluginError, match=message):
        run(tmp_path, "out", RECIPE + 'broken = "npy"\n')


def test_sources_and_writers_are_held_to_their_declaration(tmp_path):
    class Talkative(Corners):
        name, key = "talkative", "talkative"
        entries: ClassVar = {}

    @plugin("writer", id="escaping")
    class Escaping:
        """A file beyond the folder."""

        def write(self, dataset, files):
            files.add("../x.txt", b"")

    with (
        ANNOTATION_SOURCES.registered(Talkative),
        pytest.raises(PluginError, match="'talkative' gave 'bbox_3d', which is not among its 'entries'"),
    ):
        run(tmp_path, "a", RECIPE + "talkative = true\n")
    with default().registered(Escaping), pytest.raises(PluginError, match=r"'\.\./x\.txt', which is outside"):
        run(tmp_path, "b", RECIPE + '[[writer]]\nplugin = "escaping"\n')
    assert not (tmp_path / "x.txt").exists()
