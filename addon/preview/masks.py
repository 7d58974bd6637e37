# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws the masks of a sample's instances, and the zones of surfaces, over the 3D Viewport."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader
from mathutils import Matrix

from ..processes.scene_digest import change_count
from ..settings.properties import parameters_of
from .live_boxes import asset_points, instances_shown, own_matrix
from .sample import INSTANCE, shown_sample
from .sample_labels import color_of

_ALPHA = 0.4
_ZONE = (0.25, 0.85, 0.45, 0.35)
_MIN_WEIGHT = 0.5
"""Weight of all corners from which on a face belongs to the zone of a vertex group, as when sampling."""
_NEARER = 2e-4
"""Share of the depth by which masks are drawn in front of the faces that they cover."""

_batches: dict[Any, Any] = {}


def draw_masks(scene: bpy.types.Scene) -> None:
    """Draw what the shown instances cover, in the colours of their boxes."""
    message = shown_sample(scene)
    if message is None or message["record"]["image"] is None:
        return
    rows = {row["id"]: row for row in message["record"]["instances"]}
    items = []
    for o, collection in instances_shown(scene):
        row = rows.get(o[INSTANCE])
        key = ("asset", collection.session_uid)
        if key not in _batches:
            _batches[key] = _batch(*asset_triangles(collection))
        if row is not None and _batches[key] is not None:
            color = (*color_of(row, message["record"])[:3], _ALPHA)
            items.append((_batches[key], o.matrix_world, color))
    _draw(items)


def draw_zones(scene: bpy.types.Scene) -> None:
    """Draw the faces of surfaces to which zones limit placements."""
    items = []
    for o, zone in zones_of(scene):
        key = ("zone", o.session_uid, zone)
        known = _batches.get(key)
        if known is None or known[0] != change_count():
            corners, indices = zone_triangles(o, zone)
            known = _batches[key] = change_count(), _batch(corners, indices)
        if known[1] is not None and o.visible_get():
            items.append((known[1], o.matrix_world, _ZONE))
    _draw(items)


def zones_of(scene: bpy.types.Scene) -> Iterator[tuple[bpy.types.Object, str]]:
    """The meshes on which placements put things, with the material or vertex group that limits them; "" for none."""
    for use in scene.twinset.placements:
        group = parameters_of(use)
        if group is None or not use.enabled or not hasattr(group, "surfaces"):
            continue
        zone = getattr(group, "mask", "")
        for entry in group.surfaces:
            for o in (entry.object, *entry.object.children_recursive) if entry.object is not None else ():
                if o.type == "MESH":
                    yield o, zone


def zone_triangles(o: bpy.types.Object, zone: str) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (N, 3) of a mesh, and its triangles (T, 3) that belong to a zone; all of them without one."""
    corners, indices, materials = mesh_triangles(o.data)
    if not zone or not len(indices):
        return corners, indices
    if zone in o.vertex_groups:
        number = o.vertex_groups[zone].index
        inside = np.zeros(len(corners), bool)
        for vertex in o.data.vertices:
            inside[vertex.index] = any(g.group == number and g.weight >= _MIN_WEIGHT for g in vertex.groups)
        return corners, indices[inside[indices].all(1)]
    slots = [n for n, slot in enumerate(o.material_slots) if slot.material is not None and slot.material.name == zone]
    return corners, indices[np.isin(materials, slots)]


def asset_triangles(collection: bpy.types.Collection) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (N, 3) and triangles (T, 3) of an asset in its own frame."""
    corners, indices, count = [], [], 0
    for o in collection.all_objects:
        if o.type == "MESH":
            vertices, triangles, _ = mesh_triangles(o.data)
            matrix = own_matrix(o)
            corners.append(vertices @ matrix[:3, :3].T + matrix[:3, 3])
            indices.append(triangles + count)
            count += len(vertices)
    if not corners:
        return asset_points(None), np.zeros((0, 3), int)
    return np.concatenate(corners), np.concatenate(indices)


def mesh_triangles(mesh: bpy.types.Mesh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices (N, 3), triangles (T, 3) and the triangles' material indices (T,) of a mesh without modifiers."""
    vertices = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.vertices.foreach_get("co", vertices.reshape(-1))
    mesh.calc_loop_triangles()
    triangles = np.empty((len(mesh.loop_triangles), 3), np.int32)
    mesh.loop_triangles.foreach_get("vertices", triangles.reshape(-1))
    materials = np.empty(len(mesh.loop_triangles), np.int32)
    mesh.loop_triangles.foreach_get("material_index", materials)
    return vertices, triangles, materials


def _batch(corners: np.ndarray, indices: np.ndarray) -> Any:
    if not len(indices):
        return None
    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    return batch_for_shader(shader, "TRIS", {"pos": corners.astype(np.float32)}, indices=indices.astype(np.int32))


def _draw(items: Sequence[tuple[Any, Any, tuple[float, ...]]]) -> None:
    if not items:
        return
    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    projection = gpu.matrix.get_projection_matrix()
    nearer = Matrix(projection)
    nearer[2] = projection[2] - _NEARER * projection[3]
    gpu.state.blend_set("ALPHA")
    gpu.state.depth_test_set("LESS_EQUAL")
    gpu.state.face_culling_set("NONE")
    with gpu.matrix.push_pop_projection():
        gpu.matrix.load_projection_matrix(nearer)
        for batch, matrix, color in items:
            with gpu.matrix.push_pop():
                gpu.matrix.multiply_matrix(matrix)
                shader.uniform_float("color", color)
                batch.draw(shader)
    gpu.state.depth_test_set("NONE")
    gpu.state.blend_set("NONE")


def forget(*_: Any) -> None:
    """Free what was prepared for drawing."""
    _batches.clear()
