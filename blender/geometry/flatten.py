# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns hierarchies, instances and modifiers into plain meshes, and samples the points that represent a shape."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import attrs
import bpy
import numpy as np

from ...engine.rng import stream
from ...engine.stage import Mesh
from .evaluated import (
    SOLID_TYPES,
    evaluate,
    evaluated_loose,
    evaluated_meshes,
    is_instanced_child,
    join_meshes,
    read_mesh,
    view_layer,
)
from .parts import Part, PartMaker
from .scattered import Scattered, ScatterSearch

_HULL_POINTS = 500
_SURFACE_POINTS = 1000


@attrs.define(eq=False)
class FlatGroup:
    """A group of objects as plain data.

    Attributes
    ----------
    mesh : Mesh
        All triangles, in world coordinates.
    parts : list of Part
        Everything that the group consists of.
    rendered : bool
        Whether the scene renders the group.
    scattered : Scattered
        Where else the scene shows the group.
    """

    mesh: Mesh
    parts: list[Part]
    rendered: bool
    scattered: Scattered = attrs.field(factory=lambda: Scattered())


def flatten_groups(scene: bpy.types.Scene, groups: Sequence[Sequence[bpy.types.Object]]) -> list[FlatGroup]:
    """Evaluate all groups at once and make plain data of each.

    Groups that the scene does not render, such as asset libraries in an excluded collection, are shown temporarily.
    """
    evaluate(scene)
    layer = view_layer(scene)
    shown = frozenset(layer.objects)
    rendered = [any(o in shown and _is_rendered(o, layer) for o in group) for group in groups]
    hidden = [group for group, seen in zip(groups, rendered, strict=True) if not seen]
    owners = {o: g for g, group in enumerate(groups) for o in group}
    meshes: list[list[Mesh]] = [[] for _ in groups]
    maker = PartMaker(layer)
    parts: list[list[Part]] = [[] for _ in groups]
    scatter = ScatterSearch(owners)
    with _shown_temporarily(scene, hidden):
        depsgraph = evaluate(scene)
        for evaluated in evaluated_meshes(depsgraph, instanced_children=True):
            g = owners.get(evaluated.owner)
            if g is None:
                scatter.see(evaluated)
                continue
            meshes[g].append(read_mesh(evaluated.mesh, evaluated.matrix))
            parts[g].append(maker.part(g, evaluated))
        for evaluated in evaluated_loose(depsgraph):
            g = owners.get(evaluated.owner)
            if g is not None:
                parts[g].extend(maker.loose_parts(g, evaluated, depsgraph))
    found = scatter.result(parts)
    empty = Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32))
    return [
        FlatGroup(join_meshes(m) if m else empty, p, seen, found.get(g, Scattered()))
        for g, (m, p, seen) in enumerate(zip(meshes, parts, rendered, strict=True))
    ]


def sample_points(mesh: Mesh, name: str) -> np.ndarray:
    """Points (P, 3) that represent a shape: vertices of its convex hull, and reproducible samples of its surface.

    A hull of more than 500 vertices is reduced to those that are extreme in one of many evenly distributed directions.
    """
    used = mesh.vertices[np.unique(mesh.triangles)]
    hull = _extremes(_hull(used), _HULL_POINTS)
    corners = mesh.vertices[mesh.triangles]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    if areas.sum() <= 0:
        return hull
    rng = stream(0, name)
    chosen = np.searchsorted(np.cumsum(areas) / areas.sum(), rng.random(_SURFACE_POINTS), side="right")
    chosen = np.minimum(chosen, len(areas) - 1)
    u, v = rng.random((2, _SURFACE_POINTS, 1))
    outside = u + v > 1
    u, v = np.where(outside, 1 - u, u), np.where(outside, 1 - v, v)
    a, b, c = corners[chosen].swapaxes(0, 1)
    return np.concatenate([hull, a + u * (b - a) + v * (c - a)])


def _hull(points: np.ndarray) -> np.ndarray:
    from scipy.spatial import ConvexHull, QhullError

    try:
        return points[np.sort(ConvexHull(points).vertices)]
    except (QhullError, ValueError):
        # Flat or otherwise degenerate: all points are candidates.
        return np.unique(points, axis=0)


def _extremes(points: np.ndarray, count: int) -> np.ndarray:
    if len(points) <= count:
        return points
    k = np.arange(count - 6)
    z = 1 - (2 * k + 1) / len(k)
    turn = np.pi * (1 + 5**0.5) * k
    directions = np.stack([np.cos(turn) * np.sqrt(1 - z * z), np.sin(turn) * np.sqrt(1 - z * z), z])
    directions = np.concatenate([np.eye(3), -np.eye(3), directions], axis=1)
    # Without scaling, a flat shape would keep few points of its rim.
    scaled = points / np.maximum(np.ptp(points, axis=0), 1e-9)
    index = [(scaled @ directions[:, i : i + 64]).argmax(0) for i in range(0, directions.shape[1], 64)]
    return points[np.unique(np.concatenate(index))]


def _is_rendered(o: bpy.types.Object, layer: bpy.types.ViewLayer) -> bool:
    solid = o.type in SOLID_TYPES or o.instance_collection is not None
    if is_instanced_child(o):
        return False
    return solid and not o.hide_render and bool(o.visible_get(view_layer=layer))


@contextlib.contextmanager
def _shown_temporarily(scene: bpy.types.Scene, groups: Sequence[Sequence[bpy.types.Object]]) -> Iterator[None]:
    """Show groups of hidden objects inside the context, whether they or their collections are hidden."""
    if not groups:
        yield
        return
    holder = bpy.data.collections.new("Twinset shown temporarily")
    scene.collection.children.link(holder)
    changed: list[bpy.types.Object] = []
    for group in groups:
        for o in group:
            holder.objects.link(o)
        solid = [o for o in group if o.type in SOLID_TYPES or o.instance_collection is not None]
        if all(o.hide_render for o in solid):
            cutters = {m.object for o in solid for m in o.modifiers if m.type == "BOOLEAN"}
            changed.extend(o for o in solid if o not in cutters)
    for o in changed:
        o.hide_render = o.hide_viewport = False
    layer = view_layer(scene)
    hidden_objects = [o for group in groups for o in group if o.hide_get(view_layer=layer)]
    for o in hidden_objects:
        o.hide_set(False, view_layer=layer)
    try:
        yield
    finally:
        for o in changed:
            o.hide_render = o.hide_viewport = True
        for o in hidden_objects:
            o.hide_set(True, view_layer=layer)
        bpy.data.collections.remove(holder)
