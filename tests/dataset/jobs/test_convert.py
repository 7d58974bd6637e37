# SPDX-License-Identifier: GPL-3.0-or-later
"""`twinset convert`: what is written, what is said to be lost, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from twinset.dataset.analysis.measure import measure
from twinset.dataset.formats.dataset_folder import open_dataset, read_dataset
from twinset.dataset.jobs.convert import convert
from twinset.dataset.store.dataset_files import run_writer
from twinset.engine.errors import OutputError
from twinset.engine.plugin.registry import find
from twinset.headless.cli import app
from twinset.testing.fixtures.datasets import finished_dataset
from twinset.testing.fixtures.render_process import file_bytes
from typer.testing import CliRunner

PLUGIN = '''
from twinset.engine.plugin import param, plugin

@plugin("writer", contract=1)
class Names:
    """Write the names of all images."""

    end: str = param("", doc="What stands after each name")

    def write(self, dataset, files):
        files.add("names.txt", "".join(f"{i['file_name']}{self.end}\\n" for i in dataset.images).encode())
'''


def run(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture
def source(tmp_path: Path) -> Path:
    run_writer(find("writer", "coco")(), finished_dataset(tmp_path / "source", images=4, crowds=True))
    return tmp_path / "source"


def test_what_is_lost_is_said_in_a_line(source, tmp_path):
    shown = run("convert", source, "--to", "kitti", "-o", tmp_path / "out")
    assert "4 images with 6 annotations as kitti" in shown
    (line,) = (line for line in shown.splitlines() if "cannot hold" in line)
    assert line == (
        "The format kitti cannot hold: masks (6), marks of crowds (3), spaces in class names (1), metadata columns (6)."
    )
    assert "cannot hold" not in run("convert", source, "--to", "coco", "-o", tmp_path / "again")
    told = json.loads(run("convert", source, "--to", "voc", "-o", tmp_path / "voc", "--json"))
    assert told["format"] == "voc" and told["lost"] == {"overlaps of masks": 1, "metadata columns": 6}


def test_images_are_links_and_the_same_dataset_gives_the_same_bytes(source, tmp_path):
    for name in ("one", "two"):
        run("convert", source, "--to", "webdataset", "--set", "shard_images=3", "-o", tmp_path / name)
        run("convert", source, "--to", "voc", "-o", tmp_path / f"{name}_voc")
    assert file_bytes(tmp_path / "one") == file_bytes(tmp_path / "two")
    assert file_bytes(tmp_path / "one_voc") == file_bytes(tmp_path / "two_voc")
    image = tmp_path / "one_voc/VOCdevkit/VOC2012/JPEGImages/000001.png"
    assert image.samefile(source / "images/000001.png")


def test_converted_folders_are_verified(source, tmp_path):
    out = tmp_path / "out"
    run("convert", source, "--to", "kitti", "-o", out)
    assert json.loads((out / "inputs.json").read_text())["source"]["converted"]
    assert "All files are intact." in run("verify", out)
    (out / "training/label_2/000001.txt").write_text("changed")
    assert "was changed after it was written" in run("verify", out, code=3)


def test_nothing_is_left_where_an_image_is_missing(source, tmp_path):
    (source / "images/000002.png").unlink()
    assert "000002.png' does not exist" in run("convert", source, "--to", "voc", "-o", tmp_path / "out", code=2)
    assert not (tmp_path / "out").exists()
    (source / "images").rename(tmp_path / "elsewhere")
    assert "--images" in run("convert", source, "--to", "voc", "-o", tmp_path / "out", code=2)


def test_an_existing_folder_is_refused(source, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputError, match="already exists"):
        convert(open_dataset(source), find("writer", "voc")(), tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--to", "vok"), "Did you mean 'voc'?"),
        (("--to", "voc", "--set", "size"), "must be NAME=VALUE"),
        (("--to", "webdataset", "--set", "shard_images=0"), "The 'shard_images' parameter of writer 'webdataset' must"),
    ],
)
def test_mistakes_are_explained(source, tmp_path, arguments, message):
    assert message in " ".join(run("convert", source, *arguments, "-o", tmp_path / "out", code=2).split())


def test_a_writer_of_ones_own_needs_no_installation(source, tmp_path):
    (tmp_path / "names.py").write_text(PLUGIN)
    run("convert", source, "--to", tmp_path / "names.py", "--set", "end=!", "-o", tmp_path / "out")
    assert (tmp_path / "out/names.txt").read_text().splitlines() == [f"{n:06d}.png!" for n in range(4)]
    assert (tmp_path / "out/images/000003.png").samefile(source / "images/000003.png")
    (tmp_path / "nothing.py").write_text("x = 1\n")
    shown = run("convert", source, "--to", tmp_path / "nothing.py", "-o", tmp_path / "again", code=2)
    assert "it declares 0 writers" in shown


def test_images_of_one_name_in_several_folders_stay_apart(tmp_path):
    data = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}]}
    for number, name in enumerate(("x/1.png", "y/1.png", "y/1.bmp", "y_1.png"), 1):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "images" / name), np.full((8, 8, 3), 20 * number, np.uint8))
        data["images"].append({"id": number, "file_name": name, "width": 8, "height": 8})
        box = {"id": number, "image_id": number, "category_id": 1, "bbox": [0, 0, number, 8], "area": 8 * number}
        data["annotations"].append({**box, "iscrowd": 0})
    (tmp_path / "c.json").write_text(json.dumps(data))
    found = open_dataset(tmp_path / "c.json")
    for id in ("voc", "yolo", "kitti", "imagefolder"):
        convert(found, find("writer", id)(), tmp_path / id)
        again = open_dataset(tmp_path / id)
        assert len(again.coco.images) == 4
        values = {}
        for image in again.coco.images:
            (own,) = (a for a in again.coco.annotations if a["image_id"] == image["id"])
            path = next(
                p for p in (again.images / image["file_name"], tmp_path / id / image["file_name"]) if p.is_file()
            )
            values[round(own["bbox"][2])] = int(cv2.imread(str(path))[0, 0, 0])
        assert values == {number: 20 * number for number in range(1, 5)}


def test_names_that_lead_out_of_the_folder_are_kept_inside(tmp_path):
    (tmp_path / "in/images").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "in/images/a.png"), np.zeros((8, 8, 3), np.uint8))
    image = {"id": 1, "file_name": "C:\\photos\\..\\..\\a.png", "width": 8, "height": 8}
    data = {"images": [image], "annotations": [], "categories": [{"id": 1, "name": "x"}]}
    (tmp_path / "in/c.json").write_text(json.dumps(data))
    convert(open_dataset(tmp_path / "in/c.json"), find("writer", "yolo")(), tmp_path / "out/yolo")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"yolo"}
    assert (tmp_path / "out/yolo/images/a.png").is_file()
    assert read_dataset(tmp_path / "out/yolo").images[0]["file_name"] == "a.png"


def test_python_converts_as_the_command_does(source, tmp_path):
    import twinset as ts

    made = ts.load_dataset(source).convert("webdataset", tmp_path / "out", shard_images=3)
    run("convert", source, "--to", "webdataset", "--set", "shard_images=3", "-o", tmp_path / "same")
    assert file_bytes(tmp_path / "out") == file_bytes(tmp_path / "same") and len(made) == 4
    with pytest.raises(ts.TwinsetError, match="The 'shard_images' parameter of writer 'webdataset' must"):
        ts.load_dataset(source).convert("webdataset", tmp_path / "other", shard_images=0)


@pytest.mark.parametrize("id", ["cvat", "imagefolder"])
def test_commands_measure_and_score_other_formats_like_coco(source, tmp_path, id):
    convert(open_dataset(source), find("writer", id)(), tmp_path / "out")
    one, other = (measure(read_dataset(folder), None).columns for folder in (source, tmp_path / "out"))
    for name in set(other) - {"file_name"}:
        assert list(one[name]) == pytest.approx(list(other[name])), name
    assert len(other) > 8
    truth = read_dataset(tmp_path / "out")
    found = [{k: a[k] for k in ("image_id", "category_id", "bbox")} | {"score": 0.9} for a in truth.annotations]
    (tmp_path / "found.json").write_text(json.dumps(found))
    scores = json.loads(run("evaluate", tmp_path / "out", tmp_path / "found.json", "--json"))
    assert '"ap50": 1.0' in json.dumps(scores).lower()
