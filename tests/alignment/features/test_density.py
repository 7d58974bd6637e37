# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores of features against brute force and against what shares of real samples must be."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from twinset.alignment.features.density import (
    METHODS,
    fit_density,
    leave_group_out_distances,
    load_density,
)
from twinset.engine.errors import DataError


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def cloud(rng: np.random.Generator, n: int, d: int = 12) -> np.ndarray:
    """Samples of a few shared causes with very different units, as features have."""
    return (rng.normal(size=(n, 4)) @ np.random.default_rng(0).normal(size=(4, d)) + 7) * np.logspace(-3, 3, d)


def test_distance_is_that_of_brute_force(rng: np.random.Generator) -> None:
    real, new = cloud(rng, 40), cloud(rng, 9)
    standard = (real - real.mean(0)) / real.std(0)
    other = (new - real.mean(0)) / real.std(0)
    # All axes kept: a turn changes no distance.
    density = fit_density(real, variance=1.0)
    between = np.sqrt(((other[:, None] - standard[None]) ** 2).sum(2))
    np.testing.assert_allclose(density.distance(new), np.sort(between, 1)[:, :5].mean(1), rtol=1e-6)
    gauss = fit_density(real, variance=1.0, method="kde")
    c, h = gauss.points.shape[1], gauss.bandwidth
    density_at = np.exp(-(between**2) / (2 * h**2)).mean(1) / (2 * np.pi * h**2) ** (c / 2)
    np.testing.assert_allclose(gauss.distance(new), -np.log(density_at), rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_new_real_samples_pass_at_the_nominal_rate(rng: np.random.Generator, method: str) -> None:
    rounds, n, m, q = 25, 30, 20, 0.2
    scores = [fit_density(cloud(rng, n), method=method).score_samples(cloud(rng, m)) for _ in range(rounds)]
    # Luck of the reference sets (a Beta distribution each), and that of the new samples.
    spread = np.sqrt(q * (1 - q) * (1 / (n + 1) / rounds + 1 / (rounds * m)))
    assert abs((np.concatenate(scores) >= q).mean() - (1 - q)) < 4 * spread


def test_what_is_off_scores_nothing(rng: np.random.Generator) -> None:
    real = cloud(rng, 60)
    density = fit_density(real)
    assert density.score_samples(real.mean(0, keepdims=True) + 30 * real.std(0)).tolist() == [0.0]
    assert density.score_samples(real.mean(0, keepdims=True)) > 0.5
    assert ((density.score_samples(cloud(rng, 50)) >= 0) & (density.score_samples(cloud(rng, 50)) <= 1)).all()
    assert density.score_samples(np.empty((0, 12))).shape == (0,)


def test_units_of_features_do_not_matter(rng: np.random.Generator) -> None:
    real, new = cloud(rng, 30), cloud(rng, 10)
    factor = np.logspace(2, -2, 12)
    np.testing.assert_allclose(
        fit_density(real).score_samples(new), fit_density(real * factor + 3).score_samples(new * factor + 3)
    )


def test_crops_of_one_photo_do_not_vouch_for_each_other(rng: np.random.Generator) -> None:
    photos = np.repeat(np.arange(10), 6)
    real = cloud(rng, 10)[photos] * (1 + 1e-3 * rng.normal(size=(60, 12)))
    alone, grouped = fit_density(real), fit_density(real, photos)
    assert np.median(grouped.calibration) > 10 * np.median(alone.calibration)
    # Another crop of a known photo is typical; one of a new photo must not look wrong.
    assert (fit_density(real, photos).score_samples(cloud(rng, 40)) > 0).mean() > 0.5
    assert (alone.score_samples(cloud(rng, 40)) > 0).mean() < 0.2
    assert len(fit_density(real, np.zeros(60)).calibration) == 60


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("photos", [[0] * 9 + [1], [0] * 11 + [1, 2], list(range(10)), [0] * 10])
def test_photos_that_hold_nearly_all_boxes_leave_a_scale(
    rng: np.random.Generator, method: str, photos: list[int]
) -> None:
    real = cloud(rng, len(photos))
    found = leave_group_out_distances(real, photos, method=method)
    assert np.isfinite(found).all()
    # Without the only other photo, a box is judged by all others, its own photo's included.
    if photos.count(0) == len(photos) - 1:
        assert found == pytest.approx(leave_group_out_distances(real, method=method))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("method", METHODS)
def test_copies_of_one_box_beside_another_photo(method: str) -> None:
    real = np.repeat([[1.0, 2.0, 3.0], [1.0, 2.0, 7.0]], [3, 9], axis=0)
    found = leave_group_out_distances(real, np.repeat([0, 1], [3, 9]), method=method)
    assert np.isfinite(found).all()
    if method == "knn":
        np.testing.assert_allclose(found, 4.0)  # no spread, so in the unit of the features


def test_saved_and_read_again_it_is_the_same(rng: np.random.Generator, tmp_path: Path) -> None:
    for method in METHODS:
        density = fit_density(cloud(rng, 25), method=method, origin={"model": "ab" * 32, "class": "chair"})
        path = tmp_path / "chairs.features"
        path.write_bytes(density.to_bytes())
        again = load_density(path)
        new = cloud(rng, 10)
        assert np.array_equal(again.score_samples(new), density.score_samples(new))
        assert again.origin == density.origin
        assert again.to_bytes() == density.to_bytes()
        again.check_model("ab" * 32, "m.onnx")
        with pytest.raises(DataError, match="another model"):
            again.check_model("cd" * 32, "m.onnx")


def test_damaged_files_are_refused(rng: np.random.Generator, tmp_path: Path) -> None:
    whole = fit_density(cloud(rng, 25)).to_bytes()
    path = tmp_path / "x.features"
    with pytest.raises(DataError, match="does not exist"):
        load_density(path)
    pickled, later, torn = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.savez(pickled, head=np.array([{"format": 1}], dtype=object))
    arrays = dict(np.load(io.BytesIO(whole)))
    head = json.loads(str(arrays["head"]))
    np.savez(later, **(arrays | {"head": np.array(json.dumps(head | {"format": 2}))}))
    np.savez(torn, **(arrays | {"points": arrays["points"][:, :-1]}))
    cases = [(b"", "damaged"), (whole[:500], "damaged"), (b"PK\x03\x04 no", "damaged"), (pickled.getvalue(), "damaged")]
    for data, sentence in [*cases, (later.getvalue(), "format 2"), (torn.getvalue(), "do not fit together")]:
        path.write_bytes(data)
        with pytest.raises(DataError, match=sentence):
            load_density(path)


@pytest.mark.parametrize("n", [0, 1, 5, 9])
def test_too_few_samples_are_refused(rng: np.random.Generator, n: int) -> None:
    with pytest.raises(DataError, match=rf"^{n} real samples? (is|are) too few .* at least 10 are needed"):
        fit_density(cloud(rng, n))


def test_few_samples_say_what_they_cannot_tell(rng: np.random.Generator) -> None:
    (note,) = fit_density(cloud(rng, 20)).notes()
    assert "20 real samples give scores in steps of 5.0%" in note
    low, high = stats.beta.ppf([0.025, 0.975], 2, 19)
    assert f"from {low:.0%} to {high:.0%}" in note
    assert fit_density(cloud(rng, 50)).notes() == []


def test_features_that_say_nothing_are_refused(rng: np.random.Generator) -> None:
    with pytest.raises(DataError, match="All 20 real samples have the same features"):
        fit_density(np.ones((20, 3)))
    with pytest.raises(DataError, match="finite"):
        fit_density(np.full((20, 3), np.nan))
    with pytest.raises(DataError, match=r"an \(n, 12\) array"):
        fit_density(cloud(rng, 20)).score_samples(np.ones((2, 3)))
    one_constant = cloud(rng, 20)
    one_constant[:, 3] = 0.1
    assert np.isfinite(fit_density(one_constant).distance(one_constant)).all()


def test_grades_are_scores_without_steps(rng: np.random.Generator) -> None:
    real = rng.normal(size=(60, 4))
    density = fit_density(real)
    new = rng.normal(size=(500, 4)) * 2
    grades, scores, distances = density.extended_score(new), density.score_samples(new), density.distance(new)
    order = np.argsort(distances)
    assert (np.diff(grades[order]) <= 0).all()
    assert np.abs(grades - scores)[scores > 0].max() <= 2 / 61
    beyond = distances > density.calibration[-1]
    assert beyond.any() and (grades[beyond] < 1 / 61).all() and (np.diff(np.sort(grades[beyond])) > 0).all()
    # At a calibration distance, the chance that a new one lies farther out is i / (n + 1) exactly.
    passed = [fit_density(rng.normal(size=(30, 2))).extended_score(rng.normal(size=(200, 2))) >= 0.2 for _ in range(40)]
    assert np.mean(passed) == pytest.approx(0.8, abs=0.04)


def test_spacing_is_the_median_distance_to_the_nearest_other(rng: np.random.Generator) -> None:
    density = fit_density(rng.normal(size=(25, 3)))
    away = np.linalg.norm(density.points[:, None] - density.points[None], axis=2)
    np.fill_diagonal(away, np.inf)
    assert density.spacing() == pytest.approx(np.median(away.min(1)))
