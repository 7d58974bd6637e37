# SPDX-License-Identifier: GPL-3.0-or-later
"""YOLO files: out and in again, the ways in which others write them, and every problem with its place."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from twinset.dataset.analysis.real_boxes import RealDataset
from twinset.dataset.formats.coco import CocoFile
from twinset.dataset.formats.image_files import ImageFiles
from twinset.dataset.readers.yolo import read_yolo
from twinset.dataset.store.dataset_files import run_writer
from twinset.dataset.store.finished_dataset import ListedDataset
from twinset.engine.errors import DataError
from twinset.plugins.writers.yolo import Yolo

COCO = {
    "images": [
        {"id": 1, "file_name": "000000.png", "width": 64, "height": 48},
        {"id": 2, "file_name": "000003.png", "width": 31, "height": 57},
    ],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 62, "bbox": [0, 0, 64, 48]},
        {"id": 2, "image_id": 1, "category_id": 5, "bbox": [3, 7, 11, 13]},
        {"id": 3, "image_id": 1, "category_id": 62, "bbox": [63, 47, 1, 1]},
    ],
    "categories": [{"id": 5, "name": "dining: table"}, {"id": 62, "name": 'chair "big"'}],
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    for image in COCO["images"]:
        picture(tmp_path / "images" / image["file_name"], image["width"], image["height"])
    return tmp_path


def write_yolo(folder, images, annotations, categories):
    """Write a YOLO dataset; returns its data.yaml."""
    return run_writer(Yolo(), ListedDataset(folder, images, annotations, categories))[-1]


def picture(path, width, height):
    cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))


def test_round_trip(folder):
    yaml = write_yolo(folder, COCO["images"], COCO["annotations"], COCO["categories"])
    assert yaml.name == "data.yaml"
    assert (folder / "labels/000003.txt").read_text() == ""  # background
    # By hand: (3 + 11/2)/64, (7 + 13/2)/48, 11/64, 13/48.
    assert (folder / "labels/000000.txt").read_text().splitlines()[1] == "0 0.13281250 0.28125000 0.17187500 0.27083333"
    back = read_yolo(folder)
    assert back.classes() == {"dining: table": 1, 'chair "big"': 2}
    assert [a["bbox"] for a in back.annotations] == [a["bbox"] for a in COCO["annotations"]]
    assert [(i["width"], i["height"]) for i in back.images] == [(64, 48), (31, 57)]
    assert len(back.boxes('chair "big"')) == 2


def test_data_yaml_is_yaml(folder):
    yaml = pytest.importorskip("yaml")
    data = yaml.safe_load(write_yolo(folder, COCO["images"], COCO["annotations"], COCO["categories"]).read_text())
    assert data["names"] == {0: "dining: table", 1: 'chair "big"'} and data["nc"] == 2


def trainer_paths(file):
    """Train and val as Ultralytics finds them: below 'path', or beside the file where there is none."""
    yaml = pytest.importorskip("yaml")
    data = yaml.safe_load(file.read_text())
    base = Path(data.get("path") or file.parent)
    assert base.is_absolute()
    return base / data["train"], base / data["val"]


def test_data_yaml_names_the_training_images_for_want_of_others(folder):
    file = write_yolo(folder, COCO["images"], COCO["annotations"], COCO["categories"])
    assert trainer_paths(file) == (folder / "images", folder / "images")
    assert file.read_text().startswith("# No validation data")


def test_real_photos_are_the_validation_data(folder):
    """A stored and a turned photo, a class that is not rendered, a crowd; labels are those of upright pictures."""
    photos = folder / "photos"
    photos.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (48, 32)).save(photos / name, exif=exif if name == "b.jpg" else b"")
    images = [
        {"id": 4, "file_name": "a.jpg", "width": 48, "height": 32},
        {"id": 9, "file_name": "b.jpg", "width": 32, "height": 48},
        {"id": 10, "file_name": "gone.jpg", "width": 32, "height": 48},
    ]
    kinds = [{"id": 1, "name": "cup"}, {"id": 2, "name": 'chair "big"'}]
    boxes = [(1, 4, 1, 0), (2, 4, 2, 0), (3, 9, 2, 0), (4, 9, 2, 1), (5, 10, 2, 0)]
    coco = CocoFile(
        photos / "real.json",
        images,
        [
            {"id": id, "image_id": image, "category_id": category, "iscrowd": crowd, "bbox": [8, 8, 16, 8]}
            for id, image, category, crowd in boxes
        ],
        kinds,
    )
    (folder / "real/labels").mkdir(parents=True)
    (folder / "real/labels/000007.txt").write_text("of an earlier run")
    real = RealDataset(coco, ImageFiles(images, photos))
    dataset = ListedDataset(folder, COCO["images"], COCO["annotations"], COCO["categories"], real=real)
    *_, file = run_writer(Yolo(), dataset)
    train, val = trainer_paths(file)
    assert train == folder / "images" and "No validation" not in file.read_text()
    assert sorted(p.name for p in val.iterdir()) == ["000001.jpg", "000002.jpg"]
    labels = {p.name: p.read_text() for p in (val.parent / "labels").iterdir()}
    # By hand: (8 + 16/2)/48, (8 + 8/2)/32, 16/48, 8/32, and with the sides swapped.
    assert labels == {
        "000001.txt": "1 0.33333333 0.37500000 0.33333333 0.25000000\n",
        "000002.txt": "1 0.50000000 0.25000000 0.50000000 0.16666667\n",
    }
    (folder / "real/classes.txt").write_text("dining: table\nchair\n")
    back = read_yolo(folder / "real")
    assert [(i["width"], i["height"]) for i in back.images] == [(48, 32), (32, 48)]


def test_photos_that_were_annotated_as_stored_are_written_so(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.zeros((32, 48, 3), np.uint8)
    stored[:8] = 255
    Image.fromarray(stored).save(folder / "b.png", exif=exif)
    images = [{"id": 1, "file_name": "b.png", "width": 48, "height": 32}]
    coco = CocoFile(
        folder / "r.json",
        images,
        [{"id": 1, "image_id": 1, "category_id": 5, "bbox": [0, 0, 8, 8]}],
        COCO["categories"],
    )
    real = RealDataset(coco, ImageFiles(images, folder))
    run_writer(Yolo(), ListedDataset(folder, COCO["images"], COCO["annotations"], COCO["categories"], real=real))
    with Image.open(folder / "real/images/000001.png") as image:
        assert (np.asarray(image) == stored).all() and not image.getexif()


def test_stale_labels_go_and_foreign_ones_stay(folder):
    (folder / "labels").mkdir()
    (folder / "labels/000009.txt").write_text("0 0.5 0.5 1 1")
    (folder / "labels/notes.txt").write_text("mine")
    write_yolo(folder, COCO["images"], COCO["annotations"], COCO["categories"])
    assert sorted(p.name for p in (folder / "labels").iterdir()) == ["000000.txt", "000003.txt", "notes.txt"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("data.yaml", "names: [dog, 'a, cat']\nnc: 2\n"),
        ("data.yaml", "names: ['dog',\n  'a, cat']  # two\n"),
        ("data.yaml", "path: x\nnames:\n  - dog\n  - a, cat  # no dog\nnc: 2\n"),
        ("data.yaml", 'names:\n  0: dog\n  1: "a, cat"\ntrain: images\n'),
        ("data.yaml", "names: [\n  dog,  # one\n  'a, cat',\n]\nnc: 2\n"),
        ("my.yaml", "names: {0: dog, 1: 'a, cat'}\n"),
        ("classes.txt", "dog\na, cat\n"),
    ],
)
def test_names_in_every_usual_way(folder, file, text):
    (folder / file).write_text(text)
    (folder / "labels").mkdir()
    (folder / "labels/000000.txt").write_text("1 0.5 0.5 0.25 0.25\n")
    assert read_yolo(folder).classes() == {"dog": 0, "a, cat": 1}


def test_splits_labels_beside_images_polygons_and_confidences(tmp_path):
    (tmp_path / "images/train").mkdir(parents=True)
    (tmp_path / "labels/train").mkdir(parents=True)
    picture(tmp_path / "images/train/a.jpg", 100, 50)
    picture(tmp_path / "images/b.jpg", 100, 50)
    (tmp_path / "classes.txt").write_text("chair\n")
    (tmp_path / "labels/train/a.txt").write_text("0 0.1 0.2 0.4 0.2 0.3 0.8\n\n0 0.5 0.5 0.5 0.5 0.93\n")
    (tmp_path / "images/b.txt").write_text("0 0.5 0.5 1.0 1.0\n")
    coco = read_yolo(tmp_path)
    assert [i["file_name"] for i in coco.images] == ["b.jpg", "train/a.jpg"]
    assert [a["bbox"] for a in coco.annotations] == [[0, 0, 100, 50], [10, 10, 30, 30], [25, 12.5, 50, 25]]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("0 0.5 0.5", "000000.txt, line 2: '0 0.5 0.5' is not a label"),
        ("chair 0.5 0.5 0.1 0.1", "is not a label"),
        ("0 nan 0.5 0.1 0.1", "is not a label"),
        ("7 0.5 0.5 0.1 0.1", "line 2: class 7 has no name; there are 2 names"),
        ("0 0.5 0.5 0.1 0", "not positive"),
        ("0 0.9 0.5 0.6 0.1", "beyond its image"),
    ],
)
def test_problems_have_a_place(folder, line, words):
    write_yolo(folder, COCO["images"], COCO["annotations"], COCO["categories"])
    (folder / "labels/000000.txt").write_text(f"0 0.5 0.5 0.1 0.1\n{line}\n")
    with pytest.raises(DataError) as caught:
        read_yolo(folder)
    assert words in str(caught.value)


def test_what_is_missing_is_named(folder):
    with pytest.raises(DataError, match="does not exist"):
        read_yolo(folder / "none")
    with pytest.raises(DataError, match=r"Add a data.yaml with 'names'"):
        read_yolo(folder)
    (folder / "classes.txt").write_text("chair\n")
    with pytest.raises(DataError, match="no label file for its 2 images"):
        read_yolo(folder)
    (folder / "images/000000.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"000000\.png' cannot be read"):
        read_yolo(folder)
    for path in (folder / "images").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="has no images"):
        read_yolo(folder)
