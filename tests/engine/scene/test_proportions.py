# SPDX-License-Identifier: GPL-3.0-or-later
"""Other proportions of a mesh, against furniture of boxes whose sizes are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from twinset.engine.scene.proportions import proportions
from twinset.engine.stage import Mesh
from twinset.testing import box, join

WIDTH, DEPTH, HEIGHT, LEG, SEAT = 0.5, 0.44, 0.9, 0.06, 0.05


def joined(parts: list[tuple[tuple[float, float, float], tuple[float, float, float]]]) -> Mesh:
    """Boxes by their lowest corners and sizes, as one mesh."""
    return join(*(box(size, np.array(low) + np.array(size) / 2) for low, size in parts))


def chair() -> Mesh:
    """Four legs, a seat on them, two posts behind and a slat between the posts."""
    right, behind = WIDTH - LEG, DEPTH - LEG
    legs = [((x, y, 0.0), (LEG, LEG, 0.45)) for x in (0.0, right) for y in (0.0, behind)]
    posts = [((x, behind, 0.45 + SEAT), (LEG, LEG, HEIGHT - 0.45 - SEAT)) for x in (0.0, right)]
    slat = ((LEG, behind, 0.75), (right - LEG, LEG, 0.08))
    return joined([*legs, ((0.0, 0.0, 0.45), (WIDTH, DEPTH, SEAT)), *posts, slat])


def sizes(mesh: Mesh, vertices: np.ndarray) -> np.ndarray:
    """Sizes (parts, 3) of the boxes after a change."""
    return np.ptp(vertices.reshape(-1, 8, 3), axis=1)


@pytest.mark.parametrize("factor", [0.4, 0.7, 1.5])
def test_thin_parts_become_thinner_or_thicker_and_the_whole_keeps_its_size(factor: float) -> None:
    mesh = chair()
    moved = proportions(mesh, (factor, factor, 1.0), (1.0, 1.0, 1.0))(mesh.vertices)
    made = sizes(mesh, moved)
    assert np.allclose(made[:4], (factor * LEG, factor * LEG, 0.45))
    assert np.allclose(made[4], (WIDTH, DEPTH, SEAT)) and np.allclose(made[5:7, :2], factor * LEG)
    assert np.allclose(moved.min(0), mesh.vertices.min(0)) and np.allclose(moved.max(0), mesh.vertices.max(0))
    # The slat still ends where the posts begin.
    slat, left = moved.reshape(-1, 8, 3)[7], moved.reshape(-1, 8, 3)[5]
    assert np.isclose(slat[:, 0].min(), left[:, 0].max())


def test_seats_and_slats_are_thin_upwards() -> None:
    mesh = chair()
    made = sizes(mesh, proportions(mesh, (1.0, 1.0, 0.5), (1.0, 1.0, 1.0))(mesh.vertices))
    assert np.isclose(made[4, 2], 0.5 * SEAT) and np.isclose(made[7, 2], 0.5 * 0.08)
    assert np.allclose(made[:, :2], sizes(mesh, mesh.vertices)[:, :2])


def test_what_has_no_thin_parts_is_only_stretched() -> None:
    mesh = box((0.5, 0.4, 0.3))
    changed = proportions(mesh, (0.5, 0.5, 0.5), (1.2, 0.9, 1.1))
    assert np.allclose(np.ptp(changed(mesh.vertices), axis=0), (0.6, 0.36, 0.33))
    # Inside, too, it is a plain scale about the lowest corner.
    points = np.random.default_rng(0).uniform(mesh.vertices.min(0), mesh.vertices.max(0), (50, 3))
    low = mesh.vertices.min(0)
    assert np.allclose(changed(points), low + (points - low) * (1.2, 0.9, 1.1))


def test_points_outside_move_with_the_end_of_the_mesh() -> None:
    mesh = box((0.5, 0.4, 0.3))
    high = mesh.vertices.max(0)
    moved = proportions(mesh, (1.0, 1.0, 1.0), (2.0, 1.0, 1.0))((high + 0.25)[None])
    # The first axis is twice as long.
    assert np.allclose(moved, high + 0.25 + np.array([0.5, 0.0, 0.0]))


factors = st.tuples(*[st.floats(0.1, 3.0)] * 3)


@settings(max_examples=examples(60), deadline=None)
@given(factors, factors, st.integers(0, 10_000))
def test_the_order_of_points_stays_along_each_axis(
    thickness: tuple[float, ...], stretch: tuple[float, ...], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    parts = [(tuple(rng.uniform(0, 1, 3)), tuple(rng.uniform(0.02, 0.6, 3))) for _ in range(int(rng.integers(1, 8)))]
    mesh = joined(parts)
    changed = proportions(mesh, thickness, stretch)
    points = np.sort(rng.uniform(-0.2, 1.8, (80, 3)), axis=0)
    moved = changed(points)
    assert (np.diff(moved, axis=0) >= 0).all()
    size = np.ptp(mesh.vertices, axis=0)
    assert np.allclose(np.ptp(changed(mesh.vertices), axis=0), size * stretch)
