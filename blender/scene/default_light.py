# SPDX-License-Identifier: GPL-3.0-or-later
"""Detects scenes without any light, and lights them."""

from __future__ import annotations

import logging

import bpy
import numpy as np

from ..geometry.evaluated import evaluate
from ..geometry.surfaces import main_cluster

log = logging.getLogger(__name__)


_DARK = 0.1
"""Radiance after exposure below which a plain world lights nothing. Blender's default one has 0.05."""


def add_default_light(scene: bpy.types.Scene, *, lit_by_assets: bool = False) -> bool:
    """Light a scene that has no light of any kind, and log a warning.

    The scene gets a grey sky. A closed room, which a sky does not light, also gets an area light under the ceiling that
    is invisible to the camera. Blender's default world of dark grey counts as none.

    Parameters
    ----------
    scene : bpy.types.Scene
    lit_by_assets : bool
        Whether assets bring lamps, which then count.

    Returns
    -------
    bool
        Whether light was added.
    """
    depsgraph = evaluate(scene)
    if lit_by_assets or _has_light(scene, depsgraph):
        return False
    world = bpy.data.worlds.new("Twinset sky")
    if bpy.app.version < (5, 0):
        world.use_nodes = True
    background = world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = (1.0, 1.0, 1.0, 1.0)
    background.inputs["Strength"].default_value = 0.8
    scene.world = world
    boxes = [_world_box(o) for o in scene.objects if o.type == "MESH" and not o.hide_render]
    closed = False
    if boxes:
        lows, highs = (np.array(side) for side in zip(*boxes, strict=True))
        keep = main_cluster(lows, highs)
        low, high = lows[keep].min(0), highs[keep].max(0)
        ceiling = _ceiling_height(scene, depsgraph, low, high)
        closed = ceiling is not None
        if ceiling is not None:
            width, depth = np.clip(0.5 * (high - low)[:2], 0.1, 20.0)
            panel = bpy.data.lights.new("Twinset panel", "AREA")
            panel.shape = "RECTANGLE"
            panel.size, panel.size_y = float(width), float(depth)
            # 15 W of radiant flux per square metre light a white room as a bright lamp does.
            panel.energy = 15.0 * float(width * depth) + 30.0
            holder = bpy.data.objects.new("Twinset panel", panel)
            holder.location = ((low[0] + high[0]) / 2, (low[1] + high[1]) / 2, ceiling - 0.03 * (high[2] - low[2]))
            holder.visible_camera = False
            scene.collection.objects.link(holder)
    log.warning("The scene has no light: added a grey sky%s.", " and a panel under the ceiling" if closed else "")
    return True


def only_glows(scene: bpy.types.Scene) -> bool:
    """Whether only materials light a scene, such as a screen or the LEDs of a fan. It gets no default light."""
    depsgraph = evaluate(scene)
    has_lamp = any(o.type == "LIGHT" and o.data.energy > 0 and not o.hide_render for o in scene.objects)
    has_world = scene.world is not None and _world_emits(scene.world, 2.0**scene.view_settings.exposure)
    return not has_lamp and not has_world and _has_light(scene, depsgraph)


def _ceiling_height(
    scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph, low: np.ndarray, high: np.ndarray
) -> float | None:
    """Height of the lowest ceiling over the middle of the scene; None if most upward rays hit nothing."""
    eye = (low[2] + high[2]) / 2
    heights = []
    steps = np.linspace(0.2, 0.8, 5)
    for x in low[0] + steps * (high[0] - low[0]):
        for y in low[1] + steps * (high[1] - low[1]):
            hit, where, *_ = scene.ray_cast(depsgraph, (x, y, eye), (0.0, 0.0, 1.0))
            if hit and where[2] > eye + 1e-3:
                heights.append(where[2])
    return min(heights) if len(heights) > 0.6 * len(steps) ** 2 else None


def _has_light(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> bool:
    if scene.world is not None and _world_emits(scene.world, 2.0**scene.view_settings.exposure):
        return True
    # Lights and emissive materials inside collection instances count as well.
    shown = set()
    for item in depsgraph.object_instances:
        instancer = item.parent.original if item.is_instance and item.parent is not None else None
        if item.show_self and not (instancer is not None and instancer.hide_render):
            shown.add(item.object.original)
    shown = {o for o in shown if not o.hide_render}
    if any(o.type == "LIGHT" and o.data.energy > 0 for o in shown):
        return True
    materials = {slot.material for o in shown for slot in o.material_slots if slot.material is not None}
    return any(_emits_light(node) for m in materials if m.node_tree is not None for node in m.node_tree.nodes)


def _world_emits(world: bpy.types.World, exposure: float) -> bool:
    if world.node_tree is None or (bpy.app.version < (5, 0) and not world.use_nodes):
        return max(world.color) * exposure >= _DARK
    return any(_emits_light(node) and not _is_dark(node, exposure) for node in world.node_tree.nodes)


def _is_dark(node: bpy.types.Node, exposure: float) -> bool:
    """Whether a background is of one colour that lights nothing."""
    inputs = [node.inputs.get("Color"), node.inputs.get("Strength")]
    if any(i is None or i.is_linked for i in inputs):
        return False
    return float(np.prod([np.max(_value(i)) for i in inputs])) * exposure < _DARK


def _emits_light(node: bpy.types.Node) -> bool:
    color, strength = {
        "BACKGROUND": ("Color", "Strength"),
        "EMISSION": ("Color", "Strength"),
        "BSDF_PRINCIPLED": ("Emission Color", "Emission Strength"),
    }.get(node.type, ("", ""))
    if not color or color not in node.inputs or node.mute:
        return False
    emits = [node.inputs[key].is_linked or np.max(_value(node.inputs[key])) > 0 for key in (color, strength)]
    used = node.type == "BSDF_PRINCIPLED" or any(output.is_linked for output in node.outputs)
    return used and all(emits)


def _value(socket: bpy.types.NodeSocket) -> np.ndarray:
    return np.atleast_1d(np.array(socket.default_value, dtype=float))[:3]


def _world_box(o: bpy.types.Object) -> tuple[np.ndarray, np.ndarray]:
    corners = np.array(o.bound_box, dtype=float) @ np.array(o.matrix_world)[:3, :3].T + np.array(o.matrix_world)[:3, 3]
    return corners.min(0), corners.max(0)
