# SPDX-License-Identifier: GPL-3.0-or-later
"""The still part of the scene as world triangles: meshes, the surfaces chosen from them, and robust bounds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase

import attrs
import bpy
import numpy as np

from ...engine.errors import StageError
from ...engine.plugin.params import unknown
from ...engine.stage import Mesh, Surface
from .evaluated import Piece, join, pieces, read_mesh, triangle_materials

_DEGENERATE = 1e-14
"""Square metres below which a triangle has no normal worth the name."""

_SHOWN_NAMES = 40


@attrs.frozen(eq=False)
class SceneMesh:
    """All that one object shows, or all that one instancer shows of one object.

    Attributes
    ----------
    name : str
        Unique; for messages.
    object : str
        Name of the object.
    aliases : tuple of str
        Names by which patterns find it: the object, its parents, its instancer and that one's parents.
    mesh : Mesh
        World coordinates, metres.
    materials : tuple of str
        Material name of each triangle, through ``material_index`` (T,).
    groups : mapping
        Vertex group name to (T,) bool: the triangles that lie in it with all three corners.
    """

    name: str
    object: str
    aliases: tuple[str, ...]
    mesh: Mesh
    materials: tuple[str, ...]
    material_index: np.ndarray
    groups: Mapping[str, np.ndarray]

    def mask(self, name: str) -> np.ndarray | None:
        """Triangles (T,) bool of the vertex group or material of that name; None where there is neither."""
        if name in self.groups:
            return self.groups[name]
        if name in self.materials:
            return np.isin(self.material_index, [i for i, m in enumerate(self.materials) if m == name])
        return None


def static_meshes(
    scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph, exclude: Collection[bpy.types.Object]
) -> list[SceneMesh]:
    """Everything solid that the scene renders, modifiers and instances included.

    Parameters
    ----------
    scene : bpy.types.Scene
    depsgraph : bpy.types.Depsgraph
        Of that scene, evaluated at the frame that counts.
    exclude : collection of bpy.types.Object
        Original objects to leave out, together with what they instance.

    Returns
    -------
    list of SceneMesh
        In order of their names.
    """
    left_out = set(exclude)
    found: dict[tuple[str, str], list[_Triangles]] = {}
    aliases: dict[tuple[str, str], tuple[str, ...]] = {}
    for piece in pieces(depsgraph):
        if piece.owner in left_out or piece.source in left_out:
            continue
        key = (piece.owner.name, piece.source.name)
        aliases.setdefault(key, tuple(dict.fromkeys([*_lineage(piece.source), *_lineage(piece.owner)])))
        found.setdefault(key, []).append(_read(piece))
    out = []
    for key in sorted(found):
        owner, source = key
        name = source if owner == source else f"{owner}/{source}"
        out.append(_join(name, source, aliases[key], found[key]))
    return out


def find_surfaces(meshes: Sequence[SceneMesh], patterns: Sequence[str], mask: str = "") -> list[Surface]:
    """The surfaces whose names match, one for each mesh.

    Parameters
    ----------
    meshes : sequence of SceneMesh
    patterns : sequence of str
        With ``*`` and ``?``; upper and lower case differ. The name of a parent or instancer stands for all under it.
    mask : str
        A vertex group (faces with all corners at weight 0.5 or more) or a material.

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
        double = np.linalg.norm(cross, axis=1)
        sound = double > 2 * _DEGENERATE
        if sound.any():
            out.append(Surface(m.name, corners[sound], cross[sound] / double[sound, None]))
    if not masked:
        known = sorted({name for m in chosen.values() for name in (*m.groups, *m.materials) if name})
        raise StageError(_unknown(f"Surfaces {', '.join(chosen)}: no vertex group or material is named", mask, known))
    if not out:
        part = f" in '{mask}'" if mask else ""
        raise StageError(f"Surfaces {', '.join(chosen)} have no area{part}: choose an object with faces to stand on.")
    return out


def robust_bounds(meshes: Sequence[SceneMesh]) -> tuple[np.ndarray, np.ndarray]:
    """Bounds (low (3,), high (3,)) of the scene; strays far away and huge backdrops are left out.

    An empty scene has the bounds of a 2 m cube on the ground.
    """
    if not meshes:
        return np.array([-1.0, -1.0, 0.0]), np.array([1.0, 1.0, 2.0])
    lows = np.array([m.mesh.vertices[m.mesh.triangles].min((0, 1)) for m in meshes])
    highs = np.array([m.mesh.vertices[m.mesh.triangles].max((0, 1)) for m in meshes])
    keep = main_cluster(lows, highs)
    return lows[keep].min(0), highs[keep].max(0)


def main_cluster(lows: np.ndarray, highs: np.ndarray) -> np.ndarray:
    """Which boxes (N,) bool make up the scene proper: the cluster of most boxes, without endless floors and sky domes.

    Up to three boxes count as backdrop where each is more than 500 m large and 50 times as large as the cluster that
    the other boxes make.
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
    """The cluster (N,) bool of most boxes, of the larger ones where that ties.

    A cluster grows by every box whose gap to it is at most 1 m and twice its diagonal.
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


def _read(piece: Piece) -> _Triangles:
    mesh = read_mesh(piece.mesh, piece.matrix)
    names = tuple(m.name if m is not None else "" for m in piece.materials) or ("",)
    index = np.minimum(triangle_materials(piece.mesh), len(names) - 1)
    return _Triangles(mesh, names, index, _groups(piece, mesh))


def _groups(piece: Piece, mesh: Mesh) -> dict[str, np.ndarray]:
    names = [g.name for g in piece.source.vertex_groups]
    if not names:
        return {}
    inside = np.zeros((len(names), len(piece.mesh.vertices)), bool)
    # Blender gives vertex weights one by one only.
    for v, vertex in enumerate(piece.mesh.vertices):
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
    mesh = join(p.mesh for p in parts)
    return SceneMesh(name, source, aliases, mesh, tuple(materials), np.concatenate(index), groups)


def _lineage(o: bpy.types.Object) -> list[str]:
    names = []
    while o is not None:
        names.append(o.name)
        o = o.parent
    return names


def _unknown(what: str, name: str, known: Sequence[str]) -> str:
    """The sentences for an unknown name; of very many known ones, the closest and the first."""
    import difflib

    if len(known) <= _SHOWN_NAMES:
        return unknown(what, name, known)
    close = difflib.get_close_matches(name, known, n=5)
    return unknown(what, name, [*close, *[k for k in known if k not in close][: _SHOWN_NAMES - len(close)]])
