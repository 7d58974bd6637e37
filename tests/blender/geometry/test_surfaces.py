# SPDX-License-Identifier: GPL-3.0-or-later
"""Surfaces by name, group and material, and the bounds of scenes with strays."""

from __future__ import annotations

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from plain_blender import box, floor, static_by_name  # noqa: E402
from twinset.blender.geometry.surfaces import find_surfaces, main_cluster, robust_bounds  # noqa: E402
from twinset.engine.errors import StageError  # noqa: E402


@pytest.fixture(autouse=True)
def empty():
    bpy.ops.wm.read_factory_settings(use_empty=True)


def test_bounds_leave_strays_and_backdrops_out():
    floor(size=6)
    for i in range(5):
        box(f"Box{i}", location=(i - 2, 1, 0.5))
    low, high = robust_bounds(list(static_by_name().values()))
    np.testing.assert_allclose([low, high], [[-3, -3, 0], [3, 3, 1]], atol=1e-6)
    box("Stray", size=(50, 50, 50), location=(9000, 0, 0))
    box("Sky", size=(2000, 2000, 2000))
    floor("Ground", size=5000, z=-1)
    low, high = robust_bounds(list(static_by_name().values()))
    np.testing.assert_allclose([low, high], [[-3, -3, 0], [3, 3, 1]], atol=1e-6)


def test_bounds_keep_a_wide_scene_whole():
    lows = np.array([[i * 12.0, 0, 0] for i in range(10)])
    assert main_cluster(lows, lows + 4).all()
    assert main_cluster(lows[:1], lows[:1] + 4).all()


def test_bounds_of_nothing_are_finite():
    assert np.isfinite(robust_bounds([])).all()


def test_surfaces_by_pattern_group_and_material():
    table = box("Table.top", (2, 1, 0.1), (0, 0, 1))
    parent = bpy.data.objects.new("Desk", None)
    bpy.context.scene.collection.objects.link(parent)
    table.parent = parent
    table.data.materials.append(bpy.data.materials.new("Wood"))
    table.data.materials.append(bpy.data.materials.new("Cloth"))
    top = max(table.data.polygons, key=lambda p: p.normal.z)
    top.material_index = 1
    table.vertex_groups.new(name="zone").add(list(top.vertices), 1.0, "REPLACE")
    meshes = list(static_by_name().values())
    assert find_surfaces(meshes, ["Table*"])[0].areas.sum() == pytest.approx(4.6)
    assert find_surfaces(meshes, ["Desk"])[0].name == "Table.top"
    for mask in ("Cloth", "zone"):
        (s,) = find_surfaces(meshes, ["Table.top"], mask)
        assert s.areas.sum() == pytest.approx(2)
        np.testing.assert_allclose(s.normals, [[0, 0, 1]] * 2, atol=1e-6)
        assert s.corners[..., 2] == pytest.approx(1.05)
    with pytest.raises(StageError, match=r"no object named 'table\*'.*Table.top"):
        find_surfaces(meshes, ["table*"])
    with pytest.raises(StageError, match=r"named 'Cloht'. Did you mean 'Cloth'"):
        find_surfaces(meshes, ["Table.top"], "Cloht")


def test_a_surface_without_area_is_refused():
    mesh = bpy.data.meshes.new("Line")
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (2, 0, 0)], [], [(0, 1, 2)])
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Line", mesh))
    with pytest.raises(StageError, match=r"no area"):
        find_surfaces(list(static_by_name().values()), ["Line"])
