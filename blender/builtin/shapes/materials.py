# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedural materials of furniture, bags and rooms: wood, fabric, metal, plastic, leather, paint, glass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from ....engine.rng import stream
from ....engine.scene.material import color_from_text

if TYPE_CHECKING:
    import bpy


@attrs.frozen
class Finish:
    """Material of a part.

    ``kind`` is one of ``KINDS``; ``color`` an sRGB hex triple such as ``8a5a33``; ``grain`` the axis of wood grain.
    """

    kind: str
    color: str
    grain: str = "z"


# roughness, metallic, share of lightness that the pattern varies, pattern scale in 1/m
KINDS: dict[str, tuple[float, float, float, float]] = {
    "wood": (0.45, 0.0, 0.45, 9.0),
    "fabric": (0.95, 0.0, 0.22, 260.0),
    "straw": (0.85, 0.0, 0.45, 90.0),
    "metal": (0.25, 1.0, 0.08, 30.0),
    "plastic": (0.38, 0.0, 0.04, 12.0),
    "leather": (0.42, 0.0, 0.25, 45.0),
    "painted": (0.5, 0.0, 0.05, 8.0),
    "glass": (0.05, 0.0, 0.0, 1.0),
}


def material(finish: Finish, name: str) -> bpy.types.Material:
    """A new node material.

    Parameters
    ----------
    finish : Finish
    name : str
        Its name; also the key of the random stream that shifts its pattern, so a name always looks the same.
    """
    import bpy

    rough, metallic, vary, scale = KINDS[finish.kind]
    rng = stream(0, name)
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    tree = made.node_tree
    shader = next(n for n in tree.nodes if n.type == "BSDF_PRINCIPLED")
    shader.inputs["Roughness"].default_value = float(np.clip(rough + rng.uniform(-0.05, 0.05), 0.05, 1.0))
    shader.inputs["Metallic"].default_value = metallic
    shader.inputs["Transmission Weight"].default_value = float(finish.kind == "glass")
    position = tree.nodes.new("ShaderNodeTexCoord").outputs["Object"]
    mapping = tree.nodes.new("ShaderNodeMapping")
    stretch = {axis: 1.0 for axis in "xyz"}
    if finish.kind == "wood":
        # Wood grain is noise stretched along one axis.
        stretch = {axis: 0.12 if axis == finish.grain else 5.0 for axis in "xyz"}
    mapping.inputs["Scale"].default_value = [scale * stretch[axis] for axis in "xyz"]
    mapping.inputs["Location"].default_value = rng.uniform(-5.0, 5.0, 3).tolist()
    noise = tree.nodes.new("ShaderNodeTexNoise")
    noise.inputs["Scale"].default_value = 1.0
    noise.inputs["Detail"].default_value = 2.0
    tree.links.new(position, mapping.inputs["Vector"])
    tree.links.new(mapping.outputs["Vector"], noise.inputs["Vector"])
    base = np.array(color_from_text(finish.color))
    ramp = color_ramp(tree, noise.outputs[0], base * (1.0 - vary), np.minimum(base * (1.0 + vary), 0.95), 0.32, 0.68)
    tree.links.new(ramp, shader.inputs["Base Color"])
    made.diffuse_color = (*color_from_text(finish.color), 1.0)
    return made


def color_ramp(tree: Any, factor: Any, low: Any, high: Any, start: float = 0.0, end: float = 1.0) -> Any:
    """The output of a colour ramp from ``low`` to ``high`` (linear RGB) as ``factor`` goes from start to end."""
    ramp = tree.nodes.new("ShaderNodeValToRGB")
    ramp.color_ramp.elements[0].position, ramp.color_ramp.elements[1].position = start, end
    ramp.color_ramp.elements[0].color = (*map(float, low), 1.0)
    ramp.color_ramp.elements[1].color = (*map(float, high), 1.0)
    tree.links.new(factor, ramp.inputs[0])
    return ramp.outputs[0]
