# SPDX-License-Identifier: GPL-3.0-or-later
"""The evaluated scene: every mesh in the dependency graph that is rendered, including instances."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import attrs
import bpy
import numpy as np

from ...engine.stage import Mesh

SOLID_TYPES = frozenset({"MESH", "CURVE", "SURFACE", "FONT", "META"})
"""Object types that evaluate to meshes."""


@attrs.frozen(eq=False)
class EvaluatedMesh:
    """One mesh of the evaluated scene, valid only until the iterator advances.

    Attributes
    ----------
    source : bpy.types.Object
        The original object that the mesh belongs to.
    owner : bpy.types.Object
        The original object that renders it: an instancer, or ``source`` itself.
    mesh : bpy.types.Mesh
        Evaluated, in local coordinates. Other data, or None, in :func:`evaluated_loose`.
    matrix : (4, 4) float
        Local to world.
    materials : tuple
        The material of each slot, whether linked to the mesh or to the object.
    random : int
        Random number of the object or instance, below 2³², from which shaders draw.
    """

    source: bpy.types.Object
    owner: bpy.types.Object
    mesh: Any
    matrix: np.ndarray
    materials: tuple[bpy.types.Material | None, ...]
    random: int = 0


def evaluated_meshes(depsgraph: bpy.types.Depsgraph, *, instanced_children: bool = False) -> Iterator[EvaluatedMesh]:
    """All meshes with faces that would be rendered.

    Curves, text and metaballs are given as their evaluated mesh; instances of collections, geometry nodes, particles
    and vertices one by one. Objects that are invisible to the camera, or have only volume materials, are left out;
    so are, without ``instanced_children``, the originals of what vertices and faces instance: renders omit them.
    """
    for item in depsgraph.object_instances:
        shown = item.object
        # Curves, text and metaballs appear twice: as themselves, and as a mesh that is their own instance.
        if shown.type != "MESH" or not item.show_self:
            continue
        mesh = shown.data
        if mesh is None or not len(mesh.polygons):
            continue
        source = shown.original
        owner = item.parent.original if item.is_instance and item.parent is not None else source
        if source.hide_render or owner.hide_render or not shown.visible_camera:
            continue
        if not (item.is_instance or instanced_children) and is_instanced_child(source):
            continue
        materials = _materials(shown, mesh)
        if materials and all(m is not None and _is_volume(m) for m in materials):
            continue
        matrix = np.array(item.matrix_world, dtype=float)
        yield EvaluatedMesh(source, owner, mesh, matrix, materials, _random(item))


def is_instanced_child(o: bpy.types.Object) -> bool:
    """Whether vertices or faces of the parent instance an object, so that renders omit the object itself."""
    return o.parent is not None and o.parent.instance_type in {"VERTS", "FACES"}


LOOSE_TYPES = frozenset({"CURVES", "POINTCLOUD", "VOLUME", "LIGHT", "GREASEPENCIL", "GPENCIL"})
"""Object types that belong to assets although they are no surfaces that things can collide with."""


def evaluated_loose(depsgraph: bpy.types.Depsgraph) -> Iterator[EvaluatedMesh]:
    """Everything else that an asset consists of, as :func:`evaluated_meshes`.

    Lights, hair curves, point clouds, volumes, grease pencil, meshes that the camera does not see or that hold only a
    volume, and objects with hair particles, whose ``mesh`` is None.
    """
    for item in depsgraph.object_instances:
        shown = item.object
        source = shown.original
        owner = item.parent.original if item.is_instance and item.parent is not None else source
        if source.hide_render or owner.hide_render:
            continue
        matrix = np.array(item.matrix_world, dtype=float)
        random = _random(item)
        if item.show_particles and _has_hair(shown):
            yield EvaluatedMesh(source, owner, None, matrix, (), random)
        if not item.show_self or shown.data is None:
            continue
        if shown.type in LOOSE_TYPES:
            yield EvaluatedMesh(source, owner, shown.data, matrix, (), random)
        elif shown.type == "MESH" and len(shown.data.polygons):
            materials = _materials(shown, shown.data)
            if not shown.visible_camera or (materials and all(m is not None and _is_volume(m) for m in materials)):
                yield EvaluatedMesh(source, owner, shown.data, matrix, materials, random)


def read_mesh(mesh: bpy.types.Mesh, matrix: np.ndarray) -> Mesh:
    """Triangles of a Blender mesh, transformed; normals point outwards also if the matrix mirrors."""
    vertices = np.empty(len(mesh.vertices) * 3, np.float32)
    # Attributes are copied as a whole, which is up to fifty times as fast as reading elements.
    mesh.attributes["position"].data.foreach_get("vector", vertices)
    points = vertices.reshape(-1, 3).astype(float) @ matrix[:3, :3].T + matrix[:3, 3]
    mesh.calc_loop_triangles()
    triangles = np.empty(len(mesh.loop_triangles) * 3, np.int32)
    if _has_only_triangles(mesh):
        mesh.attributes[".corner_vert"].data.foreach_get("value", triangles)
    else:
        mesh.loop_triangles.foreach_get("vertices", triangles)
    triangles = triangles.reshape(-1, 3)
    if np.linalg.det(matrix[:3, :3]) < 0:
        triangles = np.ascontiguousarray(triangles[:, ::-1])
    return Mesh(points, triangles)


def triangle_materials(mesh: bpy.types.Mesh) -> np.ndarray:
    """Material slot (T,) int32 of each triangle, in the order of :func:`read_mesh`."""
    slots = mesh.attributes.get("material_index")
    if slots is None:
        return np.zeros(len(mesh.loop_triangles), np.int32)
    of_faces = np.zeros(len(mesh.polygons), np.int32)
    slots.data.foreach_get("value", of_faces)
    if _has_only_triangles(mesh):
        return of_faces
    corners = np.empty(len(mesh.polygons), np.int32)
    mesh.polygons.foreach_get("loop_total", corners)
    return np.repeat(of_faces, corners - 2)


def _has_only_triangles(mesh: bpy.types.Mesh) -> bool:
    return len(mesh.loops) == 3 * len(mesh.polygons)


def join_meshes(meshes: Iterable[Mesh]) -> Mesh:
    """One mesh of several."""
    parts = list(meshes)
    starts = np.cumsum([0, *(len(m.vertices) for m in parts)])
    return Mesh(
        np.concatenate([m.vertices for m in parts]),
        np.concatenate([m.triangles + np.int32(start) for m, start in zip(parts, starts, strict=False)]),
    )


def view_layer(scene: bpy.types.Scene) -> bpy.types.ViewLayer:
    """The view layer that is rendered: the first one that is enabled for rendering."""
    return next((layer for layer in scene.view_layers if layer.use), scene.view_layers[0])


def evaluate(scene: bpy.types.Scene) -> bpy.types.Depsgraph:
    """The scene's dependency graph, evaluated at its current frame."""
    layer = view_layer(scene)
    layer.update()
    return layer.depsgraph


def show_as_rendered(scene: bpy.types.Scene) -> None:
    """Set viewport visibility and quality to those of the render: only the viewport's depsgraph can be read.

    It changes the scene, which must be a working copy.
    """
    render = scene.render
    render.simplify_subdivision = render.simplify_subdivision_render
    render.simplify_child_particles = render.simplify_child_particles_render
    render.simplify_volumes = 1.0
    for collection in bpy.data.collections:
        collection.hide_viewport = collection.hide_render
    for o in bpy.data.objects:
        show_object_as_rendered(o)
    layer = view_layer(scene)
    _show_layer_collections(layer.layer_collection)
    for o in layer.objects:
        o.hide_set(False, view_layer=layer)


def show_object_as_rendered(o: bpy.types.Object) -> None:
    """As :func:`show_as_rendered`, for one object."""
    o.hide_viewport = o.hide_render
    o.show_instancer_for_viewport = o.show_instancer_for_render
    _remove_animation(o, "hide_viewport")
    for modifier in o.modifiers:
        modifier.show_viewport = modifier.show_render
        for shown, rendered in _DETAIL.get(modifier.type, ()):
            if hasattr(modifier, rendered):
                setattr(modifier, shown, getattr(modifier, rendered))
        if modifier.type == "NODES":
            _answer_as_rendered(modifier.node_group, set())
    for system in o.particle_systems:
        settings = system.settings
        settings.display_percentage = 100
        settings.child_percent = settings.rendered_child_count
        settings.display_step = settings.render_step
    if o.type in {"CURVE", "SURFACE", "FONT"}:
        for shown, rendered in (("resolution_u", "render_resolution_u"), ("resolution_v", "render_resolution_v")):
            if getattr(o.data, rendered):
                setattr(o.data, shown, getattr(o.data, rendered))
    elif o.type == "META":
        o.data.resolution = o.data.render_resolution


_DETAIL = {
    "SUBSURF": (("levels", "render_levels"),),
    "MULTIRES": (("levels", "render_levels"),),
    "SCREW": (("steps", "render_steps"),),
    "OCEAN": (("viewport_resolution", "resolution"),),
}
"""Properties of modifiers for the viewport and for renders."""


def _answer_as_rendered(tree: bpy.types.NodeTree | None, seen: set[bpy.types.NodeTree]) -> None:
    """Let the nodes "Is Viewport" of geometry nodes, also in groups, answer no."""
    if tree is None or tree in seen:
        return
    seen.add(tree)
    for node in list(tree.nodes):
        if node.bl_idname == "GeometryNodeGroup":
            _answer_as_rendered(node.node_tree, seen)
        elif node.bl_idname == "GeometryNodeIsViewport" and node.outputs[0].is_linked:
            no = tree.nodes.new("FunctionNodeInputBool")
            no.boolean = False
            for link in list(node.outputs[0].links):
                tree.links.new(no.outputs[0], link.to_socket)


def _remove_animation(owner: bpy.types.ID, name: str) -> None:
    """Remove keyframes and drivers of a property, which would undo a change of it."""
    animation = owner.animation_data
    if animation is None:
        return
    for curve in [c for c in animation.drivers if c.data_path == name]:
        animation.drivers.remove(curve)
    # In Blender 5 curves are in the bags of an action's slots.
    curves = getattr(animation.action, "fcurves", None)
    if curves is not None and animation.action.library is None:
        for curve in [c for c in curves if c.data_path == name]:
            curves.remove(curve)


def _show_layer_collections(layer_collection: bpy.types.LayerCollection) -> None:
    layer_collection.hide_viewport = False
    for child in layer_collection.children:
        _show_layer_collections(child)


def _materials(shown: bpy.types.Object, mesh: bpy.types.Mesh) -> tuple[bpy.types.Material | None, ...]:
    materials = [m.original if m is not None else None for m in mesh.materials]
    for i, slot in enumerate(shown.material_slots):
        if slot.link == "OBJECT":
            materials.extend([None] * (i + 1 - len(materials)))
            materials[i] = slot.material.original if slot.material is not None else None
    return tuple(materials)


def _random(item: bpy.types.DepsgraphObjectInstance) -> int:
    """The number that Cycles takes as random for an object or instance; Blender tells only that of instances."""
    if item.is_instance:
        return int(item.random_id) & 0xFFFFFFFF
    key = 0
    for byte in item.object.name.encode():
        key = (key * 37 + byte) & 0xFFFFFFFF
    return _hash_pair(key, 0)


def _hash_pair(x: int, y: int) -> int:
    """Hash of two 32-bit numbers [Jenkins, "lookup3.c", 2006], as in Cycles."""
    a = b = c = 0xDEADBEEF + (2 << 2) + 13
    a, b = a + x, b + y
    for which, turn in enumerate((14, 11, 25, 16, 4, 14, 24)):
        order = which % 3
        if order == 0:
            c = ((c ^ b) - _rotated(b, turn)) & 0xFFFFFFFF
        elif order == 1:
            a = ((a ^ c) - _rotated(c, turn)) & 0xFFFFFFFF
        else:
            b = ((b ^ a) - _rotated(a, turn)) & 0xFFFFFFFF
    return c


def _rotated(x: int, turn: int) -> int:
    x &= 0xFFFFFFFF
    return (x << turn | x >> (32 - turn)) & 0xFFFFFFFF


def _has_hair(o: bpy.types.Object) -> bool:
    return any(s.settings.type == "HAIR" and s.settings.render_type == "PATH" for s in o.particle_systems)


def _is_volume(material: bpy.types.Material) -> bool:
    if material.node_tree is None:
        return False
    output = material.node_tree.get_output_node("CYCLES")
    return output is not None and output.inputs["Volume"].is_linked and not output.inputs["Surface"].is_linked
