# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores detections against real boxes: COCO's average precision, small false positives, duplicates on close-ups."""

from __future__ import annotations

import contextlib
import io
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

SMALL = 32.0**2
"""COCO calls a box small under this area in square pixels."""

Entries = Sequence[Mapping[str, Any]]

_IOU_50, _IOU_75 = 0, 5  # places in COCO's thresholds 0.5, 0.55, ... 0.95


@attrs.frozen
class Scores:
    """Scores of predictions, for one class or all classes.

    Attributes
    ----------
    real, predictions : int
        Real boxes without crowds; predictions of any score.
    mean_ap, ap50, ap75 : float
        COCO's average precision over IoU 0.5 to 0.95, at 0.5, and at 0.75; NaN where there is no real box.
    kept : int
        Predictions with at least the minimal score; the counts below are of these.
    false_positives, small_false_positives : int
        Predictions that match no real box with IoU 0.5, where each real box matches one prediction; and the small
        ones among them.
    close_ups : int
        Real boxes that cover more than the given share of their image.
    overlapping : int
        Predictions in excess on images with a close-up of their class; see :func:`excess`. Images with a crowd of the
        class are left out, as its objects are not counted.
    """

    real: int
    predictions: int
    mean_ap: float
    ap50: float
    ap75: float
    kept: int
    false_positives: int
    small_false_positives: int
    close_ups: int
    overlapping: int

    @property
    def small_share(self) -> float:
        """Share of false positives that are small; NaN where there are none."""
        return self.small_false_positives / self.false_positives if self.false_positives else math.nan


def evaluate(
    images: Entries,
    annotations: Entries,
    categories: Entries,
    predictions: Entries,
    *,
    score: float = 0.5,
    close_up: float = 0.3,
    overlap: float = 0.1,
) -> tuple[Scores, dict[str, Scores]]:
    """Score detections against real boxes [Zhang2023, §6].

    Parameters
    ----------
    images, annotations, categories : sequence of mappings
        As in a COCO file.
    predictions : sequence of mappings
        COCO results: ``image_id``, ``category_id``, ``bbox`` [x, y, w, h] in pixels, ``score``. Ids must be known.
    score : float
        Minimal score of the predictions that are counted; average precision uses all, as COCO does.
    close_up : float
        A real box that covers more than this share of its image is a close-up.
    overlap : float
        IoU above which two predictions of a class overlap.

    Returns
    -------
    overall : Scores
        Counts are sums over the classes; precisions are means over the classes that have real boxes, as COCO has it.
    per_class : dict of str to Scores
        In the order of the categories; those without real boxes and predictions are left out.
    """
    precision, matched, _ = _coco(images, annotations, categories, predictions)
    sizes = {image["id"]: float(image["width"]) * float(image["height"]) for image in images}
    per_class = {}
    for k, category in enumerate(categories):
        real = [a for a in annotations if a["category_id"] == category["id"]]
        boxes = [a for a in real if not a.get("iscrowd")]
        of_class = [i for i, p in enumerate(predictions) if p["category_id"] == category["id"]]
        if not boxes and not of_class:
            continue
        kept = [i for i in of_class if predictions[i]["score"] >= score]
        wrong = [i for i in kept if matched.get(i) is False]
        close = [a for a in boxes if a["bbox"][2] * a["bbox"][3] > close_up * sizes[a["image_id"]]]
        crowded = {a["image_id"] for a in real if a.get("iscrowd")}
        in_view = {a["image_id"] for a in close} - crowded
        per_class[category["name"]] = Scores(
            real=len(boxes),
            predictions=len(of_class),
            mean_ap=_mean(precision[:, :, k]),
            ap50=_mean(precision[_IOU_50, :, k]),
            ap75=_mean(precision[_IOU_75, :, k]),
            kept=len(kept),
            false_positives=len(wrong),
            small_false_positives=sum(_area(predictions[i]) < SMALL for i in wrong),
            close_ups=len(close),
            overlapping=_excess_on(in_view, [predictions[i] for i in kept], boxes, overlap),
        )
    names = ("real", "predictions", "kept", "false_positives", "small_false_positives", "close_ups", "overlapping")
    sums = {name: sum(getattr(scores, name) for scores in per_class.values()) for name in names}
    overall = Scores(mean_ap=_mean(precision), ap50=_mean(precision[_IOU_50]), ap75=_mean(precision[_IOU_75]), **sums)
    return overall, per_class


@attrs.frozen
class Outcomes:
    """What became of boxes, by index.

    Attributes
    ----------
    found : dict of int to bool
        Of each real box without crowds: whether a prediction matches it.
    wrong : dict of int to bool
        Of each counted prediction: whether it matches no real box. Those that match a crowd are left out.
    """

    found: dict[int, bool]
    wrong: dict[int, bool]


def outcomes(
    images: Entries, annotations: Entries, categories: Entries, predictions: Entries, *, score: float = 0.5
) -> Outcomes:
    """Which real boxes are found, and which predictions are wrong, with IoU 0.5 and each real box matched once.

    The arguments are those of :func:`evaluate`; only predictions of at least ``score`` count.
    """
    _, matched, by = _coco(images, annotations, categories, predictions)
    counted = {i for i, prediction in enumerate(predictions) if prediction["score"] >= score}
    found = {i: match is not None and match in counted for i, match in by.items()}
    return Outcomes(found, {i: not fit for i, fit in matched.items() if i in counted})


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union (n, m) of boxes (n, 4) and (m, 4) [x, y, w, h]; 0 where both are empty."""
    a, b = np.asarray(a, dtype=float).reshape(-1, 1, 4), np.asarray(b, dtype=float).reshape(1, -1, 4)
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    both = np.clip(high - low, 0.0, None).prod(-1)
    either = a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - both
    return np.divide(both, either, out=np.zeros_like(both), where=either > 0)


def excess(predicted: np.ndarray, real: np.ndarray, overlap: float) -> int:
    """How many predictions of one class on one image overlap each other beyond one per real object.

    Predictions that overlap, directly or through others, make a group. Each real box belongs to the group of the
    prediction that it overlaps most, if any. A group of n predictions with r real boxes has ``n - max(r, 1)`` in
    excess; a prediction that overlaps no other is never in excess, right or wrong.

    Parameters
    ----------
    predicted, real : (n, 4), (m, 4) float
        Boxes [x, y, w, h] in pixels.
    overlap : float
        IoU above which boxes overlap.
    """
    if len(predicted) < 2:
        return 0
    group = _groups(iou(predicted, predicted) > overlap)
    objects = np.zeros(len(predicted), dtype=int)
    for row in iou(real, predicted) if len(real) else ():
        if row.max() > overlap:
            objects[group[row.argmax()]] += 1
    sizes = np.bincount(group, minlength=len(predicted))
    return int(np.maximum(sizes - np.maximum(objects, 1), 0).sum())


def _groups(linked: np.ndarray) -> np.ndarray:
    """The connected parts of a symmetric relation (n, n): for each of the n the lowest index of its part."""
    label = np.arange(len(linked))
    while True:
        lowest = np.where(linked | np.eye(len(linked), dtype=bool), label, len(linked)).min(1)
        if (lowest == label).all():
            return label
        label = lowest


def _excess_on(
    images: Iterable[int], predictions: Sequence[Mapping[str, Any]], boxes: Sequence[Mapping[str, Any]], overlap: float
) -> int:
    predicted, real = _by_image(predictions), _by_image(boxes)
    return sum(excess(np.array(predicted[i]), np.array(real[i]), overlap) for i in images)


def _by_image(entries: Sequence[Mapping[str, Any]]) -> dict[int, list[Sequence[float]]]:
    boxes: dict[int, list[Sequence[float]]] = defaultdict(list)
    for entry in entries:
        boxes[entry["image_id"]].append(entry["bbox"])
    return boxes


def _coco(
    images: Entries, annotations: Entries, categories: Entries, predictions: Entries
) -> tuple[np.ndarray, dict[int, bool], dict[int, int | None]]:
    """COCO's precision (10 IoUs, 101 recalls, K classes), -1 for classes without real boxes; by the index of each
    prediction that COCO considers (100 per image and class) whether it matches a real box with IoU 0.5, those that
    match a crowd left out; and by the index of each annotation without crowds the prediction that matches it."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, results = COCO(), COCO()
    truth.dataset = {
        "images": [dict(i) for i in images],
        "categories": [dict(c) for c in categories],
        # pycocotools takes id 0 for "no match"
        "annotations": [
            {**a, "id": n, "area": a.get("area") or _area(a), "iscrowd": int(bool(a.get("iscrowd")))}
            for n, a in enumerate(filter(_has_box, annotations), start=1)
        ],
    }
    results.dataset = {
        **truth.dataset,
        "annotations": [{**p, "id": n, "area": _area(p), "iscrowd": 0} for n, p in enumerate(predictions, start=1)],
    }
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints
        truth.createIndex()
        results.createIndex()
        evaluation = COCOeval(truth, results, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    kept = [i for i, a in enumerate(annotations) if _has_box(a)]
    matched: dict[int, bool] = {}
    by: dict[int, int | None] = {}
    everything = evaluation.params.areaRng[0]
    for entry in evaluation.evalImgs:
        if entry is None or entry["aRng"] != everything:
            continue
        fits, left_out = np.asarray(entry["dtMatches"])[_IOU_50] > 0, np.asarray(entry["dtIgnore"])[_IOU_50] > 0
        for number, fit, out in zip(entry["dtIds"], fits, left_out, strict=True):
            if not out:
                matched[number - 1] = bool(fit)
        for number, match, out in zip(
            entry["gtIds"], np.asarray(entry["gtMatches"])[_IOU_50], entry["gtIgnore"], strict=True
        ):
            if not out:
                by[kept[number - 1]] = int(match) - 1 if match > 0 else None
    place = {id: k for k, id in enumerate(evaluation.params.catIds)}  # sorted by pycocotools
    return evaluation.eval["precision"][:, :, [place[c["id"]] for c in categories], 0, -1], matched, by


def _mean(precision: np.ndarray) -> float:
    known = precision[precision > -1]
    return float(known.mean()) if known.size else math.nan


def _has_box(annotation: Mapping[str, Any]) -> bool:
    """False for a crowd that has no box: boxes of crowds are not checked when a file is read."""
    box = annotation.get("bbox")
    return isinstance(box, Sequence) and len(box) == 4 and all(isinstance(v, int | float) for v in box)


def _area(entry: Mapping[str, Any]) -> float:
    return float(entry["bbox"][2]) * float(entry["bbox"][3])
