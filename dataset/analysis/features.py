# SPDX-License-Identifier: GPL-3.0-or-later
"""Extracts the features of boxes from the images of a dataset."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ...alignment.features.crops import MARGIN
from ...alignment.features.extractor import Extractor
from ...engine.errors import DataError
from ..formats.coco import CocoFile, by_image
from ..formats.image_files import ImageFiles, read_annotated
from ..processes import mapped, processes_for
from ..progress import Progress

MIN_BOX_SIDE = 16
"""In pixels: features of smaller boxes reflect little more than their enlargement."""

_PER_WORKER = 100
"""Boxes per process from which on starting it saves time."""
_MAX_MODEL_BYTES = 2**30
"""Bytes of the models of all processes together, unless their number is given."""


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
        Its ``workers`` say in how many processes it works, on which the result does not depend.
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
    names = [class_name] if isinstance(class_name, str) else list(class_name)
    chosen = [annotation for name in names for annotation in coco.annotations_of(name)]
    scale = {image["id"]: reduction(image, max_side) for image in coco.images}
    boxes = by_image(a for a in chosen if min(a["bbox"][2:]) * scale[a["image_id"]] >= min_side)
    if not boxes:
        if not chosen:
            raise coco.no_box(names[0])
        listed = ", ".join(f"'{name}'" for name in names)
        raise DataError(
            f"'{coco.path}' has {len(chosen)} boxes of {listed}, each with a side under "
            f"{min_side:g} pixels, which is too small. Use larger images, or lower --min-box-side."
        )
    with_boxes = [image for image in coco.images if image["id"] in boxes]
    tasks, problems = _tasks(with_boxes, images, boxes, scale, margin)
    vectors, owners, ids = [], [], []
    progress(0, len(with_boxes))
    with _extracted(tasks, extractor) as results:
        for done, (task, (found, problem)) in enumerate(zip(tasks, results, strict=True), 1):
            progress(done, len(tasks))
            if found is None:
                problems[task.image] = problem
                continue
            own = boxes[task.image]
            vectors.append(found)
            owners += [task.image] * len(own)
            ids += [annotation["id"] for annotation in own]
    said = [problems[image["id"]] for image in with_boxes if image["id"] in problems]
    if not vectors:
        text = f"None of the {len(with_boxes)} images of '{coco.path}' can be used."
        raise DataError(f"{text} The first problem: {said[0]}")
    small = len(chosen) - sum(len(b) for b in boxes.values())
    return BoxFeatures(np.concatenate(vectors), np.array(owners), np.array(ids), small, tuple(said))


@attrs.frozen(eq=False)
class _Task:
    """An image, the size that it must have, and boxes in it; all are reduced by a ``scale``, at most 1."""

    image: int
    path: Path
    size: tuple[int, int]
    upright: bool
    bboxes: np.ndarray
    scale: float
    margin: float


def _tasks(
    images: Sequence[Mapping[str, Any]],
    folder: Path,
    boxes: Mapping[int, Sequence[Mapping[str, Any]]],
    scale: Mapping[int, float],
    margin: float,
) -> tuple[list[_Task], dict[int, str]]:
    """What must be extracted, and by image id why images are not found."""
    tasks, problems = [], {}
    files = ImageFiles(images, folder)
    files.say()
    for image in images:
        id = image["id"]
        try:
            path = files.path(image)
        except DataError as error:
            problems[id] = str(error)
            continue
        size = int(image["width"]), int(image["height"])
        bboxes = np.array([annotation["bbox"] for annotation in boxes[id]], dtype=float)
        tasks.append(_Task(id, path, size, files.is_upright(image), bboxes, scale[id], margin))
    return tasks, problems


@contextmanager
def _extracted(tasks: Sequence[_Task], extractor: Extractor) -> Iterator[Iterator[tuple[np.ndarray | None, str]]]:
    """Features of the boxes of each task, or None and a sentence, from several processes where that saves time."""
    worthwhile = sum(len(task.bboxes) for task in tasks) // _PER_WORKER
    affordable = worthwhile if extractor.workers else _MAX_MODEL_BYTES // extractor.model_bytes
    workers = processes_for(extractor.workers, min(worthwhile, affordable)) if extractor.device == "cpu" else 1
    if workers == 1:
        yield (_features_of(extractor, task) for task in tasks)
        return
    with mapped(_features_here, tasks, workers, "computed features", prepare=partial(_use, extractor)) as results:
        yield results


_extractor: Extractor | None = None
"""In a worker process: what computes features."""


def _use(extractor: Extractor) -> None:
    global _extractor
    _extractor = extractor


def _features_here(task: _Task) -> tuple[np.ndarray | None, str]:
    assert _extractor is not None
    return _features_of(_extractor, task)


def _features_of(extractor: Extractor, task: _Task) -> tuple[np.ndarray | None, str]:
    import cv2

    try:
        picture = read_annotated(task.path, task.size, upright=task.upright)
    except DataError as error:
        return None, str(error)
    bboxes = task.bboxes
    if task.scale < 1:
        before = np.array(picture.shape[1::-1])
        picture = cv2.resize(picture, np.rint(before * task.scale).astype(int), interpolation=cv2.INTER_AREA)
        bboxes = bboxes * np.tile(picture.shape[1::-1] / before, 2)  # sides are whole pixels
    return extractor.extract_boxes(picture, bboxes, task.margin), ""


def reduction(image: Mapping[str, Any], max_side: float) -> float:
    """The factor, at most 1, that reduces an image (a COCO entry) to a longest side."""
    return min(1.0, max_side / max(image["width"], image["height"]))
