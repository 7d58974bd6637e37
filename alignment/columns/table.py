# SPDX-License-Identifier: GPL-3.0-or-later
"""Metadata columns of a dataset, from the dict of a COCO file or from measured columns [Zhang2023, §2]."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from ...engine.errors import DataError
from ...engine.plugin.columns import IDENTIFIERS
from .metadata import derived_columns
from .registry import find_column, is_synonym

GROUPS = ("sequence", "layout")
"""What rendered datasets say of an image whose layout others show, too: in a sequence or rig, or by views."""


@attrs.frozen(eq=False)
class Table:
    """The boxes of one class.

    Attributes
    ----------
    columns : dict of str to array
        Columns per box, (N,), with NaN where a box has no value; those in ``of_images`` per image with the class.
    main : (N,) bool
        Which boxes belong to a frame's main instance.
    image : (N,) int
        Id or number of the image that each box is in.
    of_images : frozenset of str
        Columns that have one value per image.
    labels : dict of str to (N,) str
        Columns of names, such as ``shape``; "" where a box has none.
    size : (float, float)
        Median width and height of the images in pixels, an image counted per box.
    group : (N,) int, optional
        Number of the layout that each box's image shows, where images share layouts: in sequences, rigs and views.
    """

    columns: dict[str, np.ndarray]
    main: np.ndarray
    image: np.ndarray
    of_images: frozenset[str] = frozenset({"boxes_per_image"})
    labels: dict[str, np.ndarray] = attrs.field(factory=dict)
    size: tuple[float, float] = (math.nan, math.nan)
    group: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.main)

    def of_main(self) -> Table:
        """The main instances' boxes only."""
        boxes = {k: v[self.main] for k, v in self.columns.items() if k not in self.of_images}
        labels = {k: v[self.main] for k, v in self.labels.items()}
        group = None if self.group is None else self.group[self.main]
        return Table(boxes, self.main[self.main], self.image[self.main], frozenset(), labels, self.size, group)

    def owners(self, column: str) -> tuple[np.ndarray, np.ndarray]:
        """The image and the layout of each value of a column; images without layouts are their own."""
        images, first = self.image, np.arange(len(self.image))
        if column in self.of_images:
            images, first = np.unique(self.image, return_index=True)
        return images, images if self.group is None else self.group[first]


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
    annotations, measured = [], []
    for a in coco["annotations"]:
        image = images.get(a["image_id"])
        if a["category_id"] not in ids or a.get("iscrowd", 0) or image is None:
            continue
        box = _measured_box(a["bbox"], image["width"], image["height"])
        if box is not None:
            annotations.append(a)
            measured.append(box)
    if not measured:
        known = ", ".join(class_names(coco)) or "none"
        raise DataError(f"{what} has no box of class '{class_name}'. Classes with boxes: {known}.")
    columns = derived_columns({name: np.array([box[name] for box in measured]) for name in measured[0]})
    image = np.array([a["image_id"] for a in annotations])
    columns["boxes_per_image"] = np.unique(image, return_counts=True)[1].astype(float)
    extras = [a.get("twinset") or {} for a in annotations]
    sizes = np.array([(images[i]["width"], images[i]["height"]) for i in image.tolist()], dtype=float)
    for name in sorted({k for e in extras for k, v in e.items() if _is_number(v)} - set(columns) - IDENTIFIERS):
        if not is_synonym(name):
            values = np.array([float(e[name]) if _is_number(e.get(name)) else math.nan for e in extras])
            columns[name] = values / sizes.prod(1) if find_column(name).relative_to_image else values
    main = np.array([e.get("main") is True for e in extras])
    shown = [images[i].get("twinset") for i in image.tolist()]
    named = [entry if isinstance(entry, Mapping) else {} for entry in shown]
    group = _groups({key: np.array([_number(e.get(key)) for e in named]) for key in GROUPS}, image)
    return Table(columns, main, image, size=tuple(np.median(sizes, axis=0).tolist()), group=group)


def measured_classes(columns: Mapping[str, Sequence[Any] | np.ndarray]) -> list[str]:
    """Names of the classes of measured columns, in the order in which they appear."""
    return list(dict.fromkeys(str(v) for v in columns.get("class", ())))


def measured_table(
    columns: Mapping[str, Sequence[Any] | np.ndarray], class_name: str, what: str = "The dataset"
) -> Table:
    """The table of one class from measured columns, as ``twinset measure`` writes them.

    ``bbox_area`` becomes ``area`` and ``sqrt_area``, ``aspect`` becomes ``log_aspect``; columns that count pixels
    (``a``, ``a_d2``) are divided by the number of pixels of the image.

    Parameters
    ----------
    columns : mapping of str to sequence
        One value per box; ``class`` and ``image_id`` are needed, None and NaN say that there is no value.
    class_name : str
        Category name.
    what : str
        What the dataset is called in error sentences.

    Raises
    ------
    DataError
        When the class has no box, or a needed column is missing.
    """
    for needed in ("class", "image_id"):
        if needed not in columns:
            raise DataError(f"{what} has no column '{needed}'. Write its table with `twinset measure`.")
    chosen = np.flatnonzero(np.array([str(v) == class_name for v in columns["class"]], dtype=bool))
    if not len(chosen):
        known = ", ".join(measured_classes(columns)) or "none"
        raise DataError(f"{what} has no box of class '{class_name}'. Classes with boxes: {known}.")
    image = _image_ids(_selected(columns["image_id"], chosen))
    _, first, counts = np.unique(image, return_index=True, return_counts=True)
    numbers = {name: _numbers(_selected(values, chosen)) for name, values in columns.items()}
    width, height = (numbers.get(f"image_{side}") for side in ("width", "height"))
    size = tuple(math.nan if side is None else float(np.median(side)) for side in (width, height))
    out = derived_columns({name: values for name, values in numbers.items() if values is not None})
    out["boxes_per_image"] = counts.astype(float)
    of_images, labels = {"boxes_per_image"}, {}
    for name, values in numbers.items():
        if name in IDENTIFIERS or is_synonym(name) or name in out:
            continue
        if values is None:
            labels[name] = np.array([v if isinstance(v, str) else "" for v in _selected(columns[name], chosen)])
        elif name.startswith("image_"):
            out[name] = values[first]
            of_images.add(name)
        elif not find_column(name).relative_to_image:
            out[name] = values
        elif width is not None and height is not None:
            out[name] = values / (width * height)
    main = numbers.get("main")
    groups = {key: numbers.get(f"image_{key}") for key in GROUPS}
    return Table(
        out,
        np.zeros(len(chosen), dtype=bool) if main is None else main == 1.0,
        image,
        frozenset(of_images),
        {name: values for name, values in labels.items() if (values != "").any()},
        (size[0], size[1]),
        _groups({key: values for key, values in groups.items() if values is not None}, image),
    )


def _groups(columns: Mapping[str, np.ndarray], image: np.ndarray) -> np.ndarray | None:
    """Number of the layout of each image (N,), of columns that say it; None where no two images share one."""
    group = np.full(len(image), math.nan)
    for values in columns.values():
        group = np.where(np.isnan(group), values, group)
    alone = np.isnan(group)
    # Images without a layout are no part of any: numbers below 0, which layouts do not have.
    group[alone] = -1.0 - np.unique(image, return_inverse=True)[1][alone]
    return group.astype(np.int64) if len(np.unique(group)) < len(np.unique(image)) else None


def _selected(values: Sequence[Any] | np.ndarray, chosen: np.ndarray) -> np.ndarray:
    if isinstance(values, np.ndarray):
        return values[chosen]
    plain = [values[i] for i in chosen.tolist()]
    if set(map(type, plain)) <= {int}:
        return np.array(plain)
    out = np.empty(len(plain), dtype=object)
    out[:] = plain
    return out


def _image_ids(values: np.ndarray) -> np.ndarray:
    """Ids of images as they are where they are whole numbers, else numbers in the order of their appearance."""
    if values.dtype.kind == "f" and (values == np.round(values)).all():
        return values.astype(np.int64)
    if values.dtype.kind in "iu":
        return values
    numbered: dict[Any, int] = {}
    return np.array([numbered.setdefault(v, len(numbered)) for v in values.tolist()])


def _numbers(values: np.ndarray) -> np.ndarray | None:
    """Values as floats, what is no finite number as NaN; None for a column that holds no number."""
    if values.dtype.kind in "fiub":
        numbers = values.astype(float)
    elif values.dtype.kind == "O":
        known = [v if isinstance(v, int | float) else math.nan for v in values]  # True and False count as 1 and 0
        numbers = np.array(known, dtype=float)
    else:
        return None
    numbers = np.where(np.isfinite(numbers), numbers, math.nan)
    return numbers if np.isfinite(numbers).any() else None


def _measured_box(bbox: Any, width: float, height: float) -> dict[str, float] | None:
    """What a COCO bbox, clipped to its image, says of itself; None where nothing finite is left."""
    x, y, w, h = (float(v) for v in bbox)
    if not all(map(math.isfinite, (x, y, w, h))) or w <= 0 or h <= 0:
        return None
    left, top, right, bottom = max(x, 0.0), max(y, 0.0), min(x + w, width), min(y + h, height)
    w, h = right - left, bottom - top
    if w <= 0 or h <= 0:
        return None
    return {
        "bbox_area": w * h / (width * height),
        "aspect": w / h,
        "log_aspect": math.log(w / h),  # NumPy's logarithm may differ in the last bit
        "center_x": (left + right) / 2 / width,
        "center_y": (top + bottom) / 2 / height,
    }


def _number(value: Any) -> float:
    return float(value) if _is_number(value) and value >= 0 else math.nan


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
