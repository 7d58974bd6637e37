# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything is evaluated as for a render: labels and obstacles are those of plain Blender's final render."""

from __future__ import annotations

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from plain_blender import add, ball, collection, cube, mesh, new_scene, plain_labels, save, stage_of  # noqa: E402


def tree_of(name):
    tree = bpy.data.node_groups.new(name, "GeometryNodeTree")
    for direction in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=direction, socket_type="NodeSocketGeometry")
    return tree, tree.nodes.new("NodeGroupInput"), tree.nodes.new("NodeGroupOutput")


def coarse_in_the_viewport():
    """Geometry nodes that give a ball in renders only, by a node in a group of a group."""
    inner, start, end = tree_of("inner")
    switch, asked = inner.nodes.new("GeometryNodeSwitch"), inner.nodes.new("GeometryNodeIsViewport")
    fine = inner.nodes.new("GeometryNodeMeshIcoSphere")
    fine.inputs["Radius"].default_value, fine.inputs["Subdivisions"].default_value = 0.45, 4
    switch.input_type = "GEOMETRY"
    inner.links.new(asked.outputs[0], switch.inputs["Switch"])
    inner.links.new(fine.outputs[0], switch.inputs["False"])
    inner.links.new(start.outputs[0], switch.inputs["True"])
    inner.links.new(switch.outputs[0], end.inputs[0])
    outer, start, end = tree_of("outer")
    group = outer.nodes.new("GeometryNodeGroup")
    group.node_tree = inner
    outer.links.new(start.outputs[0], group.inputs[0])
    outer.links.new(group.outputs[0], end.inputs[0])
    return outer


def build():
    add("Nodes", cube("nodes")).modifiers.new("n", "NODES").node_group = coarse_in_the_viewport()
    screw = add("Screw", mesh("profile", [(0.4, 0, -0.4), (0.4, 0, 0.4)], [])).modifiers
    bpy.data.meshes["profile"].edges.add(1)
    bpy.data.meshes["profile"].edges[0].vertices = (0, 1)
    screw.new("s", "SCREW").steps, screw["s"].render_steps = 3, 48
    smooth = add("Smooth", cube("smooth")).modifiers.new("s", "SUBSURF")
    smooth.levels, smooth.render_levels = 0, 4
    render = bpy.context.scene.render
    render.use_simplify, render.simplify_subdivision, render.simplify_subdivision_render = True, 0, 2
    surface = bpy.data.curves.new("Text", "FONT")
    surface.body, surface.size, surface.resolution_u, surface.render_resolution_u = "S", 1.2, 1, 12
    add("Text", surface, rotation_euler=(np.pi / 2, 0, 0))
    keyed = add("Keyed", ball("keyed"))
    for shown_in_viewport in (True, False):
        keyed.hide_viewport = not shown_in_viewport
        keyed.keyframe_insert("hide_viewport", frame=1)
    driven = add("Driven", ball("driven"))
    driven.driver_add("hide_viewport").driver.expression = "1 + 0"
    out = collection("Out")
    add("Collected", ball("collected"), collection=out)
    out.hide_viewport = True
    for number, o in enumerate(o for o in bpy.context.scene.objects if o.type != "CAMERA"):
        o.location = (1.1 * (number % 4) - 1.65, 0.0, 1.1 * (number // 4) + 0.2)


def test_what_renders_show_is_labelled_and_is_an_obstacle(tmp_path):
    new_scene(camera=(0.0, -5.5, 0.8))
    build()
    names = sorted(o.name for o in bpy.context.scene.objects if o.type != "CAMERA")
    path = save(tmp_path)
    ids = {name: number + 1 for number, name in enumerate(names)}
    true = plain_labels(path, ids)
    assert set(np.unique(true.ids)) == {0, *ids.values()}
    stage = stage_of(path, {name: name for name in names}, keep=False)
    assert not stage._meshes
    for name in names:
        (asset,) = stage.assets[name]
        stage.place(asset, stage._loaded[name].original_matrix)
    found = stage.probe(1.0)
    for instance in stage.instances:
        name = instance.asset.name
        np.testing.assert_array_equal(found.ids == instance.id, true.ids == ids[name], err_msg=name)
    obstacles = stage_of(path, {"screw": "Screw"}, keep=False)
    assert {m.object for m in obstacles._meshes} == {*names} - {"Screw"}
    seen = obstacles.probe(1.0)
    np.testing.assert_array_equal(np.isfinite(seen.depth), np.isin(true.ids, [ids[n] for n in {*names} - {"Screw"}]))
    low = min(m.mesh.vertices[:, 2].min() for m in obstacles._meshes if m.object == "Nodes")
    assert low == pytest.approx(bpy.data.objects["Nodes"].location.z - 0.45, abs=0.01)
