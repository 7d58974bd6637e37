# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves pictures, labels, amodal masks and rendered passes by a map of where each output pixel comes from."""

from __future__ import annotations

import attrs
import numpy as np

from ..stage import Amodal, Labels, Shot, extent


def move_image(image: np.ndarray, source: np.ndarray) -> np.ndarray:
    """A picture (H, W, C) float32 sampled bilinearly at ``source`` (H, W, 2), pixels as in :mod:`..stage`."""
    import cv2

    # OpenCV's pixel centres are whole numbers, ours are halves.
    x, y = (np.ascontiguousarray(source[..., k], np.float32) - np.float32(0.5) for k in range(2))
    return cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def move_nearest(array: np.ndarray, source: np.ndarray) -> np.ndarray:
    """An array (H, W, ...) by the pixel that each source (H, W, 2) lies in, or the nearest one at the border."""
    rows, columns = _indices(source, array.shape[:2])
    return array[rows, columns]


def move_labels(labels: Labels, source: np.ndarray) -> Labels:
    """Labels by nearest pixels."""
    return Labels(move_nearest(labels.ids, source), move_nearest(labels.depth, source))


def move_amodal(alone: Amodal, source: np.ndarray) -> Amodal:
    """An instance seen alone, moved.

    Inside the image the mask follows the map. What lies outside is not in the map, so a side of the box that was there
    moves as the nearest border does, and the hidden pixels are scaled as those inside.
    """
    height, width = alone.mask.shape
    mask = move_nearest(alone.mask, source)
    inside, x, y, w, h = extent(mask), *alone.bbox
    if not alone.pixels:
        return attrs.evolve(alone, mask=mask)
    low, high = _moved_corners((x, y, x + w, y + h), source)
    if inside:
        # Where the map says exactly what is seen, only what it says nothing about is estimated.
        low = np.where([low[0] < 0, low[1] < 0], low, inside[:2])
        ends = np.add(inside[:2], inside[2:])
        high = np.where([high[0] > width, high[1] > height], high, ends)
        low, high = np.minimum(low, inside[:2]), np.maximum(high, ends)
    high = np.maximum(high, low + 1)
    magnification = _magnification(source)
    seen = int(np.count_nonzero(mask))
    pixels = max(seen, round(alone.pixels * magnification), 1)
    if inside and low[0] >= 0 and low[1] >= 0 and high[0] <= width and high[1] <= height:
        pixels = seen
    return Amodal(mask, (int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])), pixels)


def move_shot(shot: Shot, source: np.ndarray) -> Shot:
    """Labels, amodal masks and rendered passes of a shot; its picture stays."""
    return attrs.evolve(
        shot,
        labels=move_labels(shot.labels, source),
        amodal={id: move_amodal(alone, source) for id, alone in shot.amodal.items()},
        rendered={name: move_nearest(array, source) for name, array in shot.rendered.items()},
    )


def _indices(source: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    columns = np.clip(np.floor(source[..., 0]), 0, shape[1] - 1).astype(np.intp)
    rows = np.clip(np.floor(source[..., 1]), 0, shape[0] - 1).astype(np.intp)
    return rows, columns


def _moved_corners(box: tuple[int, int, int, int], source: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners (low (2,), high (2,)) of a box (x0, y0, x1, y1) where the map takes it, in whole pixels."""
    height, width = source.shape[:2]
    corners = np.array([[box[0], box[1]], [box[2], box[1]], [box[0], box[3]], [box[2], box[3]]], dtype=float)
    moved = corners.copy()
    for _ in range(8):  # the inverse of the map, by fixed-point iteration
        at = np.floor(np.clip(moved, 0, (width - 1, height - 1))).astype(int)
        centre = at + 0.5
        moved = corners - (source[at[:, 1], at[:, 0]] - centre)
    return np.floor(moved.min(0) + 0.5), np.floor(moved.max(0) + 0.5)


def _magnification(source: np.ndarray) -> float:
    """How many output pixels one source pixel becomes, on average."""
    across = source[:, 1:, :] - source[:, :-1, :]
    down = source[1:, :, :] - source[:-1, :, :]
    a, b = across[:-1], down[:, :-1]
    area = float(np.abs(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]).mean())
    return 1.0 / area if area > 0 else 1.0
