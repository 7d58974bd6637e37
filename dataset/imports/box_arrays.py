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
        x, y, w, h = self.boxes.T
        with np.errstate(over="ignore"):
            return np.maximum.reduce([-x, -y, x + w - self.sizes[:, 0], y + h - self.sizes[:, 1]])

    def take(self, chosen: np.ndarray) -> BoxArrays:
        """Some of the boxes."""
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
    position = {id: k for k, id in enumerate(size)}
    known = np.array([*size.values(), (np.nan, np.nan)], dtype=float)
    ids: list[Any] = [a.get("image_id") for a in annotations]
    if set(map(type, ids)) <= {int}:
        at = [position.get(id, -1) for id in ids]
    else:
        at = [position.get(id, -1) if isinstance(id, int) else -1 for id in ids]
    of_image = np.array(at, dtype=np.intp)[rows]
    are_crowds = np.array([bool(a.get("iscrowd")) for a in annotations], dtype=bool)[rows]
    arrays = BoxArrays(rows, boxes, known[of_image], are_crowds)
    return arrays.take(np.isfinite(boxes).all(1))


def is_box(box: Any) -> bool:
    """Whether a value has the four finite numbers of a box."""
    return isinstance(box, list | tuple) and len(box) == 4 and all(map(is_number, box))


def has_types(entries: Sequence[Mapping[str, Any]], key: str, types: set[type]) -> bool:
    """Whether the values of a key, None where it is missing, are of these types only."""
    return set(map(type, [entry.get(key) for entry in entries])) <= types
