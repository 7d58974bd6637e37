# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a detector on photos, and scores what it found as COCO and the method's source do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from twinset.alignment.evaluation.detection import evaluate
from twinset.dataset.formats.pixels import read_image

from .domains import Photo
from .models.anchor_based import AnchorBased
from .models.anchor_free import AnchorFree
from .models.boxes import kept_boxes
from .pictures import fitted, to_tensor

_LEAST_SCORE = 0.005
_SUPPRESSED = 0.6
_MOST = 100
_MIN_SCORE = 0.3
"""Score from which errors are counted; focal loss leaves scores lower than others do."""


def detections(
    model: AnchorFree | AnchorBased, photos: Sequence[Photo], size: tuple[int, int], batch: int = 16
) -> list[dict[str, Any]]:
    """COCO results of a detector on photos; ``category_id`` is the class index plus 1, ``image_id`` the number."""
    found: list[dict[str, Any]] = []
    for start in range(0, len(photos), batch):
        chunk = photos[start : start + batch]
        pictures = [fitted(read_image(p.path, upright=True), size) for p in chunk]
        scores, boxes = (t.numpy() for t in model.detect(to_tensor([p for p, _ in pictures])))
        for photo, (_, scale), s, b in zip(chunk, pictures, scores, boxes, strict=True):
            found += of_photo(photo, s, b / scale)
    return found


def of_photo(photo: Photo, scores: np.ndarray, boxes: np.ndarray) -> list[dict[str, Any]]:
    """The best detections of one photo from scores (cells, classes) and boxes (cells, 4) in its pixels."""
    boxes = np.clip(boxes, 0, [photo.width, photo.height] * 2)
    found = []
    for k in range(scores.shape[1]):
        rows = np.flatnonzero(scores[:, k] > _LEAST_SCORE)
        rows = rows[np.argsort(-scores[rows, k], kind="stable")][: 5 * _MOST]
        for i in rows[kept_boxes(boxes[rows], scores[rows, k], _SUPPRESSED)]:
            x0, y0, x1, y1 = (round(float(v), 2) for v in boxes[i])
            found.append(
                {
                    "image_id": photo.number,
                    "category_id": k + 1,
                    "bbox": [x0, y0, round(x1 - x0, 2), round(y1 - y0, 2)],
                    "score": round(float(scores[i, k]), 5),
                }
            )
    return sorted(found, key=lambda d: -d["score"])[:_MOST]


def as_coco(photos: Sequence[Photo], classes: Sequence[str]) -> tuple[list[dict], list[dict], list[dict]]:
    """Images, annotations and categories of a COCO file with the photos' numbers as ids."""
    images = [{"id": p.number, "file_name": p.path.name, "width": p.width, "height": p.height} for p in photos]
    annotations = [
        {
            "id": 0,
            "image_id": p.number,
            "category_id": int(c) + 1,
            "bbox": b.tolist(),
            "area": float(b[2] * b[3]),
            "iscrowd": int(crowd),
        }
        for p in photos
        for b, c, crowd in zip(p.boxes, p.classes, p.crowd, strict=True)
    ]
    for k, a in enumerate(annotations, 1):
        a["id"] = k
    return images, annotations, [{"id": k, "name": n} for k, n in enumerate(classes, 1)]


def scores_of(photos: Sequence[Photo], classes: Sequence[str], found: list[dict[str, Any]]) -> dict[str, Any]:
    """AP50, AP, share of small false positives and excess on close-ups, for all classes and by class."""
    overall, per_class = evaluate(*as_coco(photos, classes), found, score=_MIN_SCORE)
    return {name: _values(s) for name, s in (("all", overall), *per_class.items())}


def _values(scores: Any) -> dict[str, float | int | None]:
    values = {
        "ap50": scores.ap50,
        "ap": scores.mean_ap,
        "real": scores.real,
        "false_positives": scores.false_positives,
        "small_false_positives": scores.small_false_positives,
        "small_share": scores.small_share,
        "close_ups": scores.close_ups,
        "overlapping": scores.overlapping,
    }
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}
