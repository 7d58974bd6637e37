# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the keypoints of an asset: empties, bones, vertex groups of its objects, and places that the recipe gives."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence

import bpy
import numpy as np

from ...engine.errors import StageError
from ...engine.plugin.params import unknown
from ...engine.scene.keypoint import Keypoint, keypoint_name, keypoint_place
from ...engine.scene.things import Asset, Mesh

log = logging.getLogger(__name__)


def named_points(
    objects: Sequence[bpy.types.Object], wanted: Sequence[str], to_asset: np.ndarray, mesh: Mesh
) -> dict[str, Keypoint | None]:
    """Keypoints of an asset by name, in the order of the class; None for what the asset does not have.

    Parameters
    ----------
    objects : sequence of bpy.types.Object
        Those of the asset, which armatures of its modifiers are added to.
    wanted : sequence of str
        As recipes write them, see :func:`...engine.scene.keypoint.keypoint_name`.
    to_asset : (4, 4) float
        From the world, as the objects are now, to the asset's frame.
    mesh : Mesh
        In the asset's frame.
    """
    if not wanted:
        return {}
    found: dict[str, np.ndarray | None] = {}
    for text in wanted:
        name, place = keypoint_name(text), keypoint_place(text)
        if isinstance(place, np.ndarray):
            found[name] = place
            continue
        world = _position(with_armatures(objects), name, tail=place == "tail")
        found[name] = None if world is None else to_asset[:3, :3] @ world + to_asset[:3, 3]
    return {name: None if at is None else surface_keypoint(at, mesh) for name, at in found.items()}


def check_named_points(assets: Iterable[tuple[str, Asset, Sequence[bpy.types.Object]]]) -> None:
    """Raise StageError for a keypoint that no asset of its class has, and warn of those that some do not have.

    ``assets`` are the name of the class, the asset, and its objects.
    """
    by_class: dict[str, list[tuple[Asset, Sequence[bpy.types.Object]]]] = {}
    for label, asset, objects in assets:
        if asset.keypoints:
            by_class.setdefault(label, []).append((asset, objects))
    for label, members in by_class.items():
        for name in members[0][0].keypoints:
            without = [asset.name for asset, _ in members if asset.keypoints[name] is None]
            if len(without) == len(members):
                known = sorted({known for _, objects in members for known in _names(objects)})
                raise StageError(
                    unknown(f"{label}, keypoints: no asset has an empty, a bone or a vertex group", name, known)
                )
            if without:
                log.warning("%s: %d assets have no keypoint '%s', such as '%s'.", label, len(without), name, without[0])


def with_armatures(objects: Sequence[bpy.types.Object]) -> list[bpy.types.Object]:
    """Objects, and the armatures that deform or carry them."""
    more = [m.object for o in objects for m in o.modifiers if m.type == "ARMATURE" and m.object is not None]
    more += [o.parent for o in objects if o.parent is not None and o.parent.type == "ARMATURE"]
    return list(dict.fromkeys([*objects, *more]))


def _position(objects: Sequence[bpy.types.Object], name: str, *, tail: bool) -> np.ndarray | None:
    """Where a named point is in the world: an empty, else a bone, else the middle of a vertex group."""
    if not tail:
        for o in objects:
            if o.type == "EMPTY" and _plain(o.name) == name:
                return np.array(o.matrix_world.translation)
    for o in objects:
        if o.type == "ARMATURE" and name in o.pose.bones:
            bone = o.pose.bones[name]
            return np.array(o.matrix_world @ (bone.tail if tail else bone.head))
    for o in objects:
        if not tail and o.type == "MESH" and name in o.vertex_groups:
            return _middle(o, o.vertex_groups[name].index)
    return None


def _middle(o: bpy.types.Object, group: int) -> np.ndarray | None:
    """Mean of the evaluated vertices of a vertex group by weight, in the world."""
    evaluated = o.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = evaluated.to_mesh()
    try:
        weighted = [(g.weight, v.co[:]) for v in mesh.vertices for g in v.groups if g.group == group and g.weight > 0]
    finally:
        evaluated.to_mesh_clear()
    if not weighted:
        return None
    weights, places = (np.array(values) for values in zip(*weighted, strict=True))
    matrix = np.array(evaluated.matrix_world)
    return np.asarray(matrix[:3, :3] @ (weights @ places / weights.sum()) + matrix[:3, 3])


def surface_keypoint(point: np.ndarray, mesh: Mesh) -> Keypoint:
    """The keypoint at a point (3,), with its distance to the surface: 0 within a millimetre, where points on it lie
    after rounding."""
    from mathutils.bvhtree import BVHTree

    tree = BVHTree.FromPolygons(mesh.vertices.tolist(), mesh.triangles.tolist())
    distance = tree.find_nearest(point.tolist())[3]
    return Keypoint(point, float(distance) if distance is not None and distance > 1e-3 else 0.0)


def _names(objects: Sequence[bpy.types.Object]) -> Iterable[str]:
    for o in with_armatures(objects):
        if o.type == "EMPTY":
            yield _plain(o.name)
        elif o.type == "ARMATURE":
            yield from o.pose.bones.keys()
        elif o.type == "MESH":
            yield from o.vertex_groups.keys()


def _plain(name: str) -> str:
    """The name of an object without the number that Blender gives to repeated ones."""
    return re.sub(r"\.\d{3,}$", "", name)
