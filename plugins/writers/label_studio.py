# SPDX-License-Identifier: GPL-3.0-or-later
"""Label Studio: tasks with annotations as JSON, the labelling interface, and the images."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from ...dataset.atomic_files import dump_json
from ...dataset.exports.image_names import flat_names
from ...dataset.exports.outlines import mask_of
from ...dataset.formats.image_files import IMAGE_SUFFIXES
from ...dataset.imports.brush_masks import encode_brush
from ...engine.plugin import DatasetFiles, FinishedDataset, Writer, param, plugin


@plugin("writer")
class LabelStudio(Writer):
    """Write Label Studio's JSON: ``tasks.json`` to import, ``labels.xml`` for the labelling interface, and ``images``.

    Masks are brush regions, polygons polygon regions; an annotation without either is a rectangle. Crowds are left
    out.
    """

    prefix: str = param(
        "/data/local-files/?d=images/", doc="What stands before image names, so that the server finds the images"
    )

    folder = "label_studio"
    copies_images = True
    image_files = tuple(("images", suffix) for suffix in IMAGE_SUFFIXES)
    holds = ("boxes", "masks", "holes", "overlaps", "decimals", "empty images", "class names")

    def write(self, dataset: FinishedDataset, files: DatasetFiles) -> None:
        names = flat_names(dataset.images)
        classes = {category["id"]: str(category["name"]) for category in dataset.categories}
        comma = b""
        with files.stream("tasks.json") as file:
            file.write(b"[")
            for number, (image, own) in enumerate(dataset.by_image(), 1):
                path = files.image(f"images/{names[image['id']]}", dataset, image)
                shown = [(classes[a["category_id"]], a) for a in own if not a.get("iscrowd")]
                regions = list(itertools.chain.from_iterable(_regions(name, a, image) for name, a in shown))
                data = {"image": self.prefix + path.rpartition("/")[2]}
                task = {"id": number, "data": data, "annotations": [{"result": regions}]}
                file.write(comma + dump_json(task).rstrip(b"\n"))
                comma = b",\n"
            file.write(b"]\n")
        files.add("labels.xml", _interface(list(classes.values())))


def _regions(name: str, annotation: Mapping[str, Any], image: Mapping[str, Any]) -> list[dict[str, Any]]:
    width, height = image["width"], image["height"]
    segmentation = annotation.get("segmentation")
    is_polygon = isinstance(segmentation, list) and len(segmentation) == 1
    mask = None if is_polygon else mask_of(annotation, image)
    if is_polygon:
        assert isinstance(segmentation, list)
        points = zip(segmentation[0][::2], segmentation[0][1::2], strict=True)
        value: dict[str, Any] = {"points": [[100 * x / width, 100 * y / height] for x, y in points], "closed": True}
        kind = "polygonlabels"
    elif mask is not None and mask.any():
        value, kind = {"format": "rle", "rle": encode_brush(mask)}, "brushlabels"
    else:
        x, y, w, h = annotation["bbox"]
        value = {"x": 100 * x / width, "y": 100 * y / height, "width": 100 * w / width, "height": 100 * h / height}
        value["rotation"], kind = 0, "rectanglelabels"
    tools = {"rectanglelabels": "box", "polygonlabels": "polygon", "brushlabels": "brush"}
    region = {"id": f"a{annotation['id']}", "type": kind, "from_name": tools[kind], "to_name": "image"}
    size = {"original_width": width, "original_height": height, "image_rotation": 0}
    return [{**region, **size, "value": {**value, kind: [name]}}]


def _interface(classes: list[str]) -> bytes:
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", {"name": "image", "value": "$image"})
    for tag, name in (("RectangleLabels", "box"), ("PolygonLabels", "polygon"), ("BrushLabels", "brush")):
        labels = ElementTree.SubElement(view, tag, {"name": name, "toName": "image"})
        for label in classes:
            ElementTree.SubElement(labels, "Label", {"value": label})
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="utf-8") + b"\n"
