# SPDX-License-Identifier: GPL-3.0-or-later
"""The collision geometry of an asset: its BVH tree in its own frame, and arithmetic on boxes and triangles."""

from __future__ import annotations

import gc

import attrs
import bpy
import numpy as np
from mathutils.bvhtree import BVHTree

from ...engine.stage import Asset, Mesh

CLIP_FACTOR = 8.0
"""A triangle is clipped if it is so many times as large as what it may meet."""

_CLIP_MARGIN = 0.05

_MANY = 200_000
"""Triangles from which a tree is built without lists of Python."""


@attrs.define(eq=False)
class CollisionShape:
    """The collision geometry of an asset, in its own frame; shared by its instances."""

    asset: Asset
    corners: np.ndarray
    tree: BVHTree
    low: np.ndarray
    high: np.ndarray
    _vertices: np.ndarray
    _edges: np.ndarray
    _edge_samples: dict[float, np.ndarray] = attrs.field(factory=dict)

    @classmethod
    def of(cls, asset: Asset) -> CollisionShape:
        """Build the tree of an asset (40,000 triangles take about 0.1 s)."""
        corners = triangles_with_area(asset.mesh)
        triangles = asset.mesh.triangles
        pairs = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
        vertices = asset.mesh.vertices
        return cls(
            asset,
            corners,
            build_tree(corners),
            corners.min((0, 1)),
            corners.max((0, 1)),
            vertices[np.unique(triangles)],
            vertices[np.unique(pairs, axis=0)],
        )

    def edge_samples(self, spacing: float) -> np.ndarray:
        """Points (N, 3): all vertices, and points along edges at distances of at most ``spacing``."""
        # The spacing depends on the size of the instance; rounding to steps of 10 % lets the cache be used.
        spacing = 1.1 ** np.floor(np.log(max(spacing, 1e-9)) / np.log(1.1))
        if spacing not in self._edge_samples:
            length = np.linalg.norm(self._edges[:, 1] - self._edges[:, 0], axis=1)
            # At most 256 points per edge limit the cost for huge objects and tiny gaps.
            steps = np.clip(np.ceil(length / spacing), 1, 256).astype(int)
            clouds = [self._vertices]
            for n in np.unique(steps[steps > 1]):
                share = (np.arange(1, n) / n)[:, None, None]
                edge = self._edges[steps == n]
                clouds.append((edge[:, 0] * (1 - share) + edge[:, 1] * share).reshape(-1, 3))
            self._edge_samples[spacing] = np.concatenate(clouds)
        return self._edge_samples[spacing]


def triangles_with_area(mesh: Mesh) -> np.ndarray:
    """Triangles (T, 3, 3) of a mesh, without those that have no area or non-finite coordinates."""
    corners = np.asarray(mesh.vertices, dtype=float)[mesh.triangles].reshape(-1, 3, 3)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    is_valid = np.isfinite(area) & (area > 1e-14)
    return corners if is_valid.all() else corners[is_valid]


def build_tree(corners: np.ndarray) -> BVHTree:
    """A BVH tree of triangles (T, 3, 3); a million take about 0.6 s."""
    return _tree_of_mesh(corners) if len(corners) > _MANY else _tree_of_lists(corners)


def _tree_of_lists(corners: np.ndarray) -> BVHTree:
    # Millions of small lists would trigger the garbage collector repeatedly: four times slower.
    collecting = gc.isenabled()
    gc.disable()
    try:
        faces = np.arange(3 * len(corners)).reshape(-1, 3).tolist()
        return BVHTree.FromPolygons(corners.reshape(-1, 3).tolist(), faces, all_triangles=True)
    finally:
        if collecting:
            gc.enable()


def _tree_of_mesh(corners: np.ndarray) -> BVHTree:
    """The same tree, by a temporary mesh: lists take 800 bytes of memory for each triangle."""
    count = len(corners)
    mesh = bpy.data.meshes.new("Twinset tree")
    holder = bpy.data.objects.new("Twinset tree", mesh)
    scene = bpy.data.scenes.new("Twinset tree")
    try:
        # Attributes are written as a whole, which is many times as fast as writing elements.
        mesh.vertices.add(3 * count)
        mesh.attributes["position"].data.foreach_set("vector", corners.astype(np.float32).ravel())
        mesh.loops.add(3 * count)
        mesh.attributes[".corner_vert"].data.foreach_set("value", np.arange(3 * count, dtype=np.int32))
        mesh.polygons.add(count)
        mesh.polygons.foreach_set("loop_start", np.arange(0, 3 * count, 3, dtype=np.int32))
        scene.collection.objects.link(holder)
        layer = scene.view_layers[0]
        layer.update()
        return BVHTree.FromObject(holder, layer.depsgraph)
    finally:
        bpy.data.scenes.remove(scene)
        bpy.data.objects.remove(holder)
        bpy.data.meshes.remove(mesh)


def transform(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points (N, 3) transformed by a matrix (4, 4)."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def inverse(matrix: np.ndarray) -> np.ndarray:
    """Inverse of an affine matrix (4, 4) by its adjugate: LAPACK's threads cost milliseconds for such a small one."""
    a, b, c = matrix[:3, :3]
    out = np.eye(4)
    out[:3, :3] = np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], axis=1) / (a @ np.cross(b, c))
    out[:3, 3] = -out[:3, :3] @ matrix[:3, 3]
    return out


def transform_triangles(corners: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Triangles (T, 3, 3) transformed by a matrix (4, 4)."""
    return transform(corners.reshape(-1, 3), matrix).reshape(-1, 3, 3)


def transform_box(low: np.ndarray, high: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The axis-aligned bounding box of a transformed axis-aligned box."""
    center, half = (low + high) / 2, (high - low) / 2
    center = transform(center[None], matrix)[0]
    half = np.abs(matrix[:3, :3]) @ half
    return center - half, center + half


def boxes_touch(low_a: np.ndarray, high_a: np.ndarray, low_b: np.ndarray, high_b: np.ndarray) -> bool:
    """Whether two axis-aligned boxes have a point in common."""
    return bool((low_a <= high_b).all() and (high_a >= low_b).all())


def clip_to_box(corners: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The triangles that may intersect a box, with very large ones clipped to its neighbourhood.

    Clipping matters because trees are single precision: a ground plane of kilometres would be off by millimetres.

    Returns
    -------
    (N,) int, (N, 3, 3) float
        Index of the triangle that each piece comes from, and the pieces.
    """
    index = np.flatnonzero(((corners.min(1) <= high) & (corners.max(1) >= low)).all(1))
    pieces = corners[index]
    size = float((high - low).max())
    large = np.ptp(pieces, axis=1).max(1) > CLIP_FACTOR * size
    if not large.any():
        return index, pieces
    margin = _CLIP_MARGIN * size + 1e-6
    out_index, out = [index[~large]], [pieces[~large]]
    for k in np.flatnonzero(large):
        polygon = _clip_polygon(pieces[k], low - margin, high + margin)
        if len(polygon) >= 3:
            fan = np.stack([np.broadcast_to(polygon[0], polygon[2:].shape), polygon[1:-1], polygon[2:]], axis=1)
            out.append(fan)
            out_index.append(np.full(len(fan), index[k]))
    return np.concatenate(out_index), np.concatenate(out)


def _clip_polygon(polygon: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Clip a convex polygon (N, 3) to a box [Sutherland and Hodgman, "Reentrant polygon clipping", 1974]."""
    for axis in range(3):
        for sign, bound in ((1.0, high[axis]), (-1.0, -low[axis])):
            if not len(polygon):
                return polygon
            over = sign * polygon[:, axis] - bound
            following, over_next = np.roll(polygon, -1, axis=0), np.roll(over, -1)
            points: list[np.ndarray] = []
            for p, q, d, e in zip(polygon, following, over, over_next, strict=True):
                if d <= 0:
                    points.append(p)
                if (d <= 0) != (e <= 0):
                    points.append(p + (q - p) * (d / (d - e)))
            polygon = np.array(points).reshape(-1, 3)
    return polygon
