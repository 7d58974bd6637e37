# SPDX-License-Identifier: GPL-3.0-or-later
"""SOLO, the format of Unity Perception: a folder per sequence with a JSON file per frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...engine.errors import DataError
from ..atomic_files import is_number
from ..formats import rle_masks
from ..formats.coco import CocoFile
from ..formats.dataset_reader import DatasetReader, Listing, relative
from ..formats.pixels import read_map
from ..image_names import inner_path
from ..json_files import read_json

_BOXES = "BoundingBox2DAnnotation"
_INSTANCES = "InstanceSegmentationAnnotation"

_CODE = (65536, 256, 1)
"""Makes one number of red, green and blue."""


class Solo(DatasetReader):
    """``sequence.N/stepM.frame_data.json`` with bounding boxes and, if there are any, instance masks.

    Each capture of a camera is an image. Objects without a box are left out.
    """

    title = "Unity SOLO"

    def matches(self, folder: Path) -> bool:
        return next(_frames(folder), None) is not None

    def read(self, folder: Path) -> CocoFile:
        listing = Listing(folder, self.title)
        for file in sorted(_frames(folder), key=_order):
            data = read_json(file)
            captures = data.get("captures") if isinstance(data, Mapping) else None
            if not isinstance(captures, list):
                raise DataError(f"'{file}' is not a frame of {self.title}: it has no list 'captures'.")
            for capture in captures:
                if isinstance(capture, Mapping) and "RGBCamera" in str(capture.get("@type", "")):
                    _add_capture(listing, file, capture)
        return listing.coco()


def _frames(folder: Path) -> Iterator[Path]:
    return folder.glob("sequence.*/step*.frame_data.json")


def _order(file: Path) -> tuple[Any, ...]:
    numbers = [file.parent.name.rpartition(".")[2], file.name.removeprefix("step").partition(".")[0]]
    return (*(int(n) if n.isdigit() and len(n) < 19 else -1 for n in numbers), str(file))


def _add_capture(listing: Listing, file: Path, capture: Mapping[str, Any]) -> None:
    name, size = capture.get("filename"), capture.get("dimension")
    if not isinstance(name, str) or inner_path(file.parent, name) is None:
        raise DataError(f"'{file}' has a capture without the 'filename' of an image in its folder.")
    is_known = isinstance(size, list) and len(size) == 2 and all(is_number(v) and v > 0 for v in size)
    path = relative(file.parent, listing.folder)
    image_id = listing.add_image(f"{path}/{name}", (size[0], size[1]) if is_known else None)  # type: ignore[index]
    found = capture.get("annotations")
    annotations = [a for a in found if isinstance(a, Mapping)] if isinstance(found, list) else []
    masks = _masks(file, annotations, listing.images[-1])
    for annotation in annotations:
        if str(annotation.get("@type", "")).endswith(_BOXES):
            for value in annotation.get("values") or ():
                _add_box(listing, file, image_id, value, masks)


def _add_box(listing: Listing, file: Path, image_id: int, value: Any, masks: Mapping[int, dict[str, Any]]) -> None:
    try:
        (x, y), (w, h), name = value["origin"], value["dimension"], value["labelName"]
        is_valid = all(map(is_number, (x, y, w, h))) and isinstance(name, str) and name
    except (TypeError, KeyError, ValueError):
        is_valid = False
    if not is_valid:
        raise DataError(f"'{file}' has a bounding box without 'origin', 'dimension' and 'labelName'.")
    if w <= 0 or h <= 0:
        listing.left_out += 1
        return
    listing.add(image_id, name, [x, y, w, h], **masks.get(value.get("instanceId"), {}))


def _masks(file: Path, annotations: list[Mapping[str, Any]], image: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """Mask and area by instance, from the picture whose colours tell instances apart."""
    found: dict[int, dict[str, Any]] = {}
    for annotation in annotations:
        name, instances = annotation.get("filename"), annotation.get("instances")
        if not str(annotation.get("@type", "")).endswith(_INSTANCES) or not isinstance(instances, list):
            continue
        path = inner_path(file.parent, name) if isinstance(name, str) else None
        if path is None or not path.is_file():
            continue
        pixels = read_map(path, image)
        if pixels.ndim != 3:
            raise DataError(f"'{path}' cannot be read as a picture with colours. Remove it or restore it.")
        codes = pixels.astype(np.int64) @ np.array(_CODE)
        for one in instances:
            color = one.get("color") if isinstance(one, Mapping) else None
            if not isinstance(color, list) or len(color) < 3 or not all(map(is_number, color[:3])):
                continue
            mask = codes == sum(int(value) * unit for value, unit in zip(color[:3], _CODE, strict=True))
            if mask.any():
                found[one.get("instanceId")] = rle_masks.entries(mask)
    return found
