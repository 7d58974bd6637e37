# SPDX-License-Identifier: GPL-3.0-or-later
"""The composite distance against closed forms and against what it must rank, and the command."""

from __future__ import annotations

import json
import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from twinset.alignment.columns.table import Table
from twinset.alignment.distances.binning import bin_range
from twinset.alignment.distances.composite.components import Bins, ComponentSample, column_components
from twinset.alignment.distances.composite.quality import quality
from twinset.engine.errors import DataError
from twinset.headless.cli import app
from twinset.testing.fixtures.pictures import striped_dataset as dataset
from typer.testing import CliRunner


def table(seed, n=200, mean=0.3, spread=0.1, per_image=2, **more):
    rng = np.random.default_rng(seed)
    columns = {"sqrt_area": rng.normal(mean, spread, n).clip(0.01, 1), "center_y": rng.normal(0.6, 0.1, n).clip(0, 1)}
    labels = {"shape": rng.choice(["a", "b"], n)}
    return Table({**columns, **more}, np.zeros(n, bool), np.arange(n) // per_image, frozenset(), labels)


def ranked(real, others, **options):
    own, samples, bins, left_out = column_components(real, others)
    return quality(own, samples, bins, **options), left_out


def test_distance_of_gaussians_is_the_closed_form():
    """-ln of the overlap of two normal densities: (m1-m2)²/(4(s1²+s2²)) + ln((s1²+s2²)/(2 s1 s2))/2 [Kailath 1967]."""
    (m1, s1), (m2, s2) = (0.4, 0.08), (0.55, 0.12)
    rng = np.random.default_rng(0)
    a, b = rng.normal(m1, s1, 40_000), rng.normal(m2, s2, 40_000)
    truth = (m1 - m2) ** 2 / (4 * (s1**2 + s2**2)) + 0.5 * math.log((s1**2 + s2**2) / (2 * s1 * s2))
    ids = np.arange(40_000)
    found = quality(
        {"x": ComponentSample(a, ids)}, {"b": {"x": ComponentSample(b, ids)}}, {"x": Bins(0, 1, 50)}, n_bootstrap=8
    )
    assert found.datasets["b"].components["x"].distance == pytest.approx(truth, rel=0.05)


def test_datasets_are_ranked_by_how_far_they_are():
    real = table(0, 120)
    others = {"far": table(1, 400, mean=0.6), "near": table(2, 400, mean=0.34), "same": table(3, 400)}
    found, left_out = ranked(real, others)
    assert left_out == ["background_similarity is left out: the real set, 'far', 'near', 'same' have none."]
    values = {name: q.value for name, q in found.datasets.items()}
    assert values["same"] < values["near"] < values["far"] and found.datasets["far"].rank == 3
    assert values["same"] < found.upper_floor and 1 <= found.floor < found.upper_floor
    for one in found.datasets.values():
        assert one.low <= one.value <= one.high
        ratios = [c.ratio for c in one.components.values()]
        assert one.value == pytest.approx(math.exp(np.mean(np.log(ratios))))
        assert all(c.ratio == pytest.approx(1 + max(0, c.distance - c.floor) / c.unit) for c in one.components.values())


def test_samples_of_one_source_share_a_rank_whatever_their_size():
    """Of 20 pairs of a small and a large sample of the real source, the 95 % rule may tell one or two apart."""
    told, ratios = 0, []
    for seed in range(20):
        real = table(100 * seed, 120)
        found, _ = ranked(
            real, {"small": table(100 * seed + 1, 40), "large": table(100 * seed + 2, 1000)}, n_bootstrap=120
        )
        told += len({q.rank for q in found.datasets.values()}) > 1
        ratios.append([found.datasets[n].value for n in ("small", "large")])
    assert told <= 4
    # The floor takes off what small samples show: neither size is the nearer one on average.
    small, large = np.log(ratios).mean(0)
    assert abs(small - large) < 0.15 and max(small, large) < 0.3


def test_floor_of_halves_is_unbiased():
    """What the unit promises for a sample of m beside n is what new samples of these sizes show."""
    shown, promised = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        a, b = rng.beta(2, 5, 80), rng.beta(2, 5, 240)
        parts = {"x": ComponentSample(b, np.arange(240))}
        found = quality({"x": ComponentSample(a, np.arange(80))}, {"b": parts}, {"x": Bins(0, 1)}, n_bootstrap=40)
        shown.append(found.datasets["b"].components["x"].distance)
        promised.append(found.datasets["b"].components["x"].floor)
    assert np.mean(shown) == pytest.approx(np.mean(promised), rel=0.15)


def features_of(seed: int, images: int, spread: float = 1.0) -> ComponentSample:
    """Three vectors (d = 6) for each image, which are alike."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 1, (images, 1, 6))
    values = (centres + rng.normal(0, 0.5, (images, 3, 6))).reshape(-1, 6) * spread
    order = rng.permutation(len(values))
    return ComponentSample(values[order], np.repeat(np.arange(images), 3)[order])


def kid(a: np.ndarray, b: np.ndarray) -> float:
    """The unbiased squared maximum mean discrepancy of the cubic kernel, pair by pair [Binkowski et al., 2018]."""

    def mean(x: np.ndarray, y: np.ndarray, *, same: bool) -> float:
        pairs = [(p @ q / len(p) + 1) ** 3 for i, p in enumerate(x) for k, q in enumerate(y) if not (same and i == k)]
        return float(np.mean(pairs))

    return mean(a, a, same=True) + mean(b, b, same=True) - 2 * mean(a, b, same=False)


def test_features_are_compared_by_their_kernel_distance():
    own, others = features_of(0, 60), {"near": features_of(1, 60), "far": features_of(2, 60, spread=2.5)}
    found = quality({"features": own}, {n: {"features": s} for n, s in others.items()}, {})
    for name, sample in others.items():
        part = found.datasets[name].components["features"]
        assert part.distance == pytest.approx(kid(own.values, sample.values), rel=1e-9)
        assert part.floor == 0 and part.ratio == pytest.approx(1 + max(0.0, part.distance) / part.unit)
    near, far = found.datasets["near"], found.datasets["far"]
    assert near.value < far.value and (near.rank, far.rank) == (1, 2)
    # The unit is what halves of the real set show at most in 95 % of splits.
    rng, halves = np.random.default_rng(5), []
    for _ in range(400):
        first = np.isin(own.images, rng.permutation(60)[:30])
        halves.append(kid_of_kernel(own.values, first))
    assert near.components["features"].unit == pytest.approx(np.quantile(halves, 0.95), rel=0.3)


def kid_of_kernel(values: np.ndarray, first: np.ndarray) -> float:
    """KID of the vectors of a mask and the others, from the kernel of all pairs."""
    kernel = (values @ values.T / values.shape[1] + 1) ** 3
    a, b = np.flatnonzero(first), np.flatnonzero(~first)
    within = [(kernel[np.ix_(k, k)].sum() - np.trace(kernel[np.ix_(k, k)])) / (len(k) * (len(k) - 1)) for k in (a, b)]
    return float(sum(within) - 2 * kernel[np.ix_(a, b)].mean())


def test_images_without_features_need_no_memory_for_pairs():
    """Features are those of a sample of boxes: of a large set, few images have any."""
    rng = np.random.default_rng(0)
    bins = {"x": Bins(0, 1)}
    real = {"x": ComponentSample(rng.random(60), np.arange(60)), "features": features_of(0, 60)}
    part, images = features_of(1, 40), 12_000
    many = {"x": ComponentSample(rng.random(images), np.arange(images))}
    many["features"] = ComponentSample(part.values, part.images * 290 + 7)
    tracemalloc.start()
    found = quality(real, {"many": many}, bins, n_bootstrap=8)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100 * 2**20  # all pairs of images take 1.1 GiB
    distance = found.datasets["many"].components["features"].distance
    assert distance == pytest.approx(kid(real["features"].values, part.values), rel=1e-9)


def test_copies_of_one_real_vector_are_far_though_each_is_near_a_real_one():
    own = features_of(0, 40)
    outermost = np.argmax((own.values**2).sum(1))
    copies = ComponentSample(np.repeat(own.values[[outermost]], 60, 0), np.arange(60) // 3)
    found = quality({"features": own}, {"copies": {"features": copies}, "all": {"features": features_of(1, 40)}}, {})
    assert found.datasets["copies"].rank == 2 and found.datasets["copies"].value > 2 * found.datasets["all"].value


def test_no_common_bin_is_far_but_finite():
    real, far = table(0, mean=0.2, spread=0.03), table(1, mean=0.9, spread=0.03)
    found, _ = ranked(real, {"far": far})
    distance = found.datasets["far"].components["sqrt_area"].distance
    assert distance == pytest.approx(math.log(math.sqrt(200 * 200)))


def test_degenerate_sets_get_a_statement():
    real = table(0)
    _, left_out = ranked(table(0, sqrt_area=np.full(200, 0.3)), {"b": table(1)})
    assert any("all real values are the same" in text for text in left_out)
    one, _ = ranked(real, {"one": table(1, n=1), "equal": table(2, sqrt_area=np.full(200, 0.3))})
    assert all(math.isfinite(q.value) for q in one.datasets.values())
    for few in (table(0, n=1), table(0, n=2)):
        with pytest.raises(DataError, match=r"no component|too few images"):
            ranked(few, {"b": table(1)})
    with pytest.raises(DataError, match="no component"):
        quality({}, {"b": {}}, {})


def test_a_million_boxes_take_seconds():
    found, _ = ranked(table(0, 1_000_000, per_image=10), {"b": table(1, 1_000_000, per_image=10)}, n_bootstrap=40)
    assert found.datasets["b"].low < found.upper_floor and found.datasets["b"].components["center_y"].distance < 1e-5


def test_range_of_several_samples():
    samples = [np.linspace(0, 1, 101), np.linspace(5, 6, 101), np.full(3, 2.0)]
    assert bin_range("depth", *samples) == pytest.approx((0.01, 5.99))


def run(*args, code=0):
    done = CliRunner().invoke(app, ["quality", *map(str, args)])
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 else done.stderr.replace("\n", " ")


def test_command_ranks_pictures_and_boxes(tmp_path):
    real = dataset(tmp_path / "real", 6, 30, 16)
    twin, other = dataset(tmp_path / "twin", 6, 30, 20), dataset(tmp_path / "other", 14, 50, 20)
    args = (real, twin, other, "-o", tmp_path, "--column", "sqrt_area", "--column", "center_y")
    scored = ("--map", f"{twin}=0.4", "--map", f"{other}=0.1")
    values = json.loads(run(*args, *scored, "--json"))
    near, far = (values["datasets"][str(path)] for path in (twin, other))
    assert near["value"] < values["upper_floor"] < far["value"] and (near["rank"], far["rank"]) == (1, 2)
    assert near["components"]["features"]["ratio"] + 0.05 < far["components"]["features"]["ratio"]
    assert values["correlation"]["rho"] == -1 and "say little" in values["correlation"]["remark"]
    assert Path(values["plot"]).read_bytes().startswith(b"\x89PNG")
    bare = json.loads(run(*args, "--no-features", "--json"))
    assert list(bare["datasets"][str(twin)]["components"]) == ["sqrt_area", "center_y"]
    table = tmp_path / "real.csv"
    CliRunner().invoke(app, ["measure", str(real), "-o", str(table), "--no-pixels"])
    assert "is a table" in run(table, twin, code=2)
    assert run(table, twin, "--no-features", "-o", tmp_path)
    assert "must be DATASET=MAP" in run(*args, "--map", "nothing=0.3", code=2)
    assert "Did you mean 'disc'" in run(*args, "--class", "disk", code=2)
    few = dataset(tmp_path / "few", 6, 30, 5)
    assert "features left out: 5 real boxes are too few" in run(few, twin, "-o", tmp_path)
