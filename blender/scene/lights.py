# SPDX-License-Identifier: GPL-3.0-or-later
"""The lights of a scene: scaled, tinted, added."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import bpy

from ...engine.errors import StageError
from .ownership import OWNED

_BASE = "twinset_base"
"""Custom property of a changed light: its original energy and colour."""


def remove_animation(scene: bpy.types.Scene) -> None:
    """Remove keyframes and drivers of all lights, which keep their current values: a render would undo changes."""
    for light in lights_of(scene):
        light.animation_data_clear()


def scale_lights(scene: bpy.types.Scene, factor: float, tint: Sequence[float]) -> None:
    """Multiply power and colour of every light of the scene, including those in collection instances.

    A light shared by several objects is scaled once. Lights of :func:`add_light` and emissive materials stay.

    Parameters
    ----------
    scene : bpy.types.Scene
    factor : float
        For the power (for suns: the strength).
    tint : (3,) float
        For the linear RGB colour.
    """
    for light in lights_of(scene):
        if light.get(OWNED):
            continue
        if _BASE not in light:
            light[_BASE] = [light.energy, *light.color]
        # Some versions clip colours above 1, so the excess goes into the power.
        color = [c * t for c, t in zip(light.color, tint, strict=True)]
        peak = max(1.0, *color)
        light.energy *= factor * peak
        light.color = [c / peak for c in color]


def add_light(
    scene: bpy.types.Scene, position: Sequence[float], power: float, color: Sequence[float], radius: float
) -> bpy.types.Object:
    """Add a spherical point light.

    Parameters
    ----------
    scene : bpy.types.Scene
    position : (3,) float
        In metres, world coordinates.
    power : float
        Watts, in Blender's unit for lights.
    color : (3,) float
        Linear RGB.
    radius : float
        Metres.
    """
    light = bpy.data.lights.new("Twinset light", "POINT")
    light[OWNED] = True
    peak = max(1.0, *color)
    light.energy = power * peak
    light.color = [c / peak for c in color]
    light.shadow_soft_size = radius
    holder = bpy.data.objects.new("Twinset light", light)
    holder.location = position
    scene.collection.objects.link(holder)
    return holder


def add_lamp(
    scene: bpy.types.Scene,
    kind: str,
    *,
    position: Sequence[float],
    direction: Sequence[float],
    power: float,
    color: Sequence[float],
    size: float,
    length: float = 0.0,
    angle: float = 60.0,
    ies: Path | None = None,
) -> bpy.types.Object:
    """Add a point, spot or area lamp; see :meth:`...engine.stage.Stage.add_lamp`.

    Raises StageError if the IES file cannot be read.
    """
    from mathutils import Vector

    path = None if ies is None else _checked_ies(Path(ies))
    light = bpy.data.lights.new("Twinset lamp", kind.upper())
    light[OWNED] = True
    peak = max(1.0, *color)
    light.energy = power * peak
    light.color = [c / peak for c in color]
    if kind == "area":
        light.shape = "RECTANGLE" if length else "SQUARE"
        light.size, light.size_y = size, length or size
    else:
        light.shadow_soft_size = size
    if kind == "spot":
        light.spot_size, light.spot_blend = math.radians(angle), 0.3
    if path is not None:
        light.use_nodes = True
        tree = light.node_tree
        distribution = tree.nodes.new("ShaderNodeTexIES")
        distribution.mode, distribution.filepath = "EXTERNAL", str(path)
        emission = next(n for n in tree.nodes if n.type == "EMISSION")
        tree.links.new(distribution.outputs[0], emission.inputs["Strength"])
    holder = bpy.data.objects.new("Twinset lamp", light)
    holder.location = position
    holder.rotation_mode = "QUATERNION"
    holder.rotation_quaternion = Vector(direction).to_track_quat("-Z", "Y")
    scene.collection.objects.link(holder)
    return holder


def _checked_ies(path: Path) -> Path:
    try:
        start = path.read_bytes()[:64]
    except OSError as error:
        raise StageError(f"The IES file {path} cannot be read: {error.strerror}. Correct the path.") from error
    if b"IES" not in start.upper():
        raise StageError(f"The file {path} is no IES file: it must begin with 'IESNA'. Replace or remove it.")
    return path


def remove_changes(among: Iterable[bpy.types.Light] | None = None) -> None:
    """Remove the lights that were added, and reset those that were scaled; of some lights, or of the whole file."""
    for light in list(bpy.data.lights if among is None else among):
        if light.get(OWNED):
            # This also removes the objects that use the light.
            bpy.data.lights.remove(light)
        elif _BASE in light:
            light.energy, *color = light[_BASE]
            light.color = color
            del light[_BASE]


def lights_of(scene: bpy.types.Scene) -> Iterator[bpy.types.Light]:
    """The lights of a scene, each once, including those in collection instances."""
    seen: set[int] = set()
    collections = [scene.collection]
    while collections:
        collection = collections.pop()
        if collection.as_pointer() in seen:
            continue
        seen.add(collection.as_pointer())
        # Not all_objects, which takes a time that grows with the square of their number.
        collections += collection.children
        for holder in collection.objects:
            if holder.instance_type == "COLLECTION" and holder.instance_collection is not None:
                collections.append(holder.instance_collection)
            if holder.type == "LIGHT" and holder.data is not None and holder.data.as_pointer() not in seen:
                seen.add(holder.data.as_pointer())
                yield holder.data
