# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos with their annotated objects painted out, as backgrounds for rendered ones."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import attrs
import numpy as np

from ...engine.errors import DataError
from ..atomic_files import atomic_folder, json_bytes, make_folder, write_atomic
from ..formats import rle_masks
from ..formats.coco import by_image
from ..formats.dataset_folder import ImageDataset
from ..formats.image_files import ImageFiles
from ..formats.pixels import reduced
from ..progress import Progress
from ..report.report_dataset import spread
from ..store.frames import encode_image
from .photo_filling import HoledPhoto, fill_holes
from .photo_places import FILE_NAME

_DONORS = 24
"""Photos of the set whose parts may fill the holes of others."""


@attrs.frozen
class EmptyingRules:
    """How photos are emptied.

    Attributes
    ----------
    classes : collection of str
        The classes whose objects are painted out; empty for all.
    margin : float
        What is painted out around a box or mask, as a share of the box's longer side.
    max_share : float
        A photo of which a larger share would be painted out is left out: too much of it would be guessed.
    longer_side : int
        Larger photos are reduced to this, in pixels.
    """

    classes: Collection[str] = ()
    margin: float = 0.04
    max_share: float = 0.3
    longer_side: int = 1280


@attrs.frozen
class EmptiedPhoto:
    """What became of a photo: its own file's name, the new file's (None if it was left out), and the share of its
    pixels that was, or would have been, painted out."""

    name: str
    file: str | None
    share: float


def empty_photos(
    photos: ImageDataset, out: Path, rules: EmptyingRules, progress: Progress = lambda done, total: None
) -> list[EmptiedPhoto]:
    """Write photos with their annotated objects painted out, as JPEG files into a new folder.

    Beside them is what stood in them, as a COCO file (:data:`.photo_places.FILE_NAME`).

    Raises
    ------
    DataError
        If a class has no annotations, or no photo is left.
    OutputError
        If the folder exists.
    """
    files = ImageFiles(photos.coco.images, photos.images)
    files.say()
    images = photos.coco.images
    annotations = by_image(photos.coco.of_classes(tuple(rules.classes)).annotations)
    holed = {
        k: _holed(files, images[k], annotations.get(images[k]["id"], ()), rules) for k in spread(len(images), _DONORS)
    }
    made: list[EmptiedPhoto] = []
    with atomic_folder(out) as folder:
        for number, image in enumerate(images):
            own = holed.get(number) or _holed(files, image, annotations.get(image["id"], ()), rules)
            made.append(_write(str(image["file_name"]), own, list(holed.values()), folder, rules, made))
            progress(number + 1, len(images))
        _write_places(photos, annotations, made, folder)
        if not any(photo.file for photo in made):
            raise DataError(
                f"More than {rules.max_share:.0%} of each photo of '{photos.coco.path}' would be painted out. "
                "Allow more by --max-share, or name classes by --class."
            )
    return made


def _holed(
    files: ImageFiles, image: Mapping[str, Any], annotations: Sequence[Mapping[str, Any]], rules: EmptyingRules
) -> HoledPhoto:
    def read() -> np.ndarray:
        return reduced(files.read(image), rules.longer_side)

    height, width = read().shape[:2]
    return HoledPhoto(read, objects_mask(image, annotations, (height, width), rules.margin))


def _write(
    name: str,
    photo: HoledPhoto,
    donors: Sequence[HoledPhoto],
    folder: Path,
    rules: EmptyingRules,
    before: Sequence[EmptiedPhoto],
) -> EmptiedPhoto:
    share = float(photo.holes.mean())
    if share > rules.max_share:
        return EmptiedPhoto(name, None, share)
    file = _new_name(name, {photo.file for photo in before if photo.file})
    make_folder(folder)
    write_atomic(folder / file, encode_image(fill_holes(photo, donors), "jpg", 95))
    return EmptiedPhoto(name, file, share)


def _write_places(
    photos: ImageDataset,
    annotations: Mapping[Any, Sequence[Mapping[str, Any]]],
    made: Sequence[EmptiedPhoto],
    folder: Path,
) -> None:
    kept = [(image, photo.file) for image, photo in zip(photos.coco.images, made, strict=True) if photo.file]
    images = [
        {"id": image["id"], "file_name": file, "width": image["width"], "height": image["height"]}
        for image, file in kept
    ]
    own = [
        {key: a[key] for key in ("id", "image_id", "category_id", "bbox", "area", "iscrowd") if key in a}
        for image in images
        for a in annotations.get(image["id"], ())
    ]
    data = {"images": images, "annotations": own, "categories": list(photos.coco.categories)}
    make_folder(folder)
    write_atomic(folder / FILE_NAME, json_bytes(data))


def _new_name(name: str, taken: Collection[str]) -> str:
    stem = PurePosixPath(name.replace("\\", "/")).stem or "photo"
    names = (f"{stem}{f'-{n}' if n > 1 else ''}.jpg" for n in range(1, len(taken) + 2))
    return next(n for n in names if n not in taken)


def objects_mask(
    image: Mapping[str, Any], annotations: Sequence[Mapping[str, Any]], size: tuple[int, int], margin: float
) -> np.ndarray:
    """Pixels (H, W) bool of a photo, scaled to ``size`` (height, width), that objects cover or that are near them.

    Parameters
    ----------
    image : mapping
        COCO image, with the size that annotations are in.
    annotations : sequence of mappings
        COCO annotations; where one has no mask or polygon, its box counts.
    margin : float
        As a share of the longer side of an object's box.
    """
    import cv2

    (height, width), whole = size, np.zeros(size, np.uint8)
    across, down = width / image["width"], height / image["height"]
    for annotation in annotations:
        x, y, w, h = annotation["bbox"]
        reach = margin * max(w * across, h * down)
        if annotation.get("segmentation"):
            alone = rle_masks.decode(annotation["segmentation"], int(image["height"]), int(image["width"]))
            alone = cv2.resize(alone * np.uint8(255), (width, height), interpolation=cv2.INTER_AREA)
            side = 2 * math.ceil(reach) + 1
            grown = cv2.dilate(alone, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
            whole[grown > 0] = 1
            continue
        left, top = (max(0, math.floor(v)) for v in (x * across - reach, y * down - reach))
        right, bottom = (math.ceil(v) for v in ((x + w) * across + reach, (y + h) * down + reach))
        whole[top:bottom, left:right] = 1
    return whole > 0
