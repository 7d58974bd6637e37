# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of assets: plain data with its look, of which each instance has an object of its own."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import attrs
import bpy
import numpy as np

from .evaluated import EvaluatedMesh
from .hair import hair_curves
from .object_look import Look, light_links


@attrs.frozen(eq=False)
class Part:
    """A part of an asset.

    Attributes
    ----------
    data : bpy.types.ID
        Mesh, hair curves, light or other object data, with materials; modifiers and instances are applied.
    matrix : (4, 4) float
        Part to world, or to the asset's frame.
    look : Look
        What renders read from the original object.
    source : bpy.types.Object
        The object that the part was made from; models are removed after that.
    solid : bool
        Whether it is a surface that the camera sees and things collide with.
    random : float
        Random number from 0 to 1 that shaders read from the original.
    """

    data: bpy.types.ID
    matrix: np.ndarray
    look: Look
    source: bpy.types.Object
    solid: bool = False
    random: float = 0.0

    @property
    def is_exact(self) -> bool:
        """Whether the part is its mesh, or nothing that has a label."""
        if isinstance(self.data, bpy.types.Light):
            return True
        return self.solid and not any(m is not None and is_displaced(m) for m in self.data.materials)

    def moved(self, matrix: np.ndarray) -> Part:
        """The part with ``matrix`` (4, 4) applied after its own."""
        return attrs.evolve(self, matrix=matrix @ self.matrix)

    def copy(self, name: str) -> bpy.types.Object:
        """A new object of the part, in no collection but those that link lights to objects."""
        made = bpy.data.objects.new(name, self.data)
        self.look.apply(made)
        return made

    @property
    def index(self) -> int:
        """The index that shaders read from the original."""
        return int(self.look.settings[""]["pass_index"])


class PartMaker:
    """Makes parts of evaluated objects; those with the same data share it."""

    def __init__(self, layer: bpy.types.ViewLayer) -> None:
        self._layer = layer
        self._made: dict[tuple, bpy.types.ID] = {}
        self._strands: dict[tuple[int, bpy.types.Object], list[bpy.types.Curves]] = {}
        self._looks: dict[bpy.types.Object, Look] = {}
        self._light_links = light_links()

    @functools.cached_property
    def _shown(self) -> frozenset[bpy.types.Object]:
        """The objects of the view layer while parts are made, some of which may be shown for that only."""
        return frozenset(self._layer.objects)

    def part(self, group: int, evaluated: EvaluatedMesh, *, solid: bool = True) -> Part:
        """The part of a mesh; groups share no data."""
        matrix = evaluated.matrix
        bake = is_sheared(matrix)
        key = (group, evaluated.mesh.as_pointer(), evaluated.materials, matrix[:3, :3].tobytes() if bake else b"")
        if key not in self._made:
            # A copy of the evaluated mesh: bpy.data.meshes.new_from_object would evaluate the object again, which
            # gives another mesh if geometry nodes make instances.
            self._made[key] = copy_mesh(evaluated.mesh, evaluated.materials, matrix if bake else None)
        if bake:
            matrix = np.eye(4)
            matrix[:3, 3] = evaluated.matrix[:3, 3]
        return self._part(self._made[key], matrix, evaluated, solid)

    def loose_parts(self, group: int, evaluated: EvaluatedMesh, depsgraph: bpy.types.Depsgraph) -> Iterator[Part]:
        """The parts of anything else; strands of hair are parts of their own."""
        data, source = evaluated.mesh, evaluated.source
        if data is None:
            strands = group, source
            if strands not in self._strands:
                self._strands[strands] = list(hair_curves(source.evaluated_get(depsgraph)))
            for curves in self._strands[strands]:
                yield self._part(curves, evaluated.matrix, evaluated)
        elif isinstance(data, bpy.types.Mesh):
            yield self.part(group, evaluated, solid=False)
        else:
            # Lights are changed for frames and thus are those of the scene, not copies.
            key = (group, data.as_pointer())
            if key not in self._made:
                self._made[key] = data.original if isinstance(data, bpy.types.Light) else data.copy()
            yield self._part(self._made[key], evaluated.matrix, evaluated)

    def _part(self, data: bpy.types.ID, matrix: np.ndarray, evaluated: EvaluatedMesh, solid: bool = False) -> Part:
        source = evaluated.source
        if source not in self._looks:
            self._looks[source] = Look.of(source, self._layer, self._shown, self._light_links)
        return Part(data, matrix, self._looks[source], source, solid, evaluated.random / 0xFFFFFFFF)


def is_displaced(material: bpy.types.Material) -> bool:
    """Whether a material moves the surface itself."""
    if material.node_tree is None or material.displacement_method == "BUMP":
        return False
    outputs = (node for node in material.node_tree.nodes if node.bl_idname == "ShaderNodeOutputMaterial")
    return any(node.inputs["Displacement"].is_linked for node in outputs)


def copy_mesh(
    mesh: bpy.types.Mesh, materials: Sequence[bpy.types.Material | None], bake: np.ndarray | None
) -> bpy.types.Mesh:
    """A copy of a mesh with these materials, and with the linear part of ``bake`` (4, 4) applied."""
    from mathutils import Matrix

    copy = mesh.copy()
    copy.materials.clear()
    for material in materials:
        copy.materials.append(material)
    if len(materials):
        # Clearing the slots also clears the faces' indices in some versions.
        indices = np.zeros(len(mesh.polygons), np.int32)
        mesh.polygons.foreach_get("material_index", indices)
        copy.polygons.foreach_set("material_index", indices)
    if bake is not None:
        linear = np.eye(4)
        linear[:3, :3] = bake[:3, :3]
        copy.transform(Matrix(linear.tolist()))
        if np.linalg.det(linear) < 0:
            copy.flip_normals()
    copy.update()
    return copy


def is_sheared(matrix: np.ndarray) -> bool:
    """Whether a matrix has shear, which an object's location, rotation and scale cannot express."""
    gram = matrix[:3, :3].T @ matrix[:3, :3]
    lengths = np.sqrt(np.maximum(np.diag(gram), 1e-30))
    off = np.abs(gram / lengths / lengths[:, None] - np.eye(3))
    return bool(off.max() > 1e-5)
