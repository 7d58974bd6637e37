# SPDX-License-Identifier: GPL-3.0-or-later
"""BOP: folders of scenes with ``scene_gt.json`` and ``scene_gt_info.json``; boxes and visible masks are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...engine.errors import DataError
from ..atomic_files import is_number
from ..formats import rle_masks
from ..formats.coco import CocoFile
from ..formats.dataset_reader import DatasetReader, Listing, image_beside, relative
from ..formats.pixels import read_map
from ..json_files import read_json

MAX_MASKS = 20_000
"""With more instances than this, masks are left out: each is a file of its own."""


class Bop(DatasetReader):
    """A dataset of BOP, one of its parts, or one scene.

    Classes are called ``obj_000001`` by the numbers of the models, or as Twinset's ``models/names.json`` says. Boxes
    are those of what is visible; instances of which nothing is visible are left out. ``visib_fract`` is the visible
    share.
    """

    title = "BOP"

    def matches(self, folder: Path) -> bool:
        return bool(_scenes(folder))

    def read(self, folder: Path) -> CocoFile:
        listing = Listing(folder, self.title)
        scenes = [
            (scene, _read(scene, "scene_gt.json"), _read(scene, "scene_gt_info.json")) for scene in _scenes(folder)
        ]
        names = _class_names(scenes[0][0])
        count = sum(len(instances) for _, truth, _ in scenes for instances in truth.values())
        hidden = 0
        for scene, truth, info in scenes:
            for key in sorted(truth, key=_number):
                known = info.get(key)
                hidden += _add_image(listing, scene, key, truth[key], known, names, with_masks=count <= MAX_MASKS)
        notes = [f"{hidden} instances of which nothing is visible were left out"] if hidden else []
        notes += [f"the masks of {count} instances were not read"] if count > MAX_MASKS else []
        return listing.coco(*notes)


def _scenes(folder: Path) -> list[Path]:
    found = [folder] if (folder / "scene_gt.json").is_file() else []
    for pattern in ("*/scene_gt.json", "*/*/scene_gt.json"):
        found = found or sorted(file.parent for file in folder.glob(pattern))
    return found


def _read(scene: Path, name: str) -> dict[str, list[Any]]:
    path = scene / name
    if not path.is_file():
        raise DataError(f"'{scene}' has no {name}, which has the boxes. Compute it with bop_toolkit.")
    data = read_json(path)
    if not isinstance(data, dict) or not all(isinstance(value, list) for value in data.values()):
        raise DataError(f"'{path}' is not a file of BOP: it must have a list of instances for each image.")
    return data


def _class_names(scene: Path) -> dict[int, str]:
    """Classes by the numbers of models, where Twinset has written the dataset."""
    path = scene.parent.parent / "models" / "names.json"
    data = read_json(path) if path.is_file() else {}
    entries = data.items() if isinstance(data, dict) else ()
    named = {key: entry.get("class") for key, entry in entries if isinstance(entry, dict)}
    return {_number(key)[0]: name for key, name in named.items() if isinstance(name, str) and name}


def _number(key: str) -> tuple[int, str]:
    return (int(key) if key.isascii() and key.isdigit() and len(key) < 19 else -1, key)


def _add_image(
    listing: Listing,
    scene: Path,
    key: str,
    instances: list[Any],
    info: list[Any] | None,
    names: Mapping[int, str],
    *,
    with_masks: bool,
) -> int:
    """Add an image with its instances; returns how many of them are hidden."""
    if info is None or len(info) != len(instances):
        raise DataError(f"'{scene / 'scene_gt_info.json'}' does not have the instances of image {key}.")
    stem = f"{_number(key)[0]:06d}"
    folders = [scene / name for name in ("rgb", "gray")]
    places = [folder / name for folder in folders if (name := image_beside(folder, stem)) is not None]
    if not places:
        raise DataError(f"'{scene}' has no image {stem} in rgb or gray. Restore it.")
    image_id = listing.add_image(relative(places[0], listing.folder))
    hidden = 0
    for number, (instance, known) in enumerate(zip(instances, info, strict=True)):
        try:
            number_of_model, box = int(instance["obj_id"]), known["bbox_visib"]
            is_valid = len(box) == 4 and all(map(is_number, box))
        except (TypeError, KeyError, ValueError):
            is_valid = False
        if not is_valid:
            raise DataError(f"'{scene}', image {key}, instance {number} has no 'obj_id' or no valid 'bbox_visib'.")
        path = scene / "mask_visib" / f"{stem}_{number:06d}.png"
        mask = _mask(path, listing.images[-1]) if with_masks and path.is_file() else {}
        if mask:  # boxes of BOP are one pixel less in width and height
            box = rle_masks.extent(rle_masks.decode(mask["segmentation"], *mask["segmentation"]["size"]))
        elif box[2] <= 0 or box[3] <= 0:
            hidden += 1
            continue
        class_name = names.get(number_of_model, f"obj_{number_of_model:06d}")
        listing.add(image_id, class_name, list(box), **mask, **_shares(known))
    return hidden


def _shares(known: Mapping[str, Any]) -> dict[str, Any]:
    """What Twinset calls the same: the visible share, and the box of the whole instance."""
    out = {}
    share, box = known.get("visib_fract"), known.get("bbox_obj")
    if is_number(share) and 0 <= share <= 1:  # type: ignore[operator]
        out["visible_share"] = share
    if isinstance(box, list) and len(box) == 4 and all(map(is_number, box)) and box[2] > 0 and box[3] > 0:
        out["amodal_bbox"] = box
    return {"twinset": out} if out else {}


def _mask(path: Path, image: Mapping[str, Any]) -> dict[str, Any]:
    pixels = read_map(path, image)
    mask = (pixels if pixels.ndim == 2 else pixels.max(-1)) > 0
    return rle_masks.entries(mask) if mask.any() else {}
