# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores of detections against pycocotools used from files, brute force, and pictures drawn by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from twinset.alignment.evaluation.detection import evaluate, excess, iou
from twinset.headless.cli import app
from typer.testing import CliRunner

CATEGORIES = [{"id": 62, "name": "chair"}, {"id": 5, "name": "table"}, {"id": 9, "name": "lamp"}]


def random_case(seed, images=12):
    """Real boxes and noisy predictions of chairs and tables; tables lack predictions on some images; a crowd."""
    rng = np.random.default_rng(seed)
    listed = [{"id": k, "width": 200, "height": 160} for k in range(1, images + 1)]
    real, predictions = [], []
    for image in listed:
        for _ in range(rng.integers(0, 5)):
            category = int(rng.choice([62, 5]))
            box = np.concatenate([rng.uniform(0, 80, 2), rng.uniform(10, 110, 2)]).round(2)
            entry = {"image_id": image["id"], "category_id": category, "bbox": box.tolist()}
            real.append({**entry, "id": len(real), "area": float(box[2] * box[3]), "iscrowd": 0})
            for _ in range(rng.integers(0, 3)):
                moved = box + rng.normal(0, 6, 4)
                moved[2:] = np.abs(moved[2:])
                predictions.append({**entry, "bbox": moved.tolist(), "score": float(rng.random())})
        for _ in range(rng.integers(0, 3)):
            box = np.concatenate([rng.uniform(0, 150, 2), rng.uniform(5, 60, 2)]).tolist()
            predictions.append({"image_id": image["id"], "category_id": 62, "bbox": box, "score": float(rng.random())})
    crowd = {"id": len(real), "image_id": 1, "category_id": 62, "bbox": [0, 0, 120, 160], "area": 19200, "iscrowd": 1}
    return listed, [*real, crowd], predictions


def pycocotools_scores(tmp_path, images, real, predictions, category=None):
    """mAP, AP50 and AP75 as anyone would work them out from files."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    shifted = [{**a, "id": a["id"] + 1} for a in real]  # pycocotools cannot take id 0
    truth, found = tmp_path / "truth.json", tmp_path / "found.json"
    truth.write_text(json.dumps({"images": images, "annotations": shifted, "categories": CATEGORIES}))
    found.write_text(json.dumps(predictions))
    coco = COCO(str(truth))
    evaluation = COCOeval(coco, coco.loadRes(str(found)), "bbox")
    if category is not None:
        evaluation.params.catIds = [category]
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats[:3]


@pytest.mark.parametrize("seed", [0, 1])
def test_precision_is_that_of_pycocotools(tmp_path, seed):
    images, real, predictions = random_case(seed)
    overall, classes = evaluate(images, real, CATEGORIES, predictions)
    truth = pycocotools_scores(tmp_path, images, real, predictions)
    assert (overall.mean_ap, overall.ap50, overall.ap75) == pytest.approx(tuple(truth), abs=1e-12)
    assert 0 < overall.mean_ap < overall.ap50 < 1 and list(classes) == ["chair", "table"]
    for name, category in (("chair", 62), ("table", 5)):
        truth = pycocotools_scores(tmp_path, images, real, predictions, category)
        one = classes[name]
        assert (one.mean_ap, one.ap50, one.ap75) == pytest.approx(tuple(truth), abs=1e-12)


def overlap_of(a, b):
    """IoU of two boxes, by the definition."""
    w = max(0.0, min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]))
    h = max(0.0, min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]))
    return w * h / (a[2] * a[3] + b[2] * b[3] - w * h) if w * h else 0.0


def wrong_predictions(real, predictions, score):
    """COCO's matching at IoU 0.5, box by box: the best score chooses first among real boxes that are still free."""
    wrong, taken = [], set()
    for p in sorted(predictions, key=lambda p: -p["score"]):
        if p["score"] < score:
            continue
        same = [a for a in real if (a["image_id"], a["category_id"]) == (p["image_id"], p["category_id"])]
        free = [(overlap_of(p["bbox"], a["bbox"]), a["id"]) for a in same if not a["iscrowd"] and a["id"] not in taken]
        best = max(free, default=(0.0, None))
        if best[0] >= 0.5:
            taken.add(best[1])
            continue
        x, y, w, h = p["bbox"]
        inside = [
            max(0, min(x + w, c[0] + c[2]) - max(x, c[0])) * max(0, min(y + h, c[1] + c[3]) - max(y, c[1])) / (w * h)
            for c in (a["bbox"] for a in same if a["iscrowd"])
        ]
        if not any(share >= 0.5 for share in inside):
            wrong.append(p)
    return wrong


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("score", [0.0, 0.4])
def test_false_positives_by_brute_force(seed, score):
    images, real, predictions = random_case(seed)
    overall, classes = evaluate(images, real, CATEGORIES, predictions, score=score)
    wrong = wrong_predictions(real, predictions, score)
    small = [p for p in wrong if p["bbox"][2] * p["bbox"][3] < 1024]
    assert (overall.false_positives, overall.small_false_positives) == (len(wrong), len(small))
    assert overall.small_share == pytest.approx(len(small) / len(wrong)) and len(small) > 0
    assert overall.kept == sum(p["score"] >= score for p in predictions)
    assert classes["chair"].false_positives == sum(p["category_id"] == 62 for p in wrong)


boxes = st.lists(st.tuples(*[st.integers(0, 30)] * 2, *[st.integers(1, 25)] * 2), min_size=0, max_size=7)


def excess_by_walking(predicted, real, threshold):
    """The definition, one group after the other."""
    todo, total = set(range(len(predicted))), 0
    groups = []
    while todo:
        group, edge = set(), {min(todo)}
        while edge:
            group |= edge
            near = {j for i in edge for j in todo if overlap_of(predicted[i], predicted[j]) > threshold}
            edge = near - group
        groups.append(group)
        todo -= group
    owned = [0] * len(groups)
    for r in real:
        shares = [overlap_of(r, p) for p in predicted]
        if shares and max(shares) > threshold:
            first = shares.index(max(shares))
            owned[next(k for k, g in enumerate(groups) if first in g)] += 1
    for group, count in zip(groups, owned, strict=True):
        total += max(0, len(group) - max(1, count))
    return total


@settings(max_examples=examples(150))
@given(boxes, boxes, st.sampled_from([0.0, 0.1, 0.3, 0.5]))
def test_excess_by_walking_the_groups(predicted, real, threshold):
    for a in predicted:
        row = iou(np.array([a]), np.array(real).reshape(-1, 4))[0]
        assert row == pytest.approx([overlap_of(a, b) for b in real])
    found = excess(np.array(predicted), np.array(real), threshold)
    assert found == excess_by_walking(predicted, real, threshold)
    if not real:
        assert found == excess(np.array(predicted)[::-1], np.array(real), threshold)


def test_one_chair_seen_as_three():
    whole, back, seat = [10, 10, 80, 80], [12, 12, 70, 40], [15, 45, 70, 40]
    apart = [150, 10, 20, 20]
    assert excess(np.array([whole, back, seat, apart]), np.array([whole]), 0.1) == 2
    assert excess(np.array([whole, back, seat, apart]), np.array([whole, seat]), 0.1) == 1
    assert excess(np.array([whole, apart]), np.zeros((0, 4)), 0.1) == 0
    images = [{"id": 1, "width": 200, "height": 100}, {"id": 2, "width": 200, "height": 200}]
    real = [{"id": k, "image_id": k, "category_id": 62, "bbox": whole} for k in (1, 2)]
    found = [
        {"image_id": k, "category_id": c, "bbox": b, "score": 0.9}
        for k in (1, 2)
        for c, b in ((62, whole), (62, back), (62, seat), (5, whole), (5, back))
    ]
    overall, classes = evaluate(images, real, CATEGORIES, found, close_up=0.3)
    # The chair covers 32 % of the first image and 16 % of the second; there is no close-up of a table.
    assert classes["chair"].close_ups == 1 and classes["chair"].overlapping == 2 and classes["table"].overlapping == 0
    assert (classes["table"].real, overall.overlapping) == (0, 2) and math.isnan(classes["table"].mean_ap)
    assert evaluate(images, real, CATEGORIES, found, close_up=0.1)[0].overlapping == 4
    assert evaluate(images, real, CATEGORIES, found, score=0.95)[0].overlapping == 0
    crowd = {"id": 7, "image_id": 1, "category_id": 62, "bbox": [0, 0, 9, 9], "iscrowd": 1}
    assert evaluate(images, [*real, crowd], CATEGORIES, found)[0].overlapping == 0


def test_perfect_none_and_nothing_to_find():
    images, real, _ = random_case(3)
    real = [a for a in real if not a["iscrowd"]]
    perfect = [{**{k: a[k] for k in ("image_id", "category_id", "bbox")}, "score": 1.0} for a in real]
    overall, _ = evaluate(images, real, CATEGORIES, perfect)
    assert (overall.mean_ap, overall.ap75, overall.false_positives) == (1.0, 1.0, 0) and math.isnan(overall.small_share)
    nothing, classes = evaluate(images, real, CATEGORIES, [])
    assert (nothing.mean_ap, nothing.kept, nothing.real) == (0.0, 0, len(real)) and list(classes) == ["chair", "table"]
    blank, classes = evaluate(images, [], CATEGORIES, perfect)
    assert math.isnan(blank.mean_ap) and blank.false_positives == len(perfect)
    no_box = {"id": 99, "image_id": 1, "category_id": 62, "iscrowd": 1}
    assert evaluate(images, [*real, no_box], CATEGORIES, perfect)[0].mean_ap == 1.0
    assert evaluate(images, [], CATEGORIES, [])[1] == {}


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images, real, predictions = random_case(0)
    data = {"images": images, "annotations": real, "categories": CATEGORIES}
    (tmp_path / "real.json").write_text(json.dumps(data))
    (tmp_path / "dets.json").write_text(json.dumps(predictions))
    return images, real, predictions


def run(*args):
    return CliRunner().invoke(app, ["evaluate", "real.json", "dets.json", *args])


def test_command(files, tmp_path):
    overall, classes = evaluate(files[0], files[1], CATEGORIES, files[2])
    shown = run()
    assert shown.exit_code == 0, shown.output
    assert f"{overall.mean_ap:.3f}" in shown.stdout and "IoU above 0.1" in shown.stdout and "chair" in shown.stdout
    values = json.loads(run("--json").stdout)
    assert values["all"]["ap50"] == overall.ap50 and values["classes"]["chair"]["real"] == classes["chair"].real
    (tmp_path / "dets.json").write_text("[]")
    assert run().exit_code == 0 and json.loads(run("--json").stdout)["all"]["small_share"] is None


@pytest.mark.parametrize(
    "content, words",
    [
        ('{"a": 1}', "holds no predictions"),
        ("[1]", "holds no predictions"),
        ("[{", "not valid JSON"),
        ('[{"image_id": 1}]', "number 1 has no category_id, bbox, score"),
        ('[{"image_id": 99, "category_id": 5, "bbox": [1, 2, 3, 4], "score": 1}]', "image_id 99"),
        ('[{"image_id": 1, "category_id": 8, "bbox": [1, 2, 3, 4], "score": 1}]', "category_id 8"),
        ('[{"image_id": 1, "category_id": 5, "bbox": [1, 2, -3, 4], "score": 1}]', "'bbox' of four"),
        ('[{"image_id": 1, "category_id": 5, "bbox": [1, 2, 3, 4], "score": NaN}]', "'score'"),
    ],
)
def test_broken_predictions_are_named(files, tmp_path, content, words):
    (tmp_path / "dets.json").write_text(content)
    done = run()
    assert done.exit_code == 2 and words in done.stderr.replace("\n", " ")
