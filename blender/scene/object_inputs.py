# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets shaders read an object's index and random number although ids and copies of objects change both."""

from __future__ import annotations

from collections.abc import Iterator

import bpy

_PROPERTIES = {"Object Index": "twinset_index", "Random": "twinset_random"}
"""Outputs of the node Object Info, and the custom properties that replace them: the value plus one, 0 for none."""


def keep_object_indices() -> None:
    """Let materials read the present indices of objects, and those of :func:`set_inputs`, from now on.

    Only materials that use the node's outputs are changed. Then the index of any object may be set to an id.
    """
    for tree in _shader_trees():
        for node in [n for n in tree.nodes if n.bl_idname == "ShaderNodeObjectInfo"]:
            for output, name in _PROPERTIES.items():
                if node.outputs[output].is_linked:
                    _read_property(tree, node.outputs[output], name)
    for o in bpy.data.objects:
        if o.pass_index and o.library is None:
            o[_PROPERTIES["Object Index"]] = o.pass_index + 1.0


def set_inputs(o: bpy.types.Object, index: int, random: float | None) -> None:
    """Set what shaders read as the index and, unless None, the random number of a new object."""
    o[_PROPERTIES["Object Index"]] = index + 1.0
    if random is not None:
        o[_PROPERTIES["Random"]] = random + 1.0


def _read_property(tree: bpy.types.NodeTree, output: bpy.types.NodeSocket, name: str) -> None:
    """Read a custom property where objects have it, else the output of the node."""
    targets = [link.to_socket for link in output.links]
    attribute = tree.nodes.new("ShaderNodeAttribute")
    attribute.attribute_type, attribute.attribute_name = "OBJECT", name
    value = tree.nodes.new("ShaderNodeMath")
    value.operation = "SUBTRACT"
    value.inputs[1].default_value = 1.0
    choice = tree.nodes.new("ShaderNodeMix")
    choice.data_type, choice.clamp_factor = "FLOAT", True
    tree.links.new(attribute.outputs["Fac"], value.inputs[0])
    tree.links.new(attribute.outputs["Fac"], choice.inputs["Factor"])
    tree.links.new(output, choice.inputs["A"])
    tree.links.new(value.outputs[0], choice.inputs["B"])
    for target in targets:
        tree.links.new(choice.outputs["Result"], target)


def _shader_trees() -> Iterator[bpy.types.NodeTree]:
    for material in bpy.data.materials:
        if material.node_tree is not None:
            yield material.node_tree
    yield from (tree for tree in bpy.data.node_groups if tree.bl_idname == "ShaderNodeTree")
