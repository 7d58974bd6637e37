# SPDX-License-Identifier: GPL-3.0-or-later
"""Placement in the air: uniform positions and rotations, and free room against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.stats import kstest
from twinset.engine.errors import StageError
from twinset.engine.geometry.rotations import uniform_rotation
from twinset.engine.goals import Goal, Goals
from twinset.engine.plugin import Rejected
from twinset.engine.plugin.params import build
from twinset.plugins.placements.in_air import InAir
from twinset.testing import BruteStage, asset, box, legged, plane
from twinset.testing.fixtures.brute_force import triangles_meet

STOOL = asset("stool", "chair", legged(0.4, 0.45))
CRATE = asset("crate", "bag", box((0.3, 0.2, 0.25)))


def run(stage: BruteStage, seed: int, goals: Goals | None = None, **params) -> list:
    stage.clear()
    InAir(**params).place(stage, goals or Goals(), np.random.default_rng(seed))
    return list(stage.instances)


def triangles(instance) -> np.ndarray:
    matrix, mesh = instance.matrix, instance.asset.mesh
    return (mesh.vertices @ matrix[:3, :3].T + matrix[:3, 3])[mesh.triangles]


def center(instance) -> np.ndarray:
    low, high = instance.asset.bounds
    return instance.matrix[:3, :3] @ ((low + high) / 2) + instance.matrix[:3, 3]


def test_rotations_are_uniform():
    """The angle of a uniform rotation has the density (1 - cos a) / pi, its axis is uniform [Miles 1965]."""
    rng = np.random.default_rng(0)
    vectors = Rotation.from_matrix([uniform_rotation(rng) for _ in range(4000)]).as_rotvec()
    angles = np.linalg.norm(vectors, axis=1)
    assert kstest(angles, lambda a: (a - np.sin(a)) / np.pi).pvalue > 0.01
    for axis in (vectors / angles[:, None]).T:  # by Archimedes, each coordinate of a uniform direction is uniform
        assert kstest(axis, "uniform", args=(-1, 2)).pvalue > 0.01


def test_centers_are_uniform_in_the_region():
    stage = BruteStage({"Ground": plane((4, 4))}, [CRATE])
    low, high = (-2.0, -1.0, 1.0), (2.0, 3.0, 1.5)
    params = {"count": (1, 1), "low": low, "high": high, "allow_intersections": True}
    centers = np.array([center(run(stage, seed, **params)[0]) for seed in range(400)])
    for k in range(3):
        assert kstest(centers[:, k], "uniform", args=(low[k], high[k] - low[k])).pvalue > 0.01


def test_the_region_is_the_scene_by_default():
    stage = BruteStage({"Box": box((2.0, 4.0, 3.0))}, [CRATE])
    centers = np.array([center(run(stage, seed, count=(1, 1), allow_intersections=True)[0]) for seed in range(100)])
    low, high = stage.bounds
    assert ((centers >= low) & (centers <= high)).all()
    assert (np.ptp(centers, axis=0) > 0.8 * (high - low)).all()


def test_things_do_not_meet_unless_they_may():
    stage = BruteStage({"Ground": plane((1, 1))}, [STOOL, CRATE])
    params = {"count": (6, 6), "low": (-0.6, -0.6, 0.0), "high": (0.6, 0.6, 0.8)}

    def meetings(**more) -> int:
        count = 0
        for seed in range(10):
            placed = run(stage, seed, **params, **more)
            ground = stage.surfaces(["Ground"])[0].corners
            meshes = [ground, *(triangles(instance) for instance in placed)]
            count += sum(bool(triangles_meet(a, b).any()) for k, a in enumerate(meshes) for b in meshes[k + 1 :])
        return count

    assert meetings() == 0
    assert meetings(allow_intersections=True) > 0


def test_upright_things_keep_their_axis_and_others_do_not():
    stage = BruteStage({"Ground": plane((4, 4))}, [STOOL])
    region = {"count": (3, 3), "low": (-2, -2, 1), "high": (2, 2, 3)}
    upright = [i.matrix[2, 2] for seed in range(20) for i in run(stage, seed, upright=True, **region)]
    free = [i.matrix[2, 2] for seed in range(20) for i in run(stage, seed, **region)]
    assert np.allclose(upright, 1.0)
    assert min(free) < -0.5 and max(free) > 0.5


def test_further_things_are_near_the_first():
    stage = BruteStage({"Ground": plane((9, 9))}, [CRATE])
    for seed in range(20):
        region = {"low": (-4.0, -4.0, 1.0), "high": (4.0, 4.0, 4.0)}
        first, *others = (center(i) for i in run(stage, seed, count=(4, 4), cluster_radius=1.0, **region))
        assert len(others) == 3
        assert max(np.linalg.norm(c - first) for c in others) <= 1.0 + 1e-9


def test_the_main_class_is_there_and_no_room_rejects():
    stage = BruteStage({"Ground": plane((4, 4))}, [STOOL, CRATE])
    goals = Goals(Goal("bag", 0.1, (0.5, 0.5)))
    region = {"low": (-2, -2, 1), "high": (2, 2, 3)}
    for seed in range(10):
        assert run(stage, seed, goals, count=(0, 2), **region)[0].asset.class_name == "bag"
    stage = BruteStage({"Wall": box((2.0, 2.0, 2.0))}, [STOOL])
    with pytest.raises(Rejected, match="no room in the air"):
        run(stage, 0, count=(1, 1), low=(0, 0, 0.9), high=(0, 0, 1.0), tries=3)


def test_mistakes_are_named():
    assert "must be [minimum, maximum]" in str(build(InAir, {"count": [3, 1]}, "placement 'in_air'")[1])
    assert "'low' must not be above 'high'" in str(build(InAir, {"low": [0, 0, 2], "high": [0, 0, 1]}, "x")[1])
    with pytest.raises(StageError, match="names the class 'sofa'"):
        run(BruteStage({"Ground": plane((4, 4))}, [STOOL]), 0, classes=["sofa"])
