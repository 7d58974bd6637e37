# SPDX-License-Identifier: GPL-3.0-or-later
"""Metadata of the boxes of one image, from its annotations, pixels, masks and depth [Zhang2023, §2]."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .background_similarity import background_similarity
from .id_map import crop, depths_under
from .image_statistics import NAMES, grey, statistics

Columns = dict[str, np.ndarray]
"""By name, one value per box; NaN where a box has none."""


def box_columns(bboxes: np.ndarray, width: np.ndarray | float, height: np.ndarray | float) -> Columns:
    """What boxes say by themselves.

    Parameters
    ----------
    bboxes : (n, 4) float
        [x, y, w, h] in pixels.
    width, height : float, or (n,) float
        Size of the image of each box in pixels.

    Returns
    -------
    dict
        ``bbox_area`` relative to the image, ``aspect`` (width over height), ``center_x`` and ``center_y`` in image
        units, and ``touches_border``: whether the box reaches within a pixel of the border, as boxes of cut objects do.
    """
    x, y, w, h = np.asarray(bboxes, dtype=float).reshape(-1, 4).T
    border = (x < 1) | (y < 1) | (x + w > width - 1) | (y + h > height - 1)
    return {
        "bbox_area": w * h / (width * height),
        "aspect": w / h,
        "center_x": (x + w / 2) / width,
        "center_y": (y + h / 2) / height,
        "touches_border": border,
    }


def pixel_columns(image: np.ndarray, bboxes: np.ndarray) -> tuple[dict[str, float], Columns]:
    """Image statistics of an image and of the crops of its boxes.

    Parameters
    ----------
    image : (H, W, 3) uint8
        RGB.
    bboxes : (n, 4) float
        [x, y, w, h] in pixels; a crop takes every pixel that its box meets.

    Returns
    -------
    of_image : dict of str to float
        By :data:`.image_statistics.NAMES`.
    of_boxes : dict of str to (n,) float
        The same per box.
    """
    luma = grey(image)
    rows = [statistics(luma[crop(whole_pixels(bbox), luma.shape)]) for bbox in bboxes]
    return statistics(luma), {name: np.array([row[name] for row in rows], dtype=float) for name in NAMES}


def mask_columns(
    masks: Sequence[np.ndarray | None],
    extents: Sequence[Sequence[int]],
    image: np.ndarray | None = None,
    depth: np.ndarray | None = None,
) -> Columns:
    """What needs the outlines of objects.

    Parameters
    ----------
    masks : sequence of (H, W) bool or None
        Visible pixels of each object; None where they are not known.
    extents : sequence of [x, y, w, h]
        The masks' extents in whole pixels; not read where there is no mask.
    image : (H, W, 3) uint8, optional
        RGB.
    depth : (H, W) float, optional
        Planar metres; NaN where nothing is seen.

    Returns
    -------
    dict
        ``a``, visible pixels; with an image ``background_similarity``; with depth ``depth``, its median under the mask
        in metres, and ``a_d2`` = a·d² in px·m², which is lower the more of an object of some shape is hidden.
    """
    known = [i for i, mask in enumerate(masks) if mask is not None]
    out: Columns = {"a": np.full(len(masks), np.nan)}
    if image is not None:
        out["background_similarity"] = np.full(len(masks), np.nan)
    if depth is not None:
        out["depth"] = np.full(len(masks), np.nan)
    for i in known:
        mask = np.asarray(masks[i])
        out["a"][i] = np.count_nonzero(mask)
        if image is not None:
            window = crop(extents[i], mask.shape, margin=2)
            out["background_similarity"][i] = background_similarity(image[window], mask[window])
        if depth is not None:
            out["depth"][i] = depths_under(mask, depth, [1], np.asarray([extents[i]]))[0]
    if depth is not None:
        out["a_d2"] = out["a"] * out["depth"] ** 2
    return out


def whole_pixels(bbox: Sequence[float]) -> tuple[int, int, int, int]:
    """The box [x, y, w, h] of all pixels that a box meets, but for slivers under a hundredth of a pixel."""
    x, y, w, h = (float(v) for v in bbox)
    left, top = math.floor(x + 0.01), math.floor(y + 0.01)
    return left, top, max(1, math.ceil(x + w - 0.01) - left), max(1, math.ceil(y + h - 0.01) - top)
