# SPDX-License-Identifier: GPL-3.0-or-later
"""Convex pieces contain the mesh that they stand for, and little else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import ConvexHull
from twinset.engine.physics.convex_pieces import convex_pieces, hull_vertices
from twinset.testing import box, join, legged


def volume(pieces: list[np.ndarray]) -> float:
    return sum(ConvexHull(p).volume for p in pieces if len(p) > 3)


def holds(pieces: list[np.ndarray], points: np.ndarray) -> np.ndarray:
    inside = np.zeros(len(points), bool)
    for piece in pieces:
        planes = ConvexHull(piece).equations
        inside |= (points @ planes[:, :3].T + planes[:, 3] <= 1e-9).all(1)
    return inside


def test_a_convex_mesh_is_one_piece():
    pieces = convex_pieces(box((0.3, 0.2, 0.1)))
    assert len(pieces) == 1
    assert volume(pieces) == pytest.approx(0.3 * 0.2 * 0.1)


def test_pieces_of_a_stool_leave_the_room_between_its_legs_free():
    stool = legged(0.4, 0.45)
    pieces = convex_pieces(stool)
    solid = 0.4 * 0.4 * 0.04 + 4 * 0.04 * 0.04 * 0.41
    assert volume([hull_vertices(stool.vertices)[0]]) == pytest.approx(0.4 * 0.4 * 0.45)
    assert volume(pieces) == pytest.approx(solid, rel=0.04)
    rng = np.random.default_rng(0)
    corners = stool.vertices[stool.triangles]
    weights = rng.dirichlet(np.ones(3), (20, len(corners)))
    assert holds(pieces, (weights[..., None] * corners).sum(2).reshape(-1, 3)).all()


def test_the_number_of_pieces_is_limited():
    comb = join(*(box((0.01, 0.1, 0.1), (0.03 * k, 0.0, 0.0)) for k in range(30)))
    assert len(convex_pieces(comb, 5)) == 5
    assert holds(convex_pieces(comb, 5), comb.vertices).all()


def test_flat_things_have_pieces_too():
    flat = box((0.3, 0.2, 0.0))
    assert len(convex_pieces(flat)) == 1
    assert hull_vertices(flat.vertices)[1] == 0.0
