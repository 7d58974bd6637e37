# SPDX-License-Identifier: GPL-3.0-or-later
"""COCO panoptic: ``panoptic*.json`` and a folder of maps of the same name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...engine.errors import DataError
from ..formats import rle_masks
from ..formats.coco import CocoFile
from ..formats.dataset_reader import PART_NAMES, DatasetReader, Listing
from ..formats.pixels import read_map
from ..image_names import inner_path
from ..json_files import read_json

_FILES = "annotations/panoptic*.json"


class CocoPanoptic(DatasetReader):
    """Segments of things as masks; stuff, which has no instances, is left out."""

    title = "COCO panoptic"

    def matches(self, folder: Path) -> bool:
        return any(folder.glob(_FILES)) and not any(folder.glob("annotations/instances*.json"))

    def read(self, folder: Path) -> CocoFile:
        files = sorted(folder.glob(_FILES))
        whole = [file for file in files if file.stem == "panoptic"]
        listing = Listing(folder, self.title)
        part_of = {name: part for file in files if file not in whole for part, name in _members(file)} if whole else {}
        stuff = 0
        about: dict[str, Any] = {}
        names: dict[int, dict[str, Any]] = {}
        for file in whole or files:
            data = _read(file)
            part = file.stem.rpartition("_")[2].removesuffix("2017").removesuffix("2018")
            names = {c["id"]: c for c in data["categories"] if c.get("isthing", 1)}
            for category in names.values():
                listing.add_class(category["name"], **{k: v for k, v in category.items() if k not in ("id", "name")})
            images = {image["id"]: image for image in data["images"]}
            for entry in data["annotations"]:
                image = images.get(entry.get("image_id"))
                if image is None:
                    raise DataError(
                        f"'{file}' has an annotation of the image {entry.get('image_id')!r}, which it does not list."
                    )
                own_part = part_of.get(image["file_name"], part)
                stuff += _add(listing, file, image, entry, names, own_part)
            about = {key: data[key] for key in ("info", "licenses") if data.get(key)}
        notes = [f"{stuff} segments of stuff were left out"] if stuff else []
        return listing.coco(*notes, about=about)


def _members(file: Path) -> list[tuple[str, str]]:
    part = file.stem.rpartition("_")[2]
    return [(part, image["file_name"]) for image in _read(file)["images"]] if part in PART_NAMES else []


def _read(file: Path) -> dict[str, Any]:
    data = read_json(file)
    for key in ("images", "annotations", "categories"):
        values = data.get(key) if isinstance(data, Mapping) else None
        if not isinstance(values, list) or not all(isinstance(one, dict) for one in values):
            raise DataError(f"'{file}' is not a file of COCO panoptic: '{key}' must be a list of objects.")
    if not all(isinstance(image.get("file_name"), str) and "id" in image for image in data["images"]):
        raise DataError(f"'{file}' has images without 'id' and 'file_name'.")
    if not all(isinstance(category.get("name"), str) and "id" in category for category in data["categories"]):
        raise DataError(f"'{file}' has categories without 'id' and 'name'.")
    return dict(data)


def _add(
    listing: Listing,
    file: Path,
    image: Mapping[str, Any],
    entry: Mapping[str, Any],
    names: Mapping[int, Mapping[str, Any]],
    part: str,
) -> int:
    """Add an image with its segments; returns how many of them are stuff."""
    size = (image.get("width"), image.get("height"))
    is_known = all(isinstance(value, int) and value > 0 for value in size)
    image_id = listing.add_image(image["file_name"], size if is_known else None, part)  # type: ignore[arg-type]
    path = inner_path(file.with_suffix(""), str(entry.get("file_name") or ""))
    if path is None:
        raise DataError(f"'{file}' names a map outside its folder: '{entry.get('file_name')}'. Correct the name.")
    pixels = read_map(path, listing.images[-1])
    colors = pixels if pixels.ndim == 3 else np.stack([pixels] * 3, -1)
    segments = colors.astype(np.int64) @ np.array([1, 256, 65536])
    stuff = 0
    for segment in entry.get("segments_info") or ():
        if not isinstance(segment, Mapping) or segment.get("category_id") not in names:
            stuff += 1
            continue
        mask = segments == segment.get("id")
        if not mask.any():
            listing.left_out += 1
            continue
        known = {**rle_masks.entries(mask), "iscrowd": int(segment.get("iscrowd", 0))}
        listing.add(image_id, names[segment["category_id"]]["name"], list(rle_masks.extent(mask)), **known)
    return stuff
