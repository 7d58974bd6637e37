# SPDX-License-Identifier: GPL-3.0-or-later
"""Resting on uneven ground: contacts found by brute force hold the centre of gravity, or nothing is placed there."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.spatial import ConvexHull
from twinset.engine.geometry.contact import centroid
from twinset.engine.geometry.settling import resting_plane
from twinset.engine.geometry.support import find_ground, is_standing, upright_rotation, yaw_tilt_rotation
from twinset.engine.goals import Goal, Goals
from twinset.engine.layout.height_maps import site_map
from twinset.engine.plugin import Rejected
from twinset.engine.stage import CameraPose, Instance, Mesh
from twinset.plugins.placements.on_surface import OnSurface
from twinset.testing import BruteStage, asset, box, heightfield, join, legged, plane
from twinset.testing.fixtures.brute_force import ray_distances

TOLERANCE = 0.003
"""Metres between two things in contact."""

STOOL = asset("stool", "chair", legged(0.4, 0.45))
CRATE = asset("crate", "bag", box((0.5, 0.4, 0.25)))
LEANING = asset("lamp", "lamp", join(box((0.3, 0.3, 0.02), (0, 0, 0.01)), box((0.04, 0.04, 1.5), (0.1, 0, 0.77))))


def pebbles(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 0.015 * np.abs(np.sin(9 * x + 2 * y) * np.cos(7 * y - x))


def hills(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 0.25 * np.sin(x) * np.cos(0.8 * y)


GROUNDS = {
    "thresholds": join(plane((6, 6)), *[box((0.1, 6, 0.12), (x, 0, 0.06)) for x in (-1.5, -0.5, 0.5, 1.5)]),
    "rugs": join(plane((6, 6)), *[box((0.6, 0.6, 0.018), (x, y, 0.009)) for x in (-1, 0, 1) for y in (-1, 0, 1)]),
    "a step": join(plane((4, 4)), box((2, 4, 0.09), (1, 0, 0.045))),
    "pebbles": heightfield(pebbles, 3.0, 24),
    "hills": heightfield(hills, 6.0, 24),
    "a ramp": plane((4, 4), tilt=12.0),
}


def contacts(instance: Instance, ground: np.ndarray) -> np.ndarray:
    """Where an instance touches the ground: on a grid, at its own vertices and at those of the ground."""
    vertices = instance.asset.mesh.vertices @ instance.matrix[:3, :3].T + instance.matrix[:3, 3]
    low, high = vertices.min(0), vertices.max(0)
    grid = np.stack(np.meshgrid(*np.linspace(low[:2], high[:2], 12).T), -1).reshape(-1, 2)
    near = (ground[:, :, :2].min(1) <= high[:2]).all(1) & (ground[:, :, :2].max(1) >= low[:2]).all(1)
    ground = ground[near]
    xy = np.unique(np.concatenate([grid, vertices[:, :2], ground.reshape(-1, 3)[:, :2]]), axis=0)
    xy = xy[((xy >= low[:2]) & (xy <= high[:2])).all(1)]
    up, far = np.tile([0.0, 0.0, 1.0], (len(xy), 1)), np.full(len(xy), -10.0)
    bottom = far + ray_distances(np.column_stack([xy, far]), up, vertices[instance.asset.mesh.triangles]).min(1)
    xy, up, bottom = (each[np.isfinite(bottom)] for each in (xy, up, bottom))
    gap = ray_distances(np.column_stack([xy, bottom + 1e-3]), -up, ground).min(1) - 1e-3
    return xy[gap <= TOLERANCE]


def holds(points: np.ndarray, center: np.ndarray) -> bool:
    """Whether the hull of some points contains a centre; three in line hold nothing."""
    if len(points) < 3 or np.linalg.matrix_rank(points - points[0], tol=1e-6) < 2:
        return False
    return bool((ConvexHull(points).equations @ [*center, 1.0] <= 1e-6).all())


@pytest.mark.parametrize("thing", [STOOL, CRATE, LEANING], ids=lambda a: a.name)
@pytest.mark.parametrize("name", GROUNDS)
def test_contacts_hold_the_centre_of_gravity_on_any_ground(name: str, thing) -> None:
    ground = GROUNDS[name]
    stage = BruteStage({"Ground": ground}, [thing])
    placed = 0
    for seed in range(5):
        stage.clear()
        try:
            goals = Goals(Goal(thing.class_name, 0.1, (0.5, 0.5)))
            OnSurface(surfaces=["Ground"], count=(1, 1)).place(stage, goals, np.random.default_rng(seed))
        except Rejected as rejected:
            assert rejected.reason in {"placement: overhang", "placement: unbalanced"}
            continue
        placed += 1
        (instance,) = stage.instances
        vertices = instance.asset.mesh.vertices @ instance.matrix[:3, :3].T + instance.matrix[:3, 3]
        center = centroid(vertices, thing.mesh.triangles)[:2]
        assert holds(contacts(instance, ground.vertices[ground.triangles]), center)
    assert placed >= 3


def test_most_of_what_stands_on_level_ground_stays_upright() -> None:
    stage = BruteStage({"Ground": GROUNDS["rugs"]}, [STOOL])
    leans = []
    for seed in range(20):
        stage.clear()
        OnSurface(surfaces=["Ground"], count=(1, 1)).place(stage, Goals(), np.random.default_rng(seed))
        leans.append(np.degrees(np.arccos(min(1.0, stage.instances[0].matrix[2, 2]))))
    # Over the edge of a rug of 18 mm, a stool with legs 0.36 m apart leans by 2.9 degrees at most.
    assert 0 < sum(lean > 1e-3 for lean in leans) < 15
    assert max(leans) <= np.degrees(np.arctan(0.018 / 0.36)) + 0.1


@pytest.mark.parametrize("seed", range(12))
def test_the_resting_plane_is_the_optimum_of_the_linear_programme(seed: int) -> None:
    rng = np.random.default_rng(seed)
    xy = rng.uniform(-0.3, 0.3, (int(rng.integers(3, 60)), 2)) + rng.uniform(-5, 5, 2)
    heights = rng.uniform(0, 0.1, len(xy))
    center = rng.dirichlet(np.ones(len(xy))) @ xy
    slope = resting_plane(xy, heights, center)
    rows = np.column_stack([np.ones(len(xy)), xy - center])
    best = linprog([1, 0, 0], A_ub=-rows, b_ub=-heights, bounds=[(None, None)] * 3)
    assert slope is not None
    # The plane of that slope which touches the ground is as low at the centre as any can be.
    assert (heights - (xy - center) @ slope).max() == pytest.approx(best.fun, abs=1e-6)
    outside = xy.max(0) + 0.1
    assert resting_plane(xy, heights, outside) is None


def test_a_lean_is_that_of_the_ground_or_small() -> None:
    normal = np.array([np.sin(0.2), 0.0, np.cos(0.2)])
    for degrees, stands in ((0, True), (4, True), (7, False), (30, False)):
        rotation = yaw_tilt_rotation(0.7, np.radians(degrees), 2.0)
        assert is_standing(rotation[:, 2], np.array([0.0, 0.0, 1.0])) is stands
        np.testing.assert_allclose(upright_rotation(rotation), yaw_tilt_rotation(0.7, 0.0, 0.0), atol=1e-2)
        np.testing.assert_allclose(upright_rotation(rotation)[:, 2], [0, 0, 1], atol=1e-12)
    assert is_standing(normal, normal)


def flipped(mesh: Mesh) -> Mesh:
    return Mesh(mesh.vertices, mesh.triangles[:, ::-1])


def levels(mesh: Mesh, thing=CRATE, **params) -> set[float]:
    stage = BruteStage({"Room": mesh}, [thing])
    out = set()
    for seed in range(14):
        stage.clear()
        OnSurface(surfaces=["Room"], count=(1, 1), **params).place(stage, Goals(), np.random.default_rng(seed))
        out.add(round(float(stage.instances[0].matrix[2, 3] - 0.0005), 3))
    return out


SLABS = join(*[box((5, 4, 0.2), (0, 0, z - 0.1)) for z in (0.0, 2.6, 5.2)])
"""Two storeys of a house as one mesh; the floors are at 0 and 2.6 m, the roof at 5.2 m."""


@pytest.mark.parametrize("mesh", [SLABS, flipped(SLABS)], ids=["outward", "inward"])
def test_nothing_stands_on_the_roof_of_a_room_that_is_one_mesh(mesh: Mesh) -> None:
    assert levels(mesh, tries=200) == {0.0, 2.6}
    assert levels(mesh, tries=200, surface_height_range=(-0.1, 1.0)) == {0.0}
    assert levels(mesh, tries=200, surface_height_range=(2.5, 3.0)) == {2.6}
    assert levels(mesh, tries=200, surface_height_range=(4.0, 9.0)) == {5.2}  # who asks for the roof gets it


def test_the_layout_places_on_the_same_floors() -> None:
    stage = BruteStage({"Room": SLABS}, [CRATE])
    for heights, level in ((None, 2.6), ((-0.1, 1.0), 0.0), ((4.0, 9.0), 5.2)):
        site = OnSurface(surfaces=["Room"], surface_height_range=heights).offer_site(stage)
        assert site is not None
        assert site_map(stage, site).levels == pytest.approx([level])


def test_tops_of_furniture_and_of_outdoor_things_are_no_roofs() -> None:
    table = join(plane((5, 5)), box((1.6, 0.9, 0.04), (0, 0, 0.73)))
    assert levels(table, tries=200) == {0.0, 0.75}
    block = box((3, 3, 2.0), (0, 0, 1.0))  # closed, with nothing in it
    assert 2.0 in levels(block)


def test_a_closed_box_with_a_camera_in_it_is_a_room() -> None:
    stage = BruteStage({"Room": box((5, 5, 2.5), (0, 0, 1.25))}, [CRATE])
    assert not find_ground(stage, ["Room"], "", 15.0, "").rooms
    inside, above = (CameraPose(np.array([*np.eye(4)[:2], [0, 0, 1, z], [0, 0, 0, 1]]), 35.0, 64, 48) for z in (1.6, 4))
    stage.existing_cameras = lambda: [above]
    assert not find_ground(stage, ["Room"], "", 15.0, "").rooms
    stage.existing_cameras = lambda: [above, inside]
    assert find_ground(stage, ["Room"], "", 15.0, "").rooms == {0}


def test_heights_without_any_face_say_which_there_are() -> None:
    from twinset.engine.errors import StageError

    with pytest.raises(StageError, match=r"no flat face between 7 and 9 m: theirs are -0\.20 to 5\.20 m high"):
        find_ground(BruteStage({"Room": SLABS}, [CRATE]), ["Room"], "", 15.0, "placement 'on_surface'", (7.0, 9.0))


@pytest.mark.parametrize("name", ["a ramp", "hills"])
def test_recorded_things_that_lean_with_the_ground_do_so_where_they_move(name: str, monkeypatch) -> None:
    from types import SimpleNamespace

    from twinset.engine.recipe.recorded_frames import RecordedInstance
    from twinset.plugins.placements import jitter

    ground = GROUNDS[name]
    stage = BruteStage({"Ground": ground}, [STOOL])
    moved = 0
    for seed in range(4):
        stage.clear()
        OnSurface(surfaces=["Ground"], count=(1, 1)).place(stage, Goals(), np.random.default_rng(seed))
        (before,) = stage.instances
        recorded = SimpleNamespace(instances=[RecordedInstance(STOOL.name, "chair", before.matrix)])
        monkeypatch.setattr(jitter, "recorded_frame", lambda frames, goals, recorded=recorded: recorded)
        stage.clear()
        jitter.Jitter(frames="f.json", surfaces=["Ground"], distance=0.4).place(
            stage, Goals(), np.random.default_rng(seed)
        )
        (after,) = stage.instances
        moved += float(np.linalg.norm(after.matrix[:2, 3] - before.matrix[:2, 3])) > 0.02
        vertices = STOOL.mesh.vertices @ after.matrix[:3, :3].T + after.matrix[:3, 3]
        center = centroid(vertices, STOOL.mesh.triangles)[:2]
        assert holds(contacts(after, ground.vertices[ground.triangles]), center)
    assert moved >= 2
