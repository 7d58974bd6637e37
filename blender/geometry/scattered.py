# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds where scenes show assets a second time: scattered by geometry nodes, particles, vertices or collections."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import attrs
import bpy
import numpy as np

from .evaluated import EvaluatedMesh
from .parts import Part, copy_mesh, is_sheared

MOST = 2000
"""How many things of one asset are labelled where they are scattered."""


@attrs.define(eq=False)
class Scattered:
    """Where a scene shows a group of objects beside their own place.

    Attributes
    ----------
    moves : list of (4, 4) float
        World to world, without shear, mirroring or unequal scale: from the group's own place to another one.
    variants : list of list of Part
        The group, or what is shown of it, where a move is not enough.
    owners : set of str
        Names of the objects that show the group.
    sources : set of bpy.types.Object
        The objects of the group that are shown.
    unlabelled : int
        How many more there are than can be labelled; then the lists are empty.
    """

    moves: list[np.ndarray] = attrs.field(factory=list)
    variants: list[list[Part]] = attrs.field(factory=list)
    owners: set[str] = attrs.field(factory=set)
    sources: set[bpy.types.Object] = attrs.field(factory=set)
    unlabelled: int = 0


class ScatterSearch:
    """Collects the instances of groups of objects that other objects show.

    Parameters
    ----------
    owners : mapping
        Each object of a group to the number of its group.
    """

    def __init__(self, owners: Mapping[bpy.types.Object, int]) -> None:
        self._owners = owners
        # Geometry nodes may also show an object's mesh without the object.
        self._of_data = {o.data.name: o for o in owners if o.type == "MESH" and o.data is not None}
        self._seen: dict[tuple[int, bpy.types.Object], dict[bpy.types.Object, list[np.ndarray]]] = {}

    def see(self, evaluated: EvaluatedMesh) -> None:
        """Note a mesh that no group owns."""
        source = evaluated.source
        if source not in self._owners:
            if source != evaluated.owner or evaluated.mesh.name == source.data.name:
                return
            found = self._of_data.get(evaluated.mesh.name)
            if found is None:
                return
            source = found
        move = evaluated.matrix @ np.linalg.inv(np.array(source.matrix_world, dtype=float))
        group = self._owners[source], evaluated.owner
        self._seen.setdefault(group, {}).setdefault(source, []).append(move)

    def result(self, parts: Sequence[Sequence[Part]]) -> dict[int, Scattered]:
        """What was found, by the number of the group, whose ``parts`` are those at its own place."""
        out: dict[int, Scattered] = {}
        for (group, owner), by_source in self._seen.items():
            found = out.setdefault(group, Scattered())
            found.owners.add(owner.name)
            found.sources |= set(by_source)
            own = {p.source for p in parts[group] if p.source in self._owners and p.solid}
            counts = {len(moves) for moves in by_source.values()}
            whole = own == set(by_source) and len(counts) == 1 and _agree(list(by_source.values()))
            if whole:
                for move in next(iter(by_source.values())):
                    if is_similarity(move):
                        found.moves.append(move)
                    else:
                        found.variants.append([_baked(p, move) for p in parts[group]])
                continue
            for source, moves in by_source.items():
                shown = [p for p in parts[group] if p.source == source]
                found.variants += [[_baked(p, move) for p in shown] for move in moves]
        for found in out.values():
            count = len(found.moves) + len(found.variants)
            if count > MOST:
                found.unlabelled = count
                found.moves, found.variants = [], []
        return out


def stop_scattering(objects: Iterable[bpy.types.Object]) -> None:
    """Let these objects show nothing, whatever instances them: some scatterers also show what is hidden."""
    for o in objects:
        o.modifiers.clear()
        if o.type == "EMPTY":
            o.instance_type = "NONE"
        elif o.type == "MESH":
            o.data = bpy.data.meshes.new("Twinset nothing")
        elif o.type == "META":
            o.data = bpy.data.metaballs.new("Twinset nothing")
        elif o.type in {"CURVE", "SURFACE", "FONT"}:
            o.data = bpy.data.curves.new("Twinset nothing", o.type)


def is_scattered(objects: Collection[bpy.types.Object], depsgraph: bpy.types.Depsgraph) -> set[bpy.types.Object]:
    """Those of the objects that others instance."""
    members = set(objects)
    found = {item.object.original for item in depsgraph.object_instances if item.is_instance}
    return found & members


def is_similarity(matrix: np.ndarray) -> bool:
    """Whether a matrix (4, 4) moves, turns and scales equally in all directions, without mirroring."""
    linear = matrix[:3, :3]
    gram = linear.T @ linear
    square = float(np.trace(gram)) / 3
    return square > 1e-12 and bool(np.abs(gram / square - np.eye(3)).max() < 1e-4) and bool(np.linalg.det(linear) > 0)


def _agree(moves: Sequence[Sequence[np.ndarray]]) -> bool:
    """Whether all parts are moved alike, in the same order."""
    return all(np.allclose(other, moves[0], rtol=1e-4, atol=1e-4) for other in moves[1:])


def _baked(part: Part, move: np.ndarray) -> Part:
    """A part moved to another place, with any shear in its mesh."""
    moved = part.moved(move)
    if not is_sheared(moved.matrix) or not isinstance(part.data, bpy.types.Mesh):
        return moved
    place = np.eye(4)
    place[:3, 3] = moved.matrix[:3, 3]
    return attrs.evolve(moved, data=copy_mesh(part.data, list(part.data.materials), moved.matrix), matrix=place)
