# SPDX-License-Identifier: GPL-3.0-or-later
"""Materials that light passes: in scenes for labels their surfaces are crossed or not, never by chance."""

from __future__ import annotations

from collections.abc import Iterable

import bpy

_PROPERTY = "twinset_labels"
"""Custom property of the view layers of scenes for labels, which materials read."""

_KEPT = ("ShaderNodeBsdfTransparent", "ShaderNodeHoldout")


def mark_label_layer(layer: bpy.types.ViewLayer, marked: bool = True) -> None:
    """Let materials of :func:`prepare_see_through` be as labels need them in renders of a view layer."""
    layer[_PROPERTY] = float(marked)


def prepare_see_through(materials: Iterable[bpy.types.Material]) -> None:
    """Give materials a second surface for labels: transparency as it is, and nothing else that deflects rays.

    Cycles notes ids and depth at the first surface whose alpha reaches the view layer's threshold. Rays that pass a
    surface below it would else scatter there with a probability of alpha, and leave a pixel without a label.
    """
    for material in materials:
        tree = material.node_tree
        if tree is None or (bpy.app.version < (5, 0) and not material.use_nodes):
            continue
        for output in [n for n in tree.nodes if n.bl_idname == "ShaderNodeOutputMaterial"]:
            surface = output.inputs["Surface"]
            if not surface.is_linked:
                continue
            original = surface.links[0].from_socket
            converted = _Conversion(tree).of(original)
            if converted is None or converted == original:
                continue
            asked = tree.nodes.new("ShaderNodeAttribute")
            asked.attribute_type, asked.attribute_name = "VIEW_LAYER", _PROPERTY
            choice = tree.nodes.new("ShaderNodeMixShader")
            tree.links.new(asked.outputs["Fac"], choice.inputs[0])
            tree.links.new(original, choice.inputs[1])
            tree.links.new(converted, choice.inputs[2])
            tree.links.new(choice.outputs[0], surface)


class _Conversion:
    """Builds the nodes for labels in one tree."""

    def __init__(self, tree: bpy.types.NodeTree) -> None:
        self._tree = tree
        self._made: dict[str, bpy.types.NodeSocket | None] = {}
        self._groups: dict[str, bpy.types.Node] = {}
        self._black: bpy.types.NodeSocket | None = None

    def of(self, socket: bpy.types.NodeSocket) -> bpy.types.NodeSocket | None:
        """The counterpart of a shader for labels; None if nothing is linked."""
        key = f"{socket.node.name}\n{socket.identifier}"
        if key not in self._made:
            self._made[key] = self._convert(socket)
        return self._made[key]

    def _convert(self, socket: bpy.types.NodeSocket) -> bpy.types.NodeSocket | None:
        node = socket.node
        if node.mute:
            inner = [link.from_socket for link in node.internal_links if link.to_socket == socket]
            return self._linked(inner[0]) if inner else None
        if node.bl_idname in _KEPT or node.bl_idname == "NodeGroupInput":
            return socket
        if node.bl_idname == "NodeReroute":
            return self._linked(node.inputs[0])
        if node.bl_idname in ("ShaderNodeMixShader", "ShaderNodeAddShader"):
            return self._combined(node)
        if node.bl_idname == "ShaderNodeBsdfPrincipled":
            return self._principled(node)
        if node.bl_idname == "ShaderNodeGroup" and node.node_tree is not None:
            return self._group(node).outputs[socket.identifier]
        return self._emission()

    def _linked(self, socket: bpy.types.NodeSocket) -> bpy.types.NodeSocket | None:
        return self.of(socket.links[0].from_socket) if socket.is_linked else None

    def _combined(self, node: bpy.types.Node) -> bpy.types.NodeSocket:
        made = self._tree.nodes.new(node.bl_idname)
        for old, new in zip(node.inputs, made.inputs, strict=True):
            self._copy_input(old, new)
        return made.outputs[0]

    def _principled(self, node: bpy.types.Node) -> bpy.types.NodeSocket:
        alpha = node.inputs["Alpha"]
        if not alpha.is_linked and alpha.default_value >= 1.0:
            return self._emission()
        mix = self._tree.nodes.new("ShaderNodeMixShader")
        clear = self._tree.nodes.new("ShaderNodeBsdfTransparent")
        clear.inputs["Color"].default_value = (1.0, 1.0, 1.0, 1.0)
        self._copy_input(alpha, mix.inputs[0])
        self._tree.links.new(clear.outputs[0], mix.inputs[1])
        self._tree.links.new(self._emission(), mix.inputs[2])
        return mix.outputs[0]

    def _group(self, node: bpy.types.Node) -> bpy.types.Node:
        if node.name in self._groups:
            return self._groups[node.name]
        made = self._tree.nodes.new("ShaderNodeGroup")
        made.node_tree = node.node_tree.copy()
        for old, new in zip(node.inputs, made.inputs, strict=True):
            self._copy_input(old, new)
        inside = _Conversion(made.node_tree)
        for output in [n for n in made.node_tree.nodes if n.bl_idname == "NodeGroupOutput"]:
            for socket in output.inputs:
                if socket.type == "SHADER" and socket.is_linked:
                    converted = inside.of(socket.links[0].from_socket)
                    if converted is not None:
                        made.node_tree.links.new(converted, socket)
        self._groups[node.name] = made
        return made

    def _copy_input(self, old: bpy.types.NodeSocket, new: bpy.types.NodeSocket) -> None:
        if old.type == "SHADER":
            converted = self._linked(old)
            if converted is not None:
                self._tree.links.new(converted, new)
        elif old.is_linked:
            self._tree.links.new(old.links[0].from_socket, new)
        elif hasattr(old, "default_value"):
            new.default_value = old.default_value

    def _emission(self) -> bpy.types.NodeSocket:
        if self._black is None:
            black = self._tree.nodes.new("ShaderNodeEmission")
            black.inputs["Color"].default_value = (0.0, 0.0, 0.0, 1.0)
            self._black = black.outputs[0]
        return self._black
