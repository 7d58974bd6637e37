# SPDX-License-Identifier: GPL-3.0-or-later
"""AP50 of many resamples of the photos at once, equal to COCO's for each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from .domains import Photo

_RECALLS = np.linspace(0.0, 1.0, 101)


@attrs.frozen(eq=False)
class Matches:
    """Detections of one class matched with real boxes at IoU 0.5.

    Attributes
    ----------
    found : (photos, hits) float
        For each right detection, best first: how many detections of each photo have at least its rank.
    right : (photos, hits) float
        The same, of right detections alone.
    real : (photos,) float
        Real boxes of each photo, without crowds.
    """

    found: np.ndarray
    right: np.ndarray
    real: np.ndarray

    def ap50(self, times: np.ndarray) -> np.ndarray:
        """AP50 (n,) where each photo counts so often, for n resamples (n, photos); NaN where no box is drawn."""
        real = times @ self.real
        if not self.found.shape[1]:
            return np.where(real > 0, 0.0, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            right, found = times @ self.right, times @ self.found
            precision = np.where(found > 0, right / found, 0.0)
            recall = np.where(real[:, None] > 0, right / real[:, None], 0.0)
        highest = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        reached = np.searchsorted(_RECALLS, recall, side="right")  # of COCO's 101 recalls, how many
        new = np.diff(reached, axis=1, prepend=0)
        return np.where(real > 0, (highest * new).sum(1) / len(_RECALLS), np.nan)


def matches(photos: Sequence[Photo], found: Sequence[Mapping[str, Any]], category: int) -> Matches:
    """Match detections of one class, as COCO does: the best first, each with the free real box of most overlap."""
    place = {p.number: k for k, p in enumerate(photos)}
    of_photo: list[list[tuple[float, Sequence[float]]]] = [[] for _ in photos]
    for d in found:
        if d["category_id"] == category and d["image_id"] in place:
            of_photo[place[d["image_id"]]].append((d["score"], d["bbox"]))
    scores, where, hit = [], [], []
    real = np.zeros(len(photos))
    for k, photo in enumerate(photos):
        chosen = photo.classes == category - 1
        truth, crowd = photo.boxes[chosen], photo.crowd[chosen]
        real[k] = (~crowd).sum()
        ordered = sorted(of_photo[k], key=lambda d: -d[0])
        if not ordered:
            continue
        verdict = _verdicts(np.array([b for _, b in ordered], dtype=float), truth, crowd)
        for (score, _), v in zip(ordered, verdict, strict=True):
            if v is not None:
                scores.append(score)
                where.append(k)
                hit.append(v)
    order = np.argsort(-np.array(scores, dtype=float), kind="stable")
    of, right = np.array(where, dtype=int)[order], np.array(hit, dtype=bool)[order]
    each = np.zeros((len(photos), len(of)))
    each[of, np.arange(len(of))] = 1
    return Matches(each.cumsum(1)[:, right], (each * right).cumsum(1)[:, right], real)


def _verdicts(boxes: np.ndarray, truth: np.ndarray, crowd: np.ndarray) -> list[bool | None]:
    """For boxes in order of score: whether each is right, None if it falls on a crowd."""
    verdicts: list[bool | None] = []
    free = ~crowd
    overlap = _overlaps(boxes, truth, crowd)
    for row in overlap:
        best = np.flatnonzero(free & (row >= 0.5))
        if len(best):
            free[best[row[best].argmax()]] = False
            verdicts.append(True)
        else:
            verdicts.append(None if (row[crowd] >= 0.5).any() else False)
    return verdicts


def _overlaps(boxes: np.ndarray, truth: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """IoU (n, m) of boxes [x, y, w, h]; with a crowd, the share of the box that lies in it."""
    a, b = boxes[:, None], truth[None]
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    both = np.clip(high - low, 0, None).prod(-1)
    own = a[..., 2:].prod(-1)
    return both / np.maximum(np.where(crowd[None], own, own + b[..., 2:].prod(-1) - both), 1e-9)
