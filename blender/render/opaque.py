# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells materials that hide all behind them, for which ids and depth need no shading, and what stands in for them."""

from __future__ import annotations

from collections.abc import Iterable

import bpy

_CLOSURES = frozenset(
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
"""Shaders whose surface a camera ray ends on, whatever their inputs."""


def all_opaque(materials: Iterable[bpy.types.Material], objects: Iterable[bpy.types.Object]) -> bool:
    """Whether a ray from the camera ends on the first surface it meets, which lies where its mesh lies.

    Anything unknown counts as not opaque: alpha, displacement, volumes, holdouts, shader nodes of other kinds.
    """
    return not any(map(_is_special, objects)) and all(map(is_opaque, materials))


def is_opaque(material: bpy.types.Material) -> bool:
    """Whether a surface of this material hides all that is behind it, everywhere and in every frame."""
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
    return bool(outputs) and _closes(tree)


def plain_material() -> bpy.types.Material:
    """A black surface that gives no light: the cheapest thing a ray can end on."""
    material = bpy.data.materials.new("Twinset plain")
    if bpy.app.version < (5, 0):
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    black = tree.nodes.new("ShaderNodeEmission")
    black.inputs["Color"].default_value = (0.0, 0.0, 0.0, 1.0)
    tree.links.new(black.outputs["Emission"], tree.nodes.new("ShaderNodeOutputMaterial").inputs["Surface"])
    return material


def _is_special(o: bpy.types.Object) -> bool:
    # Lamps always say that they catch shadows.
    return o.type == "VOLUME" or (o.type != "LIGHT" and (o.is_holdout or o.is_shadow_catcher))


def _closes(tree: bpy.types.NodeTree) -> bool:
    """Whether none of a tree's shaders, linked or not, can let a ray through."""
    for node in tree.nodes:
        if not any(socket.type == "SHADER" for socket in node.outputs):
            continue
        if node.bl_idname == "ShaderNodeGroup":
            if node.node_tree is not None and not (node.node_tree.animation_data is None and _closes(node.node_tree)):
                return False
        elif node.bl_idname == "ShaderNodeBsdfPrincipled":
            alpha = node.inputs["Alpha"]
            if alpha.is_linked or alpha.default_value < 1.0:
                return False
        elif node.bl_idname not in _CLOSURES and node.bl_idname not in ("NodeGroupInput", "NodeReroute"):
            return False
    return True
