# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws the photo whose estimates a frame imitates: the same one for all effects of the frame with the same file."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .fit_file import CameraFit, PhotoFit, load_camera_fit


def draw_photo(path: str, common: Callable[[str], np.random.Generator]) -> PhotoFit:
    """A photo of a file of ``twinset fit-camera``.

    Parameters
    ----------
    path : str
        The file.
    common : callable
        Gives the random stream of a name, the same for all effects of a frame. It is asked for by the name of the file
        alone, so that the frame is the same in whatever folder the file lies.

    Raises
    ------
    DataError
        Where the file is unusable.
    """
    photos = fitted_photos(path)
    return photos[int(common(f"photo of {Path(path).name}").integers(len(photos)))]


def fitted_photos(path: str) -> tuple[PhotoFit, ...]:
    """All photos of a file, which is read once; raises DataError where it is unusable."""
    file = Path(path)
    return _fit(path, file.stat().st_mtime_ns if file.is_file() else 0).photos


def length_scale(photo: PhotoFit, shape: tuple[int, ...]) -> float:
    """Pixels of an image of a shape (H, W, ...) per pixel of the photo, by their longer sides."""
    return max(shape[:2]) / max(photo.width, photo.height)


@functools.lru_cache(maxsize=16)
def _fit(path: str, changed: int) -> CameraFit:
    return load_camera_fit(path)
