# SPDX-License-Identifier: GPL-3.0-or-later
"""The ground that assets stand on: faces of surfaces and instances, and which points of them can be stood on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import numpy as np

from ..errors import StageError
from ..stage import Instance, Stage, Surface
from .contact import extents, highest_below, lowest_above, vertical_hits

_NO_AREA = 1e-12
"""Twice the area in square metres below which a face has no direction."""
_SOLID = 1.0
"""A downward face with a face of the same surface within this many metres above it is the underside of a solid."""
_CEILING = 1.5
"""Smallest height in metres of a room."""
_MIN_ROOM_AREA = 2.0
"""Smallest floor area in square metres of a room."""
_SAMPLES = 256
_JUST_ABOVE = 1e-4
_EVERYWHERE = (-np.inf, np.inf)


@attrs.frozen(eq=False)
class Faces:
    """Faces to place on: corners (N, 3, 3), normals (N, 3), and the area up to each, as a share of the whole (N,)."""

    corners: np.ndarray
    normals: np.ndarray
    cumulative_area: np.ndarray

    def points(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Points (count, 3), uniform by area, and the index of each one's face (count,)."""
        return _points_on_faces(self.corners, self.cumulative_area, rng, count)


def faces_of(surfaces: Sequence[Surface], is_chosen: Callable[[np.ndarray], np.ndarray]) -> Faces | None:
    """The faces of surfaces whose normals (N, 3) are chosen, (N,) bool; None where these have no area."""
    corners, normals, areas = _joined(surfaces)
    chosen = is_chosen(normals)
    if not areas[chosen].sum() > 0:
        return None
    ends = np.cumsum(areas[chosen])
    return Faces(corners[chosen], normals[chosen], ends / ends[-1])


def _joined(surfaces: Sequence[Surface]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Corners (N, 3, 3), normals (N, 3) and areas (N,) of the faces of all surfaces."""
    return (
        np.concatenate([s.corners for s in surfaces]),
        np.concatenate([s.normals for s in surfaces]),
        np.concatenate([s.areas for s in surfaces]),
    )


@attrs.frozen(eq=False)
class Ground:
    """All faces of the chosen surfaces: corners (N, 3, 3), normals (N, 3), the index of the surface of each (N,), and
    the area of those flat enough up to each face, as a share of the whole (N,).

    ``rooms`` are the indices of surfaces that are whole rooms, on whose roofs nothing stands; ``height_range`` has the
    lowest and highest z to stand on.
    """

    corners: np.ndarray
    normals: np.ndarray
    surface_index: np.ndarray
    cumulative_area: np.ndarray
    low: np.ndarray
    high: np.ndarray
    rooms: frozenset[int] = frozenset()
    height_range: tuple[float, float] = _EVERYWHERE


def find_ground(
    stage: Stage,
    names: Sequence[str],
    mask: str,
    max_slope: float,
    plugin_label: str,
    height_range: tuple[float, float] | None = None,
) -> Ground:
    """The faces of surfaces that are flat enough.

    Parameters
    ----------
    stage : Stage
    names : sequence of str
        Name patterns of the surfaces.
    mask : str
        Vertex group or material that limits them; "" for none.
    max_slope : float
        Degrees.
    plugin_label : str
        Who asks, for error messages.
    height_range : (float, float), optional
        Lowest and highest z to stand on. Without it, nothing stands on the roof of a room that is one mesh.

    Raises
    ------
    StageError
        The surfaces have no area, are too steep everywhere, or lie outside ``height_range``.
    """
    surfaces = stage.surfaces(names, mask)
    corners, normals, areas = _joined(surfaces)
    surface_index = np.repeat(np.arange(len(surfaces)), [len(s.corners) for s in surfaces])
    named = f"{', '.join(names)}" + (f" with mask '{mask}'" if mask else "")
    if not areas.sum() > 0:
        raise StageError(f"The surfaces {named} of {plugin_label} have no area. Choose other surfaces.")
    # A floor with flipped normals faces down; which of the downward faces are undersides is checked point by point.
    flat = np.abs(normals[:, 2]) >= np.cos(np.radians(max_slope)) - 1e-9
    if not (areas * flat).sum() > 0:
        raise StageError(
            f"The surfaces {named} of {plugin_label} are steeper than max_slope {max_slope:g} deg "
            "everywhere. Choose other surfaces or raise max_slope."
        )
    low, high = extents(corners)
    rooms: frozenset[int] = frozenset()
    if height_range is None:
        rooms = _rooms(corners, normals, areas * flat, surface_index, [c.position for c in stage.existing_cameras()])
    else:
        bottom, top = float(low[flat, 2].min()), float(high[flat, 2].max())
        flat = flat & (high[:, 2] >= height_range[0]) & (low[:, 2] <= height_range[1])
        if not (areas * flat).sum() > 0:
            raise StageError(
                f"The surfaces {named} of {plugin_label} have no flat face between {height_range[0]:g} and "
                f"{height_range[1]:g} m: theirs are {bottom:.2f} to {top:.2f} m high. Correct surface_height_range."
            )
    cumulative_area = np.cumsum(areas * flat)
    share = cumulative_area / cumulative_area[-1]
    return Ground(corners, normals, surface_index, share, low, high, rooms, height_range or _EVERYWHERE)


def ground_of_instance(instance: Instance, max_slope: float) -> Ground | None:
    """The faces of an instance as ground, of which the flat ones count that face up or have flipped normals; None
    without any."""
    vertices = instance.asset.mesh.vertices @ instance.matrix[:3, :3].T + instance.matrix[:3, 3]
    corners = vertices[instance.asset.mesh.triangles]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    double_area = np.linalg.norm(cross, axis=1)
    valid = double_area > _NO_AREA
    corners, normals = corners[valid], cross[valid] / double_area[valid, None]
    flat = np.abs(normals[:, 2]) >= np.cos(np.radians(max_slope)) - 1e-9
    # Here undersides have no share of the area: a mesh has as much of them as of tops.
    down = np.flatnonzero(flat & (normals[:, 2] < 0))
    flat[down] = ~_are_covered(corners[down].mean(1), corners)
    area = double_area[valid] * flat
    if not area.sum() > 0.0:
        return None
    share = np.cumsum(area) / area.sum()
    return Ground(corners, normals, np.zeros(len(corners), int), share, *extents(corners))


def points_on_ground(ground: Ground, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (count, 3) on the flat faces of the ground, uniform by area, and the index of each one's face (count,).

    Some of them may be where nothing can stand, see :func:`can_stand`.
    """
    return _points_on_faces(ground.corners, ground.cumulative_area, rng, count)


def _points_on_faces(
    corners: np.ndarray, cumulative_area: np.ndarray, rng: np.random.Generator, count: int
) -> tuple[np.ndarray, np.ndarray]:
    face = np.searchsorted(cumulative_area, rng.random(count), side="right")
    face = np.minimum(face, len(cumulative_area) - 1)
    u, v = rng.random((2, count))
    root = np.sqrt(u)  # uniform on a triangle [Osada et al., "Shape distributions", 2002]
    weights = np.stack([1 - root, root * (1 - v), root * v], axis=1)
    return np.einsum("nk,nkd->nd", weights, corners[face]), face


def can_stand(ground: Ground, points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Which points (N, 3) on faces (N,) of the ground can be stood on: (N,) bool.

    Undersides of solids cannot, nor can the roofs of rooms, nor what is outside the ground's ``height_range``.
    """
    out = (points[:, 2] >= ground.height_range[0] - 1e-9) & (points[:, 2] <= ground.height_range[1] + 1e-9)
    down = ground.normals[faces, 2] < 0
    owner = ground.surface_index[faces]
    doubtful = out & (down | np.isin(owner, list(ground.rooms)))
    for surface in np.unique(owner[doubtful]).tolist():
        own = np.flatnonzero(doubtful & (owner == surface))
        corners = ground.corners[_faces_of(surface, ground.surface_index)]
        is_lost = down[own] & _are_covered(points[own], corners)
        if surface in ground.rooms:
            is_lost |= _are_on_roof(points[own], corners)
        out[own[is_lost]] = False
    return out


def is_inside(ground: Ground, points: np.ndarray, faces: np.ndarray, cameras: Sequence[np.ndarray] = ()) -> np.ndarray:
    """Which points (N, 3) on faces (N,) of one surface are the bottom of a closed block, seen from within: (N,) bool.

    A block that has one of the ``cameras``, each a position (3,), in it is a room.
    """
    down = ground.normals[faces, 2] < 0
    if not down.any() or any(_is_between(position, ground.corners) for position in cameras):
        return np.zeros(len(points), bool)
    return down & (_crossings_above(points, ground.corners) % 2 == 1)


def upward_normals(ground: Ground, faces: np.ndarray) -> np.ndarray:
    """Normals (N, 3) of faces (N,), turned upwards."""
    normal = ground.normals[faces]
    return normal * np.where(normal[:, 2:] < 0, -1.0, 1.0)


def nearest_ground_point(ground: Ground, point: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Where the vertical line through a point (3,) meets the ground nearest to it, within ``reach`` metres, and the
    upward normal there; None where it does not."""
    xy = point[None, :2]
    near = np.flatnonzero((ground.low[:, :2] <= xy).all(1) & (ground.high[:, :2] >= xy).all(1))
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    _, hit, heights = vertical_hits(xy, ground.corners[near])
    for k in np.argsort(hit, kind="stable"):
        away = abs(float(heights[k]) - point[2])
        if away <= reach and (best is None or away < best[0]):
            best = away, np.array([*point[:2], heights[k]]), upward_normals(ground, near[hit[k : k + 1]])[0]
    return None if best is None else best[1:]


def top_heights(ground: Ground, xy: np.ndarray, faces: np.ndarray, limit: float) -> np.ndarray:
    """Height of the highest point up to ``limit`` on each vertical line (P, 2) that can be stood on; (P,), -inf where
    there is none. ``faces`` (F,) are the indices of the faces that count."""
    out = np.full(len(xy), -np.inf)
    line, hit, z = vertical_hits(xy, ground.corners[faces])
    fits = z <= limit
    line, face, z = line[fits], faces[hit[fits]], z[fits]
    if ground.rooms or (ground.normals[face, 2] < 0).any() or ground.height_range != _EVERYWHERE:
        fits = can_stand(ground, np.column_stack([xy[line], z]), face)
        line, z = line[fits], z[fits]
    np.maximum.at(out, line, z)
    return out


def _are_covered(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Which points (N, 3) have one of the triangles (T, 3, 3) so close above them that there is no room between."""
    z = points[:, 2]
    return np.asarray(lowest_above(points[:, :2], z + _JUST_ABOVE, corners) - z < _SOLID)


def _are_on_roof(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Which points (N, 3) have nothing above them and a room's height of air or walls below."""
    xy, z = points[:, :2], points[:, 2]
    is_open = np.isinf(lowest_above(xy, z + _JUST_ABOVE, corners))
    return np.asarray(is_open & np.isfinite(highest_below(xy, z - _CEILING, corners)))


def _rooms(
    corners: np.ndarray, normals: np.ndarray, areas: np.ndarray, owner: np.ndarray, cameras: Sequence[np.ndarray]
) -> frozenset[int]:
    """Surfaces with a floor of their own under a ceiling of their own.

    The inside of a closed block looks the same, except that its lower face looks down and an odd number of faces is
    above. It is a room if one of the ``cameras`` is in it, each a position (3,).
    """
    rooms = []
    for surface in np.flatnonzero(np.bincount(owner, areas) >= _MIN_ROOM_AREA).tolist():
        own = _faces_of(surface, owner)
        flat = own.start + np.flatnonzero(areas[own] > 0)
        ends = np.cumsum(areas[flat])
        total = float(ends[-1])
        chosen = flat[np.searchsorted(ends, (np.arange(_SAMPLES) + 0.5) / _SAMPLES * total)]
        points = corners[chosen].mean(1)
        height = lowest_above(points[:, :2], points[:, 2] + _JUST_ABOVE, corners[own]) - points[:, 2]
        is_floor = np.isfinite(height) & (height >= _CEILING)
        is_outside = _crossings_above(points, corners[own]) % 2 == 0
        is_floor &= (normals[chosen, 2] > 0) | is_outside | any(_is_between(c, corners[own]) for c in cameras)
        if is_floor.mean() * total >= _MIN_ROOM_AREA:
            rooms.append(surface)
    return frozenset(rooms)


def _faces_of(surface: int, owner: np.ndarray) -> slice:
    """Where the faces of a surface are; ``owner`` (N,) is sorted."""
    return slice(*np.searchsorted(owner, [surface, surface + 1]).tolist())


def _crossings_above(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Number of triangles (T, 3, 3) above each point (N, 3)."""
    line, _, z = vertical_hits(points[:, :2], corners)
    return np.bincount(line[z > points[line, 2] + _JUST_ABOVE], minlength=len(points))


def _is_between(position: np.ndarray, corners: np.ndarray) -> bool:
    """Whether a position (3,) has one of the triangles above and one below."""
    xy = np.asarray(position, dtype=float)[None, :2]
    above, below = lowest_above(xy, float(position[2]), corners), highest_below(xy, float(position[2]), corners)
    return bool(np.isfinite(above[0]) and np.isfinite(below[0]))
