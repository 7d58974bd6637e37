# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes of so many polygons, modifiers or textures that building Cycles' data takes longer than the pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import bpy

from ...dataset.image_header import read_header
from ..geometry.evaluated import evaluate, is_instanced_child, view_layer
from ..geometry.object_look import UNSEEN

HEAVY_TRIANGLES = 250_000
HEAVY_PIXELS = 50_000_000
"""Triangles and pixels of textures from which a scene is heavy: about half a second of building for each render."""

_MODIFIED = 10
"""Triangles for which one counts that Blender makes by modifiers, again for each render."""

_APART = 5_000
"""Triangles of a mesh from which it gets a tree of its own."""

_DEPTH = 1_000.0
"""Metres below the scene at which its second instance is."""

_LIGHT_RAYS = ("camera", "diffuse", "glossy", "transmission", "shadow")
_EMITTERS = frozenset(
    ("ShaderNodeEmission", "ShaderNodeBackground", "ShaderNodeBsdfHairPrincipled", "ShaderNodeScript")
)


def is_heavy(scene: bpy.types.Scene) -> bool:
    """Whether building Cycles' data of a scene takes long."""
    triangles: dict[int, int] = {}
    for item in evaluate(scene).object_instances:
        if item.object.type == "MESH" and item.show_self and not item.object.original.hide_render:
            mesh = item.object.data
            is_modified = any(modifier.show_render for modifier in item.object.original.modifiers)
            triangles[mesh.as_pointer()] = _triangles(mesh) * (_MODIFIED if is_modified else 1)
    return sum(triangles.values()) >= HEAVY_TRIANGLES or sum(map(_pixels, bpy.data.images)) >= HEAVY_PIXELS


def can_keep(scene: bpy.types.Scene, size: tuple[int, int]) -> bool:
    """Whether Cycles' data of a scene are the same for each picture of this size, apart from what moves.

    Adaptive subdivision and culling depend on the camera. Volumes are seen by rays that nothing can be hidden from.
    Tiles must be larger than the picture, see :mod:`.sessions`.
    """
    r, cycles = scene.render, scene.cycles
    culls = r.use_simplify and (cycles.use_camera_cull or cycles.use_distance_cull)
    tiles = cycles.use_auto_tile and max(size) > cycles.tile_size & ~8
    return (
        not culls
        and not tiles
        and not any(map(_is_diced, scene.objects))
        and not any(o.type == "VOLUME" for o in scene.objects)
        and not any(map(_has_volume, [*bpy.data.materials, *bpy.data.worlds]))
    )


def keep_apart(scene: bpy.types.Scene, placed: Iterable[bpy.types.ID]) -> None:
    """Have Cycles build a tree of its own for each large mesh of a scene and for the meshes of instances.

    Cycles builds one tree of all meshes that it shows once, and builds it again whenever anything moves. So each of
    these gets a second instance, far below and invisible to all rays but those that volumes scatter.
    """
    twins = bpy.data.collections.new("Twinset geometry")
    for item in evaluate(scene).object_instances:
        o = item.object.original
        if not item.is_instance and item.object.type == "MESH" and _is_plain(o):
            mesh = item.object.data
            if _triangles(mesh) >= _APART and not any(map(_may_emit, o.material_slots)):
                twins.objects.link(o)
    for mesh in dict.fromkeys(placed):
        if isinstance(mesh, bpy.types.Mesh) and not any(_material_may_emit(m) for m in mesh.materials):
            twins.objects.link(bpy.data.objects.new("Twinset geometry", mesh))
    holder = bpy.data.objects.new("Twinset geometry", None)
    holder.instance_type, holder.instance_collection = "COLLECTION", twins
    holder.location = (0.0, 0.0, -_DEPTH)
    for ray in _LIGHT_RAYS:
        setattr(holder, f"visible_{ray}", False)
    scene.collection.objects.link(holder)
    view_layer(scene).update()


def _triangles(mesh: bpy.types.Mesh) -> int:
    return len(mesh.loops) - 2 * len(mesh.polygons)


def _is_plain(o: bpy.types.Object) -> bool:
    return (
        not o.hide_render
        and o.instance_type == "NONE"
        and not o.particle_systems
        and not is_instanced_child(o)
        and UNSEEN not in o
        and not o.is_holdout
        and not o.is_shadow_catcher
    )


def _pixels(image: bpy.types.Image) -> int:
    """Pixels of an image that is used, by its header: Blender would load all of it to say its size."""
    if not image.users or image.source not in ("FILE", "TILED"):
        return 0
    try:
        if image.packed_file is not None:
            header = read_header(bytes(image.packed_file.data))
        else:
            header = read_header(Path(bpy.path.abspath(image.filepath_raw, library=image.library)))
    except (OSError, ValueError):
        return 0
    return 0 if header is None else header.width * header.height


def _is_diced(o: bpy.types.Object) -> bool:
    settings = [o.cycles, *o.modifiers] if o.type == "MESH" else []
    return any(getattr(each, "use_adaptive_subdivision", False) for each in settings)


def _has_volume(owner: bpy.types.Material | bpy.types.World) -> bool:
    tree = owner.node_tree
    outputs = [] if tree is None else [n for n in tree.nodes if n.bl_idname.startswith("ShaderNodeOutput")]
    return any(s.name == "Volume" and s.is_linked for output in outputs for s in output.inputs)


def _may_emit(slot: bpy.types.MaterialSlot) -> bool:
    return _material_may_emit(slot.material)


def _material_may_emit(material: bpy.types.Material | None) -> bool:
    """Whether a material may give light: Cycles chooses lights from a tree, in which a second one would be, too."""
    return (
        material is not None and material.node_tree is not None and any(map(_node_may_emit, _nodes(material.node_tree)))
    )


def _nodes(tree: bpy.types.NodeTree) -> Iterator[bpy.types.Node]:
    for node in tree.nodes:
        yield node
        if node.bl_idname == "ShaderNodeGroup" and node.node_tree is not None:
            yield from _nodes(node.node_tree)


def _node_may_emit(node: bpy.types.Node) -> bool:
    if node.bl_idname == "ShaderNodeBsdfPrincipled":
        strength = node.inputs.get("Emission Strength")
        return strength is not None and (strength.is_linked or strength.default_value != 0.0)
    return node.bl_idname in _EMITTERS
