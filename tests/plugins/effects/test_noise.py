# SPDX-License-Identifier: GPL-3.0-or-later
"""Noise against its statistics: variance by brightness, grain, blotches, ISO, drafts."""

from __future__ import annotations

import math

import attrs
import cv2
import numpy as np
import pytest
import scipy.ndimage
from effect_pictures import flat, linear_of, raw, shot_of
from twinset.engine.rng import stream
from twinset.plugins.effects.noise import Noise, noise_left


@pytest.mark.parametrize("grain", [0.0, 0.8])
@pytest.mark.parametrize("color", [0.0, 0.4, 1.0])
def test_noise_has_the_variance_that_it_is_given(grain: float, color: float) -> None:
    shot, read, variances, levels = 4e-4, 6e-3, [], (0.2, 0.4, 0.6, 0.8)
    for level in levels:
        out = raw(Noise(color=color), flat(level, (300, 300)), shot=shot, read=read, grain=grain, blotches=0.0)
        variances.append(float(linear_of(out).var()))
        assert float(linear_of(out).mean()) == pytest.approx(float(linear_of(level)), abs=2e-3)
    want = shot * linear_of(np.array(levels)) + read**2
    assert (np.diff(variances) > 0).all()
    # 270,000 values, of which grain leaves a ninth independent: standard error of a variance below 1 %.
    np.testing.assert_allclose(variances, want, rtol=0.05)


def test_grain_makes_neighbours_alike_and_grey_noise_has_no_colour() -> None:
    def neighbours(grain: float) -> float:
        noise = raw(Noise(), flat(0.5, (200, 200)), shot=0.0, read=0.02, grain=grain, blotches=0.0) - 0.5
        return float(np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1])

    assert abs(neighbours(0.0)) < 0.02
    # Noise blurred by sigma has the autocorrelation exp(-d² / (4 sigma²)).
    assert neighbours(1.0) == pytest.approx(math.exp(-1 / 4), abs=0.03)
    grey = raw(Noise(color=0.0), flat(0.5), shot=0.0, read=0.02, grain=0.0, blotches=0.0)
    assert np.ptp(grey, axis=-1).max() < 1e-6 and grey.std() > 0.01


def test_blotches_are_smooth_colour_of_the_given_size() -> None:
    out = raw(Noise(blotch_size=6.0), flat(0.5, (240, 320)), shot=0.0, read=0.0, grain=0.0, blotches=0.03) - 0.5
    assert out.std() == pytest.approx(0.03, rel=0.02)
    assert np.abs(out.sum(-1)).max() < 1e-3  # colour alone
    near = np.corrcoef(out[:, 1:].ravel(), out[:, :-1].ravel())[0, 1]
    far = np.corrcoef(out[:, 40:].ravel(), out[:, :-40].ravel())[0, 1]
    assert near > 0.97 and abs(far) < 0.25


def test_iso_is_what_its_documentation_says(scenery: np.ndarray) -> None:
    shot = shot_of(scenery)
    drawn = Noise(iso=(800.0, 800.0)).draw(shot, stream(1), stream)
    assert drawn["shot"] == pytest.approx(800 / 2_000_000) and drawn["read"] == pytest.approx(800 / 500_000)
    isos = [Noise(iso=(100.0, 6400.0)).draw(shot, stream(k), stream)["iso"] for k in range(300)]
    assert min(isos) < 130 and max(isos) > 5000
    assert 600 < np.median(isos) < 1100  # log-uniform: 800


def test_a_draft_has_what_is_left_of_the_noise_when_the_frame_is_shrunk() -> None:
    plugin, values = Noise(), {"shot": 4e-4, "read": 6e-3, "grain": 0.0, "blotches": 0.0}
    full, half = flat(0.5, (400, 400)), flat(0.5, (200, 200))
    shrunk = cv2.resize(raw(plugin, full, **values), (200, 200), interpolation=cv2.INTER_AREA)
    draft = attrs.evolve(shot_of(half), camera=shot_of(full).camera)
    assert draft.scale == 0.5
    drafted = plugin.apply(half, draft, stream(8), values)
    assert float(drafted.std()) == pytest.approx(float(shrunk.std()), rel=0.03)


@pytest.mark.parametrize("grain", [0.0, 0.4, 0.7, 1.5, 4.0])
@pytest.mark.parametrize("factor", [2, 3, 5])
def test_what_is_left_of_grain_is_what_averaging_leaves(grain: float, factor: int) -> None:
    """Noise by the definition of grain, averaged over whole blocks."""
    noise = np.random.default_rng(2).standard_normal((900, 900))
    if grain:
        noise = scipy.ndimage.gaussian_filter(noise, grain, mode="wrap")
    blocks = noise.reshape(900 // factor, factor, 900 // factor, factor).mean((1, 3))
    assert noise_left(1.0 / factor, grain) == pytest.approx(blocks.std() / noise.std(), rel=0.06)


def test_nothing_is_left_out_when_nothing_is_shrunk_and_white_noise_shrinks_by_the_side() -> None:
    assert noise_left(1.0, 0.7) == noise_left(2.0, 0.0) == 1.0
    for scale in (0.9, 0.5, 0.31, 0.1):
        assert noise_left(scale, 0.0) == pytest.approx(scale, rel=2e-3)
