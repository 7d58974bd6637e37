# SPDX-License-Identifier: GPL-3.0-or-later
"""What the placement "physics" asks of a stage, on a stage where things fall straight down."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from twinset.engine.errors import StageError
from twinset.engine.goals import Goal, Goals
from twinset.engine.plugin import Rejected
from twinset.engine.plugin.params import build
from twinset.plugins.placements.physics import Physics
from twinset.testing import BruteStage, asset, box, join, plane

BALL = asset("cube", "ball", box((0.1, 0.1, 0.1)))
BRICK = asset("brick", "brick", box((0.2, 0.1, 0.05)))
CRATE = asset(
    "crate",
    "crate",
    join(
        box((0.6, 0.6, 0.02), (0, 0, 0.01)),
        *(box((0.02, 0.6, 0.2), (0.29 * s, 0, 0.1)) for s in (-1, 1)),
        *(box((0.6, 0.02, 0.2), (0, 0.29 * s, 0.1)) for s in (-1, 1)),
    ),
)


class Watched(BruteStage):
    """Remembers the bodies of the first simulation."""

    bodies: Any = None
    walls: Any = None

    def simulate(self, bodies, **settings):
        if self.bodies is None:
            self.bodies, self.walls = list(bodies), settings.get("walls")
        return super().simulate(bodies, **settings)


def run(stage: BruteStage, seed: int = 0, goals: Goals | None = None, **params: Any) -> list:
    Physics(**params).place(stage, goals or Goals(), np.random.default_rng(seed))
    return list(stage.instances)


def at(x: float, y: float, z: float, turn: float = 0.0) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    matrix[:3, 3] = x, y, z
    return matrix


def test_things_start_free_and_end_on_the_surface():
    stage = Watched({"Floor": plane((3, 3))}, [BALL, BRICK])
    placed = run(stage, surfaces=["Floor"], count=(6, 6), height=(0.1, 0.1))
    assert len(placed) == 6 and len(stage.bodies) == 6
    starts = [b.instance for b in stage.bodies]
    for k, one in enumerate(starts):
        assert (one.points[:, 2].min() >= 0.1) and np.abs(one.points[:, :2]).max() <= 1.5
        lone = BruteStage({"Floor": plane((3, 3))}, [BALL, BRICK])
        for other in starts[:k]:
            lone.place(other.asset, other.matrix)
        assert lone.collides(one.asset, one.matrix) == ""
    assert min(i.points[:, 2].min() for i in placed) == pytest.approx(0.0005, abs=1e-6)


def test_mass_and_friction_go_by_class():
    stage = Watched({"Floor": plane((3, 3))}, [BALL, BRICK])
    run(
        stage,
        surfaces=["Floor"],
        count=(8, 8),
        density=1000.0,
        masses={"brick": 2.5},
        friction=0.3,
        frictions={"ball": 0.9},
        shape="convex_hull",
    )
    kinds = {b.instance.asset.class_name: (round(b.mass, 6), b.friction, b.shape) for b in stage.bodies}
    assert kinds == {"ball": (1.0, 0.9, "convex_hull"), "brick": (2.5, 0.3, "convex_hull")}


def test_things_fall_into_a_container_that_stands_askew():
    stage = Watched({"Floor": plane((6, 6))}, [BALL, CRATE])
    stage.place(CRATE, at(1.0, -1.0, 0.0, 0.7))
    placed = run(stage, containers=["crate"], classes=["ball"], count=(4, 4))[1:]
    inverse = np.linalg.inv(stage.instances[0].matrix)
    assert len(placed) == 4
    for i in placed:
        local = i.points @ inverse[:3, :3].T + inverse[:3, 3]
        assert np.abs(local[:, :2]).max() <= 0.3 + 1e-6
    walls = stage.walls @ inverse[:2, :2].T + inverse[:2, 3]
    assert np.sort(np.abs(walls).ravel()) == pytest.approx(np.full(8, 0.3), abs=1e-6)


class Pushed(BruteStage):
    """The thing that starts as number ``pushed`` is pushed away once."""

    pushed: int | None = 1

    def simulate(self, bodies, **settings):
        ended = super().simulate(bodies, **settings)
        if self.pushed is not None:
            ended.matrices[self.pushed, 0, 3] += 5.0
            self.pushed = None
        return ended


def test_what_ends_outside_is_removed():
    placed = run(
        Pushed({"Floor": plane((20, 3))}, [BALL]), surfaces=["Floor"], count=(3, 3), high=(2, 2, 9), low=(-2,) * 3
    )
    assert [i.id for i in placed] == [1, 2]
    assert all(np.abs(i.matrix[:2, 3]).max() < 2.1 for i in placed)


def test_the_main_instance_must_end_inside():
    stage = Pushed({"Floor": plane((3, 3))}, [BALL])
    stage.pushed = 0
    with pytest.raises(Rejected, match="fell outside"):
        run(stage, surfaces=["Floor"], count=(1, 1), goals=Goals(Goal("ball", 0.1, (0.5, 0.5))))


def test_what_never_rests_is_rejected():
    class Restless(BruteStage):
        def simulate(self, bodies, **settings):
            ended = super().simulate(bodies, **settings)
            ended.matrices[:, 0, 3] += 0.01
            return ended

    with pytest.raises(Rejected, match="do not come to rest"):
        run(Restless({"Floor": plane((3, 3))}, [BALL]), surfaces=["Floor"], count=(2, 2))


def test_a_stack_is_upright_and_one_above_the_other():
    stage = Watched({"Floor": plane((3, 3))}, [BRICK])
    placed = run(stage, surfaces=["Floor"], count=(4, 4), start="stack")
    assert [round(float(i.matrix[2, 3]), 2) for i in placed] == [0.0, 0.05, 0.1, 0.15]
    assert all(i.matrix[2, 2] == pytest.approx(1.0) for i in placed)


def test_poured_things_fall_in_turns_above_one_point():
    calls = []

    class Counted(BruteStage):
        def simulate(self, bodies, **settings):
            calls.append(len(bodies))
            return super().simulate(bodies, **settings)

    stage = Counted({"Floor": plane((3, 3))}, [BALL])
    placed = run(stage, surfaces=["Floor"], count=(10, 10), start="pour")
    assert calls[:2] == [4, 8] and set(calls[2:]) == {10}
    spread = np.ptp([i.matrix[:2, 3] for i in placed], axis=0)
    assert (spread < 0.4).all()


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({}, "Name either 'surfaces' or 'containers'"),
        ({"surfaces": ["A"], "containers": ["b"]}, "Name either 'surfaces' or 'containers'"),
        ({"surfaces": ["A"], "masses": {"ball": 0.0}}, "'masses' of 'ball' must not be below"),
        ({"surfaces": ["A"], "low": [0, 0, 1], "high": [1, 1, 0]}, "'low' must not be above 'high'"),
        ({"surfaces": ["A"], "count": [3, 2]}, "must be [minimum, maximum]"),
    ],
)
def test_wrong_parameters_are_refused(params, problem):
    made, problems = build(Physics, params, "placement 'physics'")
    assert made is None and problem in problems[0]


def test_unknown_and_missing_containers():
    stage = BruteStage({"Floor": plane((3, 3))}, [BALL, CRATE])
    with pytest.raises(StageError, match="names the container 'crates'"):
        run(stage, containers=["crates"], classes=["ball"])
    with pytest.raises(Rejected, match="no container"):
        run(stage, containers=["crate"])
    with pytest.raises(StageError, match="only containers to place"):
        run(BruteStage({"Floor": plane((3, 3))}, [CRATE]), containers=["crate"])
