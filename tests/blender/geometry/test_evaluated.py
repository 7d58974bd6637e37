# SPDX-License-Identifier: GPL-3.0-or-later
"""Triangles and materials of Blender's meshes, read as a whole, against Blender's own elements."""

from __future__ import annotations

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from twinset.blender.geometry.evaluated import read_mesh, triangle_materials  # noqa: E402


@pytest.mark.parametrize("sides", [(3, 3, 3), (4, 4, 4), (3, 4, 5)])
@pytest.mark.parametrize("slots", [None, (0, 2, 1)])
def test_triangles_are_those_of_blender(sides, slots) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    rng = np.random.default_rng(sum(sides))
    corners, faces = [], []
    for count in sides:
        angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
        faces.append(range(len(corners), len(corners) + count))
        radius = rng.uniform(0.1, 1.0, count)  # some faces are concave
        corners += np.stack([radius * np.cos(angle), radius * np.sin(angle), rng.normal(size=count)], 1).tolist()
    mesh = bpy.data.meshes.new("faces")
    mesh.from_pydata(corners, [], faces)
    if slots:
        mesh.polygons.foreach_set("material_index", slots)
    read = read_mesh(mesh, np.eye(4))
    mesh.calc_loop_triangles()
    assert read.triangles.tolist() == [list(t.vertices) for t in mesh.loop_triangles]
    np.testing.assert_array_equal(read.vertices, [v.co[:] for v in mesh.vertices])
    assert triangle_materials(mesh).tolist() == [t.material_index for t in mesh.loop_triangles]
    mirrored = read_mesh(mesh, np.diag([-1.0, 1.0, 1.0, 1.0]))
    np.testing.assert_array_equal(mirrored.triangles, read.triangles[:, ::-1])
