# SPDX-License-Identifier: GPL-3.0-or-later
"""Built-in shapes are closed solids of real size that stand; the built-in hall has floors, light and room."""

from __future__ import annotations

from collections import Counter

import attrs
import numpy as np
import pytest
from twinset.blender.builtin import shapes
from twinset.blender.builtin.hall_furniture import furniture
from twinset.blender.builtin.shapes import solid_geometry
from twinset.blender.builtin.shapes.clutter import CLUTTER as CLUTTER_KINDS
from twinset.blender.builtin.shapes.workpieces import WORKPIECES
from twinset.engine.errors import StageError

ALL = [(kind, name) for kind in ("any chair", "any table", "bag") for name in shapes.names(kind)]


def whole(kind: str, name: str) -> solid_geometry.Solid:
    return solid_geometry.merge(solid for _, solid in shapes.solids(kind)[name])


def components(solid: solid_geometry.Solid) -> np.ndarray:
    """Which connected part each face belongs to, by union-find over vertices."""
    parent = np.arange(len(solid.vertices))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for face in solid.faces:
        for i in face[1:]:
            parent[root(i)] = root(face[0])
    return np.array([root(face[0]) for face in solid.faces])


def assert_closed_and_outward(solid: solid_geometry.Solid) -> None:
    edges = Counter((f[i], f[(i + 1) % len(f)]) for f in solid.faces for i in range(len(f)))
    assert max(edges.values()) == 1, "two faces run along an edge in the same direction"
    assert all((b, a) in edges for a, b in edges), "an edge has a face on one side only"
    labels = components(solid)
    for label in np.unique(labels):
        part = attrs.evolve(
            solid, corners=solid.corners[np.repeat(labels == label, solid.sizes)], sizes=solid.sizes[labels == label]
        )
        assert part.volume > 0.0


@pytest.mark.parametrize(
    ("solid", "volume"),
    [
        (solid_geometry.box((1, 2, 3), (5, 5, 5)), 6.0),
        (solid_geometry.extrude([(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)], 0.0, 0.5), 1.5),
        (solid_geometry.box((1, 1, 1), (0, 0, 0), radius=0.499999, segments=24), np.pi / 6),
        (solid_geometry.lathe([(0.5, 0), (0.5, 2)], sides=96), np.pi / 4 * 2),
        (solid_geometry.tube([(0, 0, 0), (3, 0, 0)], 0.1, sides=96), np.pi * 0.01 * 3),
        (solid_geometry.panel([[(x, y, 0) for x in (0, 1, 2)] for y in (0, 1)], 0.02), 0.04),
    ],
)
def test_primitives_have_the_volume_of_their_formula(solid, volume):
    assert_closed_and_outward(solid)
    assert solid.volume == pytest.approx(volume, rel=0.01)


def test_turning_and_mirroring_keep_normals_outward():
    solid = solid_geometry.tube([(0, 0, 0), (0.5, 0.2, 1)], 0.1)
    for changed in (solid.turned("x", 50), solid.turned("y", -120), solid.mirrored().moved(1, 2, 3)):
        assert changed.volume == pytest.approx(solid.volume)
    assert attrs.evolve(solid, vertices=np.eye(3)).turned("z", 90).vertices[0] == pytest.approx([0, 1, 0])


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_shape_is_closed_light_and_outward(kind, name):
    solid = whole(kind, name)
    assert_closed_and_outward(solid)
    assert np.isfinite(solid.vertices).all()
    assert len(solid.triangles) < 6000


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_shape_has_real_size(kind, name):
    size = np.ptp(whole(kind, name).vertices, axis=0)
    if name.startswith("armchair"):
        assert 0.7 <= size[2] <= 1.15
        assert 0.55 <= size[0] <= 0.9
        assert 0.6 <= size[1] <= 0.95
    elif kind == "any chair":
        assert 0.78 <= size[2] <= 1.1
        assert 0.4 <= size[0] <= 0.85
    elif name == "table_coffee":
        assert 0.35 <= size[2] <= 0.5
    elif kind == "any table":
        assert 0.72 <= size[2] <= 0.76
        assert 0.8 <= size[0] <= 2.1
    else:
        assert 0.25 <= size.max() <= 0.76


@pytest.mark.parametrize("name", shapes.names("any chair"))
def test_chair_has_a_seat_at_sitting_height(name):
    solid = whole("any chair", name)
    a, b, c = (solid.vertices[solid.triangles[:, i]] for i in range(3))
    # The highest thing that a ray down through the middle of the seat meets.
    p, heights = np.array([0.0, -0.08]), []
    for t in zip(a, b, c, strict=True):
        m = np.stack([t[1][:2] - t[0][:2], t[2][:2] - t[0][:2]], axis=1)
        if abs(np.linalg.det(m)) > 1e-12:
            u, v = np.linalg.solve(m, p - t[0][:2])
            if u >= 0 and v >= 0 and u + v <= 1:
                heights.append(t[0][2] + u * (t[1][2] - t[0][2]) + v * (t[2][2] - t[0][2]))
    # One sits lower in an armchair, and leans back.
    assert (0.34 if name.startswith("armchair") else 0.4) <= max(heights) <= 0.52


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_shape_stands_on_the_ground(kind, name):
    solid = whole(kind, name)
    vertices = solid.vertices
    assert vertices[:, 2].min() == pytest.approx(0.0, abs=0.0015)
    feet = vertices[vertices[:, 2] < 0.003, :2]
    a, b, c = (vertices[solid.triangles[:, i]] for i in range(3))
    sixths = np.einsum("ij,ij->i", a, np.cross(b, c))
    middle = ((a + b + c) / 4 * sixths[:, None]).sum(axis=0)[:2] / sixths.sum()
    # In every direction some foot lies farther out than the centre of gravity: it is inside the feet's hull.
    for angle in np.linspace(0.0, 2 * np.pi, 72, endpoint=False):
        away = np.array([np.cos(angle), np.sin(angle)])
        assert (feet @ away).max() > middle @ away + 0.02


def test_names_are_unique_and_many():
    names = [name for _, name in ALL]
    assert len(set(names)) == len(names)
    assert len(shapes.names("chair")) >= 8
    assert len(shapes.names("table")) >= 5
    for both, parts in (("any chair", ("chair", "armchair")), ("any table", ("table", "glass table"))):
        assert shapes.names(both) == [name for part in parts for name in shapes.names(part)]
    parts = [name for kind in ("backpack", "handbag", "suitcase") for name in shapes.names(kind)]
    assert sorted(parts) == sorted(shapes.names("bag"))
    assert len(parts) >= 5


def test_shapes_differ():
    """No two chairs are alike: the quartiles of their coordinates differ."""
    seen = {}
    for name in shapes.names("any chair"):
        vertices = whole("any chair", name).vertices
        seen[name] = tuple(np.round(np.percentile(np.abs(vertices), [25, 50, 75, 100], axis=0), 3).ravel())
    assert len(set(seen.values())) == len(seen)


def test_same_bytes_every_time():
    for kind, name in ALL:
        assert whole(kind, name).vertices.tobytes() == whole(kind, name).vertices.tobytes()
    first, second = furniture(), furniture()
    assert list(first) == list(second)
    for name in first:
        for (finish, solid), (other_finish, other) in zip(first[name], second[name], strict=True):
            assert finish == other_finish
            assert solid.vertices.tobytes() == other.vertices.tobytes()


def test_furniture_of_the_hall_is_closed_and_inside():
    for name, parts in furniture().items():
        for _, solid in parts:
            assert_closed_and_outward(solid)
            assert (np.abs(solid.vertices) <= (20.2, 15.1, 6.5)).all(), name
            assert solid.vertices[:, 2].min() >= -1e-6, name


def test_unknown_kind_names_the_known_ones():
    with pytest.raises(StageError, match=r"'sofa'.*'chair', .*'table', .*'bag', 'backpack', 'handbag', 'suitcase'"):
        shapes.names("sofa")


@pytest.fixture(scope="module")
def hall():
    bpy = pytest.importorskip("bpy")
    from twinset.blender.builtin.hall import build_hall

    scene = bpy.data.scenes.new("TestHall")
    build_hall(scene)
    yield scene
    for thing in list(scene.collection.all_objects):
        bpy.data.objects.remove(thing)
    bpy.data.scenes.remove(scene)


def test_hall_has_collections_and_surfaces_facing_up(hall):
    assert {"Room", "Furniture"} <= {c.name.split(".")[0] for c in hall.collection.children}
    levels = {}
    for name in ("Floor", "Podium", "Platform", "Dais"):
        thing = next(o for o in hall.collection.all_objects if o.name.split(".")[0] == name)
        assert all(p.normal.z > 0.999 for p in thing.data.polygons)
        levels[name] = {round(v.co.z, 4) for v in thing.data.vertices}
    assert levels["Floor"] == {0.0}
    assert len(set.union(*levels.values())) == 4
    floor = next(o for o in hall.collection.all_objects if o.name.split(".")[0] == "Floor")
    assert sum(p.area for p in floor.data.polygons) > 900.0
    assert {m.name.split(".")[0] for m in floor.data.materials} == {"FloorWood", "FloorTile", "FloorCarpet"}
    assert sum(o.name.startswith("CounterTop") for o in hall.collection.all_objects) == 4


def test_hall_has_light_and_shows_small_chairs(hall):
    lights = [o for o in hall.collection.all_objects if o.type == "LIGHT"]
    assert 3 <= len(lights) <= 16
    assert all(o.data.energy > 0 for o in lights)
    strength = next(n for n in hall.world.node_tree.nodes if n.type == "BACKGROUND").inputs["Strength"].default_value
    assert strength > 0
    floor = next(o for o in hall.collection.all_objects if o.name.split(".")[0] == "Floor")
    corners = np.array([v.co for v in floor.data.vertices])
    diagonal = np.linalg.norm(np.ptp(corners, axis=0))
    # A chair of 0.45 m by 0.9 m through 18 mm on a sensor of 36 mm, at 640 by 480, from the other corner.
    focal = 18 / 36 * 640
    share = (0.45 * focal / diagonal) * (0.9 * focal / diagonal) / (640 * 480)
    assert share < 0.0005


def test_built_shapes_are_linked_named_and_finished(hall):
    for kind in shapes.KINDS:
        if kind == "bag":
            continue
        assets = shapes.build_shapes(kind, hall)
        assert [objects[0].name.split(".")[0] for objects in assets] == shapes.names(kind)
        for objects in assets:
            for thing in objects:
                assert thing.name in hall.collection.all_objects
                assert len(thing.data.materials) >= 1
                assert all(m is not None and m.use_nodes for m in thing.data.materials)
                assert not thing.data.validate()


CLUTTER = [(kind, name) for kind in CLUTTER_KINDS for name in shapes.names(kind)]


@pytest.mark.parametrize(("kind", "name"), CLUTTER)
def test_clutter_is_closed_stands_and_has_real_size(kind: str, name: str) -> None:
    solid = whole(kind, name)
    assert_closed_and_outward(solid)
    assert solid.vertices[:, 2].min() == pytest.approx(0.0, abs=1e-6)
    size = np.ptp(solid.vertices, axis=0)
    assert size.min() >= 0.02 and size.max() <= 0.45
    assert len(solid.triangles) < 1500


def test_clutter_is_all_of_its_kinds() -> None:
    assert sorted(shapes.names("clutter")) == sorted(name for _, name in CLUTTER)


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in WORKPIECES for name in shapes.names(kind)])
def test_workpieces_and_bins_are_closed_and_have_real_size(kind: str, name: str) -> None:
    solid = whole(kind, name)
    assert_closed_and_outward(solid)
    assert solid.vertices[:, 2].min() == pytest.approx(0.0, abs=1e-6)
    size = np.ptp(solid.vertices, axis=0)
    low, high = (0.06, 0.45) if kind == "bin" else (0.01, 0.07)
    assert size.min() >= low and size.max() <= high
    assert len(solid.triangles) < 1500
