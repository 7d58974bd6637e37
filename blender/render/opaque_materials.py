# SPDX-License-Identifier: GPL-3.0-or-later
"""Detects opaque materials, which need no shading for ids and depth, and makes the material that replaces them."""

from __future__ import annotations

from collections.abc import Iterable

import bpy

_OPAQUE_SHADERS = frozenset(
    f"ShaderNode{name}"
    for name in (
        "AddShader",
        "BsdfAnisotropic",
        "BsdfDiffuse",
        "BsdfGlass",
        "BsdfMetallic",
        "BsdfRefraction",
        "BsdfSheen",
        "BsdfToon",
        "BsdfTranslucent",
        "Emission",
        "MixShader",
        "SubsurfaceScattering",
    )
)
"""Shader nodes at whose surface a camera ray ends, whatever their inputs."""


def all_opaque(materials: Iterable[bpy.types.Material], objects: Iterable[bpy.types.Object]) -> bool:
    """Whether every camera ray ends at the first surface it hits, and that surface is not displaced from its mesh.

    Anything else counts as not opaque: alpha, displacement, volumes, holdouts, unknown shader nodes.
    """
    return not any(map(_needs_shading, objects)) and all(map(is_opaque, materials))


def is_opaque(material: bpy.types.Material) -> bool:
    """Whether a surface of this material is opaque everywhere and in every frame."""
    tree = material.node_tree
    if tree is None or (bpy.app.version < (5, 0) and not material.use_nodes):
        return True
    if tree.animation_data is not None:
        return False
    outputs = [n for n in tree.nodes if n.bl_idname == "ShaderNodeOutputMaterial"]
    for output in outputs:
        linked = {socket.identifier for socket in output.inputs if socket.is_linked}
        displaced = "Displacement" in linked and material.displacement_method != "BUMP"
        if "Surface" not in linked or "Volume" in linked or displaced:
            return False
    return bool(outputs) and _is_opaque_tree(tree)


def black_material() -> bpy.types.Material:
    """A material of black emission: the cheapest surface for a ray to end on."""
    material = bpy.data.materials.new("Twinset black")
    if bpy.app.version < (5, 0):
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    black = tree.nodes.new("ShaderNodeEmission")
    black.inputs["Color"].default_value = (0.0, 0.0, 0.0, 1.0)
    tree.links.new(black.outputs["Emission"], tree.nodes.new("ShaderNodeOutputMaterial").inputs["Surface"])
    return material


def _needs_shading(o: bpy.types.Object) -> bool:
    # ``is_shadow_catcher`` is always True for lights.
    return o.type == "VOLUME" or (o.type != "LIGHT" and (o.is_holdout or o.is_shadow_catcher))


def _is_opaque_tree(tree: bpy.types.NodeTree) -> bool:
    """Whether none of a node tree's shaders, linked or not, is transparent."""
    for node in tree.nodes:
        if not any(socket.type == "SHADER" for socket in node.outputs):
            continue
        if node.bl_idname == "ShaderNodeGroup":
            if node.node_tree is not None and not (
                node.node_tree.animation_data is None and _is_opaque_tree(node.node_tree)
            ):
                return False
        elif node.bl_idname == "ShaderNodeBsdfPrincipled":
            alpha = node.inputs["Alpha"]
            if alpha.is_linked or alpha.default_value < 1.0:
                return False
        elif node.bl_idname not in _OPAQUE_SHADERS and node.bl_idname not in ("NodeGroupInput", "NodeReroute"):
            return False
    return True
