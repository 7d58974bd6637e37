# SPDX-License-Identifier: GPL-3.0-or-later
"""COCO in and out, with pycocotools as the judge, and masks against brute force."""

from __future__ import annotations

import copy
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from property_examples import examples
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from twinset.dataset.formats import rle_masks
from twinset.dataset.formats.coco import LabelledImage, read_coco, write_coco
from twinset.dataset.formats.coco_writer import CocoBuilder
from twinset.dataset.store.dataset_files import run_writer
from twinset.dataset.store.finished_dataset import RecordedDataset
from twinset.dataset.store.frames import FrameStore
from twinset.engine.errors import DataError, OutputError
from twinset.plugins.writers.coco import Coco

GOOD = {
    "images": [{"id": 7, "file_name": "a.jpg", "width": 100, "height": 50}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 62, "bbox": [10, 5, 20, 10], "area": 200, "iscrowd": 0},
        {"id": 2, "image_id": 7, "category_id": 62, "bbox": [0, 0, 100, 50], "area": 5000, "iscrowd": 1},
        {"id": 3, "image_id": 7, "category_id": 5, "bbox": [1, 1, 2, 2], "area": 4, "iscrowd": 0},
    ],
    "categories": [{"id": 62, "name": "chair"}, {"id": 5, "name": "table"}, {"id": 9, "name": "bag"}],
}

id_maps = arrays(np.int32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 4))
small_masks = arrays(bool, st.tuples(st.integers(1, 10), st.integers(1, 10)))


def saved(tmp_path, data):
    path = tmp_path / "real.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def broken(change):
    data = copy.deepcopy(GOOD)
    change(data)
    return data


def message(tmp_path, data):
    with pytest.raises(DataError) as caught:
        read_coco(saved(tmp_path, data), strict=True)
    return str(caught.value)


def test_boxes_in_image_units_without_crowds(tmp_path):
    coco = read_coco(saved(tmp_path, GOOD))
    boxes = coco.boxes("chair")
    assert len(boxes) == 1
    np.testing.assert_allclose(boxes.area, [200 / 5000])
    np.testing.assert_allclose(boxes.center, [[0.2, 0.2]])
    np.testing.assert_allclose(boxes.aspect, [2.0])
    assert boxes.image.tolist() == [7]
    assert coco.classes() == {"chair": 1, "table": 1, "bag": 0}
    assert coco.category("table") == {"id": 5, "name": "table"}


def test_unknown_class_lists_classes_and_closest(tmp_path):
    coco = read_coco(saved(tmp_path, GOOD))
    with pytest.raises(
        DataError, match=r"no class 'Chairs'.*Did you mean 'chair'\?.*chair \(1\), table \(1\), bag \(0\)"
    ):
        coco.boxes("Chairs")
    with pytest.raises(DataError, match="'bag' but no box"):
        coco.boxes("bag")


def test_missing_file_and_broken_json(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_coco(tmp_path / "none.json")
    with pytest.raises(DataError, match="is a folder"):
        read_coco(tmp_path)
    assert "at line 2, column 14" in message(tmp_path, '{"images": [],\n"categories" []}')
    (tmp_path / "latin.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(DataError, match="not UTF-8"):
        read_coco(tmp_path / "latin.json")


@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
def test_missing_key_is_named(tmp_path, key):
    assert f"the key '{key}' is missing" in message(tmp_path, broken(lambda d: d.pop(key)))


def test_other_json_is_not_coco(tmp_path):
    assert "holds a JSON list" in message(tmp_path, "[1, 2]")
    assert "'images' must be a list of objects" in message(tmp_path, broken(lambda d: d.update(images=[1])))


def set_box(*box):
    return lambda d: d["annotations"][0].update(bbox=list(box))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_box(math.nan, 5, 20, 10), ["annotation 1 (image 7)", "[nan, 5, 20, 10]", "not finite"]),
        (set_box(1, 5, math.inf, 10), ["annotation 1 (image 7)", "not finite"]),
        (set_box(10, 5, -20, 10), ["annotation 1 (image 7)", "[10, 5, -20, 10]", "not positive"]),
        (set_box(10, 5, 20, 0), ["not positive"]),
        (set_box(10, 5, "20", 10), ["needs a 'bbox' of four numbers"]),
        (lambda d: d["annotations"][0].pop("bbox"), ["needs a 'bbox' of four numbers"]),
        (set_box(10, 5, 20), ["needs a 'bbox' of four numbers"]),
        (set_box(90, 5, 20, 10), ["annotation 1 (image 7)", "[90, 5, 20, 10]", "10 px beyond its image of 100 by 50"]),
        (set_box(-3, 5, 20, 10), ["3 px beyond"]),
        (set_box(101, 5, 1, 10), ["2 px beyond"]),  # wholly outside, however little
        (lambda d: d["images"][0].pop("width"), ["image 7 ('a.jpg') has no valid width and height"]),
        (lambda d: d["images"][0].update(height=0), ["image 7", "width and height"]),
        (lambda d: d["annotations"][2].update(id=1), ["annotation id 1 is used 2 times"]),
        (lambda d: d["images"].append(d["images"][0]), ["image id 7 is used 2 times"]),
        (lambda d: d["categories"][1].update(id=62), ["category id 62 is used 2 times"]),
        (lambda d: d["categories"][1].update(name="chair"), ["category name 'chair' is used 2 times"]),
        (lambda d: d["categories"][1].pop("name"), ["category 5 has no name"]),
        (lambda d: d["annotations"][0].update(image_id=8), ["annotation 1 (image 8)", "not in 'images'"]),
        (lambda d: d["annotations"][0].update(category_id=1), ["annotation 1 (image 7)", "category 1", "not in"]),
        (lambda d: d["annotations"][0].pop("id"), ["annotation number 1 needs an integer 'id'"]),
        (lambda d: d["images"][0].update(id=2**64), ["image number 1", "at most 64 bits; it has 18446744073709551616"]),
    ],
)
def test_each_problem_is_named_with_its_place(tmp_path, change, words):
    text = message(tmp_path, broken(change))
    assert "real.json" in text
    for word in words:
        assert word in text


def test_many_problems_are_counted_and_ten_shown(tmp_path):
    def change(data):
        data["annotations"] = [dict(data["annotations"][0], id=i, bbox=[0, 0, 0, 1]) for i in range(1, 26)]

    text = message(tmp_path, broken(change))
    assert "has 25 problems, the first 10:" in text
    assert text.count("\n") == 10
    assert "annotation 10 " in text and "annotation 11 " not in text


def test_rounding_is_clipped_not_refused(tmp_path):
    coco = read_coco(saved(tmp_path, broken(set_box(-1.5, 40, 20, 12))))
    assert coco.annotations[0]["bbox"] == [0, 40, 18.5, 10]


def test_real_files_are_read(data):
    for name, cls, count in (("cartucho_map_A45", "chair", 44), ("coco_furniture_bags", "chair", 56)):
        coco = read_coco(data / "annotations" / f"{name}.json")
        boxes = coco.boxes(cls)
        assert len(boxes) >= count * 0.9
        assert ((boxes.area > 0) & (boxes.area <= 1)).all()
        assert ((boxes.center >= 0) & (boxes.center <= 1)).all()


@settings(max_examples=examples(150))
@given(id_maps)
def test_scan_equals_encoding_each_mask(ids):
    regions = rle_masks.scan_ids(ids)
    assert list(regions) == [i for i in np.unique(ids) if i]
    total = np.zeros(ids.shape, int)
    for i, region in regions.items():
        mask = ids == i
        truth = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
        assert region.rle == {"size": list(ids.shape), "counts": truth["counts"].decode()} == rle_masks.encode(mask)
        assert region.area == mask.sum()
        rows, columns = np.nonzero(mask)
        w, h = np.ptp(columns) + 1, np.ptp(rows) + 1
        assert region.bbox == (columns.min(), rows.min(), w, h) == rle_masks.extent(mask)
        areas, boxes = rle_masks.measure([region.rle])
        assert areas[0] == region.area and tuple(boxes[0]) == region.bbox
        total += coco_mask.decode(region.rle)
    np.testing.assert_array_equal(total, ids > 0)  # the regions partition the map


@pytest.mark.parametrize("small", [0, 2**15], ids=["run by run", "by pycocotools"])
@settings(max_examples=examples(60))
@given(id_maps)
def test_masks_and_extents_are_those_of_pycocotools(small, ids):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rle_masks, "_SMALL_MASK", small)
        for mask in (ids == i for i in np.unique(ids)):
            rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
            runs = {"size": list(ids.shape), "counts": [int((~mask).sum()), int(mask.sum())]}  # all of it in one run
            for segmentation in ({**rle, "counts": rle["counts"].decode()}, runs):
                decoded, extent = rle_masks.decode_with_extent(segmentation, *ids.shape)
                truth = coco_mask.decode(rle_masks.as_rle(segmentation, *ids.shape)).astype(bool)
                np.testing.assert_array_equal(decoded, truth)
                assert decoded.dtype == bool and extent == rle_masks.extent(truth)
            np.testing.assert_array_equal(rle_masks.decode(rle_masks.encode(mask), *ids.shape), mask)


@settings(max_examples=examples(200))
@given(small_masks)
def test_polygons_decode_to_the_very_mask(mask):
    parts = rle_masks.polygons(mask)
    if parts is None:
        return
    assert all(len(p) >= 8 and len(p) % 2 == 0 for p in parts)
    decoded = rle_masks.decode(parts, *mask.shape)
    assert (decoded & mask).sum() >= rle_masks.MIN_POLYGON_IOU * (decoded | mask).sum()


def test_polygons_of_simple_shapes():
    mask = np.zeros((20, 30), bool)
    assert rle_masks.polygons(mask) is None
    mask[4:9, 6:17] = True
    (part,) = rle_masks.polygons(mask)
    assert set(zip(part[::2], part[1::2], strict=True)) == {(6, 4), (17, 4), (17, 9), (6, 9)}
    mask[15, 29] = True  # one pixel in a corner is a square, not a point
    assert sorted(map(len, rle_masks.polygons(mask))) == [8, 8]
    np.testing.assert_array_equal(rle_masks.decode(rle_masks.polygons(mask), 20, 30), mask)
    mask[6, 10] = False  # a hole
    assert rle_masks.polygons(mask) is None


def test_polygons_of_a_disc_are_exact():
    y, x = np.mgrid[:240, :320]
    mask = (x - 150.2) ** 2 + (y - 90.7) ** 2 < 70**2
    np.testing.assert_array_equal(rle_masks.decode(rle_masks.polygons(mask), 240, 320), mask)


def labelled(ids, class_of, name="000000.jpg"):
    h, w = ids.shape
    return LabelledImage(
        {"file_name": name, "width": w, "height": h, "twinset": {"frame": 0}},
        [
            {"class": class_of(i), "segmentation": r.rle, "twinset": {"i": i}}
            for i, r in rle_masks.scan_ids(ids).items()
        ],
    )


CATEGORIES = [{"id": 5, "name": "table", "supercategory": "furniture"}, {"id": 62, "name": "chair"}]


def written(path, frames, info=None, polygons=False, **options):
    """The COCO file of some frames, as a dict."""
    with CocoBuilder(path, categories=CATEGORIES, info=info or {}, **options) as annotations:
        for frame in frames:
            annotations.add(frame)
        store = FrameStore(path.parent.parent)
        run_writer(Coco(polygons=polygons), RecordedDataset(store, annotations))
    return json.loads(path.read_text())


@settings(max_examples=examples(30))
@given(st.lists(arrays(np.int32, (9, 11), elements=st.integers(0, 3)), min_size=1, max_size=3), st.booleans())
def test_written_coco_loads_and_decodes_to_the_id_maps(tmp_path_factory, maps, polygons):
    path = tmp_path_factory.mktemp("coco") / "annotations" / "instances.json"
    frames = [labelled(m, lambda i: "chair" if i % 2 else "table", f"{n:06d}.jpg") for n, m in enumerate(maps)]
    written(path, frames, info={"year": 2000}, polygons=polygons)
    coco = COCO(str(path))
    assert sorted(coco.imgs) == list(range(1, len(maps) + 1))
    assert sorted(coco.anns) == list(range(1, len(coco.anns) + 1))
    assert coco.loadCats(coco.getCatIds()) == CATEGORIES
    seen = 0
    for image_id, ids in enumerate(maps, start=1):
        anns = coco.loadAnns(coco.getAnnIds(imgIds=image_id))
        assert sorted(a["twinset"]["i"] for a in anns) == [i for i in np.unique(ids) if i]
        for a in anns:
            seen += 1
            truth, decoded = ids == a["twinset"]["i"], coco.annToMask(a).astype(bool)
            if isinstance(a["segmentation"], list):
                assert polygons and (decoded & truth).sum() >= 0.98 * (decoded | truth).sum()
            else:
                np.testing.assert_array_equal(decoded, truth)
            assert type(a["area"]) is int and a["area"] == truth.sum()
            assert all(type(v) is int for v in a["bbox"]) and tuple(a["bbox"]) == rle_masks.extent(truth)
            assert a["iscrowd"] == 0
    assert seen == len(coco.anns)
    assert len(read_coco(path).annotations) == seen  # and Twinset's own reader finds nothing to complain about


def test_specks_empty_masks_and_unknown_classes(tmp_path):
    ids = np.zeros((8, 8), int)
    ids[0, 0], ids[4:7, 4:7] = 1, 2
    frame = labelled(ids, lambda i: "chair")
    path = tmp_path / "annotations/instances.json"
    coco = written(path, [frame], min_area=5)
    assert [(a["id"], a["area"]) for a in coco["annotations"]] == [(1, 9)]
    empty = LabelledImage(frame.image, [{"class": "chair", "segmentation": rle_masks.encode(np.zeros((8, 8)))}])
    assert written(path, [empty])["annotations"] == []
    with pytest.raises(DataError, match=r"'000000.jpg' shows the class 'bag'.*table, chair"):
        written(path, [labelled(ids, lambda i: "bag")])
    assert json.loads(path.read_text())["annotations"] == []  # what was there stays


def test_extras_stay_under_one_key_and_licences_empty(tmp_path):
    frames = [labelled(np.ones((3, 3), int), lambda i: "chair")]
    coco = written(tmp_path / "annotations/instances.json", frames, info={"year": 1})
    assert coco["licenses"] == [] and coco["info"] == {"year": 1}
    assert set(coco["annotations"][0]) == {
        *("id", "image_id", "category_id", "bbox", "area", "segmentation", "iscrowd", "twinset")
    }


def test_unwritable_place_is_an_output_error(tmp_path):
    (tmp_path / "annotations").write_text("in the way")
    with pytest.raises(OutputError, match="a file has its name"):
        write_coco(tmp_path / "annotations" / "instances.json", {})
