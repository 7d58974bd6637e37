# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks of annotations in the forms that formats want: pixels, rings along pixel edges, one polygon, a turned box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...engine.errors import DataError
from ..formats import rle_masks

Ring = list[float]
"""A closed outline x0, y0, x1, y1, ... in pixels, without its first point again."""


def mask_of(annotation: Mapping[str, Any], image: Mapping[str, Any]) -> np.ndarray | None:
    """The mask (H, W) bool of an annotation; None where it has none.

    Raises
    ------
    DataError
        Where its segmentation is invalid.
    """
    segmentation = annotation.get("segmentation")
    if not segmentation:
        return None
    try:
        return rle_masks.decode(segmentation, int(image["height"]), int(image["width"]))
    except rle_masks.MaskError as error:
        raise DataError(f"Annotation {annotation['id']} of the image '{image['file_name']}': {error}") from error


def masks_of(annotations: Sequence[Mapping[str, Any]], image: Mapping[str, Any]) -> list[np.ndarray | None]:
    """The masks of several annotations of an image; see :func:`mask_of`."""
    return [mask_of(annotation, image) for annotation in annotations]


def rings(mask: np.ndarray) -> list[list[list[int]]]:
    """The outlines of a mask along pixel edges: for each 8-connected part its outer ring, then those of its holes."""
    import cv2

    x, y, w, h = rle_masks.extent(mask)
    if w == 0:
        return []
    # With each pixel split into four, a contour visits the quarter at each corner, from which the corner follows.
    double = mask[y : y + h, x : x + w].astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    contours, hierarchy = cv2.findContours(double, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    corners = [
        (rle_masks.corners((contour[:, 0, :].astype(np.int64) + 1) // 2) + np.array([x, y])).ravel().tolist()
        for contour in contours
    ]
    parts = {k: [corners[k]] for k, above in enumerate(hierarchy[0, :, 3]) if above < 0}
    for k, above in enumerate(hierarchy[0, :, 3]):
        if above >= 0:
            parts[above].append(corners[k])
    # OpenCV lists parts from the bottom up; top-left first is easier to read and to compare.
    return sorted(parts.values(), key=lambda part: (min(part[0][1::2]), min(part[0][0::2])))


def has_holes(mask: np.ndarray) -> bool:
    """Whether any part of a mask has a hole."""
    return any(len(part) > 1 for part in rings(mask))


def polygons_of(annotation: Mapping[str, Any], image: Mapping[str, Any]) -> list[Ring]:
    """All rings of an annotation's mask, its own polygons where it has such; empty where it has no mask."""
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, list) and segmentation:
        return [list(map(float, polygon)) for polygon in segmentation]
    mask = mask_of(annotation, image)
    return [] if mask is None else [list(map(float, ring)) for part in rings(mask) for ring in part]


def joined(polygons: Sequence[Ring]) -> Ring:
    """Several rings as one polygon: slits without width lead from one to the next, at the nearest points.

    Filled by the even-odd rule, it is what the rings are together, holes included.
    """
    points = [np.reshape(polygon, (-1, 2)) for polygon in polygons]
    path = points[0]
    for other in points[1:]:
        gaps = ((path[:, None] - other[None]) ** 2).sum(-1)
        i, j = np.unravel_index(int(gaps.argmin()), gaps.shape)
        path = np.concatenate([path[: i + 1], other[j:], other[: j + 1], path[i:]])
    return [float(value) for value in path.ravel()]


def turned_box(polygons: Sequence[Ring], bbox: Sequence[float]) -> Ring:
    """The four corners of the smallest turned rectangle around rings; those of ``bbox`` without any ring."""
    import cv2

    if not polygons:
        x, y, w, h = bbox
        return [x, y, x + w, y, x + w, y + h, x, y + h]
    points = np.concatenate([np.reshape(polygon, (-1, 2)) for polygon in polygons]).astype(np.float32)
    return [float(value) for value in cv2.boxPoints(cv2.minAreaRect(points)).ravel()]
