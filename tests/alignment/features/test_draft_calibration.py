# SPDX-License-Identifier: GPL-3.0-or-later
"""Drafts: the rule that is learned from pairs, against simulation and brute force; and drafts that Blender renders."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from recipes import on_floor, orbit, plugin_table, recipe_text
from twinset.alignment.features.density import fit_density
from twinset.alignment.features.draft_calibration import fit_draft_rule, rate
from twinset.alignment.features.extractor import Extractor
from twinset.dataset.jobs.job import Job
from twinset.engine.block import Block
from twinset.engine.recipe.reading import loads_recipe
from twinset.engine.sampling.sampler import Sampler
from twinset.testing.fixtures.render_process import file_bytes


def by_mean(features: np.ndarray) -> np.ndarray:
    return features.mean(1)


def frames(rng: np.random.Generator, n: int, bias: float, noise: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Drafts that are the full features, shifted and noisy; one to three boxes a frame."""
    out = []
    for _ in range(n):
        full = rng.normal(rng.normal(0, 1), 0.3, (rng.integers(1, 4), 4))
        out.append((full - bias + rng.normal(0, noise, full.shape), full))
    return out


def passing(pairs: list[tuple[np.ndarray, np.ndarray]]) -> list[bool]:
    return [by_mean(full).mean() >= 0 for _, full in pairs]


def test_a_bias_is_taken_out_exactly() -> None:
    pairs = frames(np.random.default_rng(1), 60, bias=5.0, noise=0.0)
    rule = fit_draft_rule(pairs, passing(pairs), by_mean, np.mean, 0.05)
    np.testing.assert_allclose(rule.shift, 5.0)
    # Without noise a draft says what the full picture says.
    good = sorted(by_mean(full).mean() for _, full in pairs if by_mean(full).mean() >= 0)
    k = math.floor(0.05 * (len(good) + 1))
    assert k >= 1 and rule.threshold == pytest.approx(good[k - 1])
    assert rule.caught == rule.failed and rule.passed + rule.failed == 60


@pytest.mark.parametrize("allowed", [0.05, 0.2])
def test_new_good_frames_are_lost_at_most_as_often_as_allowed(allowed: float) -> None:
    rng = np.random.default_rng(2)
    lost, judged = 0, 0
    for _ in range(50):
        pairs = frames(rng, 50, bias=1.0, noise=1.5)
        rule = fit_draft_rule(pairs, passing(pairs), by_mean, np.mean, allowed)
        new = [p for p in frames(rng, 40, bias=1.0, noise=1.5) if by_mean(p[1]).mean() >= 0]
        lost += sum(by_mean(draft + rule.shift).mean() < rule.threshold for draft, _ in new)
        judged += len(new)
    # Sets share a rule, so the count is more scattered than a binomial one: 3 standard errors of 50 sets. The level is
    # rounded down to whole frames.
    assert 0.4 * allowed <= lost / judged <= allowed + 3 * math.sqrt(allowed / 25 / 50)


def test_what_is_measured_leaves_each_frame_out() -> None:
    pairs = frames(np.random.default_rng(3), 40, bias=0.5, noise=1.0)
    passes = passing(pairs)
    rule = fit_draft_rule(pairs, passes, by_mean, np.mean, 0.1)
    wrongly = caught = 0
    for out in range(40):
        rest = [p for k, p in enumerate(pairs) if k != out]
        shift = np.concatenate([f - d for d, f in rest]).mean(0)
        good = sorted(by_mean(d + shift).mean() for k, (d, _) in enumerate(pairs) if k != out and passes[k])
        limit = good[math.floor(0.1 * (len(good) + 1)) - 1]
        refused = by_mean(pairs[out][0] + shift).mean() < limit
        wrongly += refused and passes[out]
        caught += refused and not passes[out]
    assert (rule.wrongly, rule.caught) == (wrongly, caught)


@pytest.mark.parametrize("good", [0, 5, 18])
def test_too_few_good_frames_refuse_no_draft(good: int) -> None:
    pairs = frames(np.random.default_rng(4), 30, 0.0, 0.1)
    rule = fit_draft_rule(pairs, [k < good for k in range(30)], by_mean, np.mean, 0.05)
    assert rule.threshold == -math.inf and rule.wrongly == rule.caught == 0
    assert fit_draft_rule([], [], by_mean, np.mean, 0.05).threshold == -math.inf


def test_rates_have_exact_intervals() -> None:
    # None of n: the upper end is where (1 - p)^n = 2.5 %.
    assert rate(0, 20) == pytest.approx((0.0, 0.0, 1 - 0.025 ** (1 / 20)))
    assert rate(20, 20) == pytest.approx((1.0, 0.025 ** (1 / 20), 1.0))
    assert math.isnan(rate(0, 0)[0]) and rate(0, 0)[1:] == (0.0, 1.0)


RECIPE = recipe_text(
    seed=6,
    images=3,
    scene="small.blend",
    placements=[on_floor(2, 3)],
    appearances=[plugin_table("lights", extra_range=[0, 2])],
    cameras=[orbit(1.0, 2.0)],
    render={"samples": 2, "denoise": False, "block_size": 2},
    size=(96, 72),
)

GATE = """
[[filter]]
plugin = "feature_score"
features = "real.features"
threshold = 0.3
draft = true
warm_up = 10
max_false_reject_rate = 0.2
near_duplicate_distance = 0.1
"""


@pytest.fixture(scope="module")
def room(rooms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("draft")
    shutil.copy2(rooms / "small.blend", folder)
    return folder


def opened(recipe: Any) -> Any:
    from twinset.blender.stage import open_stage

    return open_stage(recipe)


def test_drafts_change_nothing_and_are_the_same_whatever_came_before(room: Path) -> None:
    recipe = loads_recipe(RECIPE, room, "test")
    stage = opened(recipe)
    sampler = Sampler(recipe, stage, {})

    def pose(index: int) -> None:
        assert sampler.frame(index, Block(), render=False).shot is not None

    pose(0)
    plain = stage.shoot(3).image
    pose(0)
    draft = stage.draft(3, scale=0.5, samples=1)
    assert draft.shape == (36, 48, 3) and draft.dtype == np.uint8 and draft.std() > 1
    after = stage.shoot(3)
    assert np.array_equal(after.image, plain) and after.labels.ids.shape == (72, 96)
    pose(1)
    stage.shoot(5)
    pose(0)
    assert np.array_equal(stage.draft(3, scale=0.5, samples=1), draft)
    # It shows what the picture shows, at its size.
    small = plain.reshape(36, 2, 48, 2, 3).mean((1, 3))
    assert np.corrcoef(draft.ravel(), small.ravel())[0, 1] > 0.7


def test_a_job_with_drafts_on_blender_goes_on_as_if_never_stopped(room: Path, tmp_path: Path) -> None:
    extractor = Extractor()
    plain = loads_recipe(RECIPE, room, "test")
    stage = opened(plain)
    sampler = Sampler(plain, stage, {})
    vectors = []
    for index in range(100, 110):
        frame = sampler.frame(index, Block())
        boxes = [r["bbox"] for r in frame.rows if r["annotated"] and min(r["bbox"][2:]) >= 16]
        if frame.shot is not None and boxes:
            vectors.append(extractor.extract_boxes(frame.shot.image, boxes))
    density = fit_density(np.concatenate(vectors), origin={"model": extractor.sha256, "class": "chair"})
    (room / "real.features").write_bytes(density.to_bytes())
    recipe = loads_recipe(RECIPE + GATE, room, "test")

    list(Job(recipe, tmp_path / "whole", opened).run())
    for share in (range(2, 3), range(1)):
        list(Job(recipe, tmp_path / "parts", opened).run(share))
    list(Job(attrs.evolve(recipe), tmp_path / "parts", opened).run())
    assert file_bytes(tmp_path / "parts") == file_bytes(tmp_path / "whole")
    learned = json.loads((tmp_path / "whole/gate.json").read_text())["learned"][0][0]
    assert learned["frames"] >= 7 and len(learned["draft"]["shift"]) == len(density.mean)
