# SPDX-License-Identifier: GPL-3.0-or-later
"""Datasets that are converted to a format and read back have all that the format says it can hold."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from twinset.dataset.exports.outlines import joined, rings, turned_box
from twinset.dataset.formats import rle_masks
from twinset.dataset.formats.coco import coco_file
from twinset.dataset.formats.dataset_folder import ImageDataset, read_dataset
from twinset.dataset.imports.brush_masks import decode_brush, encode_brush
from twinset.dataset.imports.shapes import uncompressed_rle
from twinset.dataset.jobs.convert import convert
from twinset.engine.plugin.finished_dataset import CONTENTS
from twinset.engine.plugin.registry import default, find

CLASSES = ("chair", "potted plant", "Gemüse, rot & <grün>", "unused")
READ_BACK = ("coco", "coco_panoptic", "cvat", "imagefolder", "kitti", "label_studio", "parquet", "voc", "webdataset")
READ_BACK += ("yolo", "yolo_pose", "yolo_segment")
ONLY_MASKS = ("coco_panoptic", "yolo_segment")
LISTS_CLASSES = ("coco", "coco_panoptic", "cvat", "imagefolder", "parquet", "voc", "webdataset", "yolo")
LISTS_CLASSES += ("yolo_pose", "yolo_segment")


@st.composite
def masks(draw, width: int, height: int) -> np.ndarray:
    """A mask of up to three rectangles, each of which adds or removes pixels: in several parts, with holes."""
    mask = np.zeros((height, width), bool)
    for value in (True, *draw(st.lists(st.booleans(), max_size=3))):
        x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        w, h = draw(st.integers(1, width - x)), draw(st.integers(1, height - y))
        mask[y : y + h, x : x + w] = value
    return mask


@st.composite
def datasets(draw) -> dict[str, Any]:
    """COCO's entries: boxes with and without masks and decimals, crowds, parts, empty images, metadata."""
    images, annotations = [], []
    parts = draw(st.booleans())
    for number in range(draw(st.integers(1, 3))):
        width, height = draw(st.integers(8, 24)), draw(st.integers(8, 24))
        part = {"part": draw(st.sampled_from(("train", "val", "test")))} if parts else {}
        name = draw(st.sampled_from(("{:06d}.png", "a b {}.png", "ordner/ü{}.png"))).format(number)
        images.append({"id": number + 1, "file_name": name, "width": width, "height": height, **part})
        for _ in range(draw(st.integers(0, 3))):
            own: dict[str, Any] = {"id": len(annotations) + 1, "image_id": number + 1}
            own["category_id"] = draw(st.integers(1, 3))
            mask = draw(masks(width, height)) if draw(st.booleans()) else np.zeros((height, width), bool)
            if mask.any():
                own |= {"bbox": list(rle_masks.extent(mask)), "area": int(mask.sum())}
                own["segmentation"] = rle_masks.encode(mask)
            else:  # in steps that floats hold, at least half a pixel large
                x, y = (draw(st.integers(0, 64 * (side - 1))) / 64 for side in (width, height))
                w, h = (draw(st.integers(32, int(64 * (s - v)))) / 64 for s, v in ((width, x), (height, y)))
                own |= {"bbox": [x, y, w, h], "area": w * h}
            own["iscrowd"] = int(draw(st.booleans()) and draw(st.booleans()))
            if draw(st.booleans()):
                own |= {"twinset": {"visible_share": 0.5, "shape": "stool"}, "note": "by hand"}
            annotations.append(own)
    categories = [{"id": k, "name": name} for k, name in enumerate(CLASSES, 1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def told(data: Any, *, holds: frozenset[str], id: str) -> list[Any]:
    """What images show, in the order of their names, as far as a format holds it."""
    names = {c["id"]: "_".join(c["name"].split()) if "class names" not in holds else c["name"] for c in data.categories}
    own: dict[int, list[Any]] = {image["id"]: [] for image in data.images}
    size = {image["id"]: (image["height"], image["width"]) for image in data.images}
    drawn: dict[int, np.ndarray] = {key: np.zeros(s, np.int64) for key, s in size.items()}
    decoded = {
        a["id"]: even_odd(a["segmentation"][0], *size[a["image_id"]])
        if isinstance(a.get("segmentation"), list)
        else rle_masks.decode(a["segmentation"], *size[a["image_id"]])
        for a in data.annotations
        if a.get("segmentation") and "masks" in holds
    }
    if "overlaps" not in holds:  # the last one has the pixel
        for key, mask in decoded.items():
            image = next(a["image_id"] for a in data.annotations if a["id"] == key)
            drawn[image][mask] = key
        decoded = {
            key: drawn[next(a["image_id"] for a in data.annotations if a["id"] == key)] == key for key in decoded
        }
    for a in data.annotations:
        is_crowd = bool(a.get("iscrowd"))
        mask = decoded.get(a["id"])
        if (is_crowd and "crowds" not in holds) or (id in ONLY_MASKS and (mask is None or not mask.any())):
            continue
        box = rle_masks.extent(mask) if id in ONLY_MASKS else a["bbox"]
        more = (a.get("twinset") if "twinset" in holds else None, a.get("note") if "entries" in holds else None)
        has_mask = mask is not None and mask.any()
        own[a["image_id"]].append(
            (names[a["category_id"]], tuple(box), is_crowd, mask.tobytes() if has_mask else b"", more)
        )
    parts = {i["id"]: i.get("part", "") if "parts" in holds else "" for i in data.images}
    return sorted((stem(i["file_name"]), parts[i["id"]], own[i["id"]]) for i in data.images)


def stem(name: str) -> str:
    return Path(name).stem


def even_odd(points: list[float], height: int, width: int) -> np.ndarray:
    """The pixels whose centres are inside a polygon by the even-odd rule: crossings of a ray to the right."""
    x, y = np.array(points[::2]), np.array(points[1::2])
    u, v = np.arange(width)[None, :, None] + 0.5, np.arange(height)[:, None, None] + 0.5
    x2, y2 = np.roll(x, -1), np.roll(y, -1)
    crosses = (y > v) != (y2 > v)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = x + (v - y) / (y2 - y) * (x2 - x)
    return np.asarray((crosses & (u < at)).sum(-1) % 2 == 1)


def test_every_built_in_format_is_read_back_here_or_said_why():
    # They have turned boxes, keypoints, poses and sequences, which have tests of their own.
    left = {"yolo_obb", "yolo_pose", "bop", "coco_vid", "kubric", "mot"}
    assert set(READ_BACK) <= set(default().ids("writer", builtin=True)) <= {*READ_BACK, *left}
    for id in READ_BACK:
        assert set(find("writer", id).holds) <= set(CONTENTS)


@pytest.mark.parametrize("id", READ_BACK)
@settings(max_examples=examples(12), deadline=None)
@given(data=datasets())
def test_nothing_that_the_format_holds_is_lost(id, data):
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source")
        for image in data["images"]:
            path = source / image["file_name"]
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.full((image["height"], image["width"], 3), image["id"], np.uint8))
        coco = coco_file(source, data, is_plain=True)
        writer = find("writer", id)()
        holds = frozenset(writer.holds)
        out = Path(folder, "out")
        if (
            id == "coco_panoptic"
            and data["annotations"]
            and not any(a.get("segmentation") for a in data["annotations"])
        ):
            return
        done = convert(ImageDataset(coco, source), writer, out)
        again = read_dataset(out)
        for one, other in zip(told(coco, holds=holds, id=id), told(again, holds=holds, id=id), strict=True):
            assert one[0] == other[0]
            assert "parts" not in holds or not done.lost.get("the split into parts")
            if any(image.get("part") for image in coco.images):
                assert one[1] == other[1]
            assert len(one[2]) == len(other[2])
            for (name, box, *rest), (name2, box2, *rest2) in zip(one[2], other[2], strict=True):
                assert (name, rest) == (name2, rest2)
                assert box2 == pytest.approx(box, abs=1e-3)
        if id in LISTS_CLASSES:
            assert list(again.classes()) == list(CLASSES)
        crowds = any(a["iscrowd"] for a in data["annotations"])
        assert ("marks of crowds" in done.lost) == (crowds and "crowds" not in holds)
        has_masks = any(a.get("segmentation") for a in data["annotations"])
        assert ("masks" in done.lost) == (has_masks and "masks" not in holds)


@settings(max_examples=examples(60), deadline=None)
@given(mask=masks(19, 14))
def test_outlines_are_the_mask(mask):
    if not mask.any():
        assert rings(mask) == []
        return
    polygons = [ring for part in rings(mask) for ring in part]
    whole = np.zeros(mask.shape, bool)
    for ring in polygons:
        whole ^= even_odd(ring, *mask.shape)
    np.testing.assert_array_equal(whole, mask)
    np.testing.assert_array_equal(even_odd(joined(polygons), *mask.shape), mask)

    corners = np.reshape(turned_box(polygons, ()), (4, 2))
    points = np.array([(x + dx, y + dy) for y, x in np.argwhere(mask) for dx in (0, 1) for dy in (0, 1)])
    sides = np.roll(corners, -1, axis=0) - corners
    outward = np.array([[s[1], -s[0]] for s in sides]) / np.maximum(np.linalg.norm(sides, axis=1), 1e-9)[:, None]
    center = corners.mean(0)
    outward *= np.sign(((corners - center) * outward).sum(1))[:, None]
    beyond = np.einsum("kj,nkj->nk", outward, points[:, None] - corners[None])
    assert beyond.max() < 1e-3
    _, _, w, h = rle_masks.extent(mask)
    assert np.linalg.norm(sides[0]) * np.linalg.norm(sides[1]) <= w * h + 1e-3


@settings(max_examples=examples(60), deadline=None)
@given(mask=masks(19, 14))
def test_masks_of_other_tools_come_back(mask):
    np.testing.assert_array_equal(decode_brush(encode_brush(mask), *mask.shape), mask)
    np.testing.assert_array_equal(rle_masks.decode(uncompressed_rle(mask), *mask.shape), mask)
