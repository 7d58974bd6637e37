# SPDX-License-Identifier: GPL-3.0-or-later
"""Placement beside others: fronts face the anchor, distances are as drawn, and nothing meets, by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from twinset.engine.errors import StageError
from twinset.engine.geometry.facing import front_direction
from twinset.engine.geometry.support import rotation_about
from twinset.engine.goals import Goals
from twinset.engine.plugin.params import build
from twinset.engine.scene.things import Mesh
from twinset.plugins.placements.beside import Beside
from twinset.testing import BruteStage, asset, box, join, legged, plane
from twinset.testing.fixtures.brute_force import triangles_meet

SEAT, BACK = 0.45, 0.9
CHAIR_MESH = join(legged(0.4, SEAT), box((0.4, 0.04, BACK - SEAT), (0.0, 0.18, (SEAT + BACK) / 2)))
"""A chair that looks along -y: its backrest is at the side of +y."""
CHAIR = asset("chair", "chair", CHAIR_MESH)
STOOL = asset("stool", "chair", legged(0.4, SEAT))
TABLE_SIZE = np.array([1.6, 0.8])
_LEGS = [box((0.05, 0.05, 0.7), (sx * 0.77, sy * 0.37, 0.35)) for sx in (-1, 1) for sy in (-1, 1)]
TABLE = asset("table", "table", join(box((*TABLE_SIZE, 0.04), (0.0, 0.0, 0.72)), *_LEGS))
YAW = 0.6


def table_matrix() -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_about((0, 0, 1), YAW)
    matrix[:3, 3] = 0.4, -0.3, 0.0005
    return matrix


def run(seed: int, assets=(CHAIR, TABLE), ground=None, **params) -> BruteStage:
    stage = BruteStage(ground or {"Ground": plane((8, 8))}, list(assets))
    stage.place(TABLE, table_matrix())
    values = {"anchors": ["table"], "surfaces": ["Ground"], "count": (3, 3), **params}
    Beside(**values).place(stage, Goals(), np.random.default_rng(seed))
    return stage


def world(instance) -> np.ndarray:
    return instance.asset.mesh.vertices @ instance.matrix[:3, :3].T + instance.matrix[:3, 3]


def in_table(points: np.ndarray) -> np.ndarray:
    """Points (N, 3) in the axes of the table."""
    matrix = table_matrix()
    return (points - matrix[:3, 3]) @ matrix[:3, :3]


def side_of(instance) -> tuple[np.ndarray, np.ndarray]:
    """The outward normal (2,) of the side of the table that a chair faces, and the front of the chair, in its axes."""
    front = in_table(instance.matrix[:3, :3] @ np.array([0.0, -1.0, 0.0]) + table_matrix()[:3, 3])[:2]
    normals = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
    return normals[np.argmax(-normals @ front)], front


@pytest.mark.parametrize("degrees", [0, 30, 90, 180, 225, 270])
def test_the_front_of_a_chair_is_opposite_of_its_backrest(degrees: float) -> None:
    turn = rotation_about((0, 0, 1), np.radians(degrees))
    front = front_direction(Mesh(CHAIR_MESH.vertices @ turn.T, CHAIR_MESH.triangles))
    assert front is not None
    assert front @ (turn @ (0, -1, 0))[:2] > np.cos(np.radians(8))  # the edge of the backrest moves the middle a little


@pytest.mark.parametrize("mesh", [STOOL.mesh, TABLE.mesh, box((0.5, 0.4, 1.8)), plane((1, 1))])
def test_things_without_a_tall_side_have_no_front(mesh: Mesh) -> None:
    assert front_direction(mesh) is None


def test_chairs_face_the_table_at_the_distance_that_was_drawn() -> None:
    distances = []
    for seed in range(15):
        stage = run(seed, distance=(-0.15, 0.25), yaw=(-10.0, 10.0))
        for chair in stage.instances[1:]:
            normal, front = side_of(chair)
            assert front @ -normal >= np.cos(np.radians(10)) - 1e-9
            nearest = (in_table(world(chair))[:, :2] @ normal).min()
            distances.append(nearest - TABLE_SIZE @ np.abs(normal) / 2)
    assert len(distances) > 35  # of 45
    assert -0.15 - 1e-9 <= min(distances) < -0.1 and 0.2 < max(distances) <= 0.25 + 1e-9


def test_chairs_stand_on_the_ground_and_meet_nothing() -> None:
    for seed in range(10):
        stage = run(seed, count=(4, 4), gap=0.0)
        triangles = [world(i)[i.asset.mesh.triangles] for i in stage.instances]
        assert not any(triangles_meet(a, b).any() for k, a in enumerate(triangles) for b in triangles[k + 1 :])
        assert all(0.0 <= world(i)[:, 2].min() < 0.002 for i in stage.instances[1:])


def test_long_sides_get_more_chairs() -> None:
    sides = [np.abs(side_of(run(seed, count=(1, 1)).instances[1])[0]).tolist() for seed in range(60)]
    assert 0.5 < np.mean([side == [0, 1] for side in sides]) < 0.85  # the long sides have two thirds of the edge


def test_chairs_of_a_table_match_unless_they_need_not() -> None:
    assets = (CHAIR, STOOL, TABLE)

    def kinds(**params: bool) -> list[int]:
        stages = [run(seed, assets, **params) for seed in range(12)]
        return [len({i.asset.name for i in stage.instances[1:]}) for stage in stages]

    assert max(kinds()) == 1
    assert max(kinds(matching=False)) == 2


def test_without_anchors_nothing_is_placed_and_where_there_is_no_floor_neither() -> None:
    stage = BruteStage({"Ground": plane((8, 8))}, [CHAIR, TABLE])
    Beside(anchors=["table"], surfaces=["Ground"]).place(stage, Goals(), np.random.default_rng(0))
    assert not stage.instances
    narrow = {"Ground": plane((0.5, 0.5), center=(0.4, -0.3, 0.0))}
    assert len(run(0, ground=narrow, distance=(0.2, 0.3)).instances) == 1


def test_mistakes_are_named() -> None:
    assert "'anchors' must name" in str(build(Beside, {"anchors": [], "surfaces": ["F"]}, "placement 'beside'")[1])
    with pytest.raises(StageError, match=r"names the anchor 'tabel'\. Did you mean 'table'"):
        run(0, anchors=["tabel"])
    with pytest.raises(StageError, match="only anchors to place"):
        run(0, assets=(TABLE,))
