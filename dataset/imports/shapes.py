# SPDX-License-Identifier: GPL-3.0-or-later
"""Polygons and masks as COCO has them, without its library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def polygon_area(points: Sequence[float]) -> float:
    """The area of a polygon x0, y0, x1, y1, ... in square pixels, by the shoelace formula."""
    x, y = np.asarray(points[::2], float), np.asarray(points[1::2], float)
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def uncompressed_rle(mask: np.ndarray) -> dict[str, Any]:
    """A mask (H, W) bool as COCO's uncompressed RLE: lengths of runs column by column, the first one of zeros."""
    flat = np.concatenate([[False], mask.ravel(order="F")])
    ends = np.concatenate([np.flatnonzero(flat[1:] != flat[:-1]), [mask.size]])
    return {"size": list(mask.shape), "counts": [int(v) for v in np.diff(np.concatenate([[0], ends]))]}
