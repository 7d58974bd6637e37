# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the metadata of every box of a dataset, from annotations, images, masks and depth maps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ...alignment.columns.box_data import BoxData
from ...alignment.columns.metadata import MetadataColumns, box_columns, picture_columns
from ...engine.errors import DataError
from ...engine.output.annotation_source import declared_entries
from ..atomic_files import is_number
from ..formats import rle_masks
from ..formats.coco import CocoFile, by_image
from ..formats.image_files import ImageFiles, read_annotated
from ..formats.pixels import DEPTH_SUFFIXES, read_depth
from ..image_names import inner_path
from ..imports.box_arrays import has_types
from ..processes import mapped, processes_for
from ..progress import Progress

_PER_WORKER = 8
"""Images per worker process from which on starting it saves time."""


class UnmeasuredImagesError(DataError):
    """No image can be measured.

    Parameters
    ----------
    reason : str
        The message without the remedy.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{reason} Say where the images lie, or measure without pixels.")


@attrs.frozen(eq=False)
class Measurement:
    """The metadata of a dataset.

    Attributes
    ----------
    columns : dict of str to sequence
        One value per box, ordered by image and then as in the file. Columns without any value are left out.
    boxes, images : int
        Number of boxes, and of images with boxes.
    problems : tuple of str
        A sentence per image or depth map that could not be measured.
    """

    columns: dict[str, Sequence[Any] | np.ndarray]
    boxes: int
    images: int
    problems: tuple[str, ...]


@attrs.frozen(eq=False)
class _Task:
    """The input for measuring one image."""

    first: int
    picture: Path | None
    upright: bool
    problem: str
    depth: Path | None
    size: tuple[int, int]
    bboxes: np.ndarray
    segmentations: list[Any]


@attrs.frozen(eq=False)
class _ImageResult:
    first: int
    of_image: dict[str, float]
    of_boxes: MetadataColumns
    problems: list[str]
    unread: bool


def measure(
    coco: CocoFile,
    images: Path | None,
    *,
    depth: Path | None = None,
    workers: int = 0,
    progress: Progress = lambda done, total: None,
) -> Measurement:
    """Measure every box of a dataset, without crowds.

    Parameters
    ----------
    coco : CocoFile
    images : Path or None
        Folder of the images; None measures only what needs no pixels.
    depth : Path, optional
        Folder of depth maps, named as the images but for their suffix. Only read if the annotations do not have the
        depth of every box.
    workers : int
        Processes; 0 uses one per processor. The result does not depend on it.
    progress : callable
        Called with how many images are done, and of how many.

    Raises
    ------
    DataError
        If there are no boxes; UnmeasuredImagesError if there are, but no image can be measured.
    """
    grouped = by_image(a for a in coco.annotations if not a.get("iscrowd"))
    seen = [image for image in coco.images if image["id"] in grouped]
    if not seen:
        raise DataError(f"'{coco.path}' has no box (crowds do not count), so there is nothing to measure.")
    annotations = [annotation for image in seen for annotation in grouped[image["id"]]]
    counts = np.array([len(grouped[image["id"]]) for image in seen])
    columns = _annotation_columns(coco, seen, annotations, counts)
    problems: list[str] = []
    if images is not None:
        if all(is_number(v) for v in columns.get("depth", [None])):
            depth = None
        tasks = _tasks(seen, grouped, images, depth)
        measured, problems = _collect(tasks, len(annotations), workers, progress)
        columns |= measured
    return Measurement(
        {name: values for name, values in columns.items() if _has_values(values)},
        len(annotations),
        len(seen),
        tuple(problems),
    )


def _annotation_columns(
    coco: CocoFile, images: list[dict[str, Any]], annotations: list[dict[str, Any]], counts: np.ndarray
) -> dict[str, Sequence[Any] | np.ndarray]:
    """The columns that follow from annotations."""
    names = {category["id"]: category["name"] for category in coco.categories}
    owner = np.repeat(np.arange(len(images)), counts).tolist()
    bboxes = np.array([a["bbox"] for a in annotations], dtype=float)
    sizes = np.array([(i["width"], i["height"]) for i in images], dtype=float)[owner]
    columns: dict[str, Sequence[Any] | np.ndarray] = {
        "image_id": [a["image_id"] for a in annotations],
        "id": [a["id"] for a in annotations],
        "class": [names[a["category_id"]] for a in annotations],
        "file_name": [images[i].get("file_name") for i in owner],
        "image_width": [images[i]["width"] for i in owner],
        "image_height": [images[i]["height"] for i in owner],
        **{f"bbox_{axis}": bboxes[:, k] for k, axis in enumerate("xywh")},
        "area": [float(a["area"]) if is_number(a.get("area")) else None for a in annotations],
        **box_columns(bboxes, sizes[:, 0], sizes[:, 1]),
    }
    axes = {name: entry.axes for name, entry in declared_entries("twinset").items() if entry.axes}
    has_extras = not has_types(annotations, "twinset", {type(None)})
    extras = [_twinset_values(a, axes) for a in annotations] if has_extras else []
    for name in sorted({key for extra in extras for key in extra}.difference(columns)):
        columns[name] = [extra.get(name) for extra in extras]
    of_images = [_mapping(i.get("twinset")) for i in images]
    for name in sorted({key for extra in of_images for key in extra}):
        column = name if name == "frame" else f"image_{name}"
        columns.setdefault(column, [of_images[i].get(name) for i in owner])
    return columns


def _twinset_values(annotation: Mapping[str, Any], axes: Mapping[str, str]) -> dict[str, Any]:
    extra = dict(_mapping(annotation.get("twinset")))
    extra.pop("bbox", None)  # its numbers have columns of their own
    for name, letters in axes.items():
        values = extra.pop(name, None)
        if isinstance(values, list) and len(values) == len(letters):
            extra |= {f"{name}_{axis}": value for axis, value in zip(letters, values, strict=True)}
    return extra


def _tasks(
    images: list[dict[str, Any]], grouped: Mapping[int, list[dict[str, Any]]], folder: Path, depth: Path | None
) -> list[_Task]:
    tasks, first = [], 0
    files = ImageFiles(images, folder)
    files.say()
    for image in images:
        boxes = grouped[image["id"]]
        picture, problem = None, ""
        try:
            picture = files.path(image)
        except DataError as error:
            problem = str(error)
        tasks.append(
            _Task(
                first=first,
                picture=picture,
                upright=picture is not None and files.is_upright(image),
                problem=problem,
                depth=_depth_of(depth, str(image.get("file_name") or "")) if depth is not None else None,
                size=(int(image["width"]), int(image["height"])),
                bboxes=np.array([a["bbox"] for a in boxes], dtype=float),
                segmentations=[a.get("segmentation") for a in boxes],
            )
        )
        first += len(boxes)
    return tasks


def _depth_of(folder: Path, name: str) -> Path | None:
    path = inner_path(folder, name)
    paths = [path.with_suffix(suffix) for suffix in DEPTH_SUFFIXES] if path is not None else []
    return next((path for path in paths if path.is_file()), None)


def _collect(
    tasks: list[_Task], boxes: int, workers: int, progress: Progress
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Measured columns, those of images with the prefix ``image_``, and problems."""
    columns: dict[str, np.ndarray] = {}
    problems: list[str] = []
    unread = 0
    progress(0, len(tasks))
    with mapped(
        _measure_one, tasks, processes_for(workers, math.ceil(len(tasks) / _PER_WORKER)), "measured images"
    ) as results:
        for done, (task, result) in enumerate(zip(tasks, results, strict=True), start=1):
            part = slice(result.first, result.first + len(task.bboxes))
            for name, value in [*((f"image_{k}", v) for k, v in result.of_image.items()), *result.of_boxes.items()]:
                if name not in columns:
                    columns[name] = np.full(boxes, np.nan)
                columns[name][part] = value
            problems += result.problems
            unread += result.unread
            progress(done, len(tasks))
    if unread == len(tasks):
        raise UnmeasuredImagesError(f"None of the {len(tasks)} images with boxes can be measured. {problems[0]}")
    return columns, problems


def _measure_one(task: _Task) -> _ImageResult:
    problems = [task.problem] if task.problem else []
    picture = None
    if task.picture is not None:
        try:
            picture = read_annotated(task.picture, task.size, upright=task.upright)
        except DataError as error:
            problems.append(str(error))
    depth = _read_pixels(task.depth, read_depth, task.size, problems) if task.depth else None
    masks: list[np.ndarray | None] | None = None
    decoded: list[tuple[np.ndarray | None, tuple[int, int, int, int]]] = []
    if picture is not None or depth is not None:
        decoded = [_mask(s, task.size) for s in task.segmentations]
        masks = [mask for mask, _ in decoded] if any(mask is not None for mask, _ in decoded) else None
    extents = [extent for _, extent in decoded] if masks else []
    data = BoxData(task.bboxes, *task.size, image=picture, masks=masks, extents=extents, depth=depth)
    of_image, of_boxes = picture_columns(data)
    return _ImageResult(task.first, of_image, of_boxes, problems, picture is None)


def _read_pixels(
    path: Path, read: Callable[[Path], np.ndarray], size: tuple[int, int], problems: list[str]
) -> np.ndarray | None:
    """The pixels of a file; None, and a sentence in ``problems``, if they are unusable."""
    try:
        pixels = read(path)
    except DataError as error:
        problems.append(str(error))
        return None
    height, width = pixels.shape[:2]
    if (width, height) != size:
        problems.append(f"'{path}' has {width} by {height} px, but is annotated as {size[0]} by {size[1]}.")
        return None
    return pixels


def _mask(segmentation: Any, size: tuple[int, int]) -> tuple[np.ndarray | None, tuple[int, int, int, int]]:
    """The mask of a segmentation and its extent; None if there is none, or it is invalid."""
    if segmentation:
        try:
            mask, extent = rle_masks.decode_with_extent(segmentation, size[1], size[0])
        except Exception:  # pycocotools has no errors of its own
            return None, (0, 0, 0, 0)
        if extent[2]:
            return mask, extent
    return None, (0, 0, 0, 0)


def _has_values(values: Sequence[Any] | np.ndarray) -> bool:
    if isinstance(values, np.ndarray):
        return bool((~np.isnan(values)).any())
    return any(value is not None for value in values)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
