# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of photos in which a rendered object stands where one of its class stood: on the floor, as large, as far."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np
from numpy.typing import ArrayLike

from ...alignment.evaluation.detection import iou
from ...engine.errors import DataError
from ..formats.coco import read_coco
from .repaint import PhotoPart

FILE_NAME = "annotations.json"
"""What stood in photos, in the folder of the photos that it was painted out of."""

GOOD_MATCH = 0.5
"""Intersection over union of two boxes from which on the objects stand alike."""


@attrs.frozen
class PhotoPlace:
    """Where an object stood in a photo.

    Attributes
    ----------
    photo : int
        Number of the photo.
    class_name : str
    box : tuple of float
        [x, y, width, height] in pixels of ``size``.
    size : tuple of int
        Width and height of the photo.
    """

    photo: int
    class_name: str
    box: tuple[float, float, float, float]
    size: tuple[int, int]


@attrs.frozen
class PlacedPart:
    """A part of a photo, the photo's number, and how well the places agree: intersection over union of their boxes."""

    photo: int
    part: PhotoPart
    iou: float


def read_places(path: Path, photos: Sequence[Path]) -> list[PhotoPlace]:
    """The places that a COCO file has of photos, which it names by the names of their files.

    Raises
    ------
    DataError
        If the file is none of COCO, or none of its boxes is in one of the photos.
    """
    coco = read_coco(path)
    number_of = {photo.name: number for number, photo in enumerate(photos)}
    images = {image["id"]: image for image in coco.images if image["file_name"] in number_of}
    names = {category["id"]: category["name"] for category in coco.categories}
    places = []
    for annotation in coco.annotations:
        image = images.get(annotation["image_id"])
        if image is None or annotation.get("iscrowd"):
            continue
        size = int(image["width"]), int(image["height"])
        places.append(
            PhotoPlace(number_of[image["file_name"]], names[annotation["category_id"]], tuple(annotation["bbox"]), size)
        )
    if not places:
        raise DataError(
            f"'{path}' has no box in one of the {len(photos)} photos. Name the file that `twinset backgrounds` has "
            "written beside them."
        )
    return places


def matching_part(
    place: PhotoPlace, box: ArrayLike, size: tuple[int, int], zoom: tuple[float, float], *, flipped: bool
) -> PlacedPart:
    """The part of a photo in which the place is as large as a box and has its lower edge where the box has it.

    Parameters
    ----------
    box : array-like
        [x, y, width, height] in pixels of the picture.
    size : tuple of int
        Width and height of the picture.
    zoom : tuple of float
        Range of the part's size, see :class:`PhotoPart`. The part also stays inside the photo, so that the place may be
        larger or smaller than the box, or beside it.
    flipped : bool
        Whether left and right of the part change sides.
    """
    own, wanted = np.array(place.box), np.array(box, dtype=float)
    if flipped:
        wanted[0] = size[0] - wanted[0] - wanted[2]
    largest = min(place.size[0] / size[0], place.size[1] / size[1])
    scale = float(np.clip(np.sqrt(own[2:].prod() / wanted[2:].prod()), largest * zoom[0], largest * zoom[1]))
    free = np.array([place.size[0] - scale * size[0], place.size[1] - scale * size[1]])
    foot, standing = (b[:2] + b[2:] * (0.5, 1.0) for b in (own, wanted))
    start = np.clip(foot - scale * standing, 0.0, np.maximum(free, 0.0))
    shown = np.concatenate([own[:2] - start, own[2:]]) / scale
    share = np.where(free > 1e-6, start / np.maximum(free, 1e-6), 0.5)
    part = PhotoPart((float(share[0]), float(share[1])), scale / largest, flipped)
    return PlacedPart(place.photo, part, float(iou(shown, wanted)[0, 0]))


def drawn_part(
    places: Sequence[PhotoPlace],
    objects: Sequence[tuple[str, ArrayLike]],
    size: tuple[int, int],
    zoom: tuple[float, float],
    flip: float,
    rng: np.random.Generator,
) -> PlacedPart | None:
    """A part of a photo in which one of the objects stands where one of its class stood; None without such a class.

    It is drawn from those that agree well (:data:`GOOD_MATCH`); where none does, it is the one that agrees best.

    Parameters
    ----------
    objects : sequence of (class name, box)
        Boxes are [x, y, width, height] in pixels of the picture.
    flip : float
        Probability that only flipped parts count; else only parts that are not.
    """
    flipped, choice = bool(rng.random() < flip), rng.random()
    found = [
        matching_part(place, box, size, zoom, flipped=flipped)
        for name, box in objects
        for place in places
        if place.class_name == name
    ]
    if not found:
        return None
    good = [part for part in found if part.iou >= GOOD_MATCH]
    return good[int(choice * len(good))] if good else max(found, key=lambda part: part.iou)
