# SPDX-License-Identifier: GPL-3.0-or-later
"""Metadata columns of a dataset, straight from the dict of a COCO file [Zhang2023, §2]."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from ..engine.errors import DataError

BOX_COLUMNS = ("sqrt_area", "area", "center_x", "center_y", "log_aspect")


@attrs.frozen(eq=False)
class Table:
    """The boxes of one class.

    Attributes
    ----------
    columns : dict of str to array
        Columns per box, (N,), and ``boxes_per_image``, (images with the class,). Columns of an annotation's ``twinset``
        dict may hold NaN where an annotation lacks them.
    main : (N,) bool
        Which boxes belong to a frame's main instance.
    image : (N,) int
        Id of the image that each box is in.
    """

    columns: dict[str, np.ndarray]
    main: np.ndarray
    image: np.ndarray

    def __len__(self) -> int:
        return len(self.main)

    def of_main(self) -> Table:
        """The main instances' boxes only."""
        boxes = {k: v[self.main] for k, v in self.columns.items() if k != "boxes_per_image"}
        return Table(boxes, self.main[self.main], self.image[self.main])


def class_names(coco: Mapping[str, Any]) -> list[str]:
    """Names of the categories that have at least one box that is no crowd, in the file's order."""
    used = {a["category_id"] for a in coco["annotations"] if not a.get("iscrowd", 0)}
    return [c["name"] for c in coco["categories"] if c["id"] in used]


def read_table(coco: Mapping[str, Any], class_name: str, what: str = "The dataset") -> Table:
    """The table of one class; crowds, and boxes without extent inside their image, are left out.

    Parameters
    ----------
    coco : mapping
        A COCO file as loaded from JSON.
    class_name : str
        Category name.
    what : str
        What the dataset is called in error sentences.

    Raises
    ------
    DataError
        When the class has no box.
    """
    ids = {c["id"] for c in coco["categories"] if c["name"] == class_name}
    images = {i["id"]: i for i in coco["images"]}
    annotations, rows = [], []
    for a in coco["annotations"]:
        image = images.get(a["image_id"])
        if a["category_id"] not in ids or a.get("iscrowd", 0) or image is None:
            continue
        row = _box_row(a["bbox"], image["width"], image["height"])
        if row is not None:
            annotations.append(a)
            rows.append(row)
    if not rows:
        known = ", ".join(class_names(coco)) or "none"
        raise DataError(f"{what} has no box of class '{class_name}'. Classes with boxes: {known}.")
    columns = dict(zip(BOX_COLUMNS, np.array(rows).T, strict=True))
    image = np.array([a["image_id"] for a in annotations])
    columns["boxes_per_image"] = np.unique(image, return_counts=True)[1].astype(float)
    extras = [a.get("twinset") or {} for a in annotations]
    for name in sorted({k for e in extras for k, v in e.items() if _is_number(v)} - set(columns)):
        columns[name] = np.array([float(e[name]) if _is_number(e.get(name)) else math.nan for e in extras])
    return Table(columns, np.array([e.get("main") is True for e in extras]), image)


def _box_row(bbox: Any, width: float, height: float) -> tuple[float, ...] | None:
    """The box columns of a COCO bbox, clipped to its image; None where nothing finite is left."""
    x, y, w, h = (float(v) for v in bbox)
    if not all(map(math.isfinite, (x, y, w, h))) or w <= 0 or h <= 0:
        return None
    left, top, right, bottom = max(x, 0.0), max(y, 0.0), min(x + w, width), min(y + h, height)
    w, h = right - left, bottom - top
    if w <= 0 or h <= 0:
        return None
    area = w * h / (width * height)
    return math.sqrt(area), area, (left + right) / 2 / width, (top + bottom) / 2 / height, math.log(w / h)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
