# SPDX-License-Identifier: GPL-3.0-or-later
"""From records to annotations: pycocotools agrees, the same records give the same bytes, broken ones are named."""

from __future__ import annotations

import builtins
import csv
import json
import os
import shutil

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from twinset.dataset.analysis.measure import measure
from twinset.dataset.formats import rle_masks
from twinset.dataset.formats.coco import read_coco
from twinset.dataset.formats.dataset_folder import image_folder, read_dataset
from twinset.dataset.jobs.finish import finish
from twinset.dataset.readers.yolo import read_yolo
from twinset.dataset.report.contact_sheet import (
    MAX_IMAGES,
    TILE_WIDTH,
    contact_sheet,
    picks,
)
from twinset.dataset.store.frames import FrameStore, frame_name
from twinset.engine.errors import DataError, PluginError
from twinset.plugins.writers.coco import Coco
from twinset.plugins.writers.yolo import Yolo

CATEGORIES = [{"id": 5, "name": "table"}, {"id": 62, "name": "chair"}]
WIDTH, HEIGHT = 64, 48
BOTH = (Coco(), Yolo())


def id_map(frame):
    """Three overlapping discs and a speck, different in each frame."""
    rng = np.random.default_rng(frame)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    ids = np.zeros((HEIGHT, WIDTH), np.int32)
    for i in (1, 2, 3):
        cx, cy, r = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), rng.uniform(8, 16)
        ids[(x - cx) ** 2 + (y - cy) ** 2 < r * r] = i
    ids[0, 0] = 4
    return ids


def write_frame(store, frame):
    ids = id_map(frame)
    image = np.stack([ids * 60, 200 - ids * 40, np.full_like(ids, 90)], axis=-1).astype(np.uint8)
    instances = [
        {
            "id": i,
            "class": "chair" if i % 2 else "table",
            "shape": f"shape_{i}",
            "annotated": i != 4,
            "reason": "" if i != 4 else "fewer than 50 pixels",
            "bbox": region.bbox,
            "area": region.area,
            "segmentation": region.rle,
            "amodal_bbox": [-1, -2, 30, 40],
            "visible_share": region.area / 1000,
            "truncated_share": 0.25,
            "columns": {"depth": 2.0 + i, "kind": None if i == 2 else "x"},
        }
        for i, region in rle_masks.scan_ids(ids).items()
    ]
    hidden = {"id": 9, "class": "chair", "shape": "s", "annotated": False, "reason": "hidden", "bbox": [], "area": 0}
    record = {
        "verdict": "accepted",
        "image": {"file_name": f"{frame_name(frame)}.jpg", "width": WIDTH, "height": HEIGHT},
        "columns": {"sharpness": 1.5 + frame},
        "instances": [*instances, hidden],
    }
    store.write(frame, record, image)


@pytest.fixture
def store(tmp_path):
    store = FrameStore(tmp_path / "out")
    store.prepare()
    for frame in (7, 2, 11):
        write_frame(store, frame)
    store.write(4, {"verdict": "given up", "attempts": 20, "rejected": ["too small"] * 20}, None)
    return store


def outputs(out):
    return {
        p.relative_to(out).as_posix(): p.read_bytes()
        for p in out.rglob("*")
        if p.is_file() and p.parts[len(out.parts)] not in ("frames", "images")
    }


def test_coco_agrees_with_the_id_maps(store):
    summary = finish(store.out, categories=CATEGORIES)
    coco = COCO(str(summary.coco))
    assert [i["file_name"] for i in coco.loadImgs([1, 2, 3])] == ["000002.jpg", "000007.jpg", "000011.jpg"]
    assert (summary.images, summary.given_up, summary.left_out) == (3, 1, ())
    for image_id, frame in enumerate((2, 7, 11), start=1):
        ids = id_map(frame)
        anns = coco.loadAnns(coco.getAnnIds(imgIds=image_id))
        assert sorted(a["twinset"]["instance"] for a in anns) == [i for i in np.unique(ids) if i not in (0, 4)]
        for a in anns:
            truth = ids == a["twinset"]["instance"]
            np.testing.assert_array_equal(coco.annToMask(a).astype(bool), truth)
            assert type(a["area"]) is int and a["area"] == truth.sum()
            assert tuple(a["bbox"]) == rle_masks.extent(truth)
            assert a["twinset"]["depth"] == 2 + a["twinset"]["instance"]
            assert a["twinset"]["amodal_bbox"] == [-1, -2, 30, 40] and a["twinset"]["truncated_share"] == 0.25
            assert coco.cats[a["category_id"]]["name"] == ("chair" if a["twinset"]["instance"] % 2 else "table")
        assert coco.imgs[image_id]["twinset"] == {"frame": frame, "sharpness": 1.5 + frame}
    assert summary.annotations == len(coco.anns) == sum(summary.classes.values())
    assert coco.dataset["licenses"] == []
    assert {"year", "version", "description"} <= set(coco.dataset["info"])


def test_ten_thousand_frames_to_a_folder(store):
    for frame in (9_999, 10_000, 123_456):
        write_frame(store, frame)
    assert store.frames() == [2, 4, 7, 11, 9_999, 10_000, 123_456]
    assert (store.out / "frames/120000/123456.json").is_file() and (store.out / "images/009999.jpg").is_file()
    write_frame(store, 20_000)
    (store.out / "frames/020000/020000.json").unlink()
    abandoned = store.out / "images/020000/.twinset-elsewhere-1-020001.jpg.tmp"
    abandoned.write_bytes(b"half")
    os.utime(abandoned, (0, 0))
    store.prepare()
    assert not abandoned.exists()
    summary = finish(store.out, categories=CATEGORIES, writers=BOTH)
    coco = read_dataset(store.out)
    assert coco.images[-1]["file_name"] == "120000/123456.jpg" and image_folder(coco) == store.out / "images"
    assert len(read_yolo(store.out).annotations) == summary.annotations
    (store.out / "frames/120000/123456.json").unlink()
    finish(store.out, categories=CATEGORIES, writers=BOTH)
    assert not (store.out / "labels/120000/123456.txt").exists()


def test_twice_and_from_copied_shards_the_same_bytes(store, tmp_path):
    options = {"categories": CATEGORIES, "writers": [Coco(polygons=True), Yolo()], "info": {"version": "3"}}
    finish(store.out, **options)
    first = outputs(store.out)
    assert {"annotations/instances.json", "data.yaml", "labels/000002.txt", "contact_sheet.jpg"} <= set(first)
    finish(store.out, **options)
    assert outputs(store.out) == first
    merged = tmp_path / "merged"
    for folder in ("images", "frames"):  # another order of arrival, other folder
        (merged / folder).mkdir(parents=True)
        for path in sorted((store.out / folder).iterdir(), reverse=True):
            shutil.copy(path, merged / folder)
    finish(merged, **options)
    assert outputs(merged) == first


def test_complete_adds_columns_of_the_whole_dataset(store):
    def complete(rows):
        assert {"frame", "image_id", "id", "class", "shape", "area", "bbox", "depth", "visible_share"} <= set(rows[0])
        best = max(row["area"] * row["depth"] ** 2 for row in rows)
        return {"estimate": [row["area"] * row["depth"] ** 2 / best for row in rows]}

    summary = finish(store.out, categories=CATEGORIES, complete=[complete])
    annotations = json.loads(summary.coco.read_text())["annotations"]
    assert max(a["twinset"]["estimate"] for a in annotations) == 1.0
    for a in annotations:
        raw = a["area"] * a["twinset"]["depth"] ** 2
        assert a["twinset"]["estimate"] == pytest.approx(
            raw / max(b["area"] * b["twinset"]["depth"] ** 2 for b in annotations)
        )
    with pytest.raises(DataError, match="'short' has 1 values for"):
        finish(store.out, categories=CATEGORIES, complete=[lambda rows: {"short": [1]}])


def test_a_metric_that_breaks_at_the_end_is_named(store):
    class Late:
        plugin_kind, plugin_id = "metric", "late"

        def summarise(self, rows):
            return {"mean": 1 / 0}

    with pytest.raises(PluginError, match="metric plugin 'late' failed with ZeroDivisionError"):
        finish(store.out, categories=CATEGORIES, summarise=[Late().summarise])


def test_table_says_what_the_annotations_say(store):
    parquet = pytest.importorskip("pyarrow.parquet")
    summary = finish(store.out, categories=CATEGORIES)
    rows = parquet.read_table(summary.table).to_pylist()
    annotations = json.loads(summary.coco.read_text())["annotations"]
    assert len(rows) == len(annotations)
    for row, a in zip(rows, annotations, strict=True):
        assert [row[f"bbox_{k}"] for k in "xywh"] == a["bbox"] and row["area"] == a["area"] and row["id"] == a["id"]
        assert row["shape"] == a["twinset"]["shape"] and row["kind"] == a["twinset"]["kind"]
        assert row["image_sharpness"] == row["frame"] + 1.5


def test_without_pyarrow_the_table_is_csv_and_says_so(store, monkeypatch):
    real = builtins.__import__

    def no_pyarrow(name, *args, **kwargs):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_pyarrow)
    summary = finish(store.out, categories=CATEGORIES)
    assert summary.table.name == "metadata.csv" and any("pyarrow" in note for note in summary.notes)
    with open(summary.table, newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == summary.annotations and float(rows[0]["depth"]) >= 3


def test_what_was_gathered_is_what_the_file_says(store):
    """Reports take the first, so that they need not read the second."""
    third = {"third": lambda rows: [None if i % 3 == 0 else i / 3 for i in range(len(rows))]}
    mixed = {"mixed": lambda rows: [i if i % 2 else "x" for i in range(len(rows))]}
    complete = [lambda rows, c=c: {k: f(rows) for k, f in c.items()} for c in (third, mixed)]
    summary = finish(store.out, categories=CATEGORIES, complete=complete)
    coco = read_coco(summary.coco)
    expected, found = measure(coco, None).columns, summary.in_memory.columns
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert len(found[name]) == summary.annotations
        for ours, theirs in zip(found[name], values, strict=True):
            is_nothing = theirs is None or theirs != theirs
            assert (ours is None or ours != ours) if is_nothing else ours == theirs, name
    assert summary.in_memory.classes() == coco.classes() and list(summary.in_memory.images) == coco.images
    assert summary.in_memory.annotations_of("chair") == coco.annotations_of("chair")


def test_yolo_labels_say_the_same_boxes(store):
    finish(store.out, categories=CATEGORIES, writers=BOTH)
    real = json.loads((store.out / "annotations/instances.json").read_text())
    yolo = read_yolo(store.out)
    assert [a["bbox"] for a in yolo.annotations] == [a["bbox"] for a in real["annotations"]]
    assert list(yolo.classes()) == ["table", "chair"]


def test_changed_images_are_left_out_with_a_note(store):
    (store.out / "images/000007.jpg").write_bytes(b"other")
    summary = finish(store.out, categories=CATEGORIES)
    assert summary.left_out == (7,) and summary.images == 2
    assert any("were skipped" in note and " 7." in note for note in summary.notes)


def changed(record):
    return {**record, "columns": {"sharpness": 7.0}}


def without_image(record):
    return {key: value for key, value in record.items() if key != "sha256"} | {"image": {}}


@pytest.mark.parametrize("break_it", [lambda r: None, changed, without_image])
def test_damaged_records_are_left_out_and_named_with_remedy(store, break_it, caplog):
    path = store.record_path(7)
    broken = break_it(json.loads(path.read_text()))
    path.write_text("{" if broken is None else json.dumps(broken))
    summary = finish(store.out, categories=CATEGORIES)
    assert summary.left_out == (7,) and summary.images == 2
    assert "000007.json' is damaged" in caplog.text and "Delete the file and render that frame again" in caplog.text


def test_nothing_rendered_is_said(tmp_path):
    with pytest.raises(DataError, match="no records of frames"):
        finish(tmp_path, categories=CATEGORIES)


def test_only_given_up_frames_make_an_empty_dataset(tmp_path):
    store = FrameStore(tmp_path)
    store.prepare()
    store.write(0, {"verdict": "given up"}, None)
    summary = finish(tmp_path, categories=CATEGORIES, writers=BOTH)
    assert (summary.images, summary.annotations, summary.given_up, summary.contact_sheet) == (0, 0, 1, None)
    assert COCO(str(summary.coco)).getImgIds() == []


def test_year_can_be_reproduced(store, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    summary = finish(store.out, categories=CATEGORIES)
    assert json.loads(summary.coco.read_text())["info"]["year"] == 2001


def test_contact_sheet_draws_mask_and_box_where_they_are():
    image = np.full((300, 400, 3), 90, np.uint8)
    mask = np.zeros((300, 400), bool)
    mask[150:250, 100:300] = True
    mask[200:250, 200:300] = False  # an L, so box and mask differ
    coco = {
        "images": [{"id": 1, "width": 400, "height": 300}],
        "categories": [{"id": 62, "name": "chair"}],
        "annotations": [
            {
                "image_id": 1,
                "category_id": 62,
                "area": 1,
                "bbox": [100, 150, 200, 100],
                "segmentation": rle_masks.encode(mask),
            }
        ],
    }
    sheet = contact_sheet(coco, lambda entry: image.copy(), images=1, counts={62: 1})
    assert sheet.shape[1] >= TILE_WIDTH and sheet.dtype == np.uint8
    tile = sheet[-310:-10, 10:410].astype(int)  # 400 px wide tiles: the image at its own scale
    changed = np.abs(tile - 90).sum(-1) > 20
    assert changed[155:245, 105:195].all() and changed[155:195, 105:295].all()  # inside the L
    assert not changed[205:245, 205:295].any()  # in the box, off the mask
    assert changed[249, 205:299].all() and changed[205:249, 299].all()  # the box's own border
    assert not changed[260:, :].any() and not changed[:, :90].any()


def test_contact_sheet_spreads_over_a_large_dataset():
    chosen = picks(100)
    assert len(set(chosen)) == MAX_IMAGES and (chosen[0], chosen[-1]) == (0, 99)
    assert picks(3) == [0, 1, 2] and picks(0) == []
    nothing = {"images": [], "annotations": [], "categories": []}
    assert contact_sheet(nothing, lambda entry: None, images=0, counts={}) is None


def test_contact_sheet_file_is_a_picture(store):
    summary = finish(store.out, categories=CATEGORIES)
    assert cv2.imread(str(summary.contact_sheet)) is not None
