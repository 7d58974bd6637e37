# SPDX-License-Identifier: GPL-3.0-or-later
"""AP50 of resampled photos is pycocotools' of the same photos repeated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from twinset.alignment.evaluation.detection import evaluate


@pytest.fixture(scope="module")
def precision(detector_module):
    return detector_module("precision")


def photos(detector_module, rng, count=12, crowds=0.15):
    photo = detector_module("domains").Photo
    made = []
    for number in range(1, count + 1):
        n = int(rng.integers(0, 5))
        boxes = np.column_stack([rng.uniform(0, 60, (n, 2)), rng.uniform(10, 40, (n, 2))])
        crowd = rng.random(n) < crowds
        made.append(photo(number, Path(f"{number}.jpg"), 100, 100, boxes, rng.integers(0, 2, n), crowd))
    return made


def guesses(made, rng, wrong=3):
    found = []
    for photo in made:
        for box, k in zip(photo.boxes, photo.classes, strict=True):
            for _ in range(int(rng.integers(0, 3))):
                found.append((photo.number, int(k) + 1, (box + rng.normal(0, 4, 4)).clip(1).tolist(), rng.random()))
        for _ in range(wrong):
            box = [*rng.uniform(0, 60, 2), *rng.uniform(10, 40, 2)]
            found.append((photo.number, int(rng.integers(1, 3)), box, rng.random() * 0.8))
    return [{"image_id": i, "category_id": k, "bbox": b, "score": float(s)} for i, k, b, s in found]


def repeated(made, found, times):
    """COCO entries in which each photo is there so often, under other ids."""
    images, annotations, predictions = [], [], []
    for photo, count in zip(made, times, strict=True):
        for _ in range(int(count)):
            number = len(images) + 1
            images.append({"id": number, "file_name": "", "width": 100, "height": 100})
            for box, k, crowd in zip(photo.boxes, photo.classes, photo.crowd, strict=True):
                entry = {"image_id": number, "category_id": int(k) + 1, "bbox": box.tolist(), "iscrowd": int(crowd)}
                annotations.append({**entry, "id": len(annotations) + 1, "area": float(box[2] * box[3])})
            predictions += [{**d, "image_id": number} for d in found if d["image_id"] == photo.number]
    return images, annotations, [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}], predictions


@pytest.mark.parametrize("seed", range(4))
def test_resamples_have_the_ap50_of_pycocotools(detector_module, precision, seed):
    rng = np.random.default_rng(seed)
    made = photos(detector_module, rng)
    found = guesses(made, rng)
    times = np.vstack([np.ones(12), rng.multinomial(12, np.full(12, 1 / 12), size=4)]).astype(float)
    ours = [precision.matches(made, found, k).ap50(times) for k in (1, 2)]
    for n, row in enumerate(times):
        _, per_class = evaluate(*repeated(made, found, row))
        for k, name in enumerate("ab"):
            assert ours[k][n] == pytest.approx(per_class[name].ap50, abs=1e-9)
    assert 0.05 < ours[0][0] < 0.95


def test_a_perfect_detector_has_1_and_a_blind_one_0(detector_module, precision):
    rng = np.random.default_rng(5)
    made = photos(detector_module, rng)
    perfect = [
        {"image_id": p.number, "category_id": int(k) + 1, "bbox": b.tolist(), "score": 0.5 + p.number / 100}
        for p in made
        for b, k in zip(p.boxes, p.classes, strict=True)
    ]
    times = rng.multinomial(12, np.full(12, 1 / 12), size=50).astype(float)
    for k in (1, 2):
        assert precision.matches(made, perfect, k).ap50(times) == pytest.approx(1.0)
        assert (precision.matches(made, [], k).ap50(times) == 0).all()


def test_a_class_that_is_not_drawn_has_no_value(detector_module, precision):
    rng = np.random.default_rng(6)
    made = photos(detector_module, rng)
    found = guesses(made, rng)
    assert np.isnan(precision.matches(made, found, 1).ap50(np.zeros((1, 12)))).all()
