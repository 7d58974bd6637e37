# SPDX-License-Identifier: GPL-3.0-or-later
"""The static geometry of the scene as world-space triangles: meshes, surfaces selected from them, and robust bounds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase

import attrs
import bpy
import numpy as np

from ...engine.errors import StageError
from ...engine.plugin.params import unknown
from ...engine.stage import Mesh, Surface
from .evaluated import EvaluatedMesh, evaluated_meshes, join_meshes, read_mesh, triangle_materials

_DEGENERATE = 1e-14
"""Square metres below which a triangle counts as degenerate: its normal is meaningless."""

_SHOWN_NAMES = 40


@attrs.frozen(eq=False)
class SceneMesh:
    """The mesh of one object, or all instances of one object by one instancer.

    Attributes
    ----------
    name : str
        Unique; for messages.
    object : str
        Name of the object.
    aliases : tuple of str
        Names that patterns can match: the object, its parents, its instancer and the instancer's parents.
    mesh : Mesh
        World coordinates, metres.
    materials : tuple of str
        Material names; ``material_index`` (T,) gives that of each triangle.
    groups : mapping
        Vertex group name to (T,) bool: the triangles with all three corners in the group.
    """

    name: str
    object: str
    aliases: tuple[str, ...]
    mesh: Mesh
    materials: tuple[str, ...]
    material_index: np.ndarray
    groups: Mapping[str, np.ndarray]

    def mask(self, name: str) -> np.ndarray | None:
        """Triangles (T,) bool of the vertex group or material of that name; None if there is neither."""
        if name in self.groups:
            return self.groups[name]
        if name in self.materials:
            return np.isin(self.material_index, [i for i, m in enumerate(self.materials) if m == name])
        return None


def static_meshes(
    scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph, exclude: Collection[bpy.types.Object]
) -> list[SceneMesh]:
    """All meshes that the scene renders, including modifiers and instances.

    Parameters
    ----------
    scene : bpy.types.Scene
    depsgraph : bpy.types.Depsgraph
        The evaluated dependency graph of that scene.
    exclude : collection of bpy.types.Object
        Original objects to leave out, with their instances.

    Returns
    -------
    list of SceneMesh
        Sorted by name.
    """
    left_out = set(exclude)
    triangles: dict[tuple[str, str], list[_Triangles]] = {}
    aliases: dict[tuple[str, str], tuple[str, ...]] = {}
    for evaluated in evaluated_meshes(depsgraph):
        if evaluated.owner in left_out or evaluated.source in left_out:
            continue
        key = (evaluated.owner.name, evaluated.source.name)
        aliases.setdefault(
            key, tuple(dict.fromkeys([*_with_parents(evaluated.source), *_with_parents(evaluated.owner)]))
        )
        triangles.setdefault(key, []).append(_read(evaluated))
    out = []
    for key in sorted(triangles):
        owner, source = key
        name = source if owner == source else f"{owner}/{source}"
        out.append(_join(name, source, aliases[key], triangles[key]))
    return out


def find_surfaces(meshes: Sequence[SceneMesh], patterns: Sequence[str], mask: str = "") -> list[Surface]:
    """The surfaces whose names match a pattern, one for each mesh.

    Parameters
    ----------
    meshes : sequence of SceneMesh
    patterns : sequence of str
        With ``*`` and ``?``; case-sensitive. The name of a parent or instancer matches everything below it.
    mask : str
        Name of a vertex group (faces with all corners at weight 0.5 or more) or a material.

    Raises
    ------
    StageError
        A pattern or the mask matches nothing, or what matches has no area.
    """
    chosen: dict[str, SceneMesh] = {}
    for pattern in patterns:
        matching = [m for m in meshes if any(fnmatchcase(alias, pattern) for alias in m.aliases)]
        if not matching:
            known = sorted({alias for m in meshes for alias in m.aliases})
            raise StageError(_unknown("Surfaces: the scene renders no object named", pattern, known))
        chosen.update((m.name, m) for m in matching)
    out = []
    masked = False
    for m in chosen.values():
        keep = m.mask(mask) if mask else np.ones(len(m.mesh.triangles), bool)
        if keep is None:
            continue
        masked = True
        corners = m.mesh.vertices[m.mesh.triangles[keep]]
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        double_area = np.linalg.norm(cross, axis=1)
        is_valid = double_area > 2 * _DEGENERATE
        if is_valid.any():
            out.append(Surface(m.name, corners[is_valid], cross[is_valid] / double_area[is_valid, None]))
    if not masked:
        known = sorted({name for m in chosen.values() for name in (*m.groups, *m.materials) if name})
        raise StageError(_unknown(f"Surfaces {', '.join(chosen)}: no vertex group or material is named", mask, known))
    if not out:
        part = f" in '{mask}'" if mask else ""
        raise StageError(
            f"Surfaces {', '.join(chosen)} have no area{part}: choose an object with faces that assets can stand on."
        )
    return out


def matching_objects(meshes: Sequence[SceneMesh], patterns: Sequence[str]) -> tuple[str, ...]:
    """Names of the objects of meshes with an alias that matches a pattern; StageError for one that matches nothing.

    Objects of linked libraries are left out: they cannot be changed.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        names = {m.object for m in meshes if any(fnmatchcase(alias, pattern) for alias in m.aliases)}
        if not names and pattern != "*":
            known = sorted({alias for m in meshes for alias in m.aliases})
            raise StageError(_unknown("The scene renders no object named", pattern, known))
        found |= dict.fromkeys(sorted(names))
    return tuple(name for name in found if _is_local_mesh(bpy.data.objects.get(name)))


def _is_local_mesh(o: bpy.types.Object | None) -> bool:
    return o is not None and o.type == "MESH" and o.library is None


def robust_bounds(meshes: Sequence[SceneMesh]) -> tuple[np.ndarray, np.ndarray]:
    """Bounds (low (3,), high (3,)) of the scene, without outlying objects and huge backdrops.

    An empty scene has the bounds of a 2 m cube on the ground.
    """
    if not meshes:
        return np.array([-1.0, -1.0, 0.0]), np.array([1.0, 1.0, 2.0])
    lows, highs = (np.array(ends) for ends in zip(*(m.mesh.bounds for m in meshes), strict=True))
    keep = main_cluster(lows, highs)
    return lows[keep].min(0), highs[keep].max(0)


def main_cluster(lows: np.ndarray, highs: np.ndarray) -> np.ndarray:
    """Mask (N,) bool of the boxes of the main scene: the largest cluster, without ground planes and sky domes.

    Up to three boxes count as backdrop if each is larger than 500 m and than 50 times the cluster of the other boxes.
    """
    size = np.linalg.norm(highs - lows, axis=1)
    order = np.argsort(-size, kind="stable")
    for k in range(min(3, len(size) - 1), -1, -1):
        rest = order[k:]
        keep = np.zeros(len(size), bool)
        keep[rest] = _largest_cluster(lows[rest], highs[rest])
        extent = np.linalg.norm(highs[keep].max(0) - lows[keep].min(0))
        if k and size[order[k - 1]] > max(50 * extent, 500.0):
            break
    return keep


def _largest_cluster(lows: np.ndarray, highs: np.ndarray) -> np.ndarray:
    """Mask (N,) bool of the cluster with the most boxes; in a tie, of that with the larger boxes.

    A cluster grows by every box whose gap to it is at most 1 m plus twice its diagonal.
    """
    size = np.linalg.norm(highs - lows, axis=1)
    label = np.full(len(lows), -1)
    for seed in np.argsort(-size, kind="stable"):
        if label[seed] >= 0:
            continue
        label[seed] = seed
        low, high = lows[seed], highs[seed]
        while True:
            gap = np.maximum(np.maximum(lows - high, low - highs), 0.0).max(1)
            near = (label < 0) & (gap <= 2.0 * np.linalg.norm(high - low) + 1.0)
            if not near.any():
                break
            label[near] = seed
            low, high = np.minimum(low, lows[near].min(0)), np.maximum(high, highs[near].max(0))
    seeds, counts = np.unique(label, return_counts=True)
    best = max(zip(seeds, counts, strict=True), key=lambda item: (item[1], size[label == item[0]].sum()))[0]
    return label == best


@attrs.frozen(eq=False)
class _Triangles:
    mesh: Mesh
    materials: tuple[str, ...]
    material_index: np.ndarray
    groups: dict[str, np.ndarray]


def _read(evaluated: EvaluatedMesh) -> _Triangles:
    mesh = read_mesh(evaluated.mesh, evaluated.matrix)
    names = tuple(m.name if m is not None else "" for m in evaluated.materials) or ("",)
    index = np.minimum(triangle_materials(evaluated.mesh), len(names) - 1)
    return _Triangles(mesh, names, index, _groups(evaluated, mesh))


def _groups(evaluated: EvaluatedMesh, mesh: Mesh) -> dict[str, np.ndarray]:
    names = [g.name for g in evaluated.source.vertex_groups]
    if not names:
        return {}
    inside = np.zeros((len(names), len(evaluated.mesh.vertices)), bool)
    # Blender has no bulk access to vertex weights.
    for v, vertex in enumerate(evaluated.mesh.vertices):
        for element in vertex.groups:
            if element.weight >= 0.5 and element.group < len(names):
                inside[element.group, v] = True
    return {name: inside[g][mesh.triangles].all(1) for g, name in enumerate(names)}


def _join(name: str, source: str, aliases: tuple[str, ...], parts: Sequence[_Triangles]) -> SceneMesh:
    materials: list[str] = []
    index = []
    for part in parts:
        index.append(part.material_index + len(materials))
        materials.extend(part.materials)
    groups = {
        g: np.concatenate([p.groups.get(g, np.zeros(len(p.mesh.triangles), bool)) for p in parts])
        for g in {g for p in parts for g in p.groups}
    }
    mesh = join_meshes(p.mesh for p in parts)
    return SceneMesh(name, source, aliases, mesh, tuple(materials), np.concatenate(index), groups)


def _with_parents(o: bpy.types.Object) -> list[str]:
    names = []
    while o is not None:
        names.append(o.name)
        o = o.parent
    return names


def _unknown(what: str, name: str, known: Sequence[str]) -> str:
    """The message for an unknown name; lists at most 40 known names, the closest ones first."""
    import difflib

    if len(known) <= _SHOWN_NAMES:
        return unknown(what, name, known)
    close = difflib.get_close_matches(name, known, n=5)
    return unknown(what, name, [*close, *[k for k in known if k not in close][: _SHOWN_NAMES - len(close)]])
