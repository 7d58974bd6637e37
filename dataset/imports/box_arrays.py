# SPDX-License-Identifier: GPL-3.0-or-later
"""The boxes of COCO annotations as arrays, so that a million of them are checked at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import attrs
import numpy as np

from ..atomic_files import is_number

_LISTS = {list, tuple}
_NUMBERS = {int, float}


@attrs.frozen(eq=False)
class BoxArrays:
    """The boxes of those annotations, B of them, that have four finite numbers.

    Attributes
    ----------
    rows : (B,) int
        Which annotations these are.
    boxes : (B, 4) float
        As they are written, [x, y, width, height] in COCO.
    sizes : (B, 2) float
        Width and height of their images; NaN where none is known.
    are_crowds : (B,) bool
        Whether they are boxes of crowds.
    """

    rows: np.ndarray
    boxes: np.ndarray
    sizes: np.ndarray
    are_crowds: np.ndarray

    @property
    def beyond(self) -> np.ndarray:
        """How many pixels (B,) a box extends beyond its image, negative inside; NaN where its size is unknown."""
        beyond = -self.boxes[:, :2].min(1)
        for axis in range(2):
            with np.errstate(over="ignore"):
                end = self.boxes[:, axis] + self.boxes[:, 2 + axis]
            end -= self.sizes[:, axis]
            np.maximum(beyond, end, out=beyond)
        return beyond

    def take(self, chosen: np.ndarray) -> BoxArrays:
        """Some of the boxes."""
        if chosen.all():
            return self
        return BoxArrays(*(getattr(self, field.name)[chosen] for field in attrs.fields(BoxArrays)))


def box_arrays(annotations: Sequence[Mapping[str, Any]], size: Mapping[int, tuple[float, float]]) -> BoxArrays:
    """The boxes of annotations as arrays.

    Parameters
    ----------
    annotations : sequence of mappings
        In any state: what is no box is left out.
    size : mapping
        Width and height of images by id.
    """
    found: list[Any] = [a.get("bbox") for a in annotations]
    rows = np.arange(len(found))
    are_lists = set(map(type, found)) <= _LISTS and set(map(len, found)) <= {4}
    if not (are_lists and set(map(type, chain.from_iterable(found))) <= _NUMBERS):
        rows = np.array([k for k, box in enumerate(found) if is_box(box)], dtype=np.intp)
        found = [found[k] for k in rows]
    try:
        boxes = np.fromiter(chain.from_iterable(found), np.float64, 4 * len(found)).reshape(-1, 4)
    except OverflowError:  # whole numbers beyond all floats
        return box_arrays([a if is_box(a.get("bbox")) else {} for a in annotations], size)
    del found
    position: dict[int | None, int] = {id: k for k, id in enumerate(size)}
    known = np.array([*size.values(), (np.nan, np.nan)], dtype=float)
    ids = map(_whole_number, (a.get("image_id") for a in annotations))
    of_image = np.fromiter((position.get(id, -1) for id in ids), np.int32, len(annotations))
    are_crowds = np.fromiter((bool(a.get("iscrowd")) for a in annotations), bool, len(annotations))
    if len(rows) < len(annotations):
        of_image, are_crowds = of_image[rows], are_crowds[rows]
    arrays = BoxArrays(rows, boxes, known[of_image], are_crowds)
    return arrays.take(np.isfinite(boxes).all(1))


def _whole_number(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def is_box(box: Any) -> bool:
    """Whether a value has the four finite numbers of a box."""
    return isinstance(box, list | tuple) and len(box) == 4 and all(map(is_number, box))


def has_types(entries: Sequence[Mapping[str, Any]], key: str, types: set[type]) -> bool:
    """Whether the values of a key, None where it is missing, are of these types only."""
    return set(map(type, [entry.get(key) for entry in entries])) <= types
