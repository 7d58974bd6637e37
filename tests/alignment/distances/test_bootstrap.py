# SPDX-License-Identifier: GPL-3.0-or-later
"""Bootstrap intervals and floors against plain resampling of boxes, and what is said of samples that say little."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from executed_lines import executed_lines
from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from twinset.alignment.columns.table import read_table
from twinset.alignment.distances import bootstrap, histograms
from twinset.alignment.distances.comparison import compare, compare_tables
from twinset.alignment.distances.registry import all_distances
from twinset.alignment.distances.support import common_support
from twinset.headless.cli import app
from typer.testing import CliRunner

FUNCTIONS = {
    "bhattacharyya": histograms.bhattacharyya,
    "ks": histograms.kolmogorov_smirnov,
    "wasserstein": histograms.wasserstein,
}
NAMES = [distance.name for distance in all_distances()]
samples = st.lists(st.floats(-0.25, 1.25, width=16), min_size=1, max_size=40).map(np.array)


@settings(max_examples=examples(40))
@given(samples, samples)
def test_distances_on_the_support_are_those_of_the_samples(a, b):
    on = common_support(a, b)
    found = bootstrap.resampled_distances(on, on.p[None], on.q[None])
    for name, function in FUNCTIONS.items():
        assert found[name][0] == pytest.approx(function(a, b), abs=1e-9), name


def test_grouped_values_keep_the_histogram_and_nearly_the_distances():
    rng = np.random.default_rng(0)
    a, b = rng.beta(2, 5, 3000), rng.beta(2, 4, 2000)
    on = common_support(a, b, max_values=500)
    assert len(on.values) <= 500 + histograms.BINS and (np.diff(on.values) > 0).all()
    found = bootstrap.resampled_distances(on, on.p[None], on.q[None])
    assert found["bhattacharyya"][0] == pytest.approx(histograms.bhattacharyya(a, b), abs=1e-12)
    assert found["ks"][0] == pytest.approx(histograms.kolmogorov_smirnov(a, b), rel=0.03)
    assert found["wasserstein"][0] == pytest.approx(histograms.wasserstein(a, b), rel=0.01)


def test_spread_and_floor_equal_plain_resampling():
    rng = np.random.default_rng(1)
    a, b = rng.beta(2, 5, 60), rng.beta(3, 4, 150)
    found = bootstrap.estimate(a, b, np.random.default_rng(2), n_bootstrap=1500)
    plain = np.random.default_rng(3)
    for name, function in FUNCTIONS.items():
        drawn = [function(plain.choice(a, 60), plain.choice(b, 150)) for _ in range(500)]
        chance = [function(plain.choice(a, 60), plain.choice(a, 150)) for _ in range(500)]
        low, middle, high = np.quantile(drawn, [0.025, 0.5, 0.975])
        shift = function(a, b) - middle
        assert found[name].value == function(a, b)
        assert (found[name].low, found[name].high) == pytest.approx((low + shift, high + shift), abs=np.std(drawn) / 2)
        assert found[name].floor == pytest.approx(np.mean(chance), abs=4 * np.std(chance) / math.sqrt(350))


@pytest.mark.parametrize("shift", [0.0, 0.1])
def test_interval_holds_as_often_as_it_says(shift):
    # 40 intervals of 90 % each; fewer than 31 that hold would happen once in 200 times.
    rng = np.random.default_rng(5)
    found = []
    for _ in range(40):
        a, b = rng.normal(0.4, 0.1, 80), rng.normal(0.4 + shift, 0.1, 200)
        found.append(bootstrap.estimate(a, b, rng, n_bootstrap=120, confidence_level=0.9))
    for name in NAMES:
        truth = np.mean([f[name].value for f in found])
        assert sum(f[name].low <= truth <= f[name].high for f in found) >= 31, name
        floor = np.mean([f[name].floor for f in found])
        assert truth == pytest.approx(floor, rel=0.4) if shift == 0 else truth > 2 * floor


@settings(max_examples=examples(30))
@given(samples, samples)
def test_interval_holds_its_distance_for_any_input(a, b):
    for name, found in bootstrap.estimate(a, b, np.random.default_rng(0), n_bootstrap=20).items():
        assert 0 <= found.low <= found.value <= found.high, name
        assert all(math.isnan(f) if len(a) == 1 else f >= 0 for f in (found.floor, found.image_floor))


def test_images_are_drawn_whole_as_by_hand():
    rng = np.random.default_rng(1)
    centre = rng.uniform(0.2, 0.8, 12)
    of_a, of_b = np.repeat(np.arange(12), 5) * 7, np.repeat(np.arange(8), 3)
    a, b = np.clip(centre[of_a // 7] + rng.normal(0, 0.03, 60), 0, 1), rng.uniform(0, 1, 8)[of_b]
    found = bootstrap.estimate(a, b, np.random.default_rng(2), images=(of_a, of_b), n_bootstrap=1500)
    plain = np.random.default_rng(3)

    def draw(values, of, count):
        names = plain.choice(np.unique(of), count)
        return np.concatenate([values[of == name] for name in names])

    for name, function in FUNCTIONS.items():
        drawn = np.array([function(draw(a, of_a, 12), draw(b, of_b, 8)) for _ in range(500)])
        # 24 values are as many as about five of the twelve images hold.
        chance = np.array([function(draw(a, of_a, 12), draw(a, of_a, 5)) for _ in range(500)])
        if np.isfinite(drawn).all() and np.isfinite(chance).all():
            low, middle, high = np.quantile(drawn, [0.025, 0.5, 0.975])
            expected = max(0.0, low + function(a, b) - middle), high + function(a, b) - middle
            assert (found[name].low, found[name].high) == pytest.approx(expected, abs=np.std(drawn) / 2)
            assert found[name].image_floor == pytest.approx(np.mean(chance), abs=4 * np.std(chance) / math.sqrt(350))
        if name != "bhattacharyya":
            assert np.isfinite(drawn).all() and found[name].image_floor > 1.5 * found[name].floor


def test_one_real_image_has_no_floor_of_images():
    a = np.linspace(0, 1, 30)
    found = bootstrap.estimate(a, a, np.random.default_rng(0), images=(np.zeros(30, dtype=int), None))
    assert all(math.isnan(f.image_floor) and f.floor > 0 for f in found.values())
    assert "of one image" in bootstrap.sample_warnings(a, a, real_images=np.zeros(30, dtype=int))


def test_halves_lie_near_their_floor_and_other_things_do_not(data):
    """COCO chairs against their own halves, split by image; against the chairs of one apartment; against tables."""
    coco_file, apartment = (
        json.loads((data / "annotations" / name).read_text())
        for name in ("coco_furniture_bags.json", "cartucho_map_A45.json")
    )
    chairs = read_table(coco_file, "chair")
    sizes, names = chairs.columns["sqrt_area"], np.unique(chairs.image)
    halves = []
    for seed in range(12):
        inside = np.isin(chairs.image, np.random.default_rng(seed).permutation(names)[: len(names) // 2])
        images = (chairs.image[inside], chairs.image[~inside])
        rng = np.random.default_rng(seed)
        halves.append(bootstrap.estimate(sizes[inside], sizes[~inside], rng, images=images, n_bootstrap=60))
    for other in (read_table(apartment, "chair"), read_table(coco_file, "dining table")):
        apart = compare_tables(chairs, other)["columns"]["sqrt_area"]
        for key in NAMES:
            near = np.mean([half[key].value / half[key].image_floor for half in halves])
            far = apart[key] / apart[f"{key}_image_floor"]
            assert 0.7 < near < 2.4 and far > 1.3 * near, (key, near, far)
            assert apart[f"{key}_interval"][0] > apart[f"{key}_image_floor"], key


def test_histograms_that_may_share_no_bin():
    far = bootstrap.estimate(np.array([0.1, 0.2]), np.array([0.8, 0.9]), np.random.default_rng(0))["bhattacharyya"]
    assert (far.value, far.low, far.high) == (math.inf, math.inf, math.inf)
    # One of three values is shared: some resamples share none.
    near = bootstrap.estimate(np.array([0.1, 0.2, 0.5]), np.array([0.5, 0.8, 0.9]), np.random.default_rng(0))
    assert near["bhattacharyya"].low <= math.log(3) + 1e-12 and near["bhattacharyya"].high == math.inf


@pytest.mark.parametrize(
    "real, synth, words",
    [
        ([0.5], [0.1, 0.2], "One real value"),
        ([0.5] * 20, np.linspace(0, 1, 30), "All 20 real values are 0.5"),
        (np.linspace(0, 1, 30), [0.5] * 20, "All 20 synthetic values are 0.5"),
        (np.linspace(0, 1, 30), [0.1, 0.2], "Only 2 synthetic values"),
        ([], [0.5], "No real value"),
        (np.linspace(0, 1, 30), np.linspace(0, 1, 40), ""),
    ],
)
def test_warnings_of_samples(real, synth, words):
    said = bootstrap.sample_warnings(np.array(real), np.array(synth))
    assert (words in said) if words else said == ""


def coco(boxes, **extra):
    return {
        "images": [{"id": k, "width": 100, "height": 100} for k in range(len(boxes))],
        "categories": [{"id": 1, "name": "chair"}],
        "annotations": [
            {"id": k, "image_id": k, "category_id": 1, "bbox": list(box), "twinset": extra}
            for k, box in enumerate(boxes)
        ],
    }


def test_degenerate_datasets_get_statements():
    many = [(k, k, 10 + k, 20 + k) for k in range(30)]
    for real, synth in [(many[:1], many), (many, many[:1]), (many[:1], many[:1]), (many[:1] * 40, many[:1] * 40)]:
        columns = compare(coco(real), coco(synth))["classes"]["chair"]["columns"]
        assert all(column["remark"] for column in columns.values())
    entry = compare(coco(many), coco(many, depth=2.0))["classes"]["chair"]
    assert entry["remarks"] == ["Only the synthetic dataset has depth; these columns are not compared."]
    assert not entry["columns"]["area"]["remark"]


def test_command_shows_no_distance_without_its_floor(tmp_path):
    many, one = tmp_path / "many.json", tmp_path / "one.json"
    for path, boxes in ((many, [(k, k, 10 + k, 20 + k) for k in range(30)]), (one, [(5, 5, 20, 30)])):
        path.write_text(json.dumps(coco(boxes)))

    def run(*args):
        done = CliRunner().invoke(app, ["compare", *map(str, args), "-o", str(tmp_path)])
        assert done.exit_code == 0, done.output
        return done.stdout

    shown = run(many, many)
    assert shown.count("KS") == 7 and "0.000 to 0." in shown and "Floor:" in shown
    shown = run(one, many)
    assert "One real value" in shown and " to 0." not in shown
    columns = json.loads(run(one, many, "--json"))["classes"]["chair"]["columns"]
    assert all(columns["area"][key] is None for key in ("floor", "ks_floor", "wasserstein_floor"))


def test_many_values_are_left_to_numpy():
    rng = np.random.default_rng(0)
    n = 200_000
    a, b = rng.random(n), rng.random(n)
    bootstrap.estimate(a[:10], b[:10], rng)  # imports are lines, too
    found, lines = executed_lines(lambda: bootstrap.estimate(a, b, rng, n_bootstrap=100))
    assert lines < 100_000
    # Kolmogorov's distribution has the mean 0.8687.
    assert found["ks"].floor == pytest.approx(0.8687 * math.sqrt(2 / n), rel=0.1)
