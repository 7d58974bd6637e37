# SPDX-License-Identifier: GPL-3.0-or-later
"""CVAT: ``annotations.xml`` as "CVAT for images 1.1", and the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ...dataset.exports.image_names import flat_names, number_text, part_names
from ...dataset.exports.outlines import mask_of
from ...dataset.exports.visibility import is_hidden
from ...dataset.formats import rle_masks
from ...dataset.formats.image_files import IMAGE_SUFFIXES
from ...dataset.imports.shapes import uncompressed_rle
from ...engine.plugin import DatasetFiles, FinishedDataset, Writer, plugin


@plugin("writer")
class Cvat(Writer):
    """Write what CVAT imports as "CVAT 1.1": ``annotations.xml``, and ``images`` to make the task from.

    Masks are CVAT's masks; an annotation that is one polygon stays one; without either it is a box. A crowd has the
    attribute ``is_crowd``. Parts are CVAT's subsets.
    """

    folder = "cvat"
    copies_images = True
    image_files = tuple(("images", suffix) for suffix in IMAGE_SUFFIXES)
    holds = (
        *("boxes", "masks", "holes", "overlaps", "decimals", "crowds", "parts"),
        *("empty images", "class names"),
    )

    def write(self, dataset: FinishedDataset, files: DatasetFiles) -> None:
        names, part_of = flat_names(dataset.images), part_names(dataset.parts, dataset.images)
        classes = {category["id"]: str(category["name"]) for category in dataset.categories}
        with files.stream("annotations.xml") as file:
            file.write(b'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n')
            file.write(_text(_meta(len(names), list(classes.values()))))
            for number, (image, own) in enumerate(dataset.by_image()):
                path = files.image(f"images/{names[image['id']]}", dataset, image)
                size = {key: str(image[key]) for key in ("width", "height")}
                node = ElementTree.Element("image", {"id": str(number), "name": path.rpartition("/")[2], **size})
                if dataset.parts:
                    node.set("subset", part_of[image["id"]])
                for order, annotation in enumerate(own):
                    _add_shape(node, classes[annotation["category_id"]], annotation, image, order)
                file.write(_text(node))
            file.write(b"</annotations>\n")


def _meta(size: int, classes: Sequence[str]) -> ElementTree.Element:
    meta = ElementTree.Element("meta")
    task = ElementTree.SubElement(meta, "task")
    ElementTree.SubElement(task, "size").text = str(size)
    ElementTree.SubElement(task, "mode").text = "annotation"
    labels = ElementTree.SubElement(task, "labels")
    for name in classes:
        label = ElementTree.SubElement(labels, "label")
        ElementTree.SubElement(label, "name").text = name
        attribute = ElementTree.SubElement(ElementTree.SubElement(label, "attributes"), "attribute")
        wanted = (("name", "is_crowd"), ("mutable", "False"), ("input_type", "checkbox"))
        for key, value in (*wanted, ("default_value", "false"), ("values", "false")):
            ElementTree.SubElement(attribute, key).text = value
    return meta


def _text(node: ElementTree.Element) -> bytes:
    ElementTree.indent(node, level=1)
    return b"  " + ElementTree.tostring(node, encoding="utf-8").rstrip() + b"\n"


def _add_shape(
    node: ElementTree.Element, name: str, annotation: Mapping[str, Any], image: Mapping[str, Any], order: int
) -> None:
    occluded = str(int(is_hidden(annotation)))
    common = {"label": name, "source": "file", "occluded": occluded, "z_order": str(order)}
    segmentation = annotation.get("segmentation")
    mask = None if _is_one_polygon(segmentation) else mask_of(annotation, image)
    if segmentation and mask is None:
        assert isinstance(segmentation, list)
        points = np.reshape(segmentation[0], (-1, 2)).tolist()
        text = ";".join(f"{number_text(x)},{number_text(y)}" for x, y in points)
        shape = ElementTree.SubElement(node, "polygon", {**common, "points": text})
    elif mask is not None and mask.any():
        x, y, w, h = rle_masks.extent(mask)
        runs = ", ".join(map(str, uncompressed_rle(mask[y : y + h, x : x + w].T)["counts"]))
        place = {"left": str(x), "top": str(y), "width": str(w), "height": str(h)}
        shape = ElementTree.SubElement(node, "mask", {**common, "rle": runs, **place})
    else:
        x, y, w, h = annotation["bbox"]
        corners = {"xtl": x, "ytl": y, "xbr": x + w, "ybr": y + h}
        shape = ElementTree.SubElement(node, "box", {**common, **{k: number_text(v) for k, v in corners.items()}})
    if annotation.get("iscrowd"):
        ElementTree.SubElement(shape, "attribute", {"name": "is_crowd"}).text = "true"


def _is_one_polygon(segmentation: Any) -> bool:
    return isinstance(segmentation, list) and len(segmentation) == 1
