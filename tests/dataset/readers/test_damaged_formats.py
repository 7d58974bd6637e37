# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is in the files of a format, reading them ends soon, with a dataset or a sentence for the user."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from mutations import Subject, fuzz
from property_examples import examples
from twinset.dataset.analysis.measure import measure
from twinset.dataset.exports.outlines import mask_of
from twinset.dataset.formats.dataset_folder import open_dataset, read_dataset
from twinset.dataset.jobs.convert import convert
from twinset.dataset.store.dataset_files import run_writer
from twinset.engine.plugin.registry import find
from twinset.testing.fixtures.datasets import finished_dataset

FILES = {
    "voc": ("text", "VOCdevkit/VOC2012/Annotations/000001.xml"),
    "voc/map": ("bytes", "VOCdevkit/VOC2012/SegmentationObject/000001.png"),
    "kitti": ("text", "training/label_2/000001.txt"),
    "cvat": ("text", "annotations.xml"),
    "label_studio": ("json", "tasks.json"),
    "coco_panoptic": ("json", "annotations/panoptic.json"),
    "coco_panoptic/map": ("bytes", "annotations/panoptic/000001.png"),
    "imagefolder": ("json", "train/metadata.jsonl"),
    "parquet": ("bytes", "data/train-00000-of-00001.parquet"),
    "webdataset": ("bytes", "train-000000.tar"),
    "webdataset/list": ("json", "categories.json"),
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("source")
    run_writer(find("writer", "coco")(), finished_dataset(folder, images=2))
    return open_dataset(folder)


def use(folder: Path, file: Path, data: bytes) -> None:
    """Read a folder with this content in a file, and look at everything that is used of it."""
    file.write_bytes(data)
    coco = read_dataset(folder)
    images = {image["id"]: image for image in coco.images}
    for annotation in coco.annotations:
        mask_of(annotation, images[annotation["image_id"]])
    measure(coco, None)


@pytest.mark.parametrize("name", FILES)
def test_files_of_formats_end_in_a_sentence(source, tmp_path, name):
    kind, path = FILES[name]
    folder = tmp_path / "data"
    convert(source, find("writer", name.split("/")[0])(), folder)
    file = folder / path
    valid = file.read_bytes()
    file.unlink()  # it may be a hard link
    if kind == "json" and path.endswith(".jsonl"):
        valid = valid.splitlines()[0]
    subject = Subject(kind, valid, lambda data: use(folder, file, data))
    subject.use(valid)
    found = fuzz(subject, examples(12))
    assert not found.problems


@pytest.mark.parametrize("name", ["scene_gt.json", "scene_gt_info.json", "step0.frame_data.json"])
def test_files_of_bop_and_unity_end_in_a_sentence(tmp_path, name):
    is_bop = name.startswith("scene")
    folder = tmp_path / ("000001" if is_bop else "sequence.0")
    picture = folder / ("rgb/000000.png" if is_bop else "step0.camera.png")
    picture.parent.mkdir(parents=True)
    cv2.imwrite(str(picture), np.zeros((30, 40, 3), np.uint8))
    box = {"instanceId": 1, "labelName": "a", "origin": [1, 2], "dimension": [3, 4]}
    boxes = {"@type": "x.BoundingBox2DAnnotation", "values": [box]}
    camera = {"@type": "x.RGBCamera", "filename": "step0.camera.png", "dimension": [40, 30], "annotations": [boxes]}
    contents = {
        "scene_gt.json": {"0": [{"obj_id": 1}]},
        "scene_gt_info.json": {"0": [{"bbox_visib": [1, 2, 3, 4], "bbox_obj": [1, 2, 3, 4], "visib_fract": 1.0}]},
        "step0.frame_data.json": {"frame": 0, "captures": [camera]},
    }
    for other in ("scene_gt.json", "scene_gt_info.json") if is_bop else (name,):
        (folder / other).write_text(json.dumps(contents[other]))
    file = folder / name
    subject = Subject("json", file.read_bytes(), lambda data: use(tmp_path, file, data))
    subject.use(subject.valid)
    found = fuzz(subject, examples(12))
    assert not found.problems
