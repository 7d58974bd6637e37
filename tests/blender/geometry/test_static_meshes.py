# SPDX-License-Identifier: GPL-3.0-or-later
"""What renders show of a scene as meshes: modifiers, instances, mirrored objects."""

from __future__ import annotations

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from plain_blender import box, static_by_name  # noqa: E402
from twinset.blender.geometry.evaluated import evaluate  # noqa: E402
from twinset.blender.geometry.surfaces import find_surfaces, static_meshes  # noqa: E402


@pytest.fixture(autouse=True)
def empty():
    bpy.ops.wm.read_factory_settings(use_empty=True)


def volume(mesh):
    """Signed volume by the divergence theorem: positive where normals point outwards."""
    a, b, c = mesh.vertices[mesh.triangles].swapaxes(0, 1)
    return float((a * np.cross(b, c)).sum() / 6)


@pytest.mark.parametrize("scale", [(1, 1, 1), (-1, 1, 1), (2, -3, 0.5), (-1, -1, -1)])
def test_normals_point_outwards_whatever_the_scale(scale):
    box("A", (1, 2, 3), (5, 0, 0)).scale = scale
    mesh = static_by_name()["A"].mesh
    assert volume(mesh) == pytest.approx(6 * abs(np.prod(scale)))
    assert mesh.vertices.min(0)[0] == pytest.approx(5 - abs(scale[0]) / 2)


def test_modifiers_curves_text_and_metaballs_are_solid():
    array = box("Array").modifiers.new("a", "ARRAY")
    array.count, array.relative_offset_displace = 3, (2, 0, 0)
    curve = bpy.data.curves.new("Text", "FONT")
    curve.body, curve.extrude = "I", 0.1
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Text", curve))
    ball = bpy.data.metaballs.new("Ball")
    ball.elements.new()
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Ball", ball))
    meshes = static_by_name()
    assert set(meshes) == {"Array", "Text", "Ball"}
    assert volume(meshes["Array"].mesh) == pytest.approx(3)
    assert np.ptp(meshes["Array"].mesh.vertices[:, 0]) == pytest.approx(5)
    assert volume(meshes["Ball"].mesh) > 0.5


def test_nested_collection_instances_stand_where_they_are_shown():
    inner, outer = bpy.data.collections.new("inner"), bpy.data.collections.new("outer")
    box("Brick", collection=inner)
    for name, collection, shown, z in (("E1", outer, inner, 1), ("E2", bpy.context.scene.collection, outer, 10)):
        e = bpy.data.objects.new(name, None)
        e.instance_type, e.instance_collection, e.location = "COLLECTION", shown, (0, 0, z)
        collection.objects.link(e)
    (m,) = static_by_name().values()
    assert m.name == "E2/Brick" and m.object == "Brick"
    assert m.mesh.vertices[:, 2].mean() == pytest.approx(11)
    assert find_surfaces([m], ["E2"])[0].areas.sum() == pytest.approx(6)


def test_geometry_nodes_instances_are_all_there():
    group = bpy.data.node_groups.new("g", "GeometryNodeTree")
    group.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    group.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    new = group.nodes.new
    start, end = new("NodeGroupInput"), new("NodeGroupOutput")
    scatter, cube = new("GeometryNodeInstanceOnPoints"), new("GeometryNodeMeshCube")
    group.links.new(start.outputs[0], scatter.inputs["Points"])
    group.links.new(cube.outputs[0], scatter.inputs["Instance"])
    group.links.new(scatter.outputs[0], end.inputs[0])
    mesh = bpy.data.meshes.new("points")
    mesh.from_pydata([(0, 0, 0), (5, 0, 0), (9, 0, 0)], [], [])
    o = bpy.data.objects.new("Scatter", mesh)
    o.modifiers.new("n", "NODES").node_group = group
    bpy.context.scene.collection.objects.link(o)
    m = static_by_name()["Scatter"]
    assert volume(m.mesh) == pytest.approx(3, rel=1e-4)
    assert np.ptp(m.mesh.vertices[:, 0]) == pytest.approx(10)


def test_excluded_objects_take_their_instances_along():
    library = bpy.data.collections.new("lib")
    box("Brick", collection=library)
    e = bpy.data.objects.new("Shows", None)
    e.instance_type, e.instance_collection = "COLLECTION", library
    bpy.context.scene.collection.objects.link(e)
    other = box("Other")
    scene = bpy.context.scene
    assert [m.name for m in static_meshes(scene, evaluate(scene), {e})] == ["Other"]
    assert [m.name for m in static_meshes(scene, evaluate(scene), {other})] == ["Shows/Brick"]
