# SPDX-License-Identifier: GPL-3.0-or-later
"""Pascal VOC: an XML file per image, lists of the parts, and maps of objects and classes."""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ...dataset.exports.image_names import flat_names, number_text, part_names
from ...dataset.exports.outlines import masks_of
from ...dataset.exports.visibility import is_hidden
from ...dataset.formats.image_files import IMAGE_SUFFIXES
from ...engine.plugin import DatasetFiles, FinishedDataset, Writer, plugin

ROOT = "VOCdevkit/VOC2012"
VOID = 255
"""The value of pixels that evaluators skip."""

IGNORED = "ignored"
"""What lists of classes call them."""


@plugin("writer")
class Voc(Writer):
    """Write Pascal VOC: ``VOCdevkit/VOC2012`` with XML annotations, images, lists, and maps where there are masks.

    Pixels are counted from 1, as in VOC. A crowd is a ``difficult`` object. ``truncated`` and ``occluded`` say whether
    any of an object is beyond the image or hidden. Object maps number the objects of an image in the order of its
    file; pixels in several masks belong to the last one. An image with more than 254 objects has no maps.
    """

    folder = "voc"
    copies_images = True
    image_files = (
        (f"{ROOT}/Annotations", ".xml"),
        (f"{ROOT}/SegmentationClass", ".png"),
        (f"{ROOT}/SegmentationObject", ".png"),
        *((f"{ROOT}/JPEGImages", suffix) for suffix in IMAGE_SUFFIXES),
    )
    holds = ("boxes", "masks", "holes", "decimals", "crowds", "parts", "empty images", "class names")

    def write(self, dataset: FinishedDataset, files: DatasetFiles) -> None:
        names, classes = flat_names(dataset.images), [category["name"] for category in dataset.categories]
        number = {category["id"]: k for k, category in enumerate(dataset.categories, 1)}
        segmented: set[int] = set()
        shown: dict[int, dict[int, int]] = {}
        for image, own in dataset.by_image():
            name = names[image["id"]]
            file = files.image(f"{ROOT}/JPEGImages/{name}", dataset, image).rpartition("/")[2]
            maps = _maps(own, image, number)
            if maps is not None:
                segmented.add(image["id"])
                for folder, pixels in zip(("SegmentationObject", "SegmentationClass"), maps, strict=True):
                    files.add(f"{ROOT}/{folder}/{name}.png", _palette_png(pixels))
            objects = [(classes[number[a["category_id"]] - 1], a) for a in own]
            files.add(f"{ROOT}/Annotations/{name}.xml", _xml(file, image, objects, maps is not None))
            shown[image["id"]] = {}
            for annotation in own:
                k = number[annotation["category_id"]]
                usual = not annotation.get("iscrowd")
                shown[image["id"]][k] = max(shown[image["id"]].get(k, 0), 1 if usual else 0)
        _write_lists(dataset, files, names, classes, shown, segmented)
        files.add(
            f"{ROOT}/labelmap.txt", _label_map(classes, any(0 in own.values() for own in shown.values())).encode()
        )


def _write_lists(
    dataset: FinishedDataset,
    files: DatasetFiles,
    names: Mapping[int, str],
    classes: Sequence[str],
    shown: Mapping[int, Mapping[int, int]],
    segmented: set[int],
) -> None:
    """Lists of images: of all parts, and by class with 1, 0 (only difficult objects) or -1 (none)."""
    part_of = part_names(dataset.parts, dataset.images)
    parts = dict.fromkeys(("train", "val", *part_of.values()))
    for part in (*parts, "trainval"):
        chosen = [
            image["id"]
            for image in dataset.images
            if part_of[image["id"]] in ((part,), ("train", "val"))[part == "trainval"]
        ]
        files.add(f"{ROOT}/ImageSets/Main/{part}.txt", "".join(f"{names[id]}\n" for id in chosen).encode())
        if segmented:
            listed = "".join(f"{names[id]}\n" for id in chosen if id in segmented)
            files.add(f"{ROOT}/ImageSets/Segmentation/{part}.txt", listed.encode())
        for k, name in enumerate(classes, 1):
            lines = "".join(f"{names[id]} {shown[id].get(k, -1):2d}\n" for id in chosen)
            files.add(f"{ROOT}/ImageSets/Main/{_file_name(name)}_{part}.txt", lines.encode())


def _label_map(classes: Sequence[str], has_crowds: bool) -> str:
    """The classes with the colours of their maps, as CVAT and datumaro have them."""
    colors = np.reshape(_palette(), (256, 3)).tolist()
    listed = ["# label:color_rgb:parts:actions", "background:0,0,0::"]
    listed += [f"{name}:{','.join(map(str, colors[k % 255]))}::" for k, name in enumerate(classes, 1)]
    listed += [f"{IGNORED}:{','.join(map(str, colors[VOID]))}::"] if has_crowds else []
    return "".join(f"{line}\n" for line in listed)


def _file_name(name: str) -> str:
    return "".join("_" if c in '/\\:*?"<>|\0' or c.isspace() else c for c in name)


def _xml(file: str, image: Mapping[str, Any], objects: Sequence[tuple[str, Mapping[str, Any]]], mapped: bool) -> bytes:
    root = ElementTree.Element("annotation")
    _child(root, "folder", "VOC2012")
    _child(root, "filename", file)
    size = _child(root, "size")
    for key, value in (("width", image["width"]), ("height", image["height"]), ("depth", 3)):
        _child(size, key, value)
    _child(root, "segmented", int(mapped))
    for name, annotation in objects:
        known = annotation.get("twinset") or {}
        x, y, w, h = annotation["bbox"]
        node = _child(root, "object")
        _child(node, "name", name)
        _child(node, "pose", "Unspecified")
        _child(node, "truncated", int((known.get("truncated_share") or 0) > 0))
        _child(node, "difficult", int(bool(annotation.get("iscrowd"))))
        _child(node, "occluded", int(is_hidden(annotation)))
        box = _child(node, "bndbox")
        # VOC's pixels are counted from 1, and the last one belongs to the box.
        for key, value in (("xmin", x + 1), ("ymin", y + 1), ("xmax", x + w), ("ymax", y + h)):
            _child(box, key, number_text(value))
    ElementTree.indent(root, "\t")
    # As text first: ElementTree writes bytes piece by piece through a buffer of its own, in twice the time.
    return ElementTree.tostring(root, encoding="unicode").encode("utf-8", "xmlcharrefreplace") + b"\n"


def _child(parent: ElementTree.Element, tag: str, value: Any = None) -> ElementTree.Element:
    child = ElementTree.SubElement(parent, tag)
    if value is not None:
        child.text = str(value)
    return child


def _maps(
    annotations: Sequence[Mapping[str, Any]], image: Mapping[str, Any], number: Mapping[int, int]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Object and class numbers of each pixel (H, W) uint8; None without masks, or with too many objects or classes."""
    masks = masks_of(annotations, image)
    if not any(mask is not None for mask in masks) or len(masks) >= VOID or max(number.values()) >= VOID:
        return None
    objects = np.zeros((image["height"], image["width"]), np.uint8)
    classes = objects.copy()
    for k, (annotation, mask) in enumerate(zip(annotations, masks, strict=True), 1):
        if mask is not None:
            objects[mask] = k
            classes[mask] = VOID if annotation.get("iscrowd") else number[annotation["category_id"]]
    return objects, classes


def _palette_png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    picture = Image.fromarray(pixels, "P")
    picture.putpalette(_palette())
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


@functools.cache
def _palette() -> list[int]:
    """VOC's colours: the bits of an index, three at a time, from the highest bit of red, green and blue down."""
    colors = np.zeros((256, 3), np.int64)
    index = np.arange(256)
    for shift in range(7, -1, -1):
        for channel in range(3):
            colors[:, channel] |= ((index >> channel) & 1) << shift
        index >>= 3
    return [int(value) for value in colors.ravel()]
