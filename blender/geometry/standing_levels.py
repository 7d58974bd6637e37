# SPDX-License-Identifier: GPL-3.0-or-later
"""The levels of a scene that things could stand on, and what speaks for each: a ceiling, walls, furniture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import bpy
import numpy as np

from ...engine.geometry.contact import extents, vertical_hits
from ...engine.geometry.ground import Ground, can_stand, is_inside, points_on_ground
from .surfaces import SceneMesh

_FLAT = 0.95
"""Cosine of the steepest slope that counts."""
_SAMPLES = 192
_SHOWN = 40
"""Largest surfaces that are looked at; the smallest parts of a scene are no ground."""
_LEVEL_GAP = 0.15
"""Metres between the heights of two levels of a surface."""
_CEILING = (1.5, 15.0)
"""Metres from a floor to its ceiling."""
_WALL = 30.0
"""Metres within which a wall surrounds a point."""
_EYE = 1.2
_HIGH_ROOM = 6.5
_DIRECTIONS = np.array([(np.cos(a), np.sin(a), 0.0) for a in np.pi * (np.arange(8) + 0.3) / 4])
_CONTACT = 0.05
_HEADROOM = 0.4
_SKIP = np.array([0.0, 0.0, 1e-3])
_WIDTH = 0.25
"""Metres of ground to all sides of a point; tops of walls, sills and skirting boards have less."""


@attrs.frozen
class Level:
    """A part of a surface at one height.

    ``area`` in m² is that with headroom, ``broad`` the share of it with ground to all sides; ``low`` and ``high`` are
    its z. ``covered`` is the share under a ceiling, ``enclosed`` the share of directions in which a wall is near, and
    ``objects`` how many other objects stand on it. ``ceiling`` is the median height of the ceiling in metres, 0 without
    one.
    """

    surface: str
    area: float
    broad: float
    low: float
    high: float
    covered: float
    enclosed: float
    objects: int
    ceiling: float


Boxes = Mapping[str, tuple[np.ndarray, np.ndarray]]


def standing_levels(
    scene: bpy.types.Scene, meshes: Sequence[SceneMesh], boxes: Boxes, bounds: tuple[np.ndarray, np.ndarray]
) -> list[Level]:
    """All levels of the largest surfaces, the largest first.

    Parameters
    ----------
    scene : bpy.types.Scene
        Evaluated as for renders.
    meshes : sequence of SceneMesh
        Its static meshes.
    boxes : mapping
        Bounding box (low (3,), high (3,)) of each top-level object.
    bounds : (low (3,), high (3,))
        Of the scene, without outlying objects.
    """
    by_object: dict[str, list[SceneMesh]] = {}
    for mesh in meshes:
        by_object.setdefault(mesh.object, []).append(mesh)
    grounds = []
    for name, own in by_object.items():
        corners = np.concatenate([m.mesh.vertices[m.mesh.triangles] for m in own])
        ground, area = _ground(corners)
        if ground is not None:
            grounds.append((area, name, own[0].aliases[-1], ground))
    grounds.sort(key=lambda entry: (-entry[0], entry[1]))
    depsgraph = bpy.context.evaluated_depsgraph_get()
    cameras = [np.array(o.matrix_world.translation) for o in scene.objects if o.type == "CAMERA"]
    # In other units than metres, ceilings are higher and walls farther away.
    unit = max(1.0, float((bounds[1] - bounds[0])[2]) / _HIGH_ROOM)
    out = []
    for area, name, root, ground in grounds[:_SHOWN]:
        feet = [(low, high) for other, (low, high) in boxes.items() if other != root]
        out += _levels(scene, depsgraph, name, ground, area, feet, bounds, cameras, unit)
    return sorted(out, key=lambda level: (-level.area, level.surface, level.low))


def _ground(corners: np.ndarray) -> tuple[Ground | None, float]:
    """The flat faces of a surface, and their area in m²."""
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    double = np.linalg.norm(cross, axis=1)
    valid = double > 1e-12
    corners, normals, area = corners[valid], cross[valid] / double[valid, None], double[valid] / 2
    area = area * (np.abs(normals[:, 2]) >= _FLAT)
    if not area.sum() > 0:
        return None, 0.0
    share = np.cumsum(area) / area.sum()
    return Ground(corners, normals, np.zeros(len(corners), int), share, *extents(corners)), float(area.sum())


def _levels(
    scene: bpy.types.Scene,
    depsgraph: bpy.types.Depsgraph,
    name: str,
    ground: Ground,
    area: float,
    feet: Sequence[tuple[np.ndarray, np.ndarray]],
    bounds: tuple[np.ndarray, np.ndarray],
    cameras: Sequence[np.ndarray],
    unit: float,
) -> list[Level]:
    points, faces = points_on_ground(ground, np.random.default_rng(0), _SAMPLES)
    keep = can_stand(ground, points, faces) & ~is_inside(ground, points, faces, cameras)
    up = (0.0, 0.0, 1.0)
    points = np.array([p for p in points[keep] if _distance(scene, depsgraph, p + _SKIP, up) >= _HEADROOM])
    if not len(points):
        return []
    points = points[np.argsort(points[:, 2])]
    ends = np.flatnonzero(np.diff(points[:, 2]) > _LEVEL_GAP) + 1
    supports = _supports(ground, feet)
    out = []
    for group in np.split(points, ends):
        low, high = float(group[:, 2].min()), float(group[:, 2].max())
        inside = group[((group[:, :2] >= bounds[0][:2]) & (group[:, :2] <= bounds[1][:2])).all(1)]
        ceilings = np.array(
            [
                _CEILING[0] + _distance(scene, depsgraph, p + _CEILING[0] * np.array(up), up, unit * _CEILING[1])
                for p in inside
            ]
        )
        is_covered = np.isfinite(ceilings)
        chosen = inside[np.linspace(0, len(inside) - 1, min(24, len(inside))).astype(int)] if len(inside) else inside
        walls = [
            np.isfinite(_distance(scene, depsgraph, p + unit * _EYE * np.array(up), d, unit * _WALL))
            for p in chosen
            for d in _DIRECTIONS
        ]
        out.append(
            Level(
                name,
                area * len(group) / _SAMPLES,
                float(np.mean([_is_broad(scene, depsgraph, p) for p in group])),
                low,
                high,
                float(is_covered.sum() / len(group)),
                float(np.sum(walls) / (len(_DIRECTIONS) * max(len(chosen), 1)) * len(inside) / len(group)),
                int(((supports >= low - _CONTACT) & (supports <= high + _CONTACT)).sum()),
                float(np.median(ceilings[is_covered])) if is_covered.any() else 0.0,
            )
        )
    return out


def _is_broad(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph, point: np.ndarray) -> bool:
    """Whether there is ground around a point."""
    for direction in _DIRECTIONS[::2]:
        start = point + _WIDTH * direction + _HEADROOM / 2 * np.array([0.0, 0.0, 1.0])
        if abs(_distance(scene, depsgraph, start, (0, 0, -1)) - _HEADROOM / 2) > _CONTACT:
            return False
    return True


def _supports(ground: Ground, feet: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Height of the ground under each of some boxes that stand on it."""
    if not feet:
        return np.zeros(0)
    middle = np.array([(low[:2] + high[:2]) / 2 for low, high in feet])
    bottom = np.array([low[2] for low, _ in feet])
    line, face, z = vertical_hits(middle, ground.corners)
    fits = (np.abs(z - bottom[line]) <= _CONTACT) & (np.abs(ground.normals[face, 2]) >= _FLAT)
    _, first = np.unique(line[fits], return_index=True)
    return np.asarray(z[fits][first])


def _distance(
    scene: bpy.types.Scene,
    depsgraph: bpy.types.Depsgraph,
    origin: np.ndarray,
    direction: Sequence[float] | np.ndarray,
    limit: float = 1e6,
) -> float:
    """Metres to the first surface along a ray; inf where there is none within the limit."""
    hit, where, *_ = scene.ray_cast(depsgraph, tuple(map(float, origin)), tuple(map(float, direction)), distance=limit)
    return float(np.linalg.norm(np.array(where) - origin)) if hit else np.inf
