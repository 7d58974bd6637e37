# SPDX-License-Identifier: GPL-3.0-or-later
"""COCO panoptic: a map of segments per image, and a JSON file that says what they are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ...dataset.atomic_files import json_bytes
from ...dataset.exports.image_names import flat_names
from ...dataset.exports.outlines import masks_of
from ...dataset.formats import rle_masks
from ...dataset.formats.encoders import encode
from ...dataset.formats.image_files import IMAGE_SUFFIXES
from ...dataset.store.finished_dataset import PARTS
from ...engine.errors import DataError
from ...engine.plugin import DatasetFiles, FinishedDataset, Writer, plugin


@plugin("writer")
class CocoPanoptic(Writer):
    """Write COCO's panoptic format: ``annotations/panoptic.json`` and ``annotations/panoptic/*.png``, and the images.

    A pixel's segment is R + 256 G + 65536 B, numbered in each image from 1; 0 is unlabelled. All classes are things.
    Pixels in several masks belong to the last one. Annotations without a mask are left out. Parts of the dataset get a
    file each, such as ``panoptic_val.json``, with the same maps.
    """

    folder = "coco_panoptic"
    copies_images = True
    image_files = (("annotations/panoptic", ".png"), *(("images", suffix) for suffix in IMAGE_SUFFIXES))
    holds = ("boxes", "masks", "holes", "crowds", "parts", "empty images", "class names", "supercategories")

    def write(self, dataset: FinishedDataset, files: DatasetFiles) -> None:
        names = flat_names(dataset.images)
        images: list[dict[str, Any]] = []
        entries: list[dict[str, Any]] = []
        masks = boxes = 0
        for image, own in dataset.by_image():
            name = names[image["id"]]
            file = files.image(f"images/{name}", dataset, image).rpartition("/")[2]
            images.append({"id": image["id"], "file_name": file, "width": image["width"], "height": image["height"]})
            segments, info = _segments(own, image)
            files.add(f"annotations/panoptic/{name}.png", encode(".png", _as_bgr(segments), []))
            entries.append({"image_id": image["id"], "file_name": f"{name}.png", "segments_info": info})
            masks, boxes = masks + len(info), boxes + len(own)
        if boxes and not masks:
            raise DataError("The panoptic format needs masks, and this dataset has none. Choose another format.")
        categories = [_category(category) for category in dataset.categories]
        self._write(dataset, files, "", None, images, entries, categories)
        for part in PARTS:
            if part in dataset.parts:
                self._write(dataset, files, f"_{part}", dataset.parts[part], images, entries, categories)
            else:
                files.remove(f"annotations/panoptic_{part}.json")

    def _write(
        self,
        dataset: FinishedDataset,
        files: DatasetFiles,
        part: str,
        chosen: Collection[int] | None,
        images: Sequence[Mapping[str, Any]],
        entries: Sequence[Mapping[str, Any]],
        categories: Sequence[Mapping[str, Any]],
    ) -> None:
        data = {
            "info": dict(dataset.info),
            "licenses": list(dataset.licenses),
            "images": [image for image in images if chosen is None or image["id"] in chosen],
            "annotations": [entry for entry in entries if chosen is None or entry["image_id"] in chosen],
            "categories": list(categories),
        }
        files.add(f"annotations/panoptic{part}.json", json_bytes(data))


def _segments(
    annotations: Sequence[Mapping[str, Any]], image: Mapping[str, Any]
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """The segment of each pixel (H, W) int32, and what each segment is."""
    segments = np.zeros((image["height"], image["width"]), np.int32)
    for k, mask in enumerate(masks_of(annotations, image), 1):
        if mask is not None:
            segments[mask] = k
    info = []
    for k, annotation in enumerate(annotations, 1):
        mask = segments == k
        if mask.any():
            segment = {"id": k, "category_id": annotation["category_id"], "area": int(mask.sum())}
            info.append(segment | {"bbox": list(rle_masks.extent(mask)), "iscrowd": int(annotation.get("iscrowd", 0))})
    return segments, info


def _as_bgr(segments: np.ndarray) -> np.ndarray:
    return np.stack([segments >> shift & 255 for shift in (16, 8, 0)], -1).astype(np.uint8)


def _category(category: Mapping[str, Any]) -> dict[str, Any]:
    """A category with a colour of its own, as viewers want it; hues at golden-ratio steps."""
    import colorsys

    rgb = colorsys.hsv_to_rgb(category["id"] * 0.618033988749895 % 1.0, 0.65, 0.95)
    named = {"supercategory": category["name"], "color": [round(255 * value) for value in rgb], "isthing": 1}
    return {**named, **category}
