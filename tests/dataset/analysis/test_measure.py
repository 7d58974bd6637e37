# SPDX-License-Identifier: GPL-3.0-or-later
"""The metadata table of any dataset against brute force, and what becomes of files that are missing or broken."""

from __future__ import annotations

import csv
import json
import math

import cv2
import numpy as np
import pyarrow.parquet
import pytest
from twinset.alignment.columns.background_similarity import background_similarity
from twinset.alignment.columns.image_statistics import grey, statistics
from twinset.dataset.analysis import measure as module
from twinset.dataset.analysis.measure import measure
from twinset.dataset.formats.coco import read_coco
from twinset.dataset.formats.dataset_folder import image_folder, read_dataset
from twinset.dataset.formats.pixels import read_depth, read_image
from twinset.dataset.formats.rle_masks import encode
from twinset.dataset.labels.depth import encode_depth
from twinset.dataset.store.dataset_files import run_writer
from twinset.dataset.store.finished_dataset import ListedDataset
from twinset.engine.errors import DataError, OutputError
from twinset.headless.cli import app
from twinset.plugins.writers.yolo import Yolo
from typer.testing import CliRunner

WIDTH, HEIGHT, IMAGES = 48, 40, 18


def picture(k):
    return np.random.default_rng(k).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def mask(k):
    """A disk, cut by the left border in every third image."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return (x - (4 if k % 3 == 0 else 20)) ** 2 + (y - 18) ** 2 <= (6 + k % 4) ** 2


def extent(m):
    rows, columns = np.flatnonzero(m.any(1)), np.flatnonzero(m.any(0))
    return [int(v) for v in (columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1)]


def annotation(k, **more):
    return {"image_id": k, "category_id": 3, "bbox": extent(mask(k)), "area": int(mask(k).sum()), **more}


@pytest.fixture
def folder(tmp_path):
    """``set/ann/set.json`` and ``set/images/*.png``; in each image a disk with its mask and a box of fractions."""
    images, annotations = [], []
    (tmp_path / "set/images").mkdir(parents=True)
    (tmp_path / "set/ann").mkdir()
    for k in range(IMAGES):
        cv2.imwrite(str(tmp_path / f"set/images/{k:02d}.png"), picture(k)[..., ::-1])
        images.append({"id": k, "file_name": f"{k:02d}.png", "width": WIDTH, "height": HEIGHT})
        annotations.append(annotation(k, id=2 * k + 1, segmentation=encode(mask(k))))
        annotations.append({"id": 2 * k, "image_id": k, "category_id": 3, "bbox": [10.5, 20.25, 7.25, 19.75]})
    annotations.append({"id": 99, "image_id": 0, "category_id": 3, "bbox": [0, 0, 5, 5], "iscrowd": 1})
    data = {"images": images, "annotations": annotations, "categories": [{"id": 3, "name": "disk"}]}
    (tmp_path / "set/ann/set.json").write_text(json.dumps(data))
    return tmp_path / "set"


def edit(folder, change):
    path = folder / "ann/set.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    return read_coco(path)


def test_every_column_by_brute_force(folder):
    for k in range(IMAGES):
        (folder / "depth").mkdir(exist_ok=True)
        depth = np.where(mask(k), 1.5 + 0.1 * k, np.nan)
        (folder / f"depth/{k:02d}.png").write_bytes(encode_depth(depth))
    coco = read_coco(folder / "ann/set.json")
    found = measure(coco, image_folder(coco), depth=folder / "depth", workers=1)
    assert (found.boxes, found.images, found.problems) == (2 * IMAGES, IMAGES, ())
    rows = [dict(zip(found.columns, row, strict=True)) for row in zip(*found.columns.values(), strict=True)]
    for k in range(IMAGES):
        disk, box = rows[2 * k], rows[2 * k + 1]
        x, y, w, h = extent(mask(k))
        luma = grey(picture(k))
        assert (disk["id"], box["id"], disk["class"], disk["file_name"]) == (2 * k + 1, 2 * k, "disk", f"{k:02d}.png")
        assert disk["bbox_area"] == pytest.approx(w * h / (WIDTH * HEIGHT)) and disk["aspect"] == pytest.approx(w / h)
        assert (disk["center_x"], disk["center_y"]) == pytest.approx(((x + w / 2) / WIDTH, (y + h / 2) / HEIGHT))
        assert disk["touches_border"] == (k % 3 == 0) and box["touches_border"]
        for name, value in statistics(luma[y : y + h, x : x + w]).items():
            assert disk[name] == pytest.approx(value)
        for name, value in statistics(luma[20:40, 10:18]).items():
            assert box[name] == pytest.approx(value)
        for name, value in statistics(luma).items():
            assert disk[f"image_{name}"] == box[f"image_{name}"] == pytest.approx(value)
        assert disk["background_similarity"] == pytest.approx(background_similarity(picture(k), mask(k)))
        assert disk["a"] == mask(k).sum() and disk["depth"] == pytest.approx(1.5 + 0.1 * k)
        assert disk["a_d2"] == pytest.approx(disk["a"] * disk["depth"] ** 2)
        assert all(math.isnan(box[name]) for name in ("background_similarity", "a", "depth", "a_d2"))


def test_tables_are_the_same_for_any_number_of_processes(folder):
    ends = []
    for workers, name in ((1, "one.parquet"), (2, "two.parquet"), (2, "two.csv")):
        args = ["measure", folder / "ann/set.json", "-o", folder / name, "--workers", workers, "--json"]
        done = CliRunner().invoke(app, [str(a) for a in args])
        assert done.exit_code == 0, done.output
        ends.append((folder / name).read_bytes())
        assert json.loads(done.stdout)["boxes"] == 2 * IMAGES
    assert ends[0] == ends[1]
    table = pyarrow.parquet.read_table(folder / "one.parquet").to_pydict()
    text = list(csv.DictReader((folder / "two.csv").read_text().splitlines()))
    assert list(text[0]) == list(table) and len(text) == 2 * IMAGES
    assert [float(row["sharpness"]) for row in text] == table["sharpness"]
    assert table["background_similarity"][1] is None and text[1]["background_similarity"] == ""


def test_each_column_of_a_large_dataset_is_made_once(folder, monkeypatch):
    coco = read_coco(folder / "ann/set.json")
    made, full = [], np.full
    with monkeypatch.context() as patch:
        patch.setattr(np, "full", lambda shape, *args, **options: made.append(shape) or full(shape, *args, **options))
        measured = measure(coco, folder / "images", workers=1)
    assert 0 < made.count(measured.boxes) <= len(measured.columns)  # not once more for each image


def test_missing_and_broken_images_are_named(folder):
    (folder / "images/03.png").unlink()
    (folder / "images/05.png").write_bytes(b"no picture")
    cv2.imwrite(str(folder / "images/07.png"), np.zeros((4, 5, 3), np.uint8))
    coco = read_coco(folder / "ann/set.json")
    found = measure(coco, folder / "images", workers=1)
    assert len(found.problems) == 3
    for problem, words in zip(
        found.problems, ("03.png' does not exist", "05.png' is in an unknown format", "5 by 4 px"), strict=True
    ):
        assert words in problem
    empty = np.flatnonzero(np.isnan(found.columns["sharpness"])) // 2
    assert sorted(set(empty)) == [3, 5, 7] and not np.isnan(found.columns["bbox_area"]).any()
    for path in (folder / "images").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match="None of the 18 images"):
        measure(coco, folder / "images", workers=1)


def test_columns_of_the_renderer_are_kept_and_depth_is_not_read_again(folder):
    def known(data):
        for a in data["annotations"]:
            a["twinset"] = {"depth": 2.5, "shape": "disk a", "amodal_bbox": [1, 2, 3, 4], "main": a["id"] % 2 == 1}
        for i in data["images"]:
            i["twinset"] = {"frame": i["id"], "fog": 0.25}

    (folder / "depth").mkdir()
    (folder / "depth/00.png").write_bytes(b"would be a problem if it were read")
    found = measure(edit(folder, known), folder / "images", depth=folder / "depth", workers=1)
    assert found.problems == () and set(found.columns["depth"]) == {2.5}
    assert found.columns["shape"][0] == "disk a" and found.columns["amodal_bbox_w"][5] == 3
    assert found.columns["frame"][2] == 1 and found.columns["image_fog"][2] == 0.25


def test_broken_outlines_count_as_none(folder):
    def breaking(data):
        for k, outline in enumerate(([], [[1, 2]], {"size": [4, 4], "counts": "junk"}, [["a"] * 6])):
            data["annotations"][2 * k]["segmentation"] = outline

    found = measure(edit(folder, breaking), folder / "images", workers=1)
    assert np.isnan(found.columns["a"][:8]).all() and found.columns["a"][8] == mask(4).sum()
    assert not np.isnan(found.columns["sharpness"]).any()


def test_yolo_folder_gives_the_columns_of_the_same_coco_file(folder):
    coco = read_coco(folder / "ann/set.json")
    boxes = [a for a in coco.annotations if not a.get("iscrowd")]
    run_writer(Yolo(), ListedDataset(folder, coco.images, boxes, coco.categories))
    yolo = read_dataset(folder)
    assert image_folder(yolo) == folder / "images" == image_folder(coco)
    a, b = (measure(c, folder / "images", workers=1).columns for c in (coco, yolo))
    for name in ("bbox_area", "center_x", "sharpness", "image_entropy"):
        assert np.asarray(b[name]) == pytest.approx(np.asarray(a[name]), abs=1e-6), name


def test_without_pixels_no_file_is_opened(folder, monkeypatch):
    monkeypatch.setattr(module, "ImageFiles", None)
    monkeypatch.setattr(module, "read_annotated", None)
    done = CliRunner().invoke(
        app, ["measure", str(folder / "ann/set.json"), "-o", str(folder / "t.csv"), "--no-pixels"]
    )
    assert done.exit_code == 0 and "36 boxes of 18 images" in done.stdout
    assert "sharpness" not in (folder / "t.csv").read_text()


def test_stopping_leaves_no_table(folder):
    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    coco = read_coco(folder / "ann/set.json")
    with pytest.raises(KeyboardInterrupt):
        measure(coco, folder / "images", workers=2, progress=stop)


@pytest.mark.parametrize(
    "args, words",
    [
        (["-o", "t.txt"], "must end in .parquet or .csv"),
        (["-o", "t.csv", "--images", "nowhere"], "folder 'nowhere' does not exist"),
    ],
)
def test_wrong_options_end_in_a_sentence(folder, monkeypatch, args, words):
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, ["measure", "ann/set.json", *args])
    assert done.exit_code == 2 and words in done.stderr.replace("\n", " ")


def test_images_that_are_nowhere_near(folder):
    (folder / "images").rename(folder.parent / "elsewhere")
    done = CliRunner().invoke(app, ["measure", str(folder / "ann/set.json"), "-o", str(folder / "t.csv")])
    assert done.exit_code == 2 and "--images" in done.stderr and not (folder / "t.csv").exists()


def test_depth_maps_of_either_kind(tmp_path):
    import OpenEXR

    depth = np.array([[1.25, np.nan], [3.0, 0.5]], dtype=np.float32)
    (tmp_path / "a.png").write_bytes(encode_depth(depth))
    stored = np.where(np.isnan(depth), np.float32(np.inf), depth)
    with OpenEXR.File({"type": OpenEXR.scanlineimage}, {"Z": stored}) as file:
        file.write(str(tmp_path / "b.exr"))
    for name in ("a.png", "b.exr"):
        np.testing.assert_allclose(read_depth(tmp_path / name), depth, atol=0.0005)
    cv2.imwrite(str(tmp_path / "c.png"), np.zeros((2, 2, 3), np.uint8))
    (tmp_path / "d.exr").write_bytes(b"junk")
    for name in ("c.png", "d.exr", "e.exr"):
        with pytest.raises(DataError):
            read_depth(tmp_path / name)


def test_pictures_come_as_stored(tmp_path):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # "turn me a quarter"
    Image.fromarray(picture(0)).save(tmp_path / "a.png", exif=exif)
    assert (read_image(tmp_path / "a.png") == picture(0)).all()


def test_a_table_needs_a_known_ending(tmp_path):
    from twinset.dataset.formats.metadata_table import write_columns

    with pytest.raises(OutputError, match="must end in"):
        write_columns(tmp_path / "a.xlsx", {"x": [1]})
