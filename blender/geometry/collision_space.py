# SPDX-License-Identifier: GPL-3.0-or-later
"""Ray casting, distances and exact collisions with BVH trees of mathutils: static meshes and changing instances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise

import attrs
import bpy  # noqa: F401 - with the wheel, mathutils exists only once bpy is loaded
import numpy as np
from mathutils import Vector
from mathutils.bvhtree import BVHTree

from ...engine.stage import Asset, Hits, Mesh
from .collision_shape import (
    CollisionShape,
    boxes_touch,
    build_tree,
    clip_to_box,
    inverse,
    transform,
    transform_box,
    transform_triangles,
)

# Rays of the inside test: the corners of a tetrahedron, rotated so that none is parallel to an axis-aligned face.
_RAY_DIRECTIONS = np.array([[0.31, 0.27, 0.91], [0.79, -0.46, -0.41], [-0.21, 0.91, -0.36], [-0.86, -0.45, -0.25]])
_RAY_DIRECTIONS /= np.linalg.norm(_RAY_DIRECTIONS, axis=1, keepdims=True)
_SAMPLES = 32


@attrs.frozen(eq=False)
class _PlacedShape:
    shape: CollisionShape
    matrix: np.ndarray
    inverse: np.ndarray
    scale: float
    low: np.ndarray
    high: np.ndarray


class CollisionSpace:
    """The geometry of a stage, for ray casts and collision tests.

    Parameters
    ----------
    names : sequence of str
        One name per static mesh.
    meshes : sequence of Mesh
        Static geometry in world coordinates. Degenerate triangles are left out.
    cameras : sequence of (3,) float
        Positions of the scene's cameras; what encloses one is a room.

    Notes
    -----
    Trees are single precision: about 1e-6 m in a room. Ray distances are recomputed in double precision. Intersection
    is exact, triangle against triangle without tolerance, so an object that rests slightly above a surface is free;
    coplanar triangles do not intersect.
    """

    def __init__(self, names: Sequence[str], meshes: Sequence[Mesh], cameras: Sequence[np.ndarray] = ()) -> None:
        parts = [CollisionShape.corners_of(mesh) for mesh in meshes]
        ends = np.cumsum([0] + [len(p) for p in parts])
        self._names = list(names)
        self._corners = np.concatenate(parts) if parts else np.zeros((0, 3, 3))
        del parts  # as large as the rest together
        self._owner = np.repeat(np.arange(len(meshes)), np.diff(ends))
        self._low, self._high = self._corners.min(1), self._corners.max(1)
        self._slices = [slice(a, b) for a, b in pairwise(ends.tolist())]
        own = [self._corners[part] for part in self._slices]
        self._mesh_low = np.array([p.min((0, 1)) if len(p) else [np.inf] * 3 for p in own]).reshape(-1, 3)
        self._mesh_high = np.array([p.max((0, 1)) if len(p) else [-np.inf] * 3 for p in own]).reshape(-1, 3)
        self._tree = build_tree(self._corners)
        self._placed: dict[int, _PlacedShape] = {}
        self._shapes: dict[int, CollisionShape] = {}
        self._rooms: dict[int, bool] = {}
        self._cameras = list(cameras)

    def put(self, id: int, asset: Asset, matrix: np.ndarray) -> None:
        """Add or move the instance ``id``; ``matrix`` (4, 4) is asset to world with uniform scale."""
        shape = self._shape(asset)
        self._placed[id] = self._pose(shape, matrix)

    def remove(self, id: int) -> None:
        """Remove an instance."""
        self._placed.pop(id, None)

    def clear(self) -> None:
        """Remove all instances."""
        self._placed.clear()

    def cast(self, origins: np.ndarray, directions: np.ndarray, ignore: Collection[int] = ()) -> Hits:
        """First hits of rays; see :meth:`..engine.stage.Stage.cast`. Directions need not have unit length."""
        origins = np.atleast_2d(np.asarray(origins, dtype=float))
        directions = np.broadcast_to(np.asarray(directions, dtype=float), origins.shape)
        directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        count = len(origins)
        hits = Hits(np.full(count, np.inf), np.zeros((count, 3)), np.full(count, -1))
        rays = np.arange(count)
        if len(self._corners):
            _cast_into(hits, 0, rays, self._tree, self._corners, origins, directions, np.eye(4), 1.0)
        for id, placed in self._placed.items():
            if id in ignore:
                continue
            local = transform(origins, placed.inverse)
            local_directions = directions @ placed.inverse[:3, :3].T * placed.scale
            near = _rays_meet_box(local, local_directions, placed.shape.low, placed.shape.high)
            near &= _rays_meet_box(origins, directions, placed.low, placed.high)
            if near.any():
                shape = placed.shape
                _cast_into(
                    hits, id, rays[near], shape.tree, shape.corners, local[near], local_directions[near],
                    placed.matrix, placed.scale,
                )  # fmt: skip
        return hits

    def clearance(self, points: np.ndarray, ignore: Collection[int] = ()) -> np.ndarray:
        """Distance (N,) from points (N, 3) to the nearest surface, inf if there is none."""
        points = np.atleast_2d(np.asarray(points, dtype=float))
        out = np.array([_nearest(self._tree, p, np.inf) for p in points.tolist()]) if len(self._corners) else None
        best = np.full(len(points), np.inf) if out is None else out
        for id, placed in self._placed.items():
            if id in ignore:
                continue
            outside = np.linalg.norm(np.maximum(0, np.maximum(placed.low - points, points - placed.high)), axis=1)
            for k in np.flatnonzero(outside < best):
                local = transform(points[k : k + 1], placed.inverse)[0].tolist()
                distance = _nearest(placed.shape.tree, local, best[k] / placed.scale) * placed.scale
                best[k] = min(best[k], distance)
        return best

    def collides(self, asset: Asset, matrix: np.ndarray, gap: float = 0.0, ignore: Collection[int] = ()) -> str:
        """Name of something that an asset would intersect, enclose or be enclosed by.

        Parameters
        ----------
        asset : Asset
        matrix : (4, 4) array
            Asset to world, uniform scale.
        gap : float
            Minimum distance in metres to surfaces of other instances. It is measured at vertices and along edges every
            ``gap`` metres, so that two long crossing edges are detected below 0.86 ``gap``.
        ignore : collection of int
            Ids of instances to ignore.

        Returns
        -------
        str
            Name of a static mesh or of an asset, or "".

        Notes
        -----
        A static mesh encloses the asset if rays in four directions all cross it an odd number of times and hit its back
        faces first. Rooms are exempt: meshes that contain other meshes or a camera, or fill most of the scene's
        bounding box.
        """
        shape = self._shape(asset)
        pose = self._pose(shape, matrix)
        chosen = self._candidates(pose.low, pose.high)
        name = self._intersected_static(pose, chosen)
        if name:
            return name
        for id, other in self._placed.items():
            if id not in ignore and boxes_touch(pose.low - gap, pose.high + gap, other.low, other.high):
                if _intersect(pose, other) or (gap > 0 and _nearer_than(pose, other, gap)):
                    return other.shape.asset.name
                if _encloses(pose, other) or _encloses(other, pose):
                    return other.shape.asset.name
        return self._static_enclosure(pose, chosen)

    def triangles_in(self, low: np.ndarray, high: np.ndarray, ignore: Collection[int] = ()) -> np.ndarray:
        """World triangles (T, 3, 3) of scene and instances that may meet a box, large ones clipped to its surroundings.

        Parameters
        ----------
        low, high : (3,) float
            Corners of the box in metres.
        ignore : collection of int
            Ids of instances to leave out.
        """
        found = [self._corners[self._candidates(low, high)]]
        for id, placed in self._placed.items():
            if id not in ignore and boxes_touch(low, high, placed.low, placed.high):
                found.append(transform_triangles(placed.shape.corners, placed.matrix))
        return clip_to_box(np.concatenate(found), low, high)[1]

    def _shape(self, asset: Asset) -> CollisionShape:
        shape = self._shapes.get(id(asset))
        if shape is None:
            shape = self._shapes[id(asset)] = CollisionShape.of(asset)  # holds the asset, so its id stays its own
        return shape

    @staticmethod
    def _pose(shape: CollisionShape, matrix: np.ndarray) -> _PlacedShape:
        matrix = np.array(matrix, dtype=float)
        a, b, c = matrix[:3, :3]
        scale = float(np.cbrt(abs(a @ np.cross(b, c))))
        low, high = transform_box(shape.low, shape.high, matrix)
        return _PlacedShape(shape, matrix, inverse(matrix), scale, low, high)

    def _candidates(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Indices of static triangles whose boxes touch a box."""
        near = np.flatnonzero(((self._mesh_low <= high) & (self._mesh_high >= low)).all(1))
        indices = []
        for mesh in near:
            part = self._slices[mesh]
            index = np.arange(part.start, part.stop)
            for axis in range(3):
                index = index[(self._low[index, axis] <= high[axis]) & (self._high[index, axis] >= low[axis])]
            indices.append(index)
        return np.concatenate(indices) if indices else np.zeros(0, dtype=int)

    def _intersected_static(self, pose: _PlacedShape, chosen: np.ndarray) -> str:
        corners = transform_triangles(self._corners[chosen], pose.inverse)
        keep, corners = clip_to_box(corners, pose.shape.low, pose.shape.high)
        if not len(corners):
            return ""
        pairs = pose.shape.tree.overlap(build_tree(corners))
        return self._names[self._owner[chosen[keep[min(j for _, j in pairs)]]]] if pairs else ""

    def _static_enclosure(self, pose: _PlacedShape, chosen: np.ndarray) -> str:
        # Nothing intersects, so one point of each mesh decides whether the mesh is inside the asset.
        points = self._corners[chosen, 0]
        inside_box = ((points >= pose.low) & (points <= pose.high)).all(1)
        chosen, points = chosen[inside_box], transform(points[inside_box], pose.inverse)
        _, first = np.unique(self._owner[chosen], return_index=True)
        spread = np.linspace(0, max(len(chosen) - 1, 0), min(len(chosen), _SAMPLES)).astype(int)
        for k in np.union1d(first, spread):
            if _inside(pose.shape.tree, points[k]):
                return self._names[self._owner[chosen[k]]]
        point = transform(pose.shape.corners[0, :1], pose.matrix)[0]
        for mesh in self._enclosing_meshes(point):
            if not self._is_room(mesh):
                return self._names[mesh]
        return ""

    def _enclosing_meshes(self, point: np.ndarray) -> list[int]:
        """Static meshes that enclose a point, by the parity of ray crossings, and whose back faces it sees."""
        enclosing = np.flatnonzero(((self._mesh_low <= point) & (self._mesh_high >= point)).all(1)).tolist()
        for direction in _RAY_DIRECTIONS:
            if not enclosing:
                break
            crossings: Counter[int] = Counter()
            from_behind: dict[int, bool] = {}
            for index, back in _crossings(self._tree, point, direction):
                owner = int(self._owner[index])
                crossings[owner] += 1
                from_behind.setdefault(owner, back)
            enclosing = [m for m in enclosing if crossings[m] % 2 and from_behind[m]]
        return enclosing

    def _is_room(self, mesh: int) -> bool:
        if mesh not in self._rooms:
            low, high = self._mesh_low[mesh], self._mesh_high[mesh]
            scene_volume = np.prod(self._mesh_high.max(0) - self._mesh_low.min(0))
            room = len(self._names) > 1 and bool(np.prod(high - low) > 0.5 * scene_volume)
            within = ((self._mesh_low > low) & (self._mesh_high < high)).all(1)
            for other in np.flatnonzero(within):
                part = self._slices[other]
                ends = self._corners[[part.start, (part.start + part.stop) // 2, part.stop - 1], 0]
                room = room or all(mesh in self._enclosing_meshes(p) for p in ends)
            self._rooms[mesh] = room or any(mesh in self._enclosing_meshes(c) for c in self._cameras)
        return self._rooms[mesh]


def _cast_into(
    hits: Hits, id: int, rays: np.ndarray, tree: BVHTree, corners: np.ndarray, origins: np.ndarray,
    directions: np.ndarray, matrix: np.ndarray, scale: float,
) -> None:  # fmt: skip
    """Cast rays (in the tree's space, unit directions) and keep hits that are nearer than those in ``hits``."""
    cast: Callable = tree.ray_cast
    limits = np.minimum(hits.distance[rays] / scale, 1e30).tolist()
    index = np.full(len(rays), -1)
    rough = np.zeros(len(rays))
    for k, (origin, direction, limit) in enumerate(zip(origins.tolist(), directions.tolist(), limits, strict=True)):
        hit = cast(origin, direction, limit)
        if hit[2] is not None:
            index[k], rough[k] = hit[2], hit[3]
    met = np.flatnonzero(index >= 0)
    a, b, c = corners[index[met]].transpose(1, 0, 2)
    normal = np.cross(b - a, c - a)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    steep = (normal * directions[met]).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        exact = ((a - origins[met]) * normal).sum(1) / steep
    distance = np.where(np.abs(steep) > 1e-3, exact, rough[met]) * scale
    nearer = distance < hits.distance[rays[met]]
    chosen = rays[met[nearer]]
    hits.distance[chosen] = np.maximum(distance[nearer], 0.0)
    hits.normal[chosen] = normal[nearer] @ matrix[:3, :3].T / scale
    hits.owner[chosen] = id


def _rays_meet_box(origins: np.ndarray, directions: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        t1, t2 = (low - 1e-6 - origins) / directions, (high + 1e-6 - origins) / directions
    enter, leave = np.fmin(t1, t2).max(1), np.fmax(t1, t2).min(1)
    return (leave >= 0) & (enter <= leave)


def _nearest(tree: BVHTree, point: Sequence[float], limit: float) -> float:
    nearest = tree.find_nearest(point, min(limit, 1e18))
    return np.inf if nearest[3] is None else nearest[3]


def _intersect(a: _PlacedShape, b: _PlacedShape) -> bool:
    if len(a.shape.corners) < len(b.shape.corners):
        a, b = b, a
    _, corners = clip_to_box(transform_triangles(b.shape.corners, a.inverse @ b.matrix), a.shape.low, a.shape.high)
    return len(corners) > 0 and bool(a.shape.tree.overlap(build_tree(corners)))


def _nearer_than(a: _PlacedShape, b: _PlacedShape, gap: float) -> bool:
    """Whether surfaces are nearer than ``gap``: vertices and points on edges of each against the other's faces."""
    for one, other in ((a, b), (b, a)):
        to_other = other.inverse @ one.matrix
        limit = gap / other.scale
        low, high = other.shape.low - limit, other.shape.high + limit
        points = transform(one.shape.edge_samples(gap / one.scale), to_other)
        near = points[((points >= low) & (points <= high)).all(1)]
        if any(other.shape.tree.find_nearest(p, limit)[3] is not None for p in near.tolist()):
            return True
    return False


def _encloses(outer: _PlacedShape, inner: _PlacedShape) -> bool:
    """Whether ``inner``, which does not intersect ``outer``, lies inside it."""
    point = transform(inner.shape.corners[0, :1], outer.inverse @ inner.matrix)[0]
    if not ((point >= outer.shape.low) & (point <= outer.shape.high)).all():
        return False
    return _inside(outer.shape.tree, point)


def _inside(tree: BVHTree, point: np.ndarray) -> bool:
    return all(len(_crossings(tree, point, direction)) % 2 for direction in _RAY_DIRECTIONS)


def _crossings(tree: BVHTree, point: np.ndarray, direction: np.ndarray) -> list[tuple[int, bool]]:
    """All triangles that a ray crosses, in order: (index, whether the ray hits its back face)."""
    origin, ray = Vector(point.tolist()), Vector(direction.tolist())
    out = []
    for _ in range(10_000):  # a ray that grazes a surface must not loop forever
        location, normal, index, _distance = tree.ray_cast(origin, ray)
        if index is None:
            break
        out.append((index, normal.dot(ray) > 0))
        origin = location + ray * max(1e-5, 1e-6 * location.length)
    return out
