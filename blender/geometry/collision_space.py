# SPDX-License-Identifier: GPL-3.0-or-later
"""Ray casting, distances and exact collisions with BVH trees of mathutils: static meshes and changing instances."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import attrs
import bpy  # noqa: F401 - with the wheel, mathutils exists only once bpy is loaded
import numpy as np

from ...engine.stage import Asset, Hits, Mesh, Metres
from .collision_shape import (
    CLIP_FACTOR,
    CollisionShape,
    boxes_touch,
    build_tree,
    clip_to_box,
    inverse,
    transform,
    transform_box,
    transform_triangles,
)
from .static_parts import StaticParts
from .tree_queries import RAY_DIRECTIONS, cast_into, crossings, entry_distances, is_inside, nearest

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

    Of static meshes with many triangles, trees are built only where something comes near.
    """

    def __init__(self, names: Sequence[str], meshes: Sequence[Mesh], cameras: Sequence[np.ndarray] = ()) -> None:
        self._names = list(names)
        self._static = StaticParts(meshes)
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

    def cast(
        self, origins: np.ndarray, directions: np.ndarray, ignore: Collection[int] = (), within: Metres = np.inf
    ) -> Hits:
        """First hits of rays; see :meth:`..engine.stage.Stage.cast`. Directions need not have unit length."""
        origins = np.atleast_2d(np.asarray(origins, dtype=float))
        directions = np.broadcast_to(np.asarray(directions, dtype=float), origins.shape)
        directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        count = len(origins)
        hits = Hits(_beyond(within, count), np.zeros((count, 3)), np.full(count, -1))
        rays = np.arange(count)
        self._cast_static(hits, origins, directions)
        for id, placed in self._placed.items():
            if id in ignore:
                continue
            local = transform(origins, placed.inverse)
            local_directions = directions @ placed.inverse[:3, :3].T * placed.scale
            near = np.isfinite(entry_distances(local, local_directions, placed.shape.low, placed.shape.high))
            near &= entry_distances(origins, directions, placed.low, placed.high) < hits.distance
            if near.any():
                shape = placed.shape
                cast_into(
                    hits, id, rays[near], shape.tree, shape.corners, local[near], local_directions[near],
                    rotation=placed.matrix[:3, :3], scale=placed.scale,
                )  # fmt: skip
        hits.distance[hits.owner < 0] = np.inf
        return hits

    def clearance(self, points: np.ndarray, ignore: Collection[int] = (), within: Metres = np.inf) -> np.ndarray:
        """Distance (N,) from points (N, 3) to the nearest surface, inf if there is none within a distance."""
        points = np.atleast_2d(np.asarray(points, dtype=float))
        farthest = _beyond(within, len(points))
        best = self._static_clearance(points, farthest)
        for id, placed in self._placed.items():
            if id in ignore:
                continue
            for k in np.flatnonzero(_distances_to_box(points, placed.low, placed.high) < best):
                local = transform(points[k : k + 1], placed.inverse)[0].tolist()
                distance = nearest(placed.shape.tree, local, best[k] / placed.scale) * placed.scale
                best[k] = min(best[k], distance)
        return np.where(best < farthest, best, np.inf)

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
        mesh = self._intersected_static(pose)
        if mesh is not None:
            return self._names[mesh]
        for id, other in self._placed.items():
            if id not in ignore and boxes_touch(pose.low - gap, pose.high + gap, other.low, other.high):
                if _intersect(pose, other) or (gap > 0 and _nearer_than(pose, other, gap)):
                    return other.shape.asset.name
                if _encloses(pose, other) or _encloses(other, pose):
                    return other.shape.asset.name
        return self._static_enclosure(pose)

    def triangles_in(self, low: np.ndarray, high: np.ndarray, ignore: Collection[int] = ()) -> np.ndarray:
        """World triangles (T, 3, 3) of scene and instances that may meet a box, large ones clipped to its surroundings.

        Parameters
        ----------
        low, high : (3,) float
            Corners of the box in metres.
        ignore : collection of int
            Ids of instances to leave out.
        """
        found = [part.corners[part.touching(low, high)] for part in self._static.touching(low, high)]
        for id, placed in self._placed.items():
            if id not in ignore and boxes_touch(low, high, placed.low, placed.high):
                found.append(transform_triangles(placed.shape.corners, placed.matrix))
        return clip_to_box(np.concatenate([np.zeros((0, 3, 3)), *found]), low, high)[1]

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

    def _cast_static(self, hits: Hits, origins: np.ndarray, directions: np.ndarray) -> None:
        rays = np.arange(len(origins))
        small = self._static.small
        if len(small.corners):
            cast_into(hits, 0, rays, small.tree, small.corners, origins, directions)
        large = self._static.large
        if not len(large):
            return
        entry = _entries(origins, directions, self._static.low[large], self._static.high[large])
        parts = [part for k in large[(entry < hits.distance).any(1)].tolist() for part in self._static.of(k)]
        if not parts:
            return
        entry = _entries(origins, directions, np.array([p.low for p in parts]), np.array([p.high for p in parts]))
        for k in np.argsort(entry.min(1), kind="stable"):  # the nearest first: what is behind needs no tree
            part, near = parts[k], np.flatnonzero(entry[k] < hits.distance)
            if len(near):
                cast_into(
                    hits, 0, near, part.tree, part.corners, origins[near], directions[near], tree_origin=part.origin
                )

    def _static_clearance(self, points: np.ndarray, farthest: np.ndarray) -> np.ndarray:
        best = farthest.copy()
        if len(self._static.small.corners):
            tree = self._static.small.tree
            near = [nearest(tree, p, limit) for p, limit in zip(points.tolist(), best.tolist(), strict=True)]
            best = np.minimum(best, near)
        for mesh in self._static.large.tolist():
            if not (_distances_to_box(points, self._static.low[mesh], self._static.high[mesh]) < best).any():
                continue
            parts = self._static.of(mesh)
            away = np.array([_distances_to_box(points, part.low, part.high) for part in parts])
            for part, distances in sorted(zip(parts, away, strict=True), key=lambda item: item[1].min()):
                for k in np.flatnonzero(distances < best):
                    best[k] = min(best[k], nearest(part.tree, (points[k] - part.origin).tolist(), best[k]))
        return best

    def _intersected_static(self, pose: _PlacedShape) -> int | None:
        """Index of a static mesh that an asset intersects."""
        candidates, owners = [np.zeros((0, 3, 3))], [np.zeros(0, int)]
        finest = CLIP_FACTOR * float((pose.high - pose.low).max())
        world: np.ndarray | None = None
        for part in self._static.touching(pose.low, pose.high):
            index = part.touching(pose.low, pose.high)
            if part is self._static.small or len(index) <= len(pose.shape.corners) or part.coarsest > finest:
                candidates.append(part.corners[index])
                owners.append(part.owner[index])
                continue
            if world is None:
                world = transform_triangles(pose.shape.corners, pose.matrix)
            _, near = clip_to_box(world, part.low, part.high)
            if len(near) and part.tree.overlap(build_tree(near - part.origin)):
                return int(part.owner[0])
        corners = transform_triangles(np.concatenate(candidates), pose.inverse)
        keep, corners = clip_to_box(corners, pose.shape.low, pose.shape.high)
        if not len(corners):
            return None
        pairs = pose.shape.tree.overlap(build_tree(corners))
        return int(np.concatenate(owners)[keep[min(j for _, j in pairs)]]) if pairs else None

    def _static_enclosure(self, pose: _PlacedShape) -> str:
        # Nothing intersects, so one point of each mesh decides whether the mesh is inside the asset.
        points, owners = [np.zeros((0, 3))], [np.zeros(0, int)]
        for part in self._static.touching(pose.low, pose.high):
            index = part.touching(pose.low, pose.high)
            own = part.corners[index, 0]
            within = ((own >= pose.low) & (own <= pose.high)).all(1)
            points.append(own[within])
            owners.append(part.owner[index[within]])
        inside, owner = transform(np.concatenate(points), pose.inverse), np.concatenate(owners)
        _, first = np.unique(owner, return_index=True)
        spread = np.linspace(0, max(len(owner) - 1, 0), min(len(owner), _SAMPLES)).astype(int)
        for k in np.union1d(first, spread):
            if is_inside(pose.shape.tree, inside[k]):
                return self._names[owner[k]]
        point = transform(pose.shape.corners[0, :1], pose.matrix)[0]
        for mesh in self._enclosing_meshes(point):
            if not self._is_room(mesh):
                return self._names[mesh]
        return ""

    def _enclosing_meshes(self, point: np.ndarray) -> list[int]:
        """Static meshes that enclose a point, by the parity of ray crossings, and whose back faces it sees."""
        enclosing = np.flatnonzero(((self._static.low <= point) & (self._static.high >= point)).all(1)).tolist()
        for direction in RAY_DIRECTIONS:
            if not enclosing:
                break
            # By mesh: distances of the crossings, and whether the ray meets the back there.
            met: dict[int, list[tuple[float, bool]]] = {}
            for part in {id(part): part for mesh in enclosing for part in self._static.of(mesh)}.values():
                if np.isfinite(entry_distances(point, direction, part.low, part.high)):
                    for index, distance, back in crossings(part.tree, point - part.origin, direction):
                        met.setdefault(int(part.owner[index]), []).append((distance, back))
            enclosing = [m for m in enclosing if len(met.get(m, ())) % 2 and min(met[m])[1]]
        return enclosing

    def _is_room(self, mesh: int) -> bool:
        if mesh not in self._rooms:
            lows, highs = self._static.low, self._static.high
            scene_volume = np.prod(highs.max(0) - lows.min(0))
            room = len(self._names) > 1 and bool(np.prod(highs[mesh] - lows[mesh]) > 0.5 * scene_volume)
            within = ((lows > lows[mesh]) & (highs < highs[mesh]) & np.isfinite(lows)).all(1)
            for other in np.flatnonzero(within).tolist():
                room = room or all(mesh in self._enclosing_meshes(p) for p in self._static.points_of(other))
            self._rooms[mesh] = room or any(mesh in self._enclosing_meshes(c) for c in self._cameras)
        return self._rooms[mesh]


def _beyond(within: Metres, count: int) -> np.ndarray:
    """Distances (N,) a bit larger: trees are less exact, and must not decide what is just within."""
    return np.broadcast_to(within, count) * (1 + 1e-4) + 1e-3


def _entries(origins: np.ndarray, directions: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Distances (B, R) at which rays (R) enter boxes (B); inf for those that miss."""
    return entry_distances(origins[None], directions[None], low[:, None], high[:, None])


def _distances_to_box(points: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(np.maximum(0, np.maximum(low - points, points - high)), axis=1))


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
    return is_inside(outer.shape.tree, point)
