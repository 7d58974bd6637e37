# SPDX-License-Identifier: GPL-3.0-or-later
"""Converted datasets as each format's own tools read them; a tool that is not installed skips its test."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from twinset.dataset.exports.outlines import mask_of
from twinset.dataset.formats import rle_masks
from twinset.dataset.formats.dataset_folder import open_dataset
from twinset.dataset.jobs.convert import convert
from twinset.dataset.store.dataset_files import run_writer
from twinset.engine.plugin.registry import find
from twinset.testing.fixtures.datasets import SIZE, finished_dataset

NAMES = {1: "chair", 2: "potted plant"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Six images of which every second one is for validation, with crowds, holes in masks, and an empty image."""
    folder = tmp_path_factory.mktemp("source")
    run_writer(find("writer", "coco")(), finished_dataset(folder, images=6, parts=True, crowds=True))
    return open_dataset(folder)


def converted(source: Any, id: str, folder: Path, **values: Any) -> Path:
    convert(source, find("writer", id)(**values), folder / id)
    return folder / id


def own(source: Any, *, crowds: bool = True) -> dict[str, list[dict[str, Any]]]:
    """The annotations of each image by its name without suffix."""
    out: dict[str, list[dict[str, Any]]] = {Path(i["file_name"]).stem: [] for i in source.coco.images}
    names = {i["id"]: Path(i["file_name"]).stem for i in source.coco.images}
    for a in source.coco.annotations:
        if crowds or not a["iscrowd"]:
            out[names[a["image_id"]]].append(a)
    return out


def masks(source: Any) -> dict[int, np.ndarray]:
    images = {i["id"]: i for i in source.coco.images}
    return {a["id"]: mask_of(a, images[a["image_id"]]) for a in source.coco.annotations}


def test_pycocotools_scores_the_truth_with_one(source, tmp_path):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    out = converted(source, "coco", tmp_path)
    truth = COCO(str(out / "annotations/instances.json"))
    found = [
        {k: a[k] for k in ("image_id", "category_id", "bbox", "segmentation")} | {"score": 0.9}
        for a in truth.dataset["annotations"]
        if not a["iscrowd"]
    ]
    for task in ("bbox", "segm"):
        score = COCOeval(truth, truth.loadRes(found), task)
        score.evaluate()
        score.accumulate()
        score.summarize()
        assert score.stats[0] == pytest.approx(1.0)
    assert {p.name for p in (out / "images").iterdir()} == {i["file_name"] for i in truth.dataset["images"]}


def test_panopticapi_scores_the_truth_with_one(source, tmp_path):
    evaluation = pytest.importorskip("panopticapi.evaluation")
    out = converted(source, "coco_panoptic", tmp_path)
    for part in ("panoptic_train", "panoptic_val"):
        data = json.loads((out / f"annotations/{part}.json").read_text())
        truth = {a["image_id"]: a for a in data["annotations"]}
        categories = {c["id"]: c for c in data["categories"]}
        folder = str(out / "annotations/panoptic")
        pairs = [(truth[key], truth[key]) for key in truth]
        score = evaluation.pq_compute_single_core(0, pairs, folder, folder, categories)
        result, by_class = score.pq_average(categories, isthing=None)
        assert result["pq"] == pytest.approx(1.0) and result["n"] == len([c for c in by_class.values() if c["pq"]])
        assert sum(c.tp for c in score.pq_per_cat.values()) == sum(
            not s["iscrowd"] for a in data["annotations"] for s in a["segments_info"]
        )


@pytest.mark.parametrize(("id", "task"), [("yolo", "detect"), ("yolo_segment", "segment"), ("yolo_obb", "obb")])
def test_ultralytics_reads_labels_into_its_cache(source, tmp_path, id, task, monkeypatch):
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("YOLO_OFFLINE", "true")
    utils = pytest.importorskip("ultralytics.data.utils")
    dataset = pytest.importorskip("ultralytics.data.dataset")
    out = converted(source, id, tmp_path)
    data = utils.check_det_dataset(str(out / "data.yaml"), autodownload=False)
    assert data["names"] == {0: "chair", 1: "potted plant"}
    truth = own(source, crowds=False)
    seen = 0
    for part in ("train", "val"):
        read = dataset.YOLODataset(img_path=data[part], data=data, task=task, imgsz=64, augment=False)
        for label in read.labels:
            expected = truth[Path(label["im_file"]).stem]
            assert [int(c) + 1 for c in label["cls"].ravel()] == [a["category_id"] for a in expected]
            for box, a in zip(label["bboxes"] * np.tile(SIZE, 2), expected, strict=True):
                x, y, w, h = a["bbox"]
                if task != "obb":
                    np.testing.assert_allclose(box, [x + w / 2, y + h / 2, w, h], atol=0.01)
            assert len(label["segments"]) == (0 if task == "detect" else len(expected))
            seen += 1
    assert seen == len(truth)


def test_ultralytics_reads_keypoints(tmp_path, monkeypatch):
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("YOLO_OFFLINE", "true")
    utils = pytest.importorskip("ultralytics.data.utils")
    dataset = pytest.importorskip("ultralytics.data.dataset")
    made = finished_dataset(tmp_path / "photos", images=6, parts=True)
    for number, a in enumerate(made.listed):
        x, y, w, h = a["bbox"]
        a["keypoints"] = [
            x + 1,
            y + h / 2,
            2,
            x + w - 1,
            y + h / 2,
            number % 2,
            *((0, 0, 0) if number % 3 else (x, y, 1)),
        ]
    names = ["left arm", "right arm", "head"]
    made = attrs.evolve(made, categories=[{**c, "keypoints": names} for c in made.categories])
    run_writer(find("writer", "coco")(), made)
    source = open_dataset(tmp_path / "photos")
    out = converted(source, "yolo_pose", tmp_path)
    data = utils.check_det_dataset(str(out / "data.yaml"), autodownload=False)
    assert data["kpt_shape"] == [3, 3] and data["flip_idx"] == [1, 0, 2]
    truth, seen = own(source), 0
    for part in ("train", "val"):
        read = dataset.YOLODataset(img_path=data[part], data=data, task="pose", imgsz=64, augment=False)
        for label in read.labels:
            expected = truth[Path(label["im_file"]).stem]
            assert [int(c) + 1 for c in label["cls"].ravel()] == [a["category_id"] for a in expected]
            for points, a in zip(label["keypoints"], expected, strict=True):
                np.testing.assert_allclose(points * [*SIZE, 1], np.reshape(a["keypoints"], (-1, 3)), atol=0.001)
                seen += 1
    assert seen == len(source.coco.annotations) > 5


def test_torchvision_reads_voc(source, tmp_path):
    datasets = pytest.importorskip("torchvision.datasets")
    made = finished_dataset(tmp_path / "photos", images=6, parts=True, crowds=True, suffix=".jpg")  # it knows no other
    run_writer(find("writer", "coco")(), made)
    source = open_dataset(tmp_path / "photos")
    out = converted(source, "voc", tmp_path)
    truth, mask = own(source), masks(source)
    names = []
    for part in ("train", "val"):
        for image, target in datasets.VOCDetection(str(out), year="2012", image_set=part, download=False):
            found = target["annotation"]
            name = Path(found["filename"]).stem
            names.append((part, name))
            assert image.size == SIZE
            objects = found.get("object", [])
            assert [o["name"] for o in objects] == [NAMES[a["category_id"]] for a in truth[name]]
            for o, a in zip(objects, truth[name], strict=True):
                x, y, w, h = a["bbox"]
                assert [int(o["bndbox"][k]) for k in ("xmin", "ymin", "xmax", "ymax")] == [x + 1, y + 1, x + w, y + h]
                assert o["difficult"] == str(a["iscrowd"])
        classes = datasets.VOCSegmentation(str(out), year="2012", image_set=part, download=False)
        for (_, shown), path in zip(classes, classes.masks, strict=True):
            values = np.array(shown)
            expected = np.zeros(SIZE[::-1], int)
            for a in truth[Path(path).stem]:
                expected[mask[a["id"]]] = 255 if a["iscrowd"] else a["category_id"]
            np.testing.assert_array_equal(values, expected)
    assert names == [(("train", "val")[n % 2], f"{n:06d}") for n in (0, 2, 4, 1, 3, 5)]


def test_torchvision_reads_kitti(source, tmp_path):
    datasets = pytest.importorskip("torchvision.datasets")
    out = converted(source, "kitti", tmp_path)
    (tmp_path / "Kitti").mkdir()
    os.symlink(out, tmp_path / "Kitti/raw")  # where torchvision wants KITTI's folders
    truth = own(source)
    read = datasets.Kitti(str(tmp_path), train=True, download=False)
    assert len(read) == 6
    for (_, target), path in zip(read, read.images, strict=True):
        expected = truth[Path(path).stem]
        wanted = ["DontCare" if a["iscrowd"] else NAMES[a["category_id"]].replace(" ", "_") for a in expected]
        assert [t["type"] for t in target] == wanted
        for t, a in zip(target, expected, strict=True):
            x, y, w, h = a["bbox"]
            assert t["bbox"] == [x, y, x + w, y + h]


@pytest.mark.parametrize("id", ["imagefolder", "parquet"])
def test_hugging_face_loads_all_splits(source, tmp_path, id, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    out = converted(source, id, tmp_path)
    read = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in read.items()} == {"train": 3, "validation": 3}
    truth = {i["id"]: [a for a in source.coco.annotations if a["image_id"] == i["id"]] for i in source.coco.images}
    for split in read.values():
        for row in split:
            objects = row["objects"]
            columns = (
                objects if isinstance(objects, dict) else {k: [o[k] for o in objects] for k in ("bbox", "category")}
            )
            assert row["image"].size == SIZE == (row["width"], row["height"])
            expected = truth[row["image_id"]]
            assert [[int(v) for v in box] for box in columns["bbox"]] == [a["bbox"] for a in expected]
            if id == "parquet":
                names = read["train"].features["objects"].feature["category"].names
                assert names == list(NAMES.values())
                columns["category"] = [names[c] for c in columns["category"]]
            assert columns["category"] == [NAMES[a["category_id"]] for a in expected]
    card = datasets.load_dataset_builder(str(out), cache_dir=str(tmp_path / "cache"))
    assert set(card.config.data_files) == {"train", "validation"}


def test_the_card_is_one_that_the_hub_takes(source, tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    card = hub.DatasetCard.load(converted(source, "imagefolder", tmp_path, title="Chairs") / "README.md")
    assert card.data.pretty_name == "Chairs" and card.data.license == "other"
    assert card.data.task_categories == ["object-detection", "image-segmentation"]
    assert card.data.size_categories == ["n<1K"]
    for heading in ("## Contents", "## Statistics", "## Provenance", "## Licences", "## Intended use"):
        assert heading in card.text


def test_webdataset_streams_shards(source, tmp_path):
    webdataset = pytest.importorskip("webdataset")
    out = converted(source, "webdataset", tmp_path, shard_images=2)
    shards = sorted(str(path) for path in out.glob("*.tar"))
    assert [Path(s).name for s in shards] == [f"{part}-00000{n}.tar" for part in ("train", "val") for n in (0, 1)]
    seen = Counter()
    for picture, sample in webdataset.WebDataset(shards, shardshuffle=False).decode("pil").to_tuple("png", "json"):
        assert picture.size == SIZE
        expected = [a for a in source.coco.annotations if a["image_id"] == sample["image"]["id"]]
        assert sample["annotations"] == expected
        assert sample["classes"] == [NAMES[a["category_id"]] for a in expected]
        seen["images"] += 1
    assert seen["images"] == 6


def test_label_studio_decodes_its_brush_masks(source, tmp_path):
    brush = pytest.importorskip("label_studio_sdk.converter.brush")
    tasks = json.loads((converted(source, "label_studio", tmp_path) / "tasks.json").read_text())
    truth, mask = own(source, crowds=False), masks(source)
    assert len(tasks) == 6
    for task in tasks:
        regions = task["annotations"][0]["result"]
        expected = truth[Path(task["data"]["image"]).stem]
        for region, a in zip(regions, expected, strict=True):
            pixels = brush.decode_rle(region["value"]["rle"]).reshape(*SIZE[::-1], 4)[..., 3]
            np.testing.assert_array_equal(pixels > 0, mask[a["id"]])
            assert region["value"]["brushlabels"] == [NAMES[a["category_id"]]]


@pytest.mark.parametrize(
    ("id", "format"),
    [
        *(("coco", "coco"), ("coco_panoptic", "coco_panoptic"), ("voc", "voc"), ("kitti", "kitti_detection")),
        *(("yolo", "yolo"), ("cvat", "cvat")),
    ],
)
def test_datumaro_imports(source, tmp_path, id, format):
    datumaro = pytest.importorskip("datumaro")
    if id == "cvat":  # of subsets, datumaro wants a file each
        run_writer(find("writer", "coco")(), finished_dataset(tmp_path / "whole", images=6, crowds=True))
        source = open_dataset(tmp_path / "whole")
    out = converted(source, id, tmp_path)
    path = out / "VOCdevkit/VOC2012" if id == "voc" else out
    read = datumaro.Dataset.import_from(str(path), format)
    kept = own(source, crowds=id not in ("kitti", "yolo"))
    expected = Counter(NAMES[a["category_id"]] for annotations in kept.values() for a in annotations)
    labels = read.categories()[datumaro.AnnotationType.label]
    kinds = {"coco": "mask", "coco_panoptic": "mask", "cvat": "mask"}
    wanted = getattr(datumaro.AnnotationType, kinds.get(id, "bbox"))
    found: Counter[str] = Counter()
    items: dict[str, None] = {}
    for item in read:
        if item.subset == "trainval":  # VOC's list of both
            continue
        items[Path(item.id).name] = None
        found.update(
            labels[a.label].name.replace("_", " ") for a in item.annotations if a.type == wanted and a.label is not None
        )
    found.pop("DontCare", None)
    assert len(items) == 6
    assert found == expected


def test_supervision_and_globox_read_coco_and_voc(source, tmp_path):
    globox = pytest.importorskip("globox")
    truth = own(source)
    coco = globox.AnnotationSet.from_coco(converted(source, "coco", tmp_path) / "annotations/instances.json")
    voc = globox.AnnotationSet.from_pascal_voc(converted(source, "voc", tmp_path) / "VOCdevkit/VOC2012/Annotations")
    for read in (coco, voc):
        assert sum(len(a.boxes) for a in read) == sum(map(len, truth.values()))


def test_masks_survive_the_most_direct_reader(source, tmp_path):
    from PIL import Image

    out = converted(source, "voc", tmp_path)
    truth, mask = own(source), masks(source)
    for name, listed in truth.items():
        path = out / "VOCdevkit/VOC2012/SegmentationObject" / f"{name}.png"
        assert path.is_file() == bool(listed)
        if listed:
            numbers = np.array(Image.open(path))
            expected = np.zeros(SIZE[::-1], int)
            for k, a in enumerate(listed, 1):
                expected[mask[a["id"]]] = k
            np.testing.assert_array_equal(numbers, expected)
            assert all(rle_masks.extent(mask[a["id"]]) == tuple(a["bbox"]) for a in listed)
