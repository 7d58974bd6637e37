# SPDX-License-Identifier: GPL-3.0-or-later
"""The area target: draws match the real boxes better than chance, evenly over frames, within reach."""

from __future__ import annotations

import json
import math
from collections import Counter

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from twinset.alignment.distances.histograms import bhattacharyya, bhattacharyya_floor
from twinset.alignment.mixtures.box_density import sizes
from twinset.engine.block import Block
from twinset.engine.errors import DataError, UnreachableError
from twinset.engine.goals import Boxes, Reach
from twinset.engine.plugin import FittedTarget
from twinset.engine.plugin.params import build
from twinset.engine.plugin.registry import check_declaration
from twinset.plugins.targets.bbox_area_gmm import BboxAreaGmm


def read(path, class_name):
    """Boxes of one class, spelled out here so that no code under test decides what the truth is."""
    coco = json.loads(path.read_text())
    ids = [c["id"] for c in coco["categories"] if c["name"] == class_name]
    size = {i["id"]: (i["width"], i["height"]) for i in coco["images"]}
    rows = [
        (*a["bbox"], *size[a["image_id"]], a["image_id"])
        for a in coco["annotations"]
        if a["category_id"] in ids and not a["iscrowd"]
    ]
    x, y, w, h, width, height, image = np.array(rows).T
    return Boxes(
        np.minimum(w * h / width / height, 1), np.stack([(x + w / 2) / width, (y + h / 2) / height], -1), w / h, image
    )


@pytest.fixture(scope="module")
def chairs(root):
    return read(root / "examples/coco_furniture.json", "chair")


@pytest.fixture(scope="module")
def tables(root):
    return read(root / "examples/coco_furniture.json", "dining table")


def goals_of(fitted, frames):
    return [fitted.draw(i, Block()).main for i in frames]


def areas_of(fitted, frames):
    return np.array([g.area for g in goals_of(fitted, frames)])


def mean_distance_and_floor(boxes, seeds=2):
    real, drawn, floors = np.sqrt(boxes.area), [], []
    once = BboxAreaGmm().fit({"x": boxes}, {}, 0)
    for seed in range(seeds):
        fitted = attrs.evolve(once, seed=seed)
        drawn.append(bhattacharyya(np.sqrt(areas_of(fitted, range(300))), real))
        floors.append(bhattacharyya_floor(real, len(real), 300, 200, np.random.default_rng(seed)))
    return np.mean(drawn), np.mean(floors)


@pytest.mark.parametrize("class_name", ["chair", "dining table", "handbag", "backpack", "suitcase"])
def test_300_draws_lie_within_the_floor(root, class_name):
    distance, floor = mean_distance_and_floor(read(root / "examples/coco_furniture.json", class_name))
    assert distance < 0.9 * floor


@pytest.mark.parametrize("class_name", ["chair", "dining table"])
def test_300_draws_lie_within_the_floor_of_a_single_site(data, class_name):
    distance, floor = mean_distance_and_floor(read(data / "annotations/cartucho_map_A45.json", class_name))
    assert distance < 0.9 * floor


def test_follows_the_protocols(chairs):
    target = BboxAreaGmm()
    assert check_declaration(type(target)) == ""
    fitted = target.fit({"chair": chairs}, {}, 0)
    assert {n for n in vars(FittedTarget) if not n.startswith("_")} <= set(dir(fitted))
    assert BboxAreaGmm.plugin_kind == "target" and BboxAreaGmm.plugin_id == "bbox_area_gmm"
    json.dumps(fitted.report(), allow_nan=False)
    built, problems = build(BboxAreaGmm, {"scale": "cubic", "components": -1, "clases": []}, "target 'bbox_area_gmm'")
    assert built is None and len(problems) == 3


@pytest.mark.parametrize("start", [0, 137, 5000])
def test_any_run_of_frames_is_nearly_stratified(chairs, start):
    fitted = BboxAreaGmm().fit({"chair": chairs}, {}, 3)
    u = np.sort(fitted.classes[0].mixture.cdf(areas_of(fitted, range(start, start + 50))))
    independent = np.random.default_rng(start)
    expected = np.mean([discrepancy(np.sort(independent.random(50))) for _ in range(200)])
    assert discrepancy(u) < expected / 3


def discrepancy(u):
    n = len(u)
    return max(np.abs(u - np.arange(n) / n).max(), np.abs(np.arange(1, n + 1) / n - u).max())


def test_components_come_in_their_shares(chairs):
    fitted = BboxAreaGmm().fit({"chair": chairs}, {}, 1)
    mixture = fitted.classes[0].mixture
    grid = mixture.predict(mixture.ppf((np.arange(20_000) + 0.5) / 20_000))
    counts = Counter(g.component for g in goals_of(fitted, range(200)))
    for k in range(mixture.n_components_):
        assert counts[k] == pytest.approx(200 * (grid == k).mean(), abs=2.5)


def test_classes_take_turns_by_their_real_counts_and_each_is_stratified(chairs, tables):
    fitted = BboxAreaGmm().fit({"chair": chairs, "dining table": tables}, {}, 5)
    goals = goals_of(fitted, range(300))
    counts = Counter(g.class_name for g in goals)
    assert counts["chair"] == pytest.approx(300 * len(chairs) / (len(chairs) + len(tables)), abs=2)
    for fit in fitted.classes:
        u = np.sort(fit.mixture.cdf(np.array([g.area for g in goals if g.class_name == fit.name])))
        assert discrepancy(u) < 2.5 * math.log(len(u)) / len(u) / 2


def test_area_and_centre_are_drawn_as_if_independent():
    # Real centres that have nothing to do with the area: the goals must cover both evenly, together too.
    n = 60
    area = 0.01 * np.exp(np.linspace(-0.02, 0.02, n))
    center = np.stack([np.linspace(0.2, 0.8, n)[np.random.default_rng(0).permutation(n)], np.full(n, 0.5)], -1)
    fitted = BboxAreaGmm(components=1).fit({"x": Boxes(area, center, np.ones(n), np.arange(n))}, {}, 0)
    goals = goals_of(fitted, range(400))
    u = fitted.classes[0].mixture.cdf(np.array([g.area for g in goals]))
    x = np.array([g.center[0] for g in goals])
    cells = np.histogram2d(u, x, bins=[np.linspace(0, 1, 5), np.quantile(x, np.linspace(0, 1, 5))])[0]
    assert cells.min() >= 17 and cells.max() <= 33  # 25 each if perfectly even


def test_depends_on_seed_and_frame_alone(chairs):
    one, other = (BboxAreaGmm().fit({"chair": chairs}, {}, 9) for _ in range(2))
    forwards = goals_of(one, range(40))
    backwards = goals_of(other, reversed(range(40)))[::-1]
    assert forwards == backwards
    other.draw(3000, Block())
    assert other.draw(7, Block()) == one.draw(7, Block())
    assert areas_of(BboxAreaGmm().fit({"chair": chairs}, {}, 10), range(40)).tolist() != [g.area for g in forwards]


@settings(max_examples=examples(30))
@given(st.integers(0, 2**31), st.integers(0, 100_000))
def test_box_of_the_goal_fits_in_the_image(small_fit, seed, frame):
    goal = small_fit(seed).draw(frame, Block()).main
    x, y = goal.center
    assert 0 < goal.area <= 1 and 0 < x < 1 and 0 < y < 1
    assert goal.area <= 2 * min(x, 1 - x) * 2 * min(y, 1 - y) + 1e-12


@pytest.fixture(scope="module")
def small_fit(tables):
    once = BboxAreaGmm(components=2).fit({"dining table": tables}, {}, 0)
    return lambda seed: attrs.evolve(once, seed=seed)


@given(st.floats(1e-6, 1), st.floats(0.05, 20))
def test_a_size_that_fits_keeps_the_area(area, aspect):
    w, h = sizes(np.array(area), np.array(aspect))
    assert w <= 1 and h <= 1 and w * h == pytest.approx(area)
    if area * max(aspect, 1 / aspect) < 0.99:
        assert w / h == pytest.approx(aspect)


def test_centres_depend_on_the_area_as_the_real_ones_do():
    # Small boxes are at the top left, large ones at the bottom right.
    area = np.r_[np.linspace(0.001, 0.002, 30), np.linspace(0.1, 0.15, 30)]
    center = np.r_[np.full((30, 2), 0.2), np.full((30, 2), 0.7)]
    fitted = BboxAreaGmm().fit({"x": Boxes(area, center, np.ones(60), np.arange(60))}, {}, 0)
    for goal in goals_of(fitted, range(60)):
        truth = 0.2 if goal.area < 0.02 else 0.7
        assert np.abs(np.array(goal.center) - truth).max() < 0.25


def test_goals_stay_within_reach(chairs):
    reach = (0.002, 0.05)
    fitted = BboxAreaGmm().fit({"chair": chairs}, {"chair": Reach(reach)}, 0)
    drawn = areas_of(fitted, range(300))
    assert drawn.min() >= reach[0] and drawn.max() <= reach[1]
    inside = chairs.area[(chairs.area >= reach[0]) & (chairs.area <= reach[1])]
    report = fitted.report()["classes"]["chair"]
    assert report["reachable_share"] == pytest.approx(len(inside) / len(chairs))
    assert len(report["unreachable_areas"]) == len(chairs) - len(inside)
    real = np.sqrt(inside)
    assert bhattacharyya(np.sqrt(drawn), real) < bhattacharyya_floor(real, len(real), 300)
    assert "out of reach" in fitted.notes()[0] and str(len(chairs) - len(inside)) in fitted.notes()[0]
    assert not BboxAreaGmm().fit({"chair": chairs}, {}, 0).notes()


def test_a_single_reachable_area_is_drawn(chairs):
    area = float(chairs.area[0])
    fitted = BboxAreaGmm().fit({"chair": chairs}, {"chair": Reach((area, area))}, 0)
    assert areas_of(fitted, range(10)) == pytest.approx(area, rel=1e-5)


def test_says_what_cannot_be_reached(chairs):
    with pytest.raises(UnreachableError, match=r"'chair'.*50\.00% to 90\.00%"):
        BboxAreaGmm().fit({"chair": chairs}, {"chair": Reach((0.5, 0.9))}, 0)


@pytest.mark.parametrize(
    ("target", "real", "said"),
    [
        (BboxAreaGmm(classes=["sofa"]), {}, "no box of class 'sofa'"),
        (BboxAreaGmm(min_real_boxes=500), None, "only 79 of at least 500"),
        (BboxAreaGmm(), {}, "no class"),
    ],
)
def test_says_what_real_boxes_are_missing(chairs, target, real, said):
    with pytest.raises(DataError, match=said):
        target.fit({"chair": chairs} if real is None else real, {}, 0)


def test_gaps_close_when_filled(chairs):
    fitted = BboxAreaGmm().fit({"chair": chairs}, {}, 0)
    empty = fitted.gaps("chair", [])
    assert [c for c, _ in empty] == pytest.approx(np.arange(0.025, 1, 0.05))
    assert sum(w for _, w in empty) == pytest.approx(1)
    assert all(w >= 0 for _, w in empty)
    worst = max(range(20), key=lambda i: empty[i][1])
    shown, before = [], empty[worst][1]
    for _ in range(4):
        shown.append(empty[worst][0] ** 2)
        after = fitted.gaps("chair", shown)[worst][1]
        assert after < before or after == 0
        before = after
    matched = fitted.classes[0].mixture.ppf((np.arange(400) + 0.5) / 400)
    assert sum(w for _, w in fitted.gaps("chair", matched)) < 0.05
    assert fitted.gaps("sofa", []) == []


def test_without_centres_the_image_centre_is_aimed_at(chairs):
    goals = goals_of(BboxAreaGmm(match_center=False).fit({"chair": chairs}, {}, 0), range(5))
    assert {g.center for g in goals} == {(0.5, 0.5)}
