# SPDX-License-Identifier: GPL-3.0-or-later
"""The mixture of box areas: recovers known ones, inverts, truncates, copes with few boxes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from twinset.alignment.mixtures.area_mixture import SCALES, AreaMixture, fit_areas
from twinset.engine.errors import DataError


def known(n=4000, seed=0):
    """Log-normal areas: 30 % around 0.1 %, 70 % around 8 % of the image."""
    rng = np.random.default_rng(seed)
    small = rng.random(n) < 0.3
    return np.exp(np.where(small, rng.normal(np.log(0.001), 0.4, n), rng.normal(np.log(0.08), 0.5, n)))


@pytest.mark.parametrize("criterion", ["silhouette", "bic"])
def test_recovers_a_known_mixture(criterion):
    fitted = fit_areas(np.minimum(known(), 1), criterion=criterion, max_components=3)
    assert fitted.n_components_ == 2
    assert fitted.weights_ == pytest.approx([0.3, 0.7], abs=0.03)
    assert np.exp(fitted.means_) == pytest.approx([0.001, 0.08], rel=0.06)
    assert np.sqrt(fitted.covariances_) == pytest.approx([0.4, 0.5], rel=0.06)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("interval", [(0.0, 1.0), (0.002, 0.1)])
def test_cdf_undoes_ppf(scale, interval):
    fitted = fit_areas(np.minimum(known(60), 1), scale=scale).truncated(*interval)

    @settings(max_examples=examples(40))
    @given(st.floats(0, 1))
    def check(u):
        area = fitted.ppf(np.array(u))
        assert max(interval[0], 1e-12) <= area <= interval[1]
        # At the ends of [0, 1] areas stop at a smallest number, so tiny quantiles share one area.
        assert fitted.cdf(area) == pytest.approx(u, abs=1e-6)

    check()


@pytest.mark.parametrize("scale", SCALES)
def test_ppf_rises_and_stays_in_the_image(scale):
    areas = np.array([0.2, 0.35, 0.6, 0.8, 0.95, 1.0, 1.0, 1.0, 1.0])
    drawn = fit_areas(areas, scale=scale).ppf(np.linspace(0, 1, 1001))
    assert (drawn > 0).all() and (drawn <= 1).all()
    assert (np.diff(drawn) >= 0).all()


def test_cdf_equals_a_sampled_truth():
    fitted = AreaMixture(np.array([0.4, 0.6]), np.log([0.01, 0.7]), np.array([0.5, 0.3]) ** 2).truncated(0.005, 0.9)
    rng = np.random.default_rng(0)
    parts = []
    for weight, mean, std in ((0.4, np.log(0.01), 0.5), (0.6, np.log(0.7), 0.3)):
        # Each component keeps its weight although a part of it lies beyond the image.
        draws = np.exp(rng.normal(mean, std, 600_000))
        parts.append(draws[draws <= 1][: int(400_000 * weight)])
    drawn = np.concatenate(parts)
    drawn = drawn[(drawn >= 0.005) & (drawn <= 0.9)]
    for a in (0.006, 0.01, 0.05, 0.4, 0.7, 0.85):
        assert fitted.cdf(np.array(a)) == pytest.approx((drawn <= a).mean(), abs=0.004)


def test_component_is_the_likelier_one():
    fitted = fit_areas(known(500), components=2)
    assert fitted.predict(np.array([0.0005, 0.001, 0.05, 0.2])).tolist() == [0, 0, 1, 1]


def test_same_input_same_fit():
    a, b = (fit_areas(known(45), random_state=7) for _ in range(2))
    assert a.ppf(np.array(0.37)) == b.ppf(np.array(0.37))
    assert a.report() == b.report()


def test_more_components_where_the_proposal_is_too_coarse():
    # Two far clusters win the silhouette, yet the upper one is itself two-humped.
    rng = np.random.default_rng(3)
    areas = np.concatenate([rng.normal(0.04, 0.002, 20), rng.normal(0.36, 0.01, 20), rng.normal(0.72, 0.01, 20)])
    fitted = fit_areas(areas)
    assert fitted.n_components_ >= 3
    assert fitted.distance(areas) < fit_areas(areas, components=2).distance(areas)


@pytest.mark.parametrize("areas", [[0.3], [0.3, 0.3], [0.3] * 30, [0.01, 0.5], [1.0], [1.0] * 9 + [0.5]])
def test_few_or_equal_boxes(areas):
    fitted = fit_areas(np.array(areas))
    drawn = fitted.ppf(np.linspace(0, 1, 101))
    assert np.isfinite(drawn).all() and (drawn > 0).all() and (drawn <= 1).all()
    assert min(areas) / 3 < np.median(drawn) < max(areas) * 3


def test_asks_no_more_components_than_boxes_bear():
    assert fit_areas(np.array([0.1, 0.2, 0.3, 0.4, 0.5]), components=6).n_components_ == 1


@pytest.mark.parametrize("areas", [[], [0.0, 0.2], [0.2, 1.2], [float("nan")]])
def test_refuses_areas_outside_the_image(areas):
    with pytest.raises(DataError):
        fit_areas(np.array(areas))


@pytest.mark.parametrize("option", [{"scale": "cubic"}, {"criterion": "guess"}])
def test_refuses_unknown_options(option):
    with pytest.raises(DataError, match="is not a"):
        fit_areas(np.array([0.1, 0.2]), **option)


@pytest.mark.parametrize("interval", [(0.5, 0.5), (0.6, 0.4), (-0.1, 0.5), (0.5, 1.5)])
def test_refuses_intervals_that_are_none(interval):
    with pytest.raises(DataError, match="interval"):
        fit_areas(np.array([0.1, 0.2])).truncated(*interval)
