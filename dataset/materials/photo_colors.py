# SPDX-License-Identifier: GPL-3.0-or-later
"""Palettes of the real photos: colours within the boxes of a class, or outside all boxes."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...alignment.mixtures.color_palette import Palette, fit_palette, lab_from_linear, reflectance
from ...engine.errors import DataError
from ...engine.stage import RealPhotos
from ..formats.coco import by_image
from ..formats.dataset_folder import images_of, read_dataset
from ..formats.image_files import ImageFiles
from ..formats.pixels import read_image, reduced

_SIDE = 320
"""Photos are reduced to this many pixels on their longer side."""
_CORE = 0.5
"""Share of a box's width and height that counts as its core where there is no polygon."""
_RING = 0.2
"""Width of the ring around a box, as a share of its sides."""
_FEWEST = 12
"""Pixels that a thing must have."""

REGIONS = ("surroundings", "upper", "lower")
"""Parts of photos outside all boxes: everything, the upper half (walls), the lower half (floors)."""


def class_palette(photos: RealPhotos, class_name: str) -> Palette:
    """The colours of the real boxes of a class. Raises DataError without photos, or without boxes of the class."""
    return _box_palette(photos, _changed(photos), class_name)


def thing_palette(photos: RealPhotos, name: str) -> Palette:
    """The colours of the real boxes of a class; of all boxes if the photos have none of that name."""
    coco = read_dataset(photos.annotations)
    return _box_palette(photos, _changed(photos), name if coco.classes().get(name) else None)


def region_palette(photos: RealPhotos, region: str) -> Palette:
    """The colours outside all boxes, one row per photo; ``region`` is one of :data:`REGIONS`."""
    return _region_palette(photos, _changed(photos), region)


def _changed(photos: RealPhotos) -> int:
    return photos.annotations.stat().st_mtime_ns if photos.annotations.is_file() else 0


@functools.lru_cache(maxsize=64)
def _box_palette(photos: RealPhotos, changed: int, class_name: str | None) -> Palette:
    """Of the boxes of a class; of all boxes for None."""
    inside: list[np.ndarray] = []
    around: list[np.ndarray] = []
    for photo, boxes, scale in _photos(photos, class_name):
        free = _outside(photo.shape[:2], [box for box, _ in boxes], scale)
        for annotation in (box for box, is_wanted in boxes if is_wanted):
            core, ring = _core(photo.shape[:2], annotation, scale), _ring(free, annotation, scale)
            if np.count_nonzero(core) >= _FEWEST:
                inside.append(photo[core])
                around.append(photo[ring])
    if not inside:
        raise _no_colors(photos, "boxes" if class_name is None else f"boxes of '{class_name}'")
    return fit_palette(inside, around)


@functools.lru_cache(maxsize=64)
def _region_palette(photos: RealPhotos, changed: int, region: str) -> Palette:
    pixels: list[np.ndarray] = []
    for photo, boxes, scale in _photos(photos, None):
        free = _outside(photo.shape[:2], [box for box, _ in boxes], scale)
        half = photo.shape[0] // 2
        rows = {"upper": slice(0, half), "lower": slice(half, None)}.get(region, slice(None))
        if np.count_nonzero(free[rows]) >= _FEWEST:
            pixels.append(photo[rows][free[rows]])
    if not pixels:
        raise _no_colors(photos, "pixels outside boxes")
    # Walls and floors are the large parts of what is outside boxes; the rest are things without a box.
    return fit_palette(pixels, power=2.0)


def _no_colors(photos: RealPhotos, what: str) -> DataError:
    return DataError(f"'{photos.annotations}' has no {what} to take colours from. Give 'colors' instead.")


def _photos(
    photos: RealPhotos, class_name: str | None
) -> Iterator[tuple[np.ndarray, list[tuple[dict[str, Any], bool]], tuple[float, float]]]:
    """Reduced photos with boxes of a class, or all photos: pixels as Lab of estimated reflectances, all boxes with
    whether they are of that class, and the photo's size as a share of the image's (width, height)."""
    coco = read_dataset(photos.annotations)
    files = ImageFiles(coco.images, images_of(coco, photos.images, "'images' in [real]"))
    wanted = {a["id"] for a in (coco.annotations if class_name is None else coco.annotations_of(class_name))}
    of_image = by_image(coco.annotations)
    for image in coco.images:
        boxes = [(annotation, annotation["id"] in wanted) for annotation in of_image.get(image["id"], ())]
        if class_name is None or any(is_wanted for _, is_wanted in boxes):
            photo = _read(str(files.path(image)), files.is_upright(image))
            yield photo, boxes, (photo.shape[1] / image["width"], photo.shape[0] / image["height"])


@functools.lru_cache(maxsize=256)
def _read(path: str, upright: bool) -> np.ndarray:
    """A reduced photo (h, w, 3) as Lab of estimated reflectances."""
    image = reduced(read_image(Path(path), upright=upright), _SIDE)
    return lab_from_linear(reflectance(image).reshape(-1, 3)).reshape(image.shape).astype(np.float32)


def _outside(shape: tuple[int, ...], boxes: Sequence[dict[str, Any]], scale: tuple[float, float]) -> np.ndarray:
    free = np.ones(shape, bool)
    for annotation in boxes:
        free[_window(annotation["bbox"], scale)] = False
    return free


def _core(shape: tuple[int, ...], annotation: dict[str, Any], scale: tuple[float, float]) -> np.ndarray:
    import cv2

    mask = np.zeros(shape, np.uint8)
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, list) and segmentation:
        polygons = [np.rint(np.reshape(p, (-1, 2)) * scale).astype(np.int32) for p in segmentation]
        cv2.fillPoly(mask, polygons, (1,))
        return mask > 0
    x, y, w, h = annotation["bbox"]
    margin = (1 - _CORE) / 2
    mask[_window((x + margin * w, y + margin * h, _CORE * w, _CORE * h), scale)] = 1
    return mask > 0


def _ring(free: np.ndarray, annotation: dict[str, Any], scale: tuple[float, float]) -> np.ndarray:
    x, y, w, h = annotation["bbox"]
    ring = np.zeros_like(free)
    ring[_window((x - _RING * w, y - _RING * h, (1 + 2 * _RING) * w, (1 + 2 * _RING) * h), scale)] = True
    return ring & free


def _window(bbox: Sequence[float], scale: tuple[float, float]) -> tuple[slice, slice]:
    x, y, w, h = bbox
    left, right = (max(0, round(v * scale[0])) for v in (x, x + w))
    top, bottom = (max(0, round(v * scale[1])) for v in (y, y + h))
    return slice(top, bottom), slice(left, right)
