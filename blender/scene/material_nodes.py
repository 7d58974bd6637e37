# SPDX-License-Identifier: GPL-3.0-or-later
"""Node trees of changed materials: colours, textures and patterns put before the shaders of a copied material."""

from __future__ import annotations

from pathlib import Path

import attrs
import bpy

from ...engine.rng import stream
from ...engine.scene.material import Material
from .ownership import OWNED
from .picture_files import check_picture

_MAX_IMAGES = 32
"""Textures kept in memory from frame to frame."""

_COLOR_INPUTS = ("Base Color", "Color")

_IS_COLOR = "twinset_is_color"
_FINE = 150.0
"""Repeats per metre of the noise where a plain material gets a relief."""
_RELIEF = 0.004
"""Metres of relief at full strength."""


@attrs.frozen
class PatternLook:
    """A procedural material: mean linear ``color``, ``contrast`` and strength of ``relief`` of the pattern, and how
    often it repeats in a metre."""

    color: tuple[float, float, float]
    roughness: float
    metallic: float
    contrast: float
    relief: float
    fineness: float


PATTERN_LOOKS = {
    "wood": PatternLook((0.28, 0.15, 0.07), 0.45, 0.0, 0.55, 0.05, 6.0),
    "fabric": PatternLook((0.20, 0.20, 0.22), 0.95, 0.0, 0.35, 0.3, 220.0),
    "metal": PatternLook((0.55, 0.55, 0.55), 0.28, 1.0, 0.10, 0.02, 25.0),
    "plastic": PatternLook((0.35, 0.35, 0.35), 0.38, 0.0, 0.04, 0.02, 12.0),
    "paint": PatternLook((0.60, 0.58, 0.54), 0.55, 0.0, 0.06, 0.04, 60.0),
}


def changed_material(
    original: bpy.types.Material | None, change: Material, scale: float, uv_density: float
) -> bpy.types.Material:
    """A copy of a material with the change.

    Parameters
    ----------
    original : bpy.types.Material or None
        None gives a plain material.
    change : Material
    scale : float
        Metres per unit of the object's own coordinates.
    uv_density : float
        How often the UV square fits into a metre; 0 where there is no usable UV map.

    Raises
    ------
    StageError
        If a texture is missing or cannot be read.
    """
    made = bpy.data.materials.new("Twinset material") if original is None else original.copy()
    made[OWNED] = True
    made.name = "Twinset material"
    plain = made.node_tree is None or (bpy.app.version < (5, 0) and not made.use_nodes)
    if plain:
        made.use_nodes = True
        shader = next(n for n in made.node_tree.nodes if n.type == "BSDF_PRINCIPLED")
        shader.inputs["Base Color"].default_value = made.diffuse_color
        shader.inputs["Roughness"].default_value = made.roughness
        shader.inputs["Metallic"].default_value = made.metallic
    builder = _Builder(made.node_tree, change, scale, uv_density)
    for shader in _shaders(made.node_tree):
        builder.apply(shader)
    return made


def main_shader(material: bpy.types.Material | None) -> bpy.types.Node | None:
    """The shader whose colour stands for a material; None without nodes."""
    if material is None or material.node_tree is None:
        return None
    return next(iter(_shaders(material.node_tree, add=False)), None)


def color_input(shader: bpy.types.Node) -> bpy.types.NodeSocket | None:
    """The socket with the colour of a shader."""
    return next((shader.inputs[name] for name in _COLOR_INPUTS if name in shader.inputs), None)


def _shaders(tree: bpy.types.NodeTree, add: bool = True) -> list[bpy.types.Node]:
    """The shaders with a colour: principled ones, else diffuse and glossy ones, else a new principled one."""
    principled = [n for n in tree.nodes if n.type == "BSDF_PRINCIPLED"]
    others = [n for n in tree.nodes if n.type in ("BSDF_DIFFUSE", "BSDF_GLOSSY", "BSDF_SHEEN", "BSDF_TOON")]
    if principled or others or not add:
        return principled or others
    outputs = [n for n in tree.nodes if n.type == "OUTPUT_MATERIAL"]
    output = next((n for n in outputs if n.is_active_output), None) or tree.nodes.new("ShaderNodeOutputMaterial")
    shader = tree.nodes.new("ShaderNodeBsdfPrincipled")
    tree.links.new(shader.outputs["BSDF"], output.inputs["Surface"])
    return [shader]


class _Builder:
    """Adds nodes to one tree; those that several shaders need are made once."""

    def __init__(self, tree: bpy.types.NodeTree, change: Material, scale: float, uv_density: float) -> None:
        self._tree, self._change = tree, change
        self._scale = max(abs(scale), 1e-9)
        self._uv_density = uv_density
        self._made: dict[str, bpy.types.NodeSocket] = {}

    def apply(self, shader: bpy.types.Node) -> None:
        """Change one shader."""
        socket = color_input(shader)
        if socket is not None:
            self._color(socket)
        look = PATTERN_LOOKS.get(self._change.pattern)
        self._number(shader, "Roughness", self._change.roughness, look.roughness if look else None)
        self._number(shader, "Metallic", self._change.metallic, look.metallic if look else None)
        self._relief(shader)

    def _color(self, socket: bpy.types.NodeSocket) -> None:
        change = self._change
        if change.recolors:
            self._unlink(socket)
            look = PATTERN_LOOKS.get(change.pattern)
            base = change.base_color or (look.color if look else (1.0, 1.0, 1.0))
            socket.default_value = (*base, 1.0)
            if "color" in change.textures:
                product = self._node("ShaderNodeVectorMath", operation="MULTIPLY")
                product.inputs[1].default_value = base
                self._tree.links.new(self._texture("color"), product.inputs[0])
                self._tree.links.new(product.outputs["Vector"], socket)
            elif look is not None:
                scaled = self._node("ShaderNodeVectorMath", operation="SCALE")
                scaled.inputs[0].default_value = base
                self._tree.links.new(self._pattern_factor(), scaled.inputs["Scale"])
                self._tree.links.new(scaled.outputs["Vector"], socket)
        if (change.hue, change.saturation, change.value) != (0.0, 1.0, 1.0):
            shifted = self._node("ShaderNodeHueSaturation")
            shifted.inputs["Hue"].default_value = (0.5 + change.hue / 360.0) % 1.0
            shifted.inputs["Saturation"].default_value = change.saturation
            shifted.inputs["Value"].default_value = change.value
            if socket.links:
                self._tree.links.new(socket.links[0].from_socket, shifted.inputs["Color"])
            else:
                shifted.inputs["Color"].default_value = socket.default_value
            self._tree.links.new(shifted.outputs["Color"], socket)

    def _number(self, shader: bpy.types.Node, name: str, value: float | None, usual: float | None) -> None:
        socket = shader.inputs.get(name)
        if socket is None:
            return
        if value is not None or usual is not None:
            self._unlink(socket)
            socket.default_value = usual if value is None else value
        elif name.lower() in self._change.textures:
            self._tree.links.new(self._texture(name.lower()), socket)

    def _relief(self, shader: bpy.types.Node) -> None:
        change, look = self._change, PATTERN_LOOKS.get(self._change.pattern)
        normal = shader.inputs.get("Normal")
        strength = change.bump if change.bump is not None else look.relief if look else None
        if normal is None:
            return
        if "normal" in change.textures:
            bent = self._node("ShaderNodeNormalMap")
            # Tangents need a UV map; without one the texture's slopes are left out.
            if self._by_uv("normal"):
                self._tree.links.new(self._texture("normal"), bent.inputs["Color"])
                self._tree.links.new(bent.outputs["Normal"], normal)
        if "displacement" in change.textures and (strength is None or strength > 0.0):
            height, strength = self._texture("displacement"), 0.5 if strength is None else strength
        elif strength:
            height = self._noise()
        else:
            return
        bump = self._node("ShaderNodeBump")
        bump.inputs["Strength"].default_value = strength
        bump.inputs["Distance"].default_value = _RELIEF
        if normal.links:
            self._tree.links.new(normal.links[0].from_socket, bump.inputs["Normal"])
        self._tree.links.new(height, bump.inputs["Height"])
        self._tree.links.new(bump.outputs["Normal"], normal)

    def _texture(self, role: str) -> bpy.types.NodeSocket:
        """The colour of a texture of the change."""
        if role not in self._made:
            node = self._node("ShaderNodeTexImage")
            node.image = _image(self._change.textures[role], is_color=role == "color")
            if self._by_uv(role):
                vector = self._mapped("UV", 1.0 / (self._change.size * max(self._uv_density, 1e-6)))
            else:
                node.projection, node.projection_blend = "BOX", 0.25
                vector = self._mapped("Object", self._scale / self._change.size)
            self._tree.links.new(vector, node.inputs["Vector"])
            self._made[role] = node.outputs["Color"]
        return self._made[role]

    def _by_uv(self, role: str) -> bool:
        return self._change.mapping == "uv" or (self._change.mapping == "auto" and self._uv_density > 0.0)

    def _mapped(self, output: str, factor: float) -> bpy.types.NodeSocket:
        """Coordinates of an object or its UV map, scaled."""
        key = f"{output} {factor}"
        if key not in self._made:
            mapping = self._node("ShaderNodeMapping")
            mapping.inputs["Scale"].default_value = (factor,) * 3
            rng = stream(self._change.seed, "place")
            mapping.inputs["Location"].default_value = rng.uniform(-5.0, 5.0, 3).tolist()
            source = self._node("ShaderNodeTexCoord").outputs[output]
            self._tree.links.new(source, mapping.inputs["Vector"])
            self._made[key] = mapping.outputs["Vector"]
        return self._made[key]

    def _noise(self) -> bpy.types.NodeSocket:
        """The pattern's own relief, or fine noise: a grey value around 0.5."""
        if "noise" not in self._made:
            look = PATTERN_LOOKS.get(self._change.pattern)
            factor = self._scale * (look.fineness if look else _FINE) / self._change.size
            vector = self._mapped("Object", factor)
            if self._change.pattern == "wood":
                # Grain is noise stretched along one axis.
                stretch = [5.0, 5.0, 5.0]
                stretch[int(stream(self._change.seed, "grain").integers(3))] = 0.12
                mapping = self._node("ShaderNodeMapping")
                mapping.inputs["Scale"].default_value = stretch
                self._tree.links.new(vector, mapping.inputs["Vector"])
                vector = mapping.outputs["Vector"]
            noise = self._node("ShaderNodeTexNoise")
            noise.inputs["Scale"].default_value = 1.0
            noise.inputs["Detail"].default_value = 2.0
            self._tree.links.new(vector, noise.inputs["Vector"])
            self._made["noise"] = noise.outputs[0]
        return self._made["noise"]

    def _pattern_factor(self) -> bpy.types.NodeSocket:
        """A factor around 1 for the pattern's colour."""
        if "factor" not in self._made:
            contrast = PATTERN_LOOKS[self._change.pattern].contrast
            factor = self._node("ShaderNodeMath", operation="MULTIPLY_ADD")
            factor.inputs[1].default_value, factor.inputs[2].default_value = 2.0 * contrast, 1.0 - contrast
            self._tree.links.new(self._noise(), factor.inputs[0])
            self._made["factor"] = factor.outputs[0]
        return self._made["factor"]

    def _node(self, kind: str, **settings: str) -> bpy.types.Node:
        node = self._tree.nodes.new(kind)
        for name, value in settings.items():
            setattr(node, name, value)
        return node

    def _unlink(self, socket: bpy.types.NodeSocket) -> None:
        for link in list(socket.links):
            self._tree.links.remove(link)


def _image(path: Path, *, is_color: bool) -> bpy.types.Image:
    """The texture, loaded once; the oldest unused ones are removed where there are too many."""
    found = check_picture(path, "texture")
    for image in bpy.data.images:
        if image.get(OWNED) and image.get(_IS_COLOR) == is_color and image.filepath == str(found.path):
            return image
    own = [i for i in bpy.data.images if i.get(OWNED) and _IS_COLOR in i]
    for image in own[: max(0, len(own) - _MAX_IMAGES + 1)]:
        if not image.users:
            bpy.data.images.remove(image)
    image = bpy.data.images.load(str(found.path), check_existing=False)
    image.name = "Twinset texture"
    image[OWNED], image[_IS_COLOR] = True, is_color
    if not is_color:
        image.colorspace_settings.name = "Non-Color"
    return image
