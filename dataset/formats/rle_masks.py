# SPDX-License-Identifier: GPL-3.0-or-later
"""COCO encodings of masks: RLE of a whole id map in one pass, boxes, and polygons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, cast

import attrs
import numpy as np

from ...engine import stage
from ...engine.errors import DataError
from ..atomic_files import is_number


class Rle(TypedDict):
    """Run lengths, compressed as pycocotools does it; ``size`` is [height, width]."""

    size: list[int]
    counts: str


MIN_POLYGON_IOU = 0.98
"""Polygons are only used if they decode to the mask with at least this intersection over union."""


_SMALL_MASK = 2**15
"""Pixels of images up to which pycocotools decodes masks faster than run by run."""


class MaskError(DataError):
    """An invalid segmentation."""


@attrs.frozen
class Region:
    """One id of an id map: pixel count, extent [x, y, w, h] in pixels, and mask."""

    area: int
    bbox: tuple[int, int, int, int]
    rle: Rle


def scan_ids(ids: np.ndarray) -> dict[int, Region]:
    """Area, box and RLE of every id, in one pass over the map.

    Parameters
    ----------
    ids : (H, W) int
        0 is background.

    Returns
    -------
    dict of int to Region
        By id, ascending. Equal to encoding each mask with ``pycocotools.mask.encode``.
    """
    from pycocotools import mask as coco_mask

    ids = np.asarray(ids)
    height, width = ids.shape
    flat = ids.ravel(order="F")
    if not flat.any():
        return {}
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    ends = np.append(starts[1:], flat.size)
    value = flat[starts]
    order = np.argsort(value, kind="stable")
    order = order[value[order] != 0]
    starts, ends, value = starts[order], ends[order], value[order]
    firsts = np.concatenate([[0], np.flatnonzero(value[1:] != value[:-1]) + 1])

    # A run that continues in the next column touches both the top and the bottom of the image.
    left, right = starts // height, (ends - 1) // height
    wraps = left != right
    top = np.where(wraps, 0, starts % height)
    bottom = np.where(wraps, height - 1, (ends - 1) % height)
    x0, x1 = np.minimum.reduceat(left, firsts), np.maximum.reduceat(right, firsts)
    y0, y1 = np.minimum.reduceat(top, firsts), np.maximum.reduceat(bottom, firsts)
    areas = np.add.reduceat(ends - starts, firsts)

    raw = []
    for begin, end in zip(firsts, np.append(firsts[1:], len(starts)), strict=True):
        # Boundaries of one id, alternately off-to-on and on-to-off; their differences are COCO's counts.
        edges = np.column_stack([starts[begin:end], ends[begin:end]]).ravel()
        counts = np.diff(edges, prepend=0, append=flat.size)
        raw.append({"size": [height, width], "counts": counts[:-1].tolist() if counts[-1] == 0 else counts.tolist()})
    rles = coco_mask.frPyObjects(raw, height, width)
    return {
        int(value[first]): Region(
            int(areas[i]),
            (int(x0[i]), int(y0[i]), int(x1[i] - x0[i] + 1), int(y1[i] - y0[i] + 1)),
            _with_text_counts(rles[i]),
        )
        for i, first in enumerate(firsts)
    }


def encode(mask: np.ndarray) -> Rle:
    """A mask (H, W), non-zero inside, as compressed RLE."""
    from pycocotools import mask as coco_mask

    return _with_text_counts(coco_mask.encode(np.asfortranarray(np.asarray(mask) != 0, dtype=np.uint8)))


def entries(mask: np.ndarray) -> dict[str, Any]:
    """A mask (H, W) bool as an annotation's ``segmentation``, and its ``area`` in pixels."""
    return {"segmentation": encode(mask), "area": int(np.count_nonzero(mask))}


def decode(segmentation: Any, height: int, width: int) -> np.ndarray:
    """The mask (H, W) bool, in Fortran order, of any COCO segmentation: RLE (compressed or not) or polygons."""
    return _filled(as_rle(segmentation, height, width), height, width)


def decode_with_extent(segmentation: Any, height: int, width: int) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """A segmentation's mask as from :func:`decode`, and its :func:`extent`, which costs less than that of a mask."""
    rle = as_rle(segmentation, height, width)
    x, y, w, h = (int(v) for v in measure([rle])[1][0])
    return _filled(rle, height, width), (x, y, w, h)


def _filled(rle: Rle, height: int, width: int) -> np.ndarray:
    from pycocotools import mask as coco_mask

    if height * width <= _SMALL_MASK:
        return cast(np.ndarray, coco_mask.decode(rle).astype(bool))
    # Only what lies between the first and the last pixel of the object is written, not the whole picture.
    runs = _decode_counts(rle["counts"])
    inner = runs[1 : len(runs) - len(runs) % 2]
    filled = np.repeat(np.arange(len(inner)) % 2 == 0, inner)
    flat = np.zeros(width * height, bool)
    flat[int(runs[0]) : int(runs[0]) + len(filled)] = filled
    return flat.reshape(width, height).T


def as_rle(segmentation: Any, height: int, width: int) -> Rle:
    """Any COCO segmentation as one compressed RLE.

    Raises
    ------
    MaskError
        If it is invalid or of another image size: pycocotools does not check, and reads out of bounds.
    """
    from pycocotools import mask as coco_mask

    if isinstance(segmentation, Mapping):
        counts = segmentation.get("counts")
        if isinstance(counts, list):
            _check_runs(counts, segmentation.get("size"), height, width)
            return _with_text_counts(coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width))
        _check_runs(_decode_counts(counts), segmentation.get("size"), height, width)
        return {"size": [height, width], "counts": cast(str, counts)}
    parts = segmentation if isinstance(segmentation, list | tuple) else []
    polygons = [list(part) for part in parts if isinstance(part, list | tuple)]
    if not polygons or len(polygons) < len(parts) or not all(map(_is_polygon, polygons)):
        raise MaskError(
            "A segmentation is neither RLE nor a list of polygons with at least three points of finite numbers."
        )
    # pycocotools rasterizes edges pixel by pixel, also far outside the image.
    reach = np.array([width, height])
    near = [np.clip(np.reshape(p, (-1, 2)), -reach, 2 * reach).ravel().tolist() for p in polygons]
    return _with_text_counts(coco_mask.merge(coco_mask.frPyObjects(near, height, width)))


def _decode_counts(counts: Any) -> Sequence[int] | np.ndarray:
    """The run lengths of compressed RLE: five bits per character; from the third run on, differences to the run before
    the last (pycocotools, maskApi.c). Raises MaskError if it is invalid."""
    try:
        codes = np.frombuffer(counts.encode("ascii") if isinstance(counts, str) else bytes(counts), np.uint8)
    except (TypeError, ValueError) as error:
        raise MaskError("The RLE of a segmentation has no valid 'counts'.") from error
    bits = codes.astype(np.int64) - 48
    if not len(bits) or bits.min() < 0 or bits.max() > 63 or bits[-1] & 32:
        raise MaskError("The 'counts' of a segmentation are not compressed as COCO does it.")
    ends = np.flatnonzero((bits & 32) == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    if (ends - starts).max() > 8:
        raise MaskError("The RLE of a segmentation has a run that is too long.")
    place = 5 * (np.arange(len(bits)) - np.repeat(starts, ends - starts + 1))
    values = np.add.reduceat((bits & 31) << place, starts)
    # The fifth bit of a number's last character is its sign.
    values -= np.where(bits[ends] & 16, np.int64(1) << (place[ends] + 5), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def _check_runs(runs: Sequence[int] | np.ndarray, size: Any, height: int, width: int) -> None:
    """Raise MaskError if run lengths do not fit an image of this size."""
    if not isinstance(size, list | tuple) or list(size) != [height, width]:
        raise MaskError(f"A segmentation has size {size!r:.40} in an image of {[height, width]} pixels.")
    if isinstance(runs, list) and not all(type(run) is int and 0 <= run <= height * width for run in runs):
        raise MaskError("The RLE of a segmentation has run lengths that are not integers from 0.")
    lengths = np.asarray(runs)
    total = height * width
    if not len(lengths) or lengths.min() < 0 or lengths.max() > total or lengths.sum() > total:
        raise MaskError(f"The RLE of a segmentation does not fit its {total} pixels.")


def _is_polygon(points: list[Any]) -> bool:
    return len(points) >= 6 and len(points) % 2 == 0 and all(map(is_number, points))


def measure(rles: Sequence[Rle]) -> tuple[np.ndarray, np.ndarray]:
    """Pixel counts (n,) and extents (n, 4) [x, y, w, h] of compressed RLEs, both int64."""
    from pycocotools import mask as coco_mask

    if not rles:
        return np.zeros(0, np.int64), np.zeros((0, 4), np.int64)
    return (
        np.asarray(coco_mask.area(list(rles)), dtype=np.int64),
        np.rint(coco_mask.toBbox(list(rles))).astype(np.int64).reshape(-1, 4),
    )


def extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    """The tight box [x, y, w, h] of a mask in whole pixels; (0, 0, 0, 0) if it is empty."""
    return stage.extent(np.asarray(mask) != 0) or (0, 0, 0, 0)


def polygons(mask: np.ndarray) -> list[list[int]] | None:
    """The outline of a mask along pixel edges; None where polygons cannot represent it.

    Parameters
    ----------
    mask : (H, W) bool

    Returns
    -------
    list of [x0, y0, x1, y1, ...] or None
        One polygon per 8-connected part, each of at least four corners. None for an empty mask, one with holes, and
        one whose polygons decode to an IoU under ``MIN_POLYGON_IOU``; use RLE for these.
    """
    import cv2

    mask = np.asarray(mask) != 0
    x, y, w, h = extent(mask)
    if w == 0:
        return None
    # OpenCV's contours run through pixel centres, half a pixel inside the mask. With each pixel split into four, a
    # contour visits the quarter at each corner, from which the corner follows.
    double = mask[y : y + h, x : x + w].astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    contours, hierarchy = cv2.findContours(double, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if (hierarchy[0, :, 3] >= 0).any():
        return None
    parts = []
    for contour in contours:
        outline = corners((contour[:, 0, :].astype(np.int64) + 1) // 2) + np.array([x, y])
        if len(outline) >= 4:
            parts.append(outline.ravel().tolist())
    # OpenCV lists parts from the bottom up; top-left first is easier to read and to compare.
    parts.sort(key=lambda part: (min(part[1::2]), min(part[0::2])))
    if not parts or _iou(decode(parts, *mask.shape), mask) < MIN_POLYGON_IOU:
        return None
    return parts


def corners(points: np.ndarray) -> np.ndarray:
    """A closed chain of points (n, 2) without repeated points and without those inside a straight edge."""
    points = points[(points != np.roll(points, 1, axis=0)).any(axis=1)]
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    turns = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0] != 0
    back = (before * after).sum(axis=1) < 0
    return points[turns | back]


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.count_nonzero(a & b) / max(np.count_nonzero(a | b), 1))


def _with_text_counts(rle: Mapping[str, Any]) -> Rle:
    """RLE with ``counts`` as a string: pycocotools gives bytes, which JSON cannot hold."""
    counts = rle["counts"]
    return {
        "size": [int(v) for v in rle["size"]],
        "counts": counts.decode("ascii") if isinstance(counts, bytes) else counts,
    }
