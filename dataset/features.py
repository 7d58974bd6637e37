# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of the boxes of a class, from the pictures of a dataset."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np

from ..alignment.crops import MARGIN
from ..alignment.features import Extractor
from ..engine.errors import DataError
from .coco import CocoFile
from .pictures import read_picture

SMALLEST = 16
"""Pixels: of smaller boxes, features tell little more than that they were enlarged."""


@attrs.frozen(eq=False)
class BoxFeatures:
    """``features`` (n, d), the ``image`` ids (n,) that they come from, how many boxes were too ``small``, and
    a sentence for each image of no use in ``problems``."""

    features: np.ndarray
    image: np.ndarray
    small: int
    problems: tuple[str, ...]


def box_features(
    coco: CocoFile,
    images: Path,
    class_name: str,
    extractor: Extractor,
    *,
    margin: float = MARGIN,
    smallest: float = SMALLEST,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> BoxFeatures:
    """Features of every box of a class, crowds left out, in the order of images and annotations.

    Parameters
    ----------
    coco : CocoFile
    images : Path
        Folder that image names start from.
    class_name : str
        Category; DataError where there is none of that name.
    extractor : Extractor
    margin : float
        Context around each box, see :func:`..alignment.crops.crop_boxes`.
    smallest : float
        Boxes with a shorter side, in pixels, are left out.
    progress : callable
        Told how many images are done of how many.

    Raises
    ------
    DataError
        Where the class or all of its images are missing, or none of its boxes is large enough.
    """
    boxes: dict[int, list[list[float]]] = {}
    chosen = coco.annotations_of(class_name)
    for annotation in chosen:
        if min(annotation["bbox"][2:]) >= smallest:
            boxes.setdefault(annotation["image_id"], []).append(annotation["bbox"])
    if not boxes:
        text = f"each with a side under {smallest:g} pixels" if chosen else "crowds do not count"
        raise DataError(f"'{coco.path}' has {len(chosen)} boxes of '{class_name}' to learn from ({text}).")
    seen = [image for image in coco.images if image["id"] in boxes]
    vectors, owners, problems = [], [], []
    for done, image in enumerate(seen, 1):
        path = images / str(image.get("file_name", ""))
        try:
            picture = read_picture(path)
        except DataError as error:
            problems.append(str(error))
            continue
        if picture.shape[1::-1] != (image["width"], image["height"]):
            size = "{} x {}".format(*picture.shape[1::-1])
            text = f"The image '{path}' has {size} pixels; its annotations say {image['width']} x {image['height']}."
            problems.append(text)
            continue
        vectors.append(extractor.extract_boxes(picture, boxes[image["id"]], margin))
        owners += [image["id"]] * len(vectors[-1])
        progress(done, len(seen))
    if not vectors:
        raise DataError(f"None of the {len(seen)} images of '{coco.path}' can be used. The first: {problems[0]}")
    small = len(chosen) - sum(len(b) for b in boxes.values())
    return BoxFeatures(np.concatenate(vectors), np.array(owners), small, tuple(problems))
