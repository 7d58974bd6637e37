# SPDX-License-Identifier: GPL-3.0-or-later
"""IoU against feature distance: rank correlation against scipy, overlaps by brute force, and the command."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from scipy import stats
from twinset.alignment.evaluation.correlation import (
    _weighted,
    rank_correlation,
    small_sample_correlation,
    spearman,
)
from twinset.alignment.evaluation.detection import iou
from twinset.alignment.evaluation.feature_nearness import best_overlaps, nearness
from twinset.engine.errors import DataError
from twinset.headless.cli import app
from twinset.testing.fixtures.pictures import striped_dataset as dataset
from typer.testing import CliRunner

pairs = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=30)


@settings(max_examples=examples(40))
@given(pairs)
def test_correlation_equals_scipys(points):
    x, y = np.array(points, dtype=float).T
    doubled = _weighted(*(np.unique(v, return_inverse=True)[1].ravel() for v in (x, y)), np.full(len(x), 2))
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert math.isnan(spearman(x, y)) and math.isnan(doubled)
    else:
        assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
        assert doubled == pytest.approx(spearman(np.tile(x, 2), np.tile(y, 2)), abs=1e-9)


def test_interval_equals_scipys_bootstrap_and_widens_with_groups():
    rng = np.random.default_rng(0)
    x = rng.normal(size=80)
    y = -x + rng.normal(0, 1.5, 80)
    found = rank_correlation(x, y, np.random.default_rng(1))
    truth = stats.bootstrap(
        (x, y),
        spearman,
        paired=True,
        vectorized=False,
        n_resamples=1000,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((truth.low, truth.high), abs=0.04)
    # Eight copies of each point are no more points.
    copied = rank_correlation(np.tile(x, 8), np.tile(y, 8), rng, groups=np.tile(np.arange(80), 8))
    blind = rank_correlation(np.tile(x, 8), np.tile(y, 8), rng)
    assert copied.high - copied.low == pytest.approx(found.high - found.low, rel=0.2)
    assert blind.high - blind.low < 0.6 * (copied.high - copied.low)


def test_few_points_are_said_to_say_little():
    three = small_sample_correlation(np.array([1, 2, 3]), np.array([0.5, 0.4, 0.3]))
    assert three.rho == pytest.approx(-1) and math.isnan(three.low) and "3 points say little" in three.remark
    assert "in 17% of cases" in three.remark  # one order of six
    six = small_sample_correlation(np.array([1, 2, 3, 4, 5, 6]), np.array([9, 8, 7, 5, 6, 4]))
    exact = stats.permutation_test(
        (np.array([9, 8, 7, 5, 6, 4]),),
        lambda y: stats.spearmanr([1, 2, 3, 4, 5, 6], y).statistic,
        permutation_type="pairings",
        alternative="less",
    )
    assert six.low < six.rho < six.high <= 1 and f"{exact.pvalue:.0%}" in six.remark and "little" not in six.remark
    assert "no correlation" in small_sample_correlation(np.array([1.0]), np.array([1.0])).remark


def test_degenerate_correlations_get_a_statement():
    rng = np.random.default_rng(0)
    assert "are the same" in rank_correlation(np.ones(9), np.arange(9.0), rng).remark
    assert "no pair" in rank_correlation(np.ones(1), np.ones(1), rng).remark
    assert "no pair" in nearness(np.ones(0), np.ones(0), np.ones(0), rng).correlation.remark
    one = rank_correlation(np.arange(9.0), np.arange(9.0), rng, groups=np.zeros(9))
    assert one.rho == pytest.approx(1) and math.isnan(one.low) and "1 images" in one.remark
    with pytest.raises(DataError, match="finite"):
        rank_correlation(np.array([1.0, math.nan]), np.ones(2), rng)
    x = rng.random(200_000)
    assert rank_correlation(x, -x, rng, n_bootstrap=100).rho == pytest.approx(-1)


def test_best_overlaps_by_brute_force():
    rng = np.random.default_rng(4)

    def boxes(n, **more):
        return [
            {
                "image_id": int(rng.integers(3)),
                "category_id": int(rng.integers(2)),
                "bbox": np.concatenate([rng.uniform(0, 30, 2), rng.uniform(5, 40, 2)]).tolist(),
                **{k: float(rng.random()) for k in more},
            }
            for _ in range(n)
        ]

    real, predicted = boxes(30), boxes(40, score=True)
    for score in (0.0, 0.5):
        truth = [
            max(
                (
                    float(iou(np.array(a["bbox"]), np.array(p["bbox"]))[0, 0])
                    for p in predicted
                    if p["score"] >= score and (p["image_id"], p["category_id"]) == (a["image_id"], a["category_id"])
                ),
                default=0.0,
            )
            for a in real
        ]
        assert best_overlaps(real, predicted, score) == pytest.approx(truth)
    assert best_overlaps(real, []).tolist() == [0.0] * 30


def test_bins_hold_all_boxes_in_order():
    rng = np.random.default_rng(0)
    distance, images = rng.random(53), np.arange(53) // 3
    overlap = (distance < 0.5).astype(float)
    found = nearness(distance, overlap, images, rng)
    assert sum(b.boxes for b in found.bins) == 53 and len(found.bins) == 5
    assert all(a.high <= b.low for a, b in zip(found.bins, found.bins[1:], strict=False))
    assert found.bins[0].mean == found.bins[0].found == 1 and found.bins[-1].mean == 0
    assert found.correlation.high < 0 and all(b.mean_low <= b.mean <= b.mean_high for b in found.bins)


def test_command_finds_that_near_boxes_are_found_better(tmp_path):
    """Real stripes of many periods; the detector was trained on fine ones and finds those."""
    periods = np.linspace(5, 16, 24)
    synth = dataset(tmp_path / "synth", 5, 40, 30)
    folder = tmp_path / "real"
    for k, period in enumerate(periods):
        part = dataset(tmp_path / f"part{k}", period, 40, 2)
        (folder / "images").mkdir(parents=True, exist_ok=True)
        (part.parent / "images/0.png").rename(folder / f"images/{k}.png")
    box = [4.0, 4.0, 50.0, 50.0]
    entries = [{"id": k + 1, "image_id": k, "category_id": 1, "bbox": box, "area": 2500} for k in range(24)]
    images = [{"id": k, "file_name": f"{k}.png", "width": 64, "height": 64} for k in range(24)]
    data = {"images": images, "annotations": entries, "categories": [{"id": 1, "name": "disc"}]}
    (folder / "set.json").write_text(json.dumps(data))
    shift = np.linspace(0, 25, 24)
    found = [
        {"image_id": k, "category_id": 1, "bbox": [4.0 + s, 4.0, 50.0, 50.0], "score": 0.9} for k, s in enumerate(shift)
    ]
    (tmp_path / "dets.json").write_text(json.dumps(found))
    args = ["evaluate", folder / "set.json", tmp_path / "dets.json", "--synth", synth]
    args = [str(a) for a in (*args, "-o", tmp_path)]
    done = CliRunner().invoke(app, [*args, "--json"])
    assert done.exit_code == 0, done.output
    near = json.loads(done.stdout)["nearness"]["disc"]["nearness"]
    assert near["overlap"] == pytest.approx(((50 - shift) / (50 + shift)).tolist())
    assert near["correlation"]["rho"] < -0.8 and near["correlation"]["high"] < 0
    assert near["bins"][0]["mean"] > near["bins"][-1]["mean"] + 0.2
    shown = CliRunner().invoke(app, args).stdout
    assert "near boxes are detected better" in shown and (tmp_path / "nearness_disc.png").is_file()
    few = dataset(tmp_path / "few", 5, 40, 4)
    said = CliRunner().invoke(app, [*args[:-4], "--synth", str(few), "-o", str(tmp_path)])
    assert said.exit_code == 0 and "no feature distances. 4 real samples are too few" in said.stdout
