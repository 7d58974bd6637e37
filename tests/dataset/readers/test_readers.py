# SPDX-License-Identifier: GPL-3.0-or-later
"""Datasets as other tools write them, and what is said of those that are damaged or want to do harm."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from twinset.dataset.analysis.measure import measure
from twinset.dataset.formats import rle_masks
from twinset.dataset.formats.dataset_folder import image_folder, read_dataset
from twinset.dataset.formats.dataset_reader import READERS
from twinset.dataset.readers import bop as bop_module
from twinset.engine.errors import DataError

VOC_XML = """<annotation>
  <folder>VOC2007</folder><filename>{name}</filename>
  <size><width>40</width><height>30</height><depth>3</depth></size>
  {objects}
</annotation>"""
VOC_OBJECT = """<object><name>{name}</name><truncated>0</truncated><difficult>{difficult}</difficult>
  <bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"""


def picture(path: Path, width: int = 40, height: int = 30) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width, 3), 90, np.uint8))


def voc_object(name: str, *box: float, difficult: int = 0) -> str:
    return VOC_OBJECT.format(name=name, box=box, difficult=difficult)


def voc(folder: Path, objects: str, *, images: str = "JPEGImages", xml: str = "Annotations", name: str = "a") -> None:
    picture(folder / images / f"{name}.jpg")
    (folder / xml).mkdir(parents=True, exist_ok=True)
    (folder / xml / f"{name}.xml").write_text(VOC_XML.format(name=f"{name}.jpg", objects=objects))


def boxes(coco) -> list[tuple[str, list[float]]]:
    names = {c["id"]: c["name"] for c in coco.categories}
    return [(names[a["category_id"]], a["bbox"]) for a in coco.annotations]


def test_each_file_declares_one_reader():
    files = sorted(path.stem for path in Path(bop_module.__file__).parent.glob("*.py") if path.stem != "__init__")
    assert READERS.names() == files and all(reader.title for reader in READERS.all())


# Pascal VOC


def test_pixels_of_voc_are_counted_from_one(tmp_path):
    voc(tmp_path, voc_object("cat", 1, 1, 10, 20) + voc_object("dog", 5, 6, 5, 6, difficult=1))
    coco = read_dataset(tmp_path)
    assert boxes(coco) == [("cat", [0, 0, 10, 20]), ("dog", [4, 5, 1, 1])]
    assert [a["iscrowd"] for a in coco.annotations] == [0, 1]
    assert coco.classes() == {"cat": 1, "dog": 0}
    assert (image_folder(coco) / coco.images[0]["file_name"]).is_file()
    assert list(measure(coco, None).columns["area"]) == [200]


def test_tools_that_count_pixels_from_zero_are_recognised(tmp_path):
    for name, box in (("a", (0, 3, 10, 20)), ("b", (5, 6, 15, 16))):
        voc(tmp_path / "train", voc_object("cat", *box), images=".", xml=".", name=name)
    coco = read_dataset(tmp_path)  # XML beside the images, as Roboflow exports it
    assert boxes(coco) == [("cat", [0, 3, 10, 17]), ("cat", [5, 6, 10, 10])]
    assert [i["file_name"] for i in coco.images] == ["train/a.jpg", "train/b.jpg"]
    assert {i["part"] for i in coco.images} == {"train"}


def test_maps_of_objects_become_masks(tmp_path):
    from PIL import Image

    voc(tmp_path / "VOCdevkit/VOC2012", voc_object("cat", 3, 3, 6, 7) + voc_object("dog", 11, 3, 12, 4))
    numbers = np.zeros((30, 40), np.uint8)
    numbers[2:7, 2:6], numbers[2:4, 10:12], numbers[20:, 20:] = 1, 2, 255
    shown = Image.fromarray(numbers, "P")
    shown.putpalette(bytes(range(256)) * 3)
    (tmp_path / "VOCdevkit/VOC2012/SegmentationObject").mkdir()
    shown.save(tmp_path / "VOCdevkit/VOC2012/SegmentationObject/a.png")
    coco = read_dataset(tmp_path)
    masks = [rle_masks.decode(a["segmentation"], 30, 40) for a in coco.annotations]
    np.testing.assert_array_equal(masks[0], numbers == 1)
    np.testing.assert_array_equal(masks[1], numbers == 2)
    numbers[0, 0] = 3
    Image.fromarray(numbers, "L").save(tmp_path / "VOCdevkit/VOC2012/SegmentationObject/a.png")
    with pytest.raises(DataError, match="more objects than its annotation"):
        read_dataset(tmp_path)


def bomb(encoding: str) -> bytes:
    entities = "".join(f'<!ENTITY e{k} "{f"&e{k - 1};" * 10 if k else "x" * 10}">' for k in range(9))
    text = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE annotation [{entities}]><annotation>&e8;</annotation>'
    return text.encode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("kind", ["voc", "cvat"])
def test_entities_are_refused_in_any_encoding(tmp_path, encoding, kind):
    voc(tmp_path, voc_object("cat", 1, 1, 10, 20))
    voc(tmp_path, "", name="b")
    path = tmp_path / ("Annotations/b.xml" if kind == "voc" else "annotations.xml")
    path.write_bytes(bomb(encoding))
    with pytest.raises(DataError, match="declares entities or a document type"):
        read_dataset(tmp_path if kind == "voc" else path)


def test_deep_xml_and_pipes_are_refused(tmp_path):
    voc(tmp_path, voc_object("cat", 1, 1, 10, 20))
    path = tmp_path / "Annotations/z.xml"
    path.write_text("<annotation>" + "<a>" * 200 + "</a>" * 200 + "</annotation>")
    with pytest.raises(DataError, match="nested too deeply"):
        read_dataset(tmp_path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DataError, match="not a regular file"):
        read_dataset(tmp_path)


def test_a_file_of_one_image_is_not_taken_for_cvat(tmp_path):
    voc(tmp_path, voc_object("cat", 1, 1, 10, 20))
    with pytest.raises(DataError, match=r"annotation of one image, as Pascal VOC has it\. Name the folder"):
        read_dataset(tmp_path / "Annotations/a.xml")


# KITTI


def kitti(folder: Path, text: str) -> None:
    picture(folder / "training/image_2/000007.png", 1242, 375)
    (folder / "training/label_2").mkdir(parents=True, exist_ok=True)
    (folder / "training/label_2/000007.txt").write_text(text)


def test_lines_of_kitti_are_boxes(tmp_path):
    kitti(
        tmp_path,
        "Truck 0.00 0 -1.57 599.41 156.40 629.75 189.25 2.85 2.63 12.34 0.47 1.49 69.44 -1.56\n"
        "Car 0.00 0 1.85 387.63 181.54 423.81 203.12 1.67 1.87 3.69 -16.53 2.39 58.49 1.57 0.98\n"
        "DontCare -1 -1 -10 503.89 169.71 590.61 190.13 -1 -1 -1 -1000 -1000 -1000 -10\n",
    )
    coco = read_dataset(tmp_path)
    (truck, box), (car, _) = boxes(coco)
    assert (truck, car) == ("Truck", "Car") and box == pytest.approx([599.41, 156.40, 30.34, 32.85])
    assert (coco.images[0]["width"], coco.images[0]["height"]) == (1242, 375)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Car 0 0 0 1 2 3\n", "line 1: 'Car 0 0 0 1 2 3' is not a label of a class and 14 numbers"),
        ("Car 0 0 0 nan 2 3 4 1 1 1 1 1 1 1\n", "is not a label"),
    ],
)
def test_broken_lines_of_kitti_are_named(tmp_path, text, message):
    kitti(tmp_path, text)
    with pytest.raises(DataError, match=message):
        read_dataset(tmp_path)


def test_kitti_without_an_image_is_refused(tmp_path):
    kitti(tmp_path, "")
    (tmp_path / "training/image_2/000007.png").unlink()
    with pytest.raises(DataError, match="has no image for"):
        read_dataset(tmp_path)


# Hugging Face


def imagefolder(folder: Path, *rows: dict, split: str = "train") -> None:
    (folder / split).mkdir(parents=True, exist_ok=True)
    for row in rows:
        picture(folder / split / row["file_name"])
    (folder / split / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_imagefolders_of_others(tmp_path):
    objects = {"bbox": [[1, 2, 10, 12], [0.5, 0, 3, 3]], "categories": [1, 0]}  # as in Hugging Face's documentation
    imagefolder(tmp_path, {"file_name": "a.png", "objects": objects})
    imagefolder(tmp_path, {"file_name": "b.png", "objects": {"bbox": [], "categories": []}}, split="validation")
    with pytest.raises(DataError, match=r"the class 1, which has no name\. Add a file classes\.txt"):
        read_dataset(tmp_path)
    (tmp_path / "classes.txt").write_text("mask\nglove\n")
    coco = read_dataset(tmp_path)
    assert boxes(coco) == [("glove", [1, 2, 10, 12]), ("mask", [0.5, 0, 3, 3])]
    assert [(i["file_name"], i["part"], i["width"]) for i in coco.images] == [
        ("train/a.png", "train", 40),
        ("validation/b.png", "val", 40),
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"file_name": "a.png", "objects": {"bbox": [[1, 2, 3]], "category": ["x"]}}, "not \\[x, y, width, height\\]"),
        ({"file_name": "a.png", "objects": {"bbox": [[1, 2, 3, 4]], "category": []}}, "1 boxes and 0 classes"),
        ({"file_name": "a.png", "objects": {"box_2d": [[1, 2, 3, 4]]}}, "'objects' has no 'bbox'"),
        ({"file_name": "a.png", "objects": 7}, "must be a table of columns"),
    ],
)
def test_broken_imagefolders_are_named_by_line(tmp_path, row, message):
    imagefolder(tmp_path, row)
    with pytest.raises(DataError, match=f"metadata.jsonl', line 1.*{message}"):
        read_dataset(tmp_path)


def test_tables_of_others_have_sizes_in_their_images(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    pyarrow = pytest.importorskip("pyarrow")
    data = cv2.imencode(".png", np.zeros((20, 30, 3), np.uint8))[1].tobytes()
    row = {
        "image": {"bytes": data, "path": "x.png"},
        "objects": {"bbox": [[1.0, 2.0, 3.0, 4.0]], "category": [1]},
    }
    features = {"objects": {"category": {"feature": {"names": ["a", "b"], "_type": "ClassLabel"}, "_type": "List"}}}
    table = pyarrow.Table.from_pylist([row])
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    (tmp_path / "data").mkdir()
    parquet.write_table(table, tmp_path / "data/test-00000-of-00001.parquet")
    coco = read_dataset(tmp_path)
    assert boxes(coco) == [("b", [1, 2, 3, 4])]
    assert coco.images == [{"id": 1, "file_name": "x.png", "width": 30, "height": 20, "part": "test"}]


# Unity


def solo(folder: Path, values: list[dict], instances: list[dict] | None = None) -> None:
    frame = folder / "sequence.0"
    picture(frame / "step0.camera.png")
    boxes_2d = {"@type": "type.unity.com/unity.solo.BoundingBox2DAnnotation", "id": "bounding box", "values": values}
    masks = {
        "@type": "type.unity.com/unity.solo.InstanceSegmentationAnnotation",
        "filename": "step0.camera.instance segmentation.png",
        "instances": instances or [],
    }
    capture = {
        "@type": "type.unity.com/unity.solo.RGBCamera",
        "filename": "step0.camera.png",
        "dimension": [40.0, 30.0],
        "annotations": [boxes_2d, masks],
    }
    (frame / "step0.frame_data.json").write_text(json.dumps({"frame": 0, "captures": [capture]}))


def test_frames_of_solo_have_boxes_and_masks(tmp_path):
    pixels = np.zeros((30, 40, 4), np.uint8)
    pixels[..., 3] = 255
    pixels[5:10, 6:16] = (50, 40, 255, 255)  # blue, green, red
    value = {"instanceId": 3, "labelId": 1, "labelName": "Crate", "origin": [6.0, 5.0], "dimension": [10.0, 5.0]}
    solo(tmp_path, [value], [{"instanceId": 3, "labelName": "Crate", "color": [255, 40, 50, 255]}])
    cv2.imwrite(str(tmp_path / "sequence.0/step0.camera.instance segmentation.png"), pixels)
    coco = read_dataset(tmp_path)
    assert boxes(coco) == [("Crate", [6, 5, 10, 5])]
    np.testing.assert_array_equal(rle_masks.decode(coco.annotations[0]["segmentation"], 30, 40), pixels[..., 2] == 255)
    assert coco.images[0]["file_name"] == "sequence.0/step0.camera.png"
    solo(tmp_path, [{"origin": [1, 2], "dimension": [3]}])
    with pytest.raises(DataError, match="bounding box without 'origin', 'dimension' and 'labelName'"):
        read_dataset(tmp_path)


# BOP


def bop(folder: Path, info: list[dict] | None) -> None:
    scene = folder / "test/000002"
    picture(scene / "rgb/000003.png")
    pose = {"cam_R_m2c": [1, 0, 0, 0, 1, 0, 0, 0, 1], "cam_t_m2c": [0, 0, 500]}
    (scene / "scene_gt.json").write_text(json.dumps({"3": [{**pose, "obj_id": 5}, {**pose, "obj_id": 9}]}))
    if info is not None:
        (scene / "scene_gt_info.json").write_text(json.dumps({"3": info}))


def test_scenes_of_bop_have_visible_boxes_and_masks(tmp_path):
    seen = {"bbox_obj": [3, 4, 20, 10], "bbox_visib": [5, 4, 8, 10], "px_count_visib": 80, "visib_fract": 0.4}
    hidden = {"bbox_obj": [3, 4, 20, 10], "bbox_visib": [-1, -1, -1, -1], "px_count_visib": 0, "visib_fract": 0.0}
    bop(tmp_path, [seen, hidden])
    mask = np.zeros((30, 40), np.uint8)
    mask[4:14, 5:13] = 255
    (tmp_path / "test/000002/mask_visib").mkdir()
    cv2.imwrite(str(tmp_path / "test/000002/mask_visib/000003_000000.png"), mask)
    for folder in (tmp_path, tmp_path / "test", tmp_path / "test/000002"):
        coco = read_dataset(folder)
        assert boxes(coco) == [("obj_000005", [5, 4, 8, 10])]
        (a,) = coco.annotations
        assert a["twinset"] == {"visible_share": 0.4, "amodal_bbox": [3, 4, 20, 10]}
        np.testing.assert_array_equal(rle_masks.decode(a["segmentation"], 30, 40), mask > 0)
        assert (folder / coco.images[0]["file_name"]).is_file()
    assert list(measure(coco, None).columns["visible_share"]) == [0.4]


@pytest.mark.parametrize(
    ("info", "message"),
    [
        (None, "has no scene_gt_info.json, which has the boxes"),
        ([], "does not have the instances of image 3"),
        ([{}, {}], "has no 'obj_id' or no valid 'bbox_visib'"),
    ],
)
def test_broken_scenes_of_bop_are_named(tmp_path, info, message):
    bop(tmp_path, info)
    with pytest.raises(DataError, match=message):
        read_dataset(tmp_path)


# Panoptic


def test_stuff_of_panoptic_maps_is_left_out(tmp_path):
    picture(tmp_path / "images/a.jpg")
    segments = np.zeros((30, 40), np.int64)
    segments[:10], segments[12:20, 5:30] = 4000, 70_001
    colors = np.stack([segments >> shift & 255 for shift in (16, 8, 0)], -1).astype(np.uint8)
    (tmp_path / "annotations/panoptic_val2017").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "annotations/panoptic_val2017/a.png"), colors)
    info = [{"id": 4000, "category_id": 2}, {"id": 70_001, "category_id": 1, "iscrowd": 0}]
    data = {
        "images": [{"id": 8, "file_name": "a.jpg", "width": 40, "height": 30}],
        "annotations": [{"image_id": 8, "file_name": "a.png", "segments_info": info}],
        "categories": [{"id": 1, "name": "cat", "isthing": 1}, {"id": 2, "name": "sky", "isthing": 0}],
    }
    (tmp_path / "annotations/panoptic_val2017.json").write_text(json.dumps(data))
    coco = read_dataset(tmp_path)
    assert boxes(coco) == [("cat", [5, 12, 25, 8])] and coco.images[0]["part"] == "val"
    np.testing.assert_array_equal(rle_masks.decode(coco.annotations[0]["segmentation"], 30, 40), segments == 70_001)


def test_an_empty_folder_is_told_what_is_known(tmp_path):
    with pytest.raises(DataError, match="BOP, COCO panoptic, Hugging Face, KITTI, Unity SOLO, Pascal VOC"):
        read_dataset(tmp_path)
