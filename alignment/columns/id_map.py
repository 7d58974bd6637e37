# SPDX-License-Identifier: GPL-3.0-or-later
"""Extents and crops of the instances of an id map, and depth read under a mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np


def extents(ids: np.ndarray, wanted: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Visible pixels and tight boxes of instances, in one pass over the image for all of them.

    Parameters
    ----------
    ids : (H, W) int
        Id map, values >= 0.
    wanted : sequence of int
        The n ids to search for.

    Returns
    -------
    counts : (n,) int64
        Pixels with that id.
    boxes : (n, 4) int64
        [x, y, w, h] in pixels of the mask's exact extent; zeros where the id is nowhere.
    """
    height, width = ids.shape
    wanted_ids = np.asarray(wanted, dtype=np.int64)
    bins = int(max(ids.max(initial=0), wanted_ids.max(initial=0))) + 1
    is_wanted = np.zeros(bins, bool)
    is_wanted[wanted_ids] = True
    # Most pixels belong to the room. For the others, histograms over (row, id) and (column, id) suffice.
    there = np.flatnonzero(is_wanted[ids])
    row, column = np.divmod(there, width)
    id = ids.ravel()[there]
    rows = np.bincount(row * bins + id, minlength=height * bins)
    columns = np.bincount(column * bins + id, minlength=width * bins)
    by_row = rows.reshape(height, bins)[:, wanted_ids]
    in_row = by_row > 0
    in_column = columns.reshape(width, bins)[:, wanted_ids] > 0
    boxes = np.zeros((len(wanted_ids), 4), dtype=np.int64)
    if len(wanted_ids) == 0:
        return np.zeros(0, dtype=np.int64), boxes
    boxes[:, 0], boxes[:, 1] = in_column.argmax(0), in_row.argmax(0)
    boxes[:, 2] = width - in_column[::-1].argmax(0) - boxes[:, 0]
    boxes[:, 3] = height - in_row[::-1].argmax(0) - boxes[:, 1]
    counts = by_row.sum(0)
    boxes[counts == 0] = 0
    return counts, boxes


def crop(box: Sequence[int], shape: tuple[int, ...], margin: int = 0) -> tuple[slice, slice]:
    """Rows and columns of a box [x, y, w, h] widened by ``margin`` pixels and clipped to an image of ``shape``."""
    x, y, w, h = (int(v) for v in box)
    return (
        slice(max(y - margin, 0), min(y + h + margin, shape[0])),
        slice(max(x - margin, 0), min(x + w + margin, shape[1])),
    )


STATISTICS: dict[str, Callable[[np.ndarray], np.floating]] = {"median": np.median, "mean": np.mean, "min": np.min}
"""Statistics that reduce the depths under a mask to one number."""


def depths_under(
    ids: np.ndarray, depth: np.ndarray, wanted: Sequence[int], boxes: np.ndarray, statistic: str = "median"
) -> np.ndarray:
    """One depth per instance, read under its mask.

    Parameters
    ----------
    ids, depth : (H, W)
        Id map, and depth in metres; pixels without a finite depth are left out.
    wanted : sequence of int
        The n ids.
    boxes : (n, 4) int
        Their extents from :func:`extents`.
    statistic : {"median", "mean", "min"}

    Returns
    -------
    (n,) float
        Metres; NaN where no pixel with that id has a depth.
    """
    reduce = STATISTICS[statistic]
    out = np.full(len(wanted), np.nan)
    for i, (id, box) in enumerate(zip(wanted, boxes, strict=True)):
        window = crop(box, ids.shape)
        values = depth[window][ids[window] == id]
        values = values[np.isfinite(values)]
        if len(values):
            # float64, else the mean of a large float32 array depends on the order of summation
            out[i] = reduce(values.astype(np.float64))
    return out
