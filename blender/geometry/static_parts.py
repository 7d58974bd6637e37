# SPDX-License-Identifier: GPL-3.0-or-later
"""The static meshes of a stage in parts, each with a BVH tree that is built when something comes near it."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import numpy as np
from mathutils.bvhtree import BVHTree

from ...engine.stage import Mesh
from .collision_shape import build_tree, triangles_with_area

_LARGE = 200_000
"""Triangles from which a mesh has parts of its own."""

_MOST = 500_000
"""Triangles of one part: its tree takes about 0.2 s."""


class Part:
    """Triangles with a BVH tree of their own.

    Attributes
    ----------
    corners : (T, 3, 3) float64
        World coordinates.
    owner : (T,) int
        Index of the mesh of each triangle.
    origin : (3,) float64
        Where the tree has its origin: coordinates of single precision are exact near it.
    low, high : (3,) float64
        Its box; infinite and reversed without triangles.
    """

    def __init__(self, corners: np.ndarray, owner: np.ndarray) -> None:
        self.corners = corners
        self.owner = owner
        self.origin = np.zeros(3)
        # Triangles of a mesh follow each other.
        self._starts = np.flatnonzero(np.diff(owner, prepend=-1))
        self._stops = np.append(self._starts[1:], len(owner))[: len(self._starts)]
        axes = corners.reshape(-1, 3).T
        self.low = np.array([axis.min(initial=np.inf) for axis in axes])
        self.high = np.array([axis.max(initial=-np.inf) for axis in axes])

    @functools.cached_property
    def _boxes(self) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (T, 3) of the triangles."""
        a, b, c = self.corners.transpose(1, 0, 2)  # reductions of so short an axis would take ten times as long
        return np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)

    @functools.cached_property
    def meshes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Indices (N,) of its meshes, and the corners (N, 3) of their boxes."""
        low, high = self._boxes
        if not len(self._starts):
            return self._starts, low, high
        return self.owner[self._starts], np.minimum.reduceat(low, self._starts), np.maximum.reduceat(high, self._starts)

    @functools.cached_property
    def tree(self) -> BVHTree:
        """Of the corners minus the origin."""
        return build_tree(self.corners - self.origin)

    def touching(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Indices of the triangles whose boxes touch a box."""
        found = [np.zeros(0, dtype=int)]
        lows, highs = self._boxes
        _, mesh_lows, mesh_highs = self.meshes
        near = ((mesh_lows <= high) & (mesh_highs >= low)).all(1)
        for start, stop in zip(self._starts[near].tolist(), self._stops[near].tolist(), strict=True):
            index = np.arange(start, stop)
            for axis in range(3):
                index = index[(lows[index, axis] <= high[axis]) & (highs[index, axis] >= low[axis])]
            found.append(index)
        return np.concatenate(found)

    @functools.cached_property
    def coarsest(self) -> float:
        """The longest side of the triangles' boxes."""
        low, high = self._boxes
        return float((high - low).max(initial=0.0))


class StaticParts:
    """Static meshes: the small ones are one part, each large one is divided into compact parts once it is asked for.

    Parameters
    ----------
    meshes : sequence of Mesh
        World coordinates. Triangles without area or with coordinates that are not finite are left out.

    Attributes
    ----------
    low, high : (M, 3) float64
        Boxes of the meshes; infinite and reversed for one without triangles.
    small : Part
        The small meshes.
    large : (L,) int
        Indices of the large ones.
    """

    def __init__(self, meshes: Sequence[Mesh]) -> None:
        self._large = {k: mesh for k, mesh in enumerate(meshes) if len(mesh.triangles) >= _LARGE}
        self._divided: dict[int, list[Part]] = {}
        self.large = np.array(list(self._large), dtype=int)
        small = [k for k in range(len(meshes)) if k not in self._large]
        corners = [triangles_with_area(meshes[k]) for k in small]
        owner = np.repeat(np.array(small, dtype=int), [len(c) for c in corners])
        self.small = Part(np.concatenate([np.zeros((0, 3, 3)), *corners]), owner)
        self.low, self.high = np.full((len(meshes), 3), np.inf), np.full((len(meshes), 3), -np.inf)
        own, self.low[own], self.high[own] = self.small.meshes
        for k, mesh in self._large.items():
            self.low[k], self.high[k] = mesh.bounds

    def of(self, mesh: int) -> Sequence[Part]:
        """The parts of a large mesh; for a small one those of all small ones."""
        if mesh not in self._large:
            return (self.small,)
        if mesh not in self._divided:
            corners = triangles_with_area(self._large[mesh])
            self._divided[mesh] = list(_divide(corners, mesh))
        return self._divided[mesh]

    def touching(self, low: np.ndarray, high: np.ndarray) -> Iterator[Part]:
        """The parts whose boxes touch a box, the small meshes first."""
        near = (self.low[self.large] <= high).all(1) & (self.high[self.large] >= low).all(1)
        for part in (self.small, *(part for k in self.large[near].tolist() for part in self.of(k))):
            if (part.low <= high).all() and (part.high >= low).all():
                yield part

    def points_of(self, mesh: int) -> np.ndarray:
        """Three points (3, 3) of a mesh that has triangles: of the first one, the last one, and one between."""
        if mesh in self._large:
            own = self._large[mesh]
            points = own.vertices[own.triangles[:, 0]]
            points = points[np.isfinite(points).all(1)]
        else:
            points = self.small.corners[self.small.owner == mesh, 0]
        return points[[0, len(points) // 2, -1]]


def _divide(corners: np.ndarray, owner: int) -> Iterator[Part]:
    """Parts of a mesh's triangles, halved across their longest side until they are small enough."""
    places = np.ascontiguousarray(corners[:, 0].T)
    waiting = [np.arange(len(corners))]
    while waiting:
        index = waiting.pop()
        if len(index) > _MOST:
            along = max((axis[index] for axis in places), key=np.ptp)
            order = np.argpartition(along, len(index) // 2)
            waiting += [index[order[: len(index) // 2]], index[order[len(index) // 2 :]]]
        elif len(index):
            own = corners if len(index) == len(corners) else corners[np.sort(index)]
            part = Part(own, np.full(len(index), owner))
            part.origin = (part.low + part.high) / 2
            yield part
