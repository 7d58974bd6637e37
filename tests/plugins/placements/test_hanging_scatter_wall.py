# SPDX-License-Identifier: GPL-3.0-or-later
"""Things under ceilings, on walls and scattered over floors, against plain geometry; and what settles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree
from twinset.engine.errors import StageError
from twinset.engine.goals import Goals
from twinset.engine.plugin import Rejected
from twinset.plugins.placements.hanging import Hanging
from twinset.plugins.placements.on_surface import OnSurface
from twinset.plugins.placements.on_wall import OnWall
from twinset.plugins.placements.scatter import Scatter, spaced
from twinset.testing import BruteStage, asset, box, join, plane

LAMP = asset("lamp", "lamp", join(box((0.3, 0.3, 0.1)), box((0.02, 0.02, 0.4), (0.05, 0.0, 0.2))))
PICTURE = asset("picture", "picture", box((0.6, 0.04, 0.4)))
LEAF = asset("leaf", "leaf", box((0.04, 0.03, 0.01)))
ROOM = {
    "Floor": plane((4, 4)),
    "Ceiling": plane((4, 4), (0, 0, 2.5), flip=True),
    "Wall": box((4.0, 0.1, 2.5), (0.0, 2.05, 1.25)),
}


def run(cls: type, stage: BruteStage, seed: int = 0, **params: Any) -> list:
    cls(**params).place(stage, Goals(), np.random.default_rng(seed))
    return list(stage.instances)


@pytest.mark.parametrize("cord", [0.0, 0.4])
def test_lamps_hang_from_the_ceiling_and_nothing_hangs_below_the_floor(cord):
    stage = BruteStage(ROOM, [LAMP])
    placed = run(Hanging, stage, surfaces=["Ceiling", "Floor"], count=(4, 4), cord=(cord, cord), tries=200)
    assert len(placed) == 4
    for i in placed:
        top = i.points[i.points[:, 2].argmax()]
        assert top[2] == pytest.approx(2.5 - cord - 0.0005, abs=1e-9)
        assert np.abs(top[:2]).max() <= 2.0


def test_lamps_leave_headroom():
    stage = BruteStage(ROOM, [LAMP])
    with pytest.raises(Rejected, match="no room to hang"):
        run(Hanging, stage, surfaces=["Ceiling"], count=(1, 1), min_headroom=2.2)
    assert run(Hanging, stage, surfaces=["Ceiling"], count=(1, 1), min_headroom=2.0)
    with pytest.raises(StageError, match="steeper than max_slope"):
        run(Hanging, BruteStage({"Wall": plane((2, 2), tilt=60)}, [LAMP]), surfaces=["Wall"])


@pytest.mark.parametrize("back", ["y", "-y", "x"])
def test_pictures_are_flat_against_the_wall_at_their_height(back):
    turned = PICTURE if back != "x" else asset("picture", "picture", box((0.04, 0.6, 0.4)))
    stage = BruteStage(ROOM, [turned])
    placed = run(OnWall, stage, surfaces=["Wall"], count=(2, 2), back=back, height=(1.2, 1.6), tries=200)
    assert len(placed) == 2
    axis = np.array({"y": (0, 1, 0), "-y": (0, -1, 0), "x": (1, 0, 0)}[back])
    for i in placed:
        # The wall's face is the plane y = 2, the room is on its side of lower y.
        assert i.points[:, 1].max() == pytest.approx(2.0 - 0.0005, abs=1e-9)
        assert np.ptp(i.points[:, 1]) == pytest.approx(0.04)
        assert i.matrix[:3, :3] @ axis == pytest.approx([0, 1, 0])
        assert i.matrix[:3, 2] == pytest.approx([0, 0, 1])
        middle = (i.points.min(0) + i.points.max(0)) / 2
        assert 1.2 <= middle[2] <= 1.6
        assert i.points[:, 0].min() >= -2.0 and i.points[:, 0].max() <= 2.0


def test_there_must_be_wall_behind_all_of_a_picture():
    narrow = {"Floor": plane((4, 4)), "Pillar": box((0.5, 0.5, 2.5), (0, 0, 1.25))}
    with pytest.raises(Rejected, match="no room on the wall"):
        run(OnWall, BruteStage(narrow, [PICTURE]), surfaces=["Pillar"], count=(1, 1))
    with pytest.raises(StageError, match="nowhere steeper"):
        run(OnWall, BruteStage(narrow, [PICTURE]), surfaces=["Floor"])


def test_nothing_is_mounted_in_the_cavity_of_a_thick_wall():
    thick = {"Floor": plane((6, 6)), "Wall": box((4.0, 0.4, 2.5), (0.0, 2.2, 1.25))}
    thin = asset("sign", "picture", box((0.2, 0.02, 0.2)))
    for seed in range(4):
        for i in run(OnWall, BruteStage(thick, [thin]), seed, surfaces=["Wall"], count=(4, 4), gap=0.0, tries=60):
            y, x = i.points[:, 1], np.abs(i.points[:, 0])
            assert y.max() <= 2.0 or y.min() >= 2.4 or x.min() >= 2.0


def test_indoors_there_is_something_above():
    outside = {"Ground": plane((12, 12)), "Wall": box((4.0, 0.1, 2.5), (0.0, 2.05, 1.25))}
    assert run(OnWall, BruteStage(outside, [PICTURE]), surfaces=["Wall"], count=(1, 1))
    with pytest.raises(Rejected, match="no room on the wall"):
        run(OnWall, BruteStage(outside, [PICTURE]), surfaces=["Wall"], count=(1, 1), indoors=True)
    roofed = outside | {"Roof": plane((4, 4), (0, 0, 2.6))}
    (inside,) = run(OnWall, BruteStage(roofed, [PICTURE]), 1, surfaces=["Wall"], count=(1, 1), indoors=True)
    assert inside.points[:, 1].max() == pytest.approx(2.0 - 0.0005)


def test_scattered_things_are_as_dense_as_asked_and_apart():
    counts = []
    for seed in range(6):
        placed = run(Scatter, BruteStage(ROOM, [LEAF]), seed, surfaces=["Floor"], density=(3.0, 3.0), evenness=0.7)
        counts.append(len(placed))
        points = np.array([i.matrix[:3, 3] for i in placed])
        nearest = cKDTree(points).query(points, 2)[0][:, 1]
        # A triangular lattice of so many points has this distance; uniform ones come far nearer.
        lattice = (2 / 3**0.5 * 16 / len(placed)) ** 0.5
        assert nearest.min() >= 0.65 * lattice
        assert [i.points[:, 2].min() for i in placed] == pytest.approx([0.0005] * len(placed), abs=1e-6)
    assert 48 - 4 * 48**0.5 / 6**0.5 < np.mean(counts) < 48 + 4 * 48**0.5 / 6**0.5


def test_spaced_points_without_a_distance_are_the_first_ones():
    points = np.random.default_rng(0).random((50, 3))
    assert spaced(points, 10, 0.0).tolist() == list(range(10))
    chosen = points[spaced(points, 50, 0.3)]
    apart = np.linalg.norm(chosen[:, None] - chosen, axis=-1)[~np.eye(len(chosen), dtype=bool)]
    assert apart.min() >= 0.3
    left = np.linalg.norm(points[:, None] - chosen, axis=-1).min(1)
    assert left.max() < 0.3  # nothing more would fit


def test_what_settles_falls_and_is_not_offered_to_cameras():
    class Lowered(BruteStage):
        """A stage on which bodies end 10 cm to the right."""

        calls_of = 0

        def simulate(self, bodies, **settings):
            ended = super().simulate(bodies, **settings)
            if not self.calls_of:
                ended.matrices[:, 0, 3] += 0.1
            self.calls_of += 1
            return ended

    plain = run(OnSurface, BruteStage(ROOM, [LEAF]), surfaces=["Floor"], count=(3, 3))
    stage = Lowered(ROOM, [LEAF])
    settled = run(OnSurface, stage, surfaces=["Floor"], count=(3, 3), settle=True)
    moved = [s.matrix[:3, 3] - p.matrix[:3, 3] for s, p in zip(settled, plain, strict=True)]
    assert np.array(moved) == pytest.approx(np.array([[0.1, 0, 0]] * 3), abs=1e-6)
    assert OnSurface(surfaces=["Floor"], settle=True).offer_site(stage) is None
    assert OnSurface(surfaces=["Floor"]).offer_site(stage) is not None
