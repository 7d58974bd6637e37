# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos with their annotated objects painted out: what changes, what stays, and what is left out."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from synthetic_photos import ramp
from twinset.dataset.formats.coco import read_coco
from twinset.dataset.formats.dataset_folder import open_dataset
from twinset.dataset.images.emptied_photos import EmptyingRules, empty_photos, objects_mask
from twinset.engine.errors import DataError
from twinset.headless.cli import app
from typer.testing import CliRunner

IMAGE = {"id": 1, "width": 200, "height": 100}
CATEGORIES = [{"id": 1, "name": "chair"}, {"id": 2, "name": "cup"}]


def write_set(folder: Path, annotations: list[dict], names: tuple[str, ...] = ("a.png",)) -> Path:
    images = []
    for number, name in enumerate(names, 1):
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), ramp()[..., ::-1])
        images.append({**IMAGE, "id": number, "file_name": name})
    entries = [
        {"id": k, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 1, **a} for k, a in enumerate(annotations, 1)
    ]
    path = folder / "real.json"
    path.write_text(json.dumps({"images": images, "annotations": entries, "categories": CATEGORIES}))
    return path


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_a_box_and_its_margin_are_painted_out(scale: float) -> None:
    size = round(100 * scale), round(200 * scale)
    mask = objects_mask(IMAGE, [{"bbox": [50, 20, 60, 40]}], size, margin=0.1)
    rows, columns = np.nonzero(mask)
    assert mask.all(axis=1).sum() == 0 and mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].all()
    expected = np.array([20 - 6, 20 + 40 + 6, 50 - 6, 50 + 60 + 6]) * scale
    assert np.abs([rows.min(), rows.max() + 1, columns.min(), columns.max() + 1] - expected).max() <= 1


def test_a_mask_counts_instead_of_its_box() -> None:
    round_thing = np.zeros((100, 200), np.uint8)
    cv2.circle(round_thing, (100, 50), 30, 1, -1)
    rle = coco_mask.encode(np.asfortranarray(round_thing))
    rle["counts"] = rle["counts"].decode()
    annotation = {"bbox": [70, 20, 61, 61], "segmentation": rle}
    mask = objects_mask(IMAGE, [annotation], (100, 200), margin=0.0)
    assert np.array_equal(mask, round_thing > 0)
    grown = objects_mask(IMAGE, [annotation], (100, 200), margin=0.1)
    distance = cv2.distanceTransform(1 - round_thing, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    assert grown[distance <= 6].all() and not grown[distance > 8.5].any()


def test_photos_without_objects_stay_and_those_that_are_all_object_are_left_out(tmp_path: Path) -> None:
    real = write_set(
        tmp_path,
        [{"bbox": [0, 0, 200, 50]}, {"bbox": [10, 10, 20, 20], "image_id": 2}],
        ("a.png", "b.png", "other/b.png"),
    )
    made = empty_photos(open_dataset(real), tmp_path / "out", EmptyingRules(margin=0.0))
    assert [photo.file for photo in made] == [None, "b.jpg", "b-2.jpg"]
    assert [photo.share for photo in made] == pytest.approx([0.5, 400 / 20_000, 0.0])
    files = {p.name: cv2.imread(str(p))[..., ::-1].astype(int) for p in (tmp_path / "out").glob("*.jpg")}
    stood = read_coco(tmp_path / "out" / "annotations.json")
    assert [image["file_name"] for image in stood.images] == ["b.jpg", "b-2.jpg"]
    assert [(a["image_id"], a["bbox"]) for a in stood.annotations] == [(2, [10, 10, 20, 20])]
    assert set(files) == {"b.jpg", "b-2.jpg"}
    assert np.abs(files["b-2.jpg"] - ramp()).max() <= 6, "JPEG alone"


def test_only_named_classes_are_painted_out(tmp_path: Path) -> None:
    real = write_set(tmp_path, [{"bbox": [10, 10, 40, 40]}, {"bbox": [100, 10, 40, 40], "category_id": 2}])
    made = empty_photos(open_dataset(real), tmp_path / "out", EmptyingRules(classes=["cup"], margin=0.0))
    assert made[0].share == pytest.approx(1600 / 20_000)
    with pytest.raises(DataError, match="sofa"):
        empty_photos(open_dataset(real), tmp_path / "other", EmptyingRules(classes=["sofa"]))


def test_large_photos_are_reduced(tmp_path: Path) -> None:
    real = write_set(tmp_path, [{"bbox": [10, 10, 40, 40]}])
    empty_photos(open_dataset(real), tmp_path / "out", EmptyingRules(longer_side=100))
    assert cv2.imread(str(tmp_path / "out/a.jpg")).shape == (50, 100, 3)


def test_the_command_says_what_it_kept(tmp_path: Path) -> None:
    real = write_set(tmp_path, [{"bbox": [0, 0, 200, 90]}], ("a.png", "b.png"))

    def run(*args: object):
        return CliRunner().invoke(app, ["backgrounds", str(real), *map(str, args)])

    done = run("-o", tmp_path / "out")
    assert done.exit_code == 0
    said = " ".join(done.output.split())
    assert "1 of 2 photos are in" in said and "1 was left out" in said and "replace_background" in said
    assert run("-o", tmp_path / "out").exit_code == 2, "an existing folder is not overwritten"
    refused = run("-o", tmp_path / "none", "--class", "chair", "--max-share", "0", "--margin", "0")
    assert refused.exit_code == 0, "b.png shows no chair"
    (tmp_path / "images/b.png").unlink()
    assert run("-o", tmp_path / "missing").exit_code == 2
    assert not (tmp_path / "missing").exists()


def test_no_photo_left_is_an_error_and_leaves_no_folder(tmp_path: Path) -> None:
    real = write_set(tmp_path, [{"bbox": [0, 0, 200, 90]}])
    with pytest.raises(DataError, match="--max-share"):
        empty_photos(open_dataset(real), tmp_path / "out", EmptyingRules())
    assert not (tmp_path / "out").exists()
