# SPDX-License-Identifier: GPL-3.0-or-later
"""Measured columns of a dataset, with its images and depth maps searched for near the annotations."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...alignment.columns.table import measured_classes
from ...engine.errors import DataError
from ..formats.coco import CocoFile
from ..formats.dataset_folder import images_of
from ..progress import Progress
from .measure import Measurement, measure


def measure_with_images(
    coco: CocoFile,
    images: Path | None = None,
    *,
    depth: Path | None = None,
    pixels: bool = True,
    workers: int = 0,
    progress: Progress = lambda done, total: None,
    option: str = "--images",
) -> Measurement:
    """Measure a dataset; without ``pixels`` its images are not opened.

    Parameters
    ----------
    coco : CocoFile
    images, depth : path, optional
        Folders of images and depth maps; by default searched for.
    pixels : bool
    workers : int
        Processes; 0 for one per core.
    option : str
        What names the image folder, for messages.

    Raises
    ------
    DataError
        If a given folder, or the images to be opened, are missing.
    """
    for folder in (images, depth):
        if folder is not None and not folder.is_dir():
            raise DataError(f"The folder '{folder}' does not exist. Check the path.")
    if pixels:
        images = images_of(coco, images, option, "measure without pixels")
        beside = images.parent / "depth"
        depth = depth or (beside if beside.is_dir() else None)
    return measure(coco, images if pixels else None, depth=depth, workers=workers, progress=progress)


def check_class(columns: Mapping[str, Sequence[Any] | np.ndarray], class_name: str, path: Path) -> None:
    """Raise DataError if a dataset has no box of the requested class; the message suggests a similar name."""
    classes = measured_classes(columns)
    if not class_name or class_name in classes:
        return
    close = difflib.get_close_matches(class_name.lower(), [c.lower() for c in classes], n=1)
    hint = next((f" Did you mean '{c}'?" for c in classes if close and c.lower() == close[0]), "")
    raise DataError(f"'{path}' has no box of class '{class_name}'.{hint} Its classes: {', '.join(classes) or 'none'}.")
