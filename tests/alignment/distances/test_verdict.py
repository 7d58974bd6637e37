# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict on differences made by hand, and how often it calls halves of one real set different."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats
from twinset.alignment.columns.table import Table, measured_table, read_table
from twinset.alignment.distances import bootstrap
from twinset.alignment.distances.comparison import (
    compare,
    compare_measured,
    compare_tables,
    to_json,
)
from twinset.alignment.distances.registry import all_distances
from twinset.alignment.distances.verdict import verdict
from twinset.engine.errors import DataError

NAMES = [distance.name for distance in all_distances()]


def measured(seed, n=240, **changes):
    """Measured columns of chairs, three to an image."""
    rng = np.random.default_rng(seed)
    columns = {
        "image_id": (np.arange(n) // 3).tolist(),
        "class": ["chair"] * n,
        "image_width": [640] * n,
        "image_height": [480] * n,
        "bbox_area": rng.beta(2, 12, n),
        "aspect": np.exp(rng.normal(0, 0.3, n)),
        "center_x": rng.uniform(0.1, 0.9, n),
        "center_y": rng.normal(0.6, 0.08, n).clip(0, 1),
        "sharpness": rng.gamma(4, 50, n),
        "image_contrast": np.repeat(rng.normal(0.2, 0.03, n // 3), 3),
        "shape": rng.choice(["stool", "bench"], n).tolist(),
    }
    return {**columns, **changes}


def test_each_difference_is_named_with_its_direction():
    rng = np.random.default_rng(5)
    synth = measured(
        1,
        bbox_area=rng.beta(4, 8, 240),
        center_y=rng.normal(0.6, 0.2, 240).clip(0, 1),
        sharpness=rng.gamma(2, 50, 240),
        shape=rng.choice(["stool", "bench"], 240, p=[0.9, 0.1]).tolist(),
    )
    found = verdict(compare_measured(measured(0), synth))
    off = {s.column: s for s in found.significant}
    assert set(off) == {"sqrt_area", "center_y", "sharpness", "shape"}
    assert (off["sqrt_area"].direction, off["center_y"].spread, off["sharpness"].direction) == (
        "larger",
        "wider",
        "smaller",
    )
    assert found.significant[-1].column == "sharpness" and found.significant[0].column == "sqrt_area"
    assert "too many stool and too few bench" in off["shape"].sentence
    assert "vertical position: synthetic ones" in off["center_y"].sentence and "vary more" in off["center_y"].sentence
    assert found.sentences[0].startswith("4 of 8 columns differ")
    assert {s.column for s in found.consistent} == {"center_x", "log_aspect", "boxes_per_image", "image_contrast"}


def test_of_yes_and_no_shares_are_told():
    real, synth = (measured(seed, touches_border=np.arange(240) % 10 < yes) for seed, yes in ((0, 1), (1, 4)))
    said = {s.column: s for s in verdict(compare_measured(real, synth)).significant}["touches_border"]
    assert said.direction == "larger"
    assert "synthetic ones are more often at the border (40% instead of 10%;" in said.sentence


def test_statistics_behind_it_are_scipys():
    a, b = measured(0), measured(1)
    columns = compare_measured(a, b)["classes"]["chair"]["columns"]
    for name in ("center_x", "sharpness"):
        truth = stats.mannwhitneyu(b[name], a[name]).statistic / 240**2
        assert columns[name]["larger_share"] == pytest.approx(truth)
        assert columns[name]["real_quantiles"][2] == pytest.approx(np.median(a[name]))
    shares = [np.mean(np.array(side["shape"]) == "bench") for side in (a, b)]
    overlap = math.sqrt(shares[0] * shares[1]) + math.sqrt((1 - shares[0]) * (1 - shares[1]))
    assert columns["shape"]["bhattacharyya"] == pytest.approx(-math.log(overlap))
    assert columns["shape"]["categories"] == ["bench", "stool"] and math.isnan(columns["shape"]["ks"])


def test_upper_floor_is_that_of_a_permutation_test():
    rng = np.random.default_rng(3)
    a, b = rng.normal(0, 1, 40), rng.normal(0.3, 1, 60)
    found = bootstrap.estimate(a, b, rng, range=(-3, 3), n_bootstrap=1500)["ks"]
    truth = stats.permutation_test(
        (a, b),
        lambda x, y: stats.ks_2samp(x, y, method="asymp").statistic,
        n_resamples=600,
        rng=np.random.default_rng(0),
    )
    assert found.upper_floor == pytest.approx(np.quantile(truth.null_distribution, 0.95), abs=0.03)


def test_samples_of_one_source_are_called_off_as_rarely_as_it_says(data):
    """Random halves of real chairs, split by image: 5 % of columns may exceed the upper floor, few as they are."""
    chairs = read_table(json.loads((data / "annotations/coco_furniture_bags.json").read_text()), "chair")
    names, above, off = np.unique(chairs.image), [], []
    for seed in range(25):
        inside = np.isin(chairs.image, np.random.default_rng(seed).permutation(names)[: len(names) // 2])
        halves = [
            Table(
                {k: v[part] for k, v in chairs.columns.items() if k != "boxes_per_image"},
                chairs.main[part],
                chairs.image[part],
                frozenset(),
            )
            for part in (inside, ~inside)
        ]
        entry = compare_tables(*halves, seed=seed)
        columns = entry["columns"].values()
        above += [c[k] > c[f"{k}_upper_floor"] for c in columns for k in NAMES]
        found = verdict({"classes": {"chair": entry}})
        off += [s.significant for s in (*found.significant, *found.consistent)]
    assert np.mean(above) < 0.12 and np.mean(off) < 0.12


def test_columns_in_pixels_become_shares_and_image_columns_are_counted_once():
    columns = measured(0, a=np.full(240, 3072.0), area=np.full(240, 9.0), main=[True] + [None] * 239)
    table = measured_table(columns, "chair")
    assert table.columns["a"] == pytest.approx(np.full(240, 0.01))
    assert table.columns["area"].max() < 1 and "bbox_area" not in table.columns
    assert table.columns["log_aspect"] == pytest.approx(np.log(columns["aspect"]))
    assert len(table.columns["image_contrast"]) == len(table.columns["boxes_per_image"]) == 80
    assert table.main.sum() == 1 and table.size == (640, 480) and len(table.of_main().labels["shape"]) == 1


def test_one_sided_and_degenerate_columns_are_said():
    real = measured(0, n=3, depth=[1.0, 2.0, 3.0], bbox_area=[0.1, 0.1, 0.1], shape=["a"] * 3)
    synth = measured(1, fog=np.linspace(0, 1, 240), image_width=[320] * 240)
    report = compare_measured(real, synth)
    said = report["classes"]["chair"]["remarks"]
    assert any("Only the real dataset has depth" in line for line in said)
    assert any("Only the synthetic dataset has fog" in line for line in said)
    assert any("640 by 480 px, synthetic ones 320 by 480" in line for line in said)
    json.dumps(to_json(report), allow_nan=False)
    one = compare_measured(measured(0, n=3) | {"class": ["chair", "table", "table"]}, synth, "chair")
    found = verdict(one)
    assert not found.significant and not found.consistent and "Nothing can be said" in found.sentences[0]
    with pytest.raises(DataError, match="no column 'class'"):
        measured_table({"image_id": [1]}, "chair")
    with pytest.raises(DataError, match=r"no box of class 'lamp'.*chair"):
        compare_measured(real, synth, "lamp")


def test_a_dataset_against_itself_is_not_off(root):
    real = json.loads((root / "examples/coco_furniture.json").read_text())
    found = verdict(compare(real, real))
    assert not found.significant and len(found.consistent) > 20 and found.sentences[0].startswith("None of")
