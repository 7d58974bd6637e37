# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedural materials of the built-in hall's floors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...engine.scene.material import color_from_text
from .shapes.materials import color_ramp

if TYPE_CHECKING:
    import bpy


def new_material(name: str, roughness: float) -> tuple[bpy.types.Material, Any, Any]:
    import bpy

    made = bpy.data.materials.new(name)
    made.use_nodes = True
    shader = next(n for n in made.node_tree.nodes if n.type == "BSDF_PRINCIPLED")
    shader.inputs["Roughness"].default_value = roughness
    return made, made.node_tree, shader


def plank_or_tile_floor(
    name: str, light: str, dark: str, joint: str, size: tuple[float, float], *, gap: float, roughness: float
) -> Any:
    """Planks or tiles: a brick pattern of (length, width) metres in two shades."""
    made, tree, shader = new_material(name, roughness)
    brick = tree.nodes.new("ShaderNodeTexBrick")
    for socket, color in (("Color1", light), ("Color2", dark), ("Mortar", joint)):
        brick.inputs[socket].default_value = (*color_from_text(color), 1.0)
    brick.inputs["Scale"].default_value = 1.0
    brick.inputs["Mortar Size"].default_value = gap
    brick.inputs["Brick Width"].default_value, brick.inputs["Row Height"].default_value = size
    brick.offset = 0.37 if size[0] > 2 * size[1] else 0.0
    position = tree.nodes.new("ShaderNodeTexCoord").outputs["Object"]
    tree.links.new(position, brick.inputs["Vector"])
    tree.links.new(brick.outputs["Color"], shader.inputs["Base Color"])
    made.diffuse_color = (*color_from_text(light), 1.0)
    return made


def carpet_floor(name: str, color: str) -> Any:
    made, tree, shader = new_material(name, 1.0)
    noise = tree.nodes.new("ShaderNodeTexNoise")
    noise.inputs["Scale"].default_value = 35.0
    tree.links.new(tree.nodes.new("ShaderNodeTexCoord").outputs["Object"], noise.inputs["Vector"])
    base = np.array(color_from_text(color))
    tree.links.new(color_ramp(tree, noise.outputs[0], base * 0.7, base * 1.35, 0.35, 0.65), shader.inputs["Base Color"])
    made.diffuse_color = (*color_from_text(color), 1.0)
    return made
