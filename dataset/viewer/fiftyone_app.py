# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens a dataset in FiftyOne, if the package is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from ...engine.errors import TwinsetError
from ..exports.outlines import mask_of
from ..formats.dataset_folder import ImageDataset
from ..formats.image_files import ImageFiles
from ..formats.rle_masks import extent
from .contents import Picture, contents


def has_fiftyone() -> bool:
    """Whether the package is installed, without importing it, which takes seconds."""
    return importlib.util.find_spec("fiftyone") is not None


def fiftyone_dataset(found: ImageDataset, limit: int) -> Any:
    """The dataset as a ``fiftyone.Dataset``: boxes and masks as ``ground_truth``, parts as tags, metadata as fields.

    It lives for this session only. Images that viewers turn by EXIF against their annotations show as they are stored.
    """
    fiftyone: Any = importlib.import_module("fiftyone")
    pictures, _ = contents(found.coco, limit)
    files = ImageFiles(found.coco.images, found.images)
    names = [category["name"] for category in found.coco.categories]
    samples = [
        _sample(fiftyone, picture, files.path(picture.image), names)
        for picture in pictures
        if picture.image is not None
    ]
    dataset = fiftyone.Dataset()
    dataset.add_samples(samples)
    return dataset


def open_fiftyone(found: ImageDataset, limit: int) -> str:
    """Show a dataset in FiftyOne's app until it is closed; returns why it cannot start, "" where it did."""
    try:
        fiftyone: Any = importlib.import_module("fiftyone")
        session = fiftyone.launch_app(fiftyone_dataset(found, limit))
    except TwinsetError:
        raise
    except Exception as error:  # such as a database that is missing; FiftyOne's own errors have no common base
        return f"{type(error).__name__}: {error}"
    session.wait()
    return ""


def _sample(fiftyone: Any, picture: Picture, path: Path, names: list[str]) -> Any:
    assert picture.image is not None
    width, height = picture.image["width"], picture.image["height"]
    detections = []
    for number, box in enumerate(picture.boxes):
        x, y, w, h = box.bbox
        given: dict[str, Any] = {
            "label": names[box.class_number],
            "bounding_box": [x / width, y / height, w / width, h / height],
        }
        annotation = {"id": number, "segmentation": _coco(box.segmentation, width, height)}
        mask = mask_of(annotation, picture.image)
        if mask is not None and mask.any():
            left, top, across, down = extent(mask)
            given["bounding_box"] = [left / width, top / height, across / width, down / height]
            given["mask"] = mask[top : top + down, left : left + across]
        detections.append(fiftyone.Detection(**given, iscrowd=box.is_crowd, size=box.size, **_fields(box.columns)))
    tags = [picture.part] if picture.part else []
    shown = fiftyone.Detections(detections=detections)
    return fiftyone.Sample(filepath=str(path.resolve()), tags=tags, ground_truth=shown, **_fields(picture.columns))


def _coco(segmentation: Any, width: int, height: int) -> Any:
    return {"size": [height, width], "counts": segmentation} if isinstance(segmentation, str) else segmentation


def _fields(columns: Any) -> dict[str, Any]:
    """Columns by names that do not clash with FiftyOne's own fields."""
    return {f"twinset_{name}": value for name, value in columns.items()}
