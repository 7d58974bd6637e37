# SPDX-License-Identifier: GPL-3.0-or-later
"""Things of a class that something else shows as well are labelled where plain Blender renders them."""

from __future__ import annotations

import logging

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from plain_blender import (  # noqa: E402
    SIZE,
    add,
    collection,
    cube,
    mesh,
    new_material,
    new_scene,
    plain_labels,
    save,
    stage_of,
)
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


RED = (0.9, 0.05, 0.05)
LENS, SENSOR, CAMERA = 35.0, 36.0, np.array([0.0, -4.0, 0.4])
FILTER = 1.5
"""Pixels; the width of the Blackman-Harris window over which Cycles' pixels gather light by default."""


def on_vertices():
    """Four boxes on the corners of a square, which shows them instead of the one below it."""
    board = add("Board", mesh("board", [(-0.9, -0.3, 0.2), (-0.8, 0.9, 0.2), (0.9, 0.6, 0.7), (0.5, -0.4, 1.1)], ()))
    board.instance_type = "VERTS"
    thing = mug(parent=board, location=(0.0, 0.0, 0.0), scale=(0.3, 0.25, 0.4))
    return thing, [np.array(v.co) for v in board.data.vertices]


def in_empties():
    """Three empties that show a shelf, beside the box in it."""
    shelf = collection("Shelf")
    thing = mug(collection=shelf, scale=(0.35, 0.35, 0.4))
    places = [np.array(thing.location)]
    for k, x in enumerate((-0.4, 0.5, 1.3)):
        add(f"Here {k}", None, instance_type="COLLECTION", instance_collection=shelf, location=(x + 1.4, 0.3, 0.1 * k))
        places.append(places[0] + (x + 1.4, 0.3, 0.1 * k))
    return thing, places


def hits(centres, size, u, v):
    """Whether rays through points of the image, in pixels, hit any of some upright boxes: slab by slab, in numpy."""
    width, height = SIZE
    ones = np.ones(np.shape(u))
    rays = np.stack([(u - width / 2) * SENSOR / LENS / width, ones, (height / 2 - v) * SENSOR / LENS / width], -1)
    found = np.zeros(np.shape(u), bool)
    with np.errstate(divide="ignore"):
        for centre in centres:
            ends = ((centre + np.outer([-0.5, 0.5], size)) - CAMERA)[:, None, None] / rays
            found |= ends.min(0).max(-1) < ends.max(0).min(-1)
    return found


def covered(centres, size):
    """The share (H, W) of the light of pixels that comes from boxes, by 225 rays each, weighted as Cycles does."""
    v, u = np.mgrid[: SIZE[1], : SIZE[0]] + 0.5
    share, total = np.zeros(u.shape), 0.0
    steps = (np.arange(15) + 0.5) / 15
    window = 0.35875 - 0.48829 * np.cos(2 * np.pi * steps) + 0.14128 * np.cos(4 * np.pi * steps)
    window -= 0.01168 * np.cos(6 * np.pi * steps)
    for down, a in zip(steps, window, strict=True):
        for right, b in zip(steps, window, strict=True):
            share += a * b * hits(centres, size, u + (right - 0.5) * FILTER, v + (down - 0.5) * FILTER)
            total += a * b
    return share / total


@pytest.mark.parametrize("build", [on_vertices, in_empties])
def test_pixels_without_a_label_at_edges_are_those_whose_centre_misses_the_thing(build, tmp_path):
    """Their colour is a mixture: less than half of the light is the thing's, by rays that know nothing of Blender."""
    new_scene(camera=tuple(CAMERA))
    thing, centres = build()
    thing.data.materials.append(new_material("red", RED))
    # Before the white sky, mixtures would look white.
    wall = mesh("wall", [(-30, 4, -30), (30, 4, -30), (30, 4, 30), (-30, 4, 30)], [(0, 1, 2, 3)])
    add("Wall", wall).data.materials.append(new_material("dark", (0.05, 0.05, 0.05)))
    size = np.array(thing.scale)
    stage = stage_of(save(tmp_path), {"mug": "Mug"})
    ids, picture = stage.probe(1.0).ids, stage.shoot(seed=1).image.astype(int)
    v, u = np.mgrid[: SIZE[1], : SIZE[0]] + 0.5
    near = [hits(centres, size, u + x, v + y) for x in (-0.02, 0.02) for y in (-0.02, 0.02)]
    certain = np.all(near, 0) | ~np.any(near, 0)
    assert certain.mean() > 0.995
    np.testing.assert_array_equal((ids > 0)[certain], hits(centres, size, u, v)[certain])
    share = covered(centres, size)
    coloured = picture[..., 0] > picture[..., 1] + 60
    left = coloured & (ids == 0)
    assert left.any() and (ids > 0).sum() > 500
    assert not hits(centres, size, u, v)[left & certain].any()
    # Within what 16 samples a pixel leave uncertain.
    assert share[left].min() > 0.02 and share[left].max() < 0.6
    assert share[coloured & (ids > 0)].min() > 0.3
    assert not (~coloured & (share > 0.6)).any()
