# SPDX-License-Identifier: GPL-3.0-or-later
"""Closed solids for parametric furniture: boxes, tubes, lathes, extrusions, curved panels. Pure numpy, metres, z up."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Sequence

import attrs
import numpy as np
from numpy.typing import ArrayLike

_NO_INDICES = np.zeros(0, np.int32)


@attrs.frozen(eq=False)
class Solid:
    """A closed polygon mesh with outward normals.

    Attributes
    ----------
    vertices : (V, 3) float64
        Metres.
    corners : (C,) int32
        Vertices of all faces, one face after another, counter-clockwise seen from outside.
    sizes : (F,) int32
        Number of corners of each face.
    """

    vertices: np.ndarray
    corners: np.ndarray
    sizes: np.ndarray

    @property
    def starts(self) -> np.ndarray:
        """Number (F,) of each face's first corner."""
        return np.asarray(np.cumsum(self.sizes) - self.sizes)

    @property
    def faces(self) -> list[list[int]]:
        """Vertices of each face."""
        return [corners.tolist() for corners in np.split(self.corners, self.starts[1:])]

    @property
    def triangles(self) -> np.ndarray:
        """Fan triangles (T, 3) int32 of all faces; exact for areas and volumes, also of concave planar faces."""
        fans = self.sizes - 2
        first = np.repeat(self.starts, fans)
        second = first + 1 + _within(fans)
        return self.corners[np.stack([first, second, second + 1], axis=1)]

    @property
    def volume(self) -> float:
        """Signed volume in cubic metres by the divergence theorem."""
        a, b, c = self.vertices[self.triangles.T]
        return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6.0)

    def outward(self) -> Solid:
        """The same solid with its faces turned so that the volume is positive."""
        return self if self.volume >= 0.0 else self._reversed()

    def _reversed(self) -> Solid:
        """The same with each face's corners in reverse order."""
        last = np.repeat(self.starts + self.sizes - 1, self.sizes)
        return attrs.evolve(self, corners=self.corners[last - _within(self.sizes)])

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Solid:
        """Shifted by metres."""
        return attrs.evolve(self, vertices=np.add(self.vertices, (x, y, z)))

    def turned(self, axis: str, degrees: float, about: ArrayLike = (0.0, 0.0, 0.0)) -> Solid:
        """Turned about the axis 'x', 'y' or 'z' through the point ``about``."""
        angle = np.radians(degrees)
        i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
        local = self.vertices - np.asarray(about, dtype=float)
        turned = local.copy()
        turned[:, i] = np.cos(angle) * local[:, i] - np.sin(angle) * local[:, j]
        turned[:, j] = np.sin(angle) * local[:, i] + np.cos(angle) * local[:, j]
        return attrs.evolve(self, vertices=turned + np.asarray(about, dtype=float))

    def mirrored(self) -> Solid:
        """Mirrored left to right (x to -x)."""
        return attrs.evolve(self._reversed(), vertices=self.vertices * (-1.0, 1.0, 1.0))


def _within(sizes: np.ndarray) -> np.ndarray:
    """Numbers 0 to n - 1 for each size n, one after another."""
    return np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def merge(solids: Iterable[Solid]) -> Solid:
    """All solids as one mesh; their vertices stay apart."""
    parts = list(solids)
    counts = [len(s.vertices) for s in parts]
    before = np.cumsum([0, *counts[:-1]], dtype=np.int32)
    return Solid(
        np.concatenate([np.zeros((0, 3)), *(s.vertices for s in parts)]),
        np.concatenate([_NO_INDICES, *(s.corners + b for s, b in zip(parts, before, strict=False))]),
        np.concatenate([_NO_INDICES, *(s.sizes for s in parts)]),
    )


def pair(solid: Solid) -> Solid:
    """A solid and its mirror image, as one."""
    return merge([solid, solid.mirrored()])


def loft(rings: ArrayLike, *, ring_closed: bool = False) -> Solid:
    """Skin a sequence of loops.

    Parameters
    ----------
    rings : (R, K, 3) array-like
        Loops of K points each, in metres. The first and the last one are capped with a polygon.
    ring_closed : bool
        Join the last loop to the first one instead of capping, as for a hoop.
    """
    points = np.asarray(rings, dtype=float)
    count, sides = points.shape[:2]
    ids = np.arange(count * sides, dtype=np.int32).reshape(count, sides)
    here, there = (ids, np.roll(ids, -1, 0)) if ring_closed else (ids[:-1], ids[1:])
    walls = np.stack([here, np.roll(here, -1, 1), np.roll(there, -1, 1), there], axis=-1)
    sizes = np.full(walls.size // 4, 4, np.int32)
    if ring_closed:
        return Solid(points.reshape(-1, 3), walls.ravel(), sizes).outward()
    corners = np.concatenate([walls.ravel(), ids[0, ::-1], ids[-1]])
    return Solid(points.reshape(-1, 3), corners, np.append(sizes, np.full(2, sides, np.int32))).outward()


def box(size: ArrayLike, center: ArrayLike, *, radius: float = 0.0, segments: int = 1, puff: float = 0.0) -> Solid:
    """A box with bevelled or rounded edges, or a cushion.

    Parameters
    ----------
    size, center : (3,) array-like
        Metres.
    radius : float
        Radius of the edges in metres; 0 leaves them sharp.
    segments : int
        Facets per edge: 1 is a bevel, 2 or more are round.
    puff : float
        How far the top and bottom bulge in their middle, in metres.
    """
    half = np.asarray(size, dtype=float) / 2.0
    radius = min(radius, *(half * 0.999))
    axes = []
    for h in half:
        if radius <= 0.0:
            axes.append(np.array([-h, h]))
            continue
        edge = radius * np.tan(np.linspace(np.pi / 4, 0.0, segments + 1)) if segments > 1 else np.array([radius, 0.0])
        middle = np.linspace(-h + radius, h - radius, 6)[1:-1] if puff else np.zeros(0)
        axes.append(np.concatenate([-(h - radius) - edge, middle, (h - radius + edge)[::-1]]))
    keys, quads = _box_surface(*(len(a) for a in axes))
    grid = np.stack([axes[k][keys[:, k]] for k in range(3)], axis=1)
    if radius > 0.0:
        inner = np.clip(grid, -half + radius, half - radius)
        away = grid - inner
        grid = inner + radius * away / np.linalg.norm(away, axis=1, keepdims=True)
    if puff:
        bulge = np.prod(np.cos(np.pi / 2 * np.clip(grid[:, :2] / half[:2], -1, 1)), axis=1)
        grid[:, 2] += puff * bulge * grid[:, 2] / half[2]
    return Solid(grid + np.asarray(center, dtype=float), quads.ravel(), np.full(len(quads), 4, np.int32))


@functools.lru_cache(maxsize=64)
def _box_surface(*counts: int) -> tuple[np.ndarray, np.ndarray]:
    """Places (V, 3) along the axes of the points on the surface of a grid, and its faces (F, 4)."""
    index: dict[tuple[int, ...], int] = {}
    faces = []
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        for end in (0, counts[axis] - 1):
            for i, j in itertools.product(range(counts[u] - 1), range(counts[v] - 1)):
                quad = []
                for a, b in ((i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)):
                    key = [0, 0, 0]
                    key[axis], key[u], key[v] = end, a, b
                    quad.append(index.setdefault(tuple(key), len(index)))
                faces.append(quad if end else quad[::-1])
    return np.array(list(index)), np.array(faces, dtype=np.int32)


def circle(sides: int, radius: float | Sequence[float] = 1.0) -> np.ndarray:
    """Points (sides, 2) of a circle or ellipse; the first edge is centred on -y, so that a wheel stands on it."""
    angle = 2.0 * np.pi * (np.arange(sides) + 0.5) / sides - np.pi / 2
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius


def tube(path: ArrayLike, radius: ArrayLike, *, sides: int = 8, closed: bool = False, level: bool = False) -> Solid:
    """A round bar along a polyline.

    Parameters
    ----------
    path : (N, 3) array-like
        Metres; without the first point again where ``closed``.
    radius : float, (N,) or (N, 2) array-like
        Metres; two columns give an elliptic section: across and along the frame's second axis.
    sides : int
        Facets around.
    closed : bool
        Whether the path is a loop.
    level : bool
        Keep every section horizontal, as for a leg whose foot lies flat on the floor.
    """
    points = np.asarray(path, dtype=float)
    radii = np.asarray(radius, dtype=float)
    radii = np.broadcast_to(radii.reshape(-1, 1) if radii.ndim < 2 else radii, (len(points), 2))
    unit = circle(sides)
    if level:
        offsets = np.concatenate([unit[None] * radii[:, None], np.zeros((len(points), sides, 1))], axis=2)
        return loft(points[:, None] + offsets)
    if closed:
        tangent = np.roll(points, -1, 0) - np.roll(points, 1, 0)
    else:
        tangent = np.gradient(points, axis=0)
        steps = np.diff(points, axis=0)
        steps /= np.linalg.norm(steps, axis=1, keepdims=True)
        tangent[1:-1] = steps[:-1] + steps[1:]
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    # Parallel transport keeps the section from twisting along the path.
    side = np.cross(tangent[0], (0.0, 0.0, 1.0) if abs(tangent[0, 2]) < 0.9 else (0.0, 1.0, 0.0))
    rings = []
    for p, t, r in zip(points, tangent, radii, strict=True):
        side = side - t * (side @ t)
        side /= np.linalg.norm(side)
        up = np.cross(side, t)
        rings.append(p + unit[:, :1] * r[0] * side + unit[:, 1:] * r[1] * up)
    return loft(rings, ring_closed=closed)


def leg(top: ArrayLike, foot: ArrayLike, radius_top: float, radius_foot: float, *, sides: int = 10) -> Solid:
    """A straight tapered leg whose foot lies flat on the floor."""
    path = np.array([foot, top], dtype=float)
    return tube(path, np.array([radius_foot, radius_top]), sides=sides, level=True)


def square_leg(top: ArrayLike, foot: ArrayLike, width_top: float, width_foot: float) -> Solid:
    """A straight tapered leg of square section with bevelled edges, its foot flat on the floor."""
    unit = np.array([(-1, -0.85), (-0.85, -1), (0.85, -1), (1, -0.85), (1, 0.85), (0.85, 1), (-0.85, 1), (-1, 0.85)])
    unit3 = np.concatenate([unit, np.zeros((8, 1))], axis=1)
    ends = [(foot, width_foot), (top, width_top)]
    return loft([np.asarray(p, dtype=float) + unit3 * w / 2.0 for p, w in ends])


def lathe(profile: ArrayLike, center: ArrayLike = (0.0, 0.0, 0.0), *, sides: int = 20) -> Solid:
    """A solid of revolution about z through ``center``; ``profile`` (N, 2) is (radius, z) from end to end."""
    flat = circle(sides)
    rings = [_lift(flat * max(float(r), 1e-3), float(z)) for r, z in np.asarray(profile, dtype=float)]
    return loft(np.array(rings) + np.asarray(center, dtype=float))


def extrude(outline: ArrayLike, low: float, high: float, *, bevel: float = 0.0) -> Solid:
    """A plate of the given outline (N, 2) in x, y from z ``low`` to ``high``; its edges shrink by ``bevel``."""
    flat = np.asarray(outline, dtype=float)
    flat = flat[::-1] if _area(flat) < 0 else flat
    if bevel <= 0.0:
        return loft([_lift(flat, low), _lift(flat, high)])
    # Corners move inwards along their mitre.
    edge = np.roll(flat, -1, 0) - flat
    normal = np.stack([-edge[:, 1], edge[:, 0]], axis=1) / np.linalg.norm(edge, axis=1, keepdims=True)
    mitre = normal + np.roll(normal, 1, 0)
    mitre *= 2.0 / np.maximum((mitre**2).sum(axis=1, keepdims=True), 0.5)
    small = flat + mitre * bevel
    return loft([_lift(small, low), _lift(flat, low + bevel), _lift(flat, high - bevel), _lift(small, high)])


def grounded(solid: Solid, *, below: float = 0.008) -> Solid:
    """A solid whose lowest ``below`` metres are pressed flat onto the floor, so that its feet or runners lie on it."""
    vertices = solid.vertices.copy()
    vertices[vertices[:, 2] < below, 2] = 0.0
    return attrs.evolve(solid, vertices=vertices)


def _lift(flat: np.ndarray, z: float) -> np.ndarray:
    return np.concatenate([flat, np.full((len(flat), 1), z)], axis=1)


def _area(flat: np.ndarray) -> float:
    x, y = flat.T
    return float(0.5 * (x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def rounded_rectangle(width: float, depth: float, radius: float, *, segments: int = 4) -> np.ndarray:
    """Outline (4 * (segments + 1), 2), counter-clockwise, centred on the origin."""
    radius = min(radius, width / 2 * 0.999, depth / 2 * 0.999)
    turn = np.linspace(0.0, np.pi / 2, segments + 1)
    corner = np.stack([np.cos(turn), np.sin(turn)], axis=1) * radius
    out = []
    for k, (sx, sy) in enumerate(((1, 1), (-1, 1), (-1, -1), (1, -1))):
        c, s = np.cos(k * np.pi / 2), np.sin(k * np.pi / 2)
        out.append(corner @ np.array([[c, s], [-s, c]]) + (sx * (width / 2 - radius), sy * (depth / 2 - radius)))
    return np.concatenate(out)


def superellipse(width: float, depth: float, power: float = 2.5, *, sides: int = 24) -> np.ndarray:
    """Outline (sides, 2) between an ellipse (power 2) and a rectangle."""
    unit = circle(sides)
    return np.sign(unit) * np.abs(unit) ** (2.0 / power) * (width / 2, depth / 2)


def panel(grid: ArrayLike, thickness: float) -> Solid:
    """A curved sheet of even thickness.

    Parameters
    ----------
    grid : (M, N, 3) array-like
        Its middle surface, in metres.
    thickness : float
        Metres, half of it to each side along the surface's normals.
    """
    mid = np.asarray(grid, dtype=float)
    rows, columns = mid.shape[:2]
    normal = np.cross(np.gradient(mid, axis=0), np.gradient(mid, axis=1))
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    front, back = mid + normal * thickness / 2, mid - normal * thickness / 2
    ids = np.arange(rows * columns).reshape(rows, columns)
    quads = np.stack([ids[:-1, :-1], ids[1:, :-1], ids[1:, 1:], ids[:-1, 1:]], axis=-1).reshape(-1, 4)
    rim = np.concatenate([ids[0, :-1], ids[:-1, -1], ids[-1, :0:-1], ids[:0:-1, 0]])
    after, far = np.roll(rim, -1), rows * columns
    walls = np.stack([rim, after, after + far, rim + far], axis=1)
    faces = np.concatenate([quads, quads[:, ::-1] + far, walls])
    points = np.concatenate([front.reshape(-1, 3), back.reshape(-1, 3)])
    return Solid(points, faces.ravel().astype(np.int32), np.full(len(faces), 4, np.int32)).outward()


def spline(points: ArrayLike, count: int, *, closed: bool = False) -> np.ndarray:
    """``count`` points of the Catmull-Rom curve through ``points`` (N, D)."""
    p = np.asarray(points, dtype=float)
    n = len(p)
    p = np.concatenate([p[-1:], p, p[:2]]) if closed else np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    spans = n if closed else n - 1
    t = np.linspace(0.0, spans, count, endpoint=not closed)
    i = np.minimum(t.astype(int), spans - 1)
    f = (t - i)[:, None]
    a, b, c, d = p[i], p[i + 1], p[i + 2], p[i + 3]
    return 0.5 * (2 * b + (c - a) * f + (2 * a - 5 * b + 4 * c - d) * f**2 + (3 * b - a - 3 * c + d) * f**3)


def bend(points: ArrayLike, radius: float, *, steps: int = 4, closed: bool = False) -> np.ndarray:
    """A polyline with its corners rounded as bent tubes are; straight runs stay straight."""
    p = np.asarray(points, dtype=float)
    out: list[np.ndarray] = []
    for k, point in enumerate(p):
        if not closed and k in (0, len(p) - 1):
            out.append(point)
            continue
        before, after = p[k - 1] - point, p[(k + 1) % len(p)] - point
        reach = min(radius, 0.49 * np.linalg.norm(before), 0.49 * np.linalg.norm(after))
        start = point + before / np.linalg.norm(before) * reach
        end = point + after / np.linalg.norm(after) * reach
        for t in np.linspace(0.0, 1.0, steps + 1):
            out.append((1 - t) ** 2 * start + 2 * t * (1 - t) * point + t**2 * end)
    return np.array(out)
