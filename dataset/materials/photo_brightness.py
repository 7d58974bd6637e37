# SPDX-License-Identifier: GPL-3.0-or-later
"""How bright the real photos are: the column ``image_brightness`` of each."""

from __future__ import annotations

import functools

import numpy as np

from ...alignment.columns.image_statistics import grey
from ...engine.stage import RealPhotos
from ..formats.dataset_folder import images_of, read_dataset
from ..formats.image_files import ImageFiles
from ..formats.pixels import read_image


def brightness(image: np.ndarray) -> float:
    """Mean luma of an (H, W, 3) uint8 RGB picture, in [0, 1], as the column ``image_brightness`` has it."""
    return float(grey(image).mean()) / 255.0


def photo_brightness(photos: RealPhotos) -> np.ndarray:
    """The brightness of each photo, sorted. Raises DataError without images."""
    return _measured(photos, photos.annotations.stat().st_mtime_ns if photos.annotations.is_file() else 0)


@functools.lru_cache(maxsize=8)
def _measured(photos: RealPhotos, changed: int) -> np.ndarray:
    coco = read_dataset(photos.annotations)
    files = ImageFiles(coco.images, images_of(coco, photos.images, "'images' in [real]"))
    return np.sort([brightness(read_image(files.path(image))) for image in coco.images])
