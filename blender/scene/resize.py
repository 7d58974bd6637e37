# SPDX-License-Identifier: GPL-3.0-or-later
"""Scales an opened scene that was modelled too large or too small, including its lights and cameras."""

from __future__ import annotations

from collections.abc import Iterable

import bpy
from mathutils import Matrix

from ..geometry.evaluated import evaluate
from ..geometry.family import Families


def resize_scene(scene: bpy.types.Scene, factor: float, collections: Iterable[str] = ()) -> None:
    """Scale a scene about the world origin, so that renders from its own cameras do not change.

    Objects follow an Empty by a constraint that is first in the stack, so animated transforms keep working. The power
    of lights is multiplied by the square of the factor. Suns, worlds and emissive materials need no change.

    Parameters
    ----------
    scene : bpy.types.Scene
        A working copy.
    factor : float
        Greater than 0.
    collections : iterable of str
        Names of collections outside the scene to scale too, such as asset libraries.
    """
    if factor == 1.0:
        return
    members = set(scene.objects)
    for name in collections:
        if name in bpy.data.collections:
            members.update(bpy.data.collections[name].all_objects)
    for o in list(members):
        while (o := o.parent) is not None:
            members.add(o)
    _remove_animation(scene)
    holder = bpy.data.objects.new("Scale of the scene", None)
    holder.scale = (factor, factor, factor)
    scene.collection.objects.link(holder)
    shrink, grow = Matrix.Scale(1.0 / factor, 4), Matrix.Scale(factor, 4)
    members = {o if o.library is None else o.make_local() for o in members}
    for o in members:
        for constraint in o.constraints:
            if constraint.type == "CHILD_OF" and constraint.target in members:
                # Its target is scaled already.
                constraint.inverse_matrix = constraint.inverse_matrix @ shrink
        if o.parent is None:
            follow = o.constraints.new("CHILD_OF")
            follow.target = holder
            follow.inverse_matrix = Matrix.Identity(4)
            o.constraints.move(len(o.constraints) - 1, 0)
    _correct_instances(members, factor, grow)
    for light in bpy.data.lights:
        _resize_light(light, factor)
    for camera in bpy.data.cameras:
        camera.clip_start *= factor
        camera.clip_end *= factor
        camera.ortho_scale *= factor
        camera.dof.focus_distance *= factor


def _remove_animation(scene: bpy.types.Scene) -> None:
    """Remove keyframes and drivers of lights and cameras, which keep their current values: they would undo changes."""
    depsgraph = evaluate(scene)
    keyed = [data for data in (*bpy.data.lights, *bpy.data.cameras) if data.animation_data is not None]
    for data in keyed:
        now = data.evaluated_get(depsgraph)
        for name in ("energy", "shadow_soft_size", "size", "size_y", "color", "clip_start", "clip_end", "lens"):
            if hasattr(data, name):
                setattr(data, name, getattr(now, name))
        data.animation_data_clear()


def _correct_instances(members: set[bpy.types.Object], factor: float, grow: Matrix) -> None:
    """Keep collection instances from being scaled twice if the instanced collection is scaled itself."""
    scaled = _with_members(members)
    for collection in scaled:
        collection.instance_offset = collection.instance_offset * factor
    family = Families()
    for o in bpy.data.objects:
        if o.instance_type == "COLLECTION" and o.instance_collection in scaled:
            o.delta_scale = o.delta_scale / factor
            for child in family.children(o):
                child.matrix_parent_inverse = grow @ child.matrix_parent_inverse


def _with_members(members: set[bpy.types.Object]) -> set[bpy.types.Collection]:
    """The collections that hold any of the objects, themselves or in a collection below; each is looked at once."""
    found: dict[bpy.types.Collection, bool] = {}

    def holds(collection: bpy.types.Collection) -> bool:
        if collection not in found:
            found[collection] = not members.isdisjoint(collection.objects)
            below = [holds(child) for child in collection.children]
            found[collection] |= any(below)
        return found[collection]

    return {collection for collection in bpy.data.collections if holds(collection)}


def _resize_light(light: bpy.types.Light, factor: float) -> None:
    if light.type == "SUN":
        return
    if getattr(light, "normalize", True):
        light.energy *= factor**2
    light.cutoff_distance *= factor
    if light.type != "AREA":
        # Area lights are scaled with their objects.
        light.shadow_soft_size *= factor
