# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of the boxes of a class, from the pictures of a dataset."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ...alignment.features.crops import MARGIN
from ...alignment.features.extractor import Extractor
from ...engine.errors import DataError
from ..formats.coco import CocoFile
from ..formats.pixels import read_image
from ..progress import Progress

MIN_BOX_SIDE = 16
"""Pixels: of smaller boxes, features tell little more than that they were enlarged."""


@attrs.frozen(eq=False)
class BoxFeatures:
    """``features`` (n, d), the ``image`` and ``annotation`` ids (n,) that they come from, how many boxes were too
    ``small``, and a sentence for each image of no use in ``problems``."""

    features: np.ndarray
    image: np.ndarray
    annotation: np.ndarray
    small: int
    problems: tuple[str, ...]


def box_features(
    coco: CocoFile,
    images: Path,
    class_name: str | Sequence[str],
    extractor: Extractor,
    *,
    margin: float = MARGIN,
    min_side: float = MIN_BOX_SIDE,
    max_side: float = math.inf,
    progress: Progress = lambda done, total: None,
) -> BoxFeatures:
    """Features of every box of one class or several, crowds left out, image by image.

    Parameters
    ----------
    coco : CocoFile
    images : Path
        Folder that image names start from.
    class_name : str or sequence of str
        Categories; DataError where there is none of that name.
    extractor : Extractor
    margin : float
        Context around each box, see :func:`..alignment.crops.crop_boxes`.
    min_side : float
        Boxes with a shorter side, in pixels, are left out.
    max_side : float
        Images with a longer side, in pixels, are first reduced to it: features hear how far a box was enlarged, so what
        depends on that only compares between images of one size.
    progress : callable
        Told how many images are done of how many.

    Raises
    ------
    DataError
        Where the class or all of its images are missing, or none of its boxes is large enough.
    """
    import cv2

    names = [class_name] if isinstance(class_name, str) else list(class_name)
    boxes: dict[int, list[dict[str, Any]]] = {}
    chosen = [annotation for name in names for annotation in coco.annotations_of(name)]
    scale = {image["id"]: reduction(image, max_side) for image in coco.images}
    for annotation in chosen:
        if min(annotation["bbox"][2:]) * scale[annotation["image_id"]] >= min_side:
            boxes.setdefault(annotation["image_id"], []).append(annotation)
    if not boxes:
        if not chosen:
            raise coco.no_box(names[0])
        listed = ", ".join(f"'{name}'" for name in names)
        raise DataError(
            f"'{coco.path}' has {len(chosen)} boxes of {listed}, each with a side under "
            f"{min_side:g} pixels, which is too small. Use larger images, or lower --min-box-side."
        )
    seen = [image for image in coco.images if image["id"] in boxes]
    vectors, owners, ids, problems = [], [], [], []
    for done, image in enumerate(seen, 1):
        path = images / str(image.get("file_name", ""))
        try:
            picture = read_image(path)
        except DataError as error:
            problems.append(str(error))
            continue
        if picture.shape[1::-1] != (image["width"], image["height"]):
            size = "{} x {}".format(*picture.shape[1::-1])
            text = f"The image '{path}' has {size} pixels; its annotations say {image['width']} x {image['height']}."
            problems.append(text)
            continue
        own = boxes[image["id"]]
        bboxes = np.array([annotation["bbox"] for annotation in own], dtype=float)
        if scale[image["id"]] < 1:
            before = np.array(picture.shape[1::-1])
            picture = cv2.resize(
                picture, np.rint(before * scale[image["id"]]).astype(int), interpolation=cv2.INTER_AREA
            )
            bboxes *= np.tile(picture.shape[1::-1] / before, 2)  # sides are whole pixels
        vectors.append(extractor.extract_boxes(picture, bboxes, margin))
        owners += [image["id"]] * len(own)
        ids += [annotation["id"] for annotation in own]
        progress(done, len(seen))
    if not vectors:
        raise DataError(f"None of the {len(seen)} images of '{coco.path}' can be used. The first: {problems[0]}")
    small = len(chosen) - sum(len(b) for b in boxes.values())
    return BoxFeatures(np.concatenate(vectors), np.array(owners), np.array(ids), small, tuple(problems))


def reduction(image: Mapping[str, Any], max_side: float) -> float:
    """By which factor the sides of an image (a COCO entry) are multiplied so that none is longer; at most 1."""
    return min(1.0, max_side / max(image["width"], image["height"]))
