# SPDX-License-Identifier: GPL-3.0-or-later
"""Things of a class that something else shows as well are labelled where plain Blender renders them."""

from __future__ import annotations

import logging

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from plain_blender import add, collection, cube, mesh, new_scene, plain_labels, save, stage_of  # noqa: E402
from twinset.blender.geometry import scattered  # noqa: E402

CORNERS = [(-0.9, -0.3, 0.0), (0.0, 0.8, 0.2), (0.9, 0.0, 0.6), (0.2, -0.5, 1.2)]


def scatter_nodes(shown, *, as_instance=True, scale=(0.4, 0.4, 0.4)):
    tree = bpy.data.node_groups.new("scatter", "GeometryNodeTree")
    for direction in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=direction, socket_type="NodeSocketGeometry")
    new, link = tree.nodes.new, tree.links.new
    start, end, put = new("NodeGroupInput"), new("NodeGroupOutput"), new("GeometryNodeInstanceOnPoints")
    if isinstance(shown, bpy.types.Object):
        info = new("GeometryNodeObjectInfo")
        info.inputs["Object"].default_value = shown
        info.inputs["As Instance"].default_value = as_instance
        source = info.outputs["Geometry"]
    else:
        info = new("GeometryNodeCollectionInfo")
        info.inputs["Collection"].default_value = shown
        source = info.outputs[0]
    put.inputs["Scale"].default_value = scale
    link(start.outputs[0], put.inputs["Points"])
    link(source, put.inputs["Instance"])
    link(put.outputs[0], end.inputs[0])
    return tree


def mug(**properties):
    return add("Mug", cube("mug"), **{"location": (-1.4, 0.0, 0.2), "scale": (0.4, 0.4, 0.4), **properties})


def points(name="Points", faces=()):
    return add(name, mesh(name, CORNERS, faces))


def nodes(**options):
    points().modifiers.new("n", "NODES").node_group = scatter_nodes(mug(), **options)


def stretched():
    nodes(scale=(0.3, 0.6, 0.2))


def mesh_only():
    nodes(as_instance=False)


def two_parts():
    whole = add("Mug", None, location=(-1.4, 0.5, 0.3))
    shelf = collection("Shelf")
    for name, x in (("Body", 0.0), ("Handle", 0.25)):
        add(name, cube(name), collection=shelf, parent=whole, location=(x, 0.0, 0.0), scale=(0.3, 0.2, 0.3))
    points().modifiers.new("n", "NODES").node_group = scatter_nodes(shelf)


def a_part_only():
    whole = mug()
    handle = add("Handle", cube("handle"), parent=whole, location=(0.6, 0.0, 0.0), scale=(0.4, 0.3, 0.3))
    points().modifiers.new("n", "NODES").node_group = scatter_nodes(handle)


def face_instances():
    board = points(faces=[(0, 1, 2)])
    board.instance_type = "FACES"
    mug(parent=board)


def vertex_instances_of_a_grandchild():
    board = points()
    board.instance_type = "VERTS"
    mug(parent=add("Between", None, parent=board), location=(0.1, 0.0, 0.1))


def mirrored_collection():
    shelf = collection("Shelf")
    mug(collection=shelf)
    add("Here", None, instance_type="COLLECTION", instance_collection=shelf, location=(0.3, 1.0, 0.2), scale=(-1, 1, 1))


def hidden_library():
    nodes()
    shelf = collection("Shelf")
    shelf.objects.link(bpy.data.objects["Mug"])
    bpy.context.scene.collection.objects.unlink(bpy.data.objects["Mug"])
    bpy.context.view_layer.layer_collection.children["Shelf"].exclude = True


SCENES = [
    (nodes, 5),
    (stretched, 5),
    (mesh_only, 5),
    (two_parts, 5),
    (a_part_only, 5),
    (face_instances, 1),
    (vertex_instances_of_a_grandchild, 5),
    (mirrored_collection, 2),
    (hidden_library, 4),
]


@pytest.mark.parametrize(("build", "count"), SCENES, ids=lambda value: getattr(value, "__name__", ""))
def test_every_thing_of_the_class_is_labelled_where_it_is_scattered(build, count, tmp_path):
    new_scene(camera=(0.0, -4.0, 0.4))
    build()
    path = save(tmp_path)
    # Instances of a mesh without its object have the index of what shows them.
    true = plain_labels(path, {"Mug": 1, "Body": 1, "Handle": 1, **({"Points": 1} if build is mesh_only else {})})
    stage = stage_of(path, {"mug": "Mug"})
    labels = stage.probe(1.0)
    assert len(stage.instances) == count
    assert set(np.unique(labels.ids)) == set(range(count + 1))
    np.testing.assert_array_equal(labels.ids > 0, true.ids == 1)
    np.testing.assert_allclose(labels.depth, true.depth, rtol=1e-5)


def test_things_that_are_placed_elsewhere_or_excluded_are_not_scattered_any_more(tmp_path):
    new_scene()
    nodes()
    stage = stage_of(save(tmp_path), {"mug": "Mug"}, keep=False)
    assert not np.isfinite(stage.probe(1.0).depth).any()
    assert [a.name for a in stage.assets["mug"]] == ["Mug"]


def test_more_than_can_be_labelled_are_left_with_a_warning_that_names_what_shows_them(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(scattered, "MOST", 3)
    new_scene()
    nodes()
    path = save(tmp_path)
    with caplog.at_level(logging.WARNING):
        stage = stage_of(path, {"mug": "Mug"})
    assert "Points shows 'Mug' in 4 places" in caplog.text and "[scene] hide" in caplog.text
    labels = stage.probe(1.0)
    assert len(stage.instances) == 1
    assert (np.isfinite(labels.depth) & (labels.ids == 0)).any()
