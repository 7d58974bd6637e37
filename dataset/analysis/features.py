# SPDX-License-Identifier: GPL-3.0-or-later
"""Extracts the features of boxes from the images of a dataset."""

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
from ..formats.image_files import ImageFiles
from ..progress import Progress

MIN_BOX_SIDE = 16
"""In pixels: features of smaller boxes reflect little more than their enlargement."""


@attrs.frozen(eq=False)
class BoxFeatures:
    """``features`` (n, d), the ``image`` and ``annotation`` ids (n,) of their boxes, how many boxes were too ``small``,
    and a sentence per unusable image in ``problems``."""

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
    """Features of all boxes of one or several classes, without crowds, image by image.

    Parameters
    ----------
    coco : CocoFile
    images : Path
        Folder that image names start from.
    class_name : str or sequence of str
        Class names; raises DataError if there is no such class.
    extractor : Extractor
    margin : float
        Context around each box, see :func:`..alignment.crops.crop_boxes`.
    min_side : float
        Boxes with a shorter side, in pixels, are skipped.
    max_side : float
        Images with a longer side, in pixels, are first reduced to it: features depend on how much a box was enlarged,
        so they are only comparable between images of one size.
    progress : callable
        Called with how many images are done, and of how many.

    Raises
    ------
    DataError
        If the class or all of its images are missing, or none of its boxes is large enough.
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
    with_boxes = [image for image in coco.images if image["id"] in boxes]
    vectors, owners, ids, problems = [], [], [], []
    files = ImageFiles(with_boxes, images)
    files.say()
    for done, image in enumerate(with_boxes, 1):
        try:
            picture = files.read(image)
        except DataError as error:
            problems.append(str(error))
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
        progress(done, len(with_boxes))
    if not vectors:
        text = f"None of the {len(with_boxes)} images of '{coco.path}' can be used."
        raise DataError(f"{text} The first problem: {problems[0]}")
    small = len(chosen) - sum(len(b) for b in boxes.values())
    return BoxFeatures(np.concatenate(vectors), np.array(owners), np.array(ids), small, tuple(problems))


def reduction(image: Mapping[str, Any], max_side: float) -> float:
    """The factor, at most 1, that reduces an image (a COCO entry) to a longest side."""
    return min(1.0, max_side / max(image["width"], image["height"]))
