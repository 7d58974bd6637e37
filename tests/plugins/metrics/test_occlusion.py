# SPDX-License-Identifier: GPL-3.0-or-later
"""Occlusion a·d² on discs whose projection is known, and its estimate of the visible share."""

from __future__ import annotations

import itertools
import math

import attrs
import numpy as np
import pytest
from twinset.engine.scene.intrinsics import Intrinsics
from twinset.plugins.metrics.occlusion import Occlusion, share_constants, share_correlation
from twinset.testing.fixtures.shots import disc, make_shot, whole

SHAPE = (240, 320)
RADIUS = 0.5


def disc_shot(distance, *, lens=36.0, hide_left=0.0, center=(160.0, 120.0)):
    """A disc of 0.5 m radius that faces the camera; its left part may be behind something nearer."""
    focal = lens / 36.0 * SHAPE[1]
    mask = disc(SHAPE, center, focal * RADIUS / distance)
    ids = mask.astype(int)
    depth = np.where(mask, distance, np.inf).astype(np.float32)
    columns = np.flatnonzero(mask.any(0))
    edge = columns[0] + round(hide_left * len(columns))
    ids[:, :edge] = 0
    depth[:, :edge] = 0.3
    canvas = disc((SHAPE[0] * 3, SHAPE[1] * 3), (center[0] + SHAPE[1], center[1] + SHAPE[0]), focal * RADIUS / distance)
    return make_shot(ids, n=1, depth=depth, lens=lens, amodal={1: whole(mask, int(canvas.sum()))})


def row(*args, **kwargs):
    return {k: float(v[0]) for k, v in Occlusion().measure(disc_shot(*args, **kwargs)).bbox.items()}


@pytest.mark.parametrize("distance", [1.6, 2.0, 3.0, 5.0])
@pytest.mark.parametrize("lens", [36.0, 24.0])
def test_a_d2_m2_of_a_whole_disc_is_its_area_at_any_distance_and_lens(distance, lens):
    found = row(distance, lens=lens)
    assert found["a_d2_m2"] == pytest.approx(math.pi * RADIUS**2, rel=0.02)
    assert found["a_d2"] == pytest.approx(found["a"] * distance**2, rel=1e-6)
    assert found["d"] == pytest.approx(distance)
    assert (found["visible_share"], found["occluded_share"]) == (1.0, 0.0)


@pytest.mark.parametrize(
    "optics",
    [
        Intrinsics(320, 240, (200.0, 160.0), (150.0, 130.0)),
        Intrinsics(320, 240, (150.0, 170.0), (170.0, 110.0), "brown_conrady", (-0.12, 0.01)),
        Intrinsics(320, 240, (110.0, 110.0), (160.0, 120.0), "fisheye", (0.0, 0.0, 0.0, 0.0)),
    ],
)
@pytest.mark.parametrize("center", [(0.0, 0.0), (0.9, 0.4)])
def test_a_d2_m2_of_a_disc_is_its_area_through_any_lens_and_wherever_it_is(optics, center):
    distance = 2.0
    x, y = np.meshgrid(np.arange(320) + 0.5, np.arange(240) + 0.5)
    at = optics.slopes(np.stack([x, y], -1)) * distance
    mask = np.hypot(at[..., 0] - center[0], at[..., 1] - center[1]) <= RADIUS
    assert mask.any() and not mask[0].any() and not mask[:, -1].any()
    shot = make_shot(mask.astype(int), n=1, depth=np.where(mask, distance, np.inf).astype(np.float32))
    shot = attrs.evolve(shot, camera=shot.camera.with_intrinsics(optics))
    found = Occlusion().measure(shot).bbox
    assert found["a_d2_m2"][0] == pytest.approx(math.pi * RADIUS**2, rel=0.02)


def test_a_d2_of_the_method_depends_on_the_lens():
    assert row(3.0, lens=72.0)["a_d2"] == pytest.approx(4 * row(3.0, lens=36.0)["a_d2"], rel=0.02)


def test_the_more_is_hidden_the_lower():
    found = [row(2.0, hide_left=share) for share in (0.0, 0.2, 0.5, 0.8)]
    for name in ("a_d2", "a_d2_m2", "visible_share"):
        assert all(a[name] > b[name] for a, b in itertools.pairwise(found))
    assert found[2]["visible_share"] == pytest.approx(0.5, abs=0.01)
    assert found[2]["occluded_share"] == pytest.approx(0.5, abs=0.01)
    assert all(f["d"] == pytest.approx(2.0) for f in found)


def test_truncated_is_less_visible_but_not_occluded():
    found = row(2.0, center=(320.0, 120.0))
    assert found["visible_share"] == pytest.approx(0.5, abs=0.01)
    assert found["occluded_share"] == 0.0


def test_unseen_instance_has_no_values():
    found = Occlusion().measure(make_shot(np.zeros((9, 9)), n=1, amodal={})).bbox
    assert all(np.isnan(values).all() for values in found.values())


def test_visible_instance_without_amodal_mask_still_has_a_d2():
    ids = np.ones((3, 3))
    found = Occlusion().measure(make_shot(ids, n=1, amodal={})).bbox
    assert found["a"][0] == 9
    assert np.isnan(found["visible_share"][0])


def cluttered(n=200, seed=0, known=True):
    """Rows of discs, half of them partly hidden, of two shapes of different area, at random distances."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        hide = 0.0 if rng.random() < 0.5 else rng.uniform(0.05, 0.9)
        one = row(rng.uniform(1.7, 4.0), hide_left=hide)
        factor = 2.0 if i % 2 else 1.0
        one.update(shape=f"shape{i % 2}", a_d2_m2=one["a_d2_m2"] * factor, a_d2=one["a_d2"] * factor)
        if not known:
            one["truth"] = one.pop("visible_share")
        rows.append(one)
    return rows


def test_constant_of_a_shape_is_its_unoccluded_area():
    constants = share_constants(cluttered(60))
    assert constants["shape0"] == pytest.approx(math.pi * RADIUS**2, rel=0.02)
    assert constants["shape1"] == pytest.approx(2 * math.pi * RADIUS**2, rel=0.02)


def test_estimate_follows_the_true_share():
    rows = cluttered(80)
    for name, values in Occlusion().dataset_columns(rows).items():
        for one, value in zip(rows, values, strict=True):
            one[name] = value
    assert all(0 < one["visible_share_estimate"] <= 1 for one in rows)
    for shape, found in share_correlation(rows).items():
        pairs = [(o["visible_share_estimate"], o["visible_share"]) for o in rows if o["shape"] == shape]
        assert found["n"] == len(pairs) == 40
        assert found["r"] == pytest.approx(np.corrcoef(np.array(pairs).T)[0, 1])
        assert found["r"] > 0.99


def test_constant_without_known_shares_is_still_near():
    """As for real images: half of the instances are hidden and nobody says which."""
    rows = cluttered(80, known=False)
    assert share_constants(rows)["shape0"] == pytest.approx(math.pi * RADIUS**2, rel=0.03)
    estimate = Occlusion().dataset_columns(rows)["visible_share_estimate"]
    truth = [one["truth"] for one in rows]
    assert np.abs(np.array(estimate) - truth).mean() < 0.03


def test_one_outlier_does_not_move_the_constant():
    rows = cluttered(80)
    before = share_constants(rows)["shape0"]
    rows.append({"shape": "shape0", "a_d2_m2": 500.0, "visible_share": 1.0})
    assert share_constants(rows)["shape0"] == pytest.approx(before, rel=0.02)


def test_scaled_instances_share_the_constant_of_their_shape():
    rows = [{"shape": "s", "a_d2_m2": 0.8 * k**2, "visible_share": 1.0, "scale": k} for k in (0.5, 1, 1, 1.5, 2)]
    rows.append({"shape": "s", "a_d2_m2": 0.5 * 0.8 * 4, "visible_share": 0.5, "scale": 2.0})
    found = Occlusion().dataset_columns(rows)
    np.testing.assert_allclose(found["visible_share_estimate"], [1, 1, 1, 1, 1, 0.5])
    np.testing.assert_allclose(found["c_m2"], [0.8 * r["scale"] ** 2 for r in rows])


def test_scale_is_that_of_the_instance():
    assert Occlusion().measure(make_shot(np.ones((2, 2)), n=1, scale=1.25)).bbox["scale"][0] == pytest.approx(1.25)


def test_too_few_samples_give_no_estimate():
    rows = [{"shape": "s", "a_d2_m2": 1.0, "visible_share": 1.0}] * 4
    assert np.isnan(Occlusion().dataset_columns(rows)["visible_share_estimate"]).all()
    assert not np.isnan(Occlusion(min_samples=4).dataset_columns(rows)["visible_share_estimate"]).any()
    assert Occlusion().dataset_columns([]) == {"c_m2": [], "visible_share_estimate": []}


def test_rows_with_gaps_are_left_out_of_the_correlation():
    rows = [
        {"shape": "s", "visible_share": v, "visible_share_estimate": e}
        for v, e in [(1.0, 0.9), (0.5, 0.5), (0.2, 0.3), (None, 0.5), (math.nan, 0.1)]
    ]
    rows.append({"shape": None, "visible_share": 0.1, "visible_share_estimate": 0.1})
    rows += [{"shape": "t", "visible_share": 0.7, "visible_share_estimate": 0.1 * i} for i in range(4)]
    found = share_correlation(rows)
    assert found["s"]["n"] == 3
    assert found["s"]["r"] == pytest.approx(np.corrcoef([0.9, 0.5, 0.3], [1.0, 0.5, 0.2])[0, 1])
    assert math.isnan(found["t"]["r"])
