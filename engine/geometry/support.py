# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an asset can rest at a point of a surface, and at what height: contact, support under its base, balance."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Sequence

import attrs
import numpy as np

from ..errors import StageError
from ..stage import Asset, Instance, Stage
from .contact import (
    centroid,
    extents,
    footprint,
    highest_below,
    inside_hull,
    lowest_above,
    resting_height,
    vertical_intersections,
)

CONTACT_GAP = 0.0005
"""Metres between an asset and what it rests on, so that faces do not flicker and contact is not intersection."""
_FLOOR_TOLERANCE = 0.02
_MIN_TILT = 1e-6
_NO_AREA = 1e-12
"""Twice the area in square metres below which a face has no direction."""


@attrs.frozen(eq=False)
class Ground:
    """All faces of the chosen surfaces: corners (N, 3, 3), normals (N, 3), the index of the surface of each (N,), and
    the area of those flat enough up to each face, as a share of the whole (N,)."""

    corners: np.ndarray
    normals: np.ndarray
    surface_index: np.ndarray
    cumulative_area: np.ndarray
    low: np.ndarray
    high: np.ndarray


@attrs.frozen(eq=False)
class Body:
    """An asset rotated and scaled: its vertices around its origin, the points of its base, its centre of gravity."""

    vertices: np.ndarray
    base: np.ndarray
    center: np.ndarray


@attrs.frozen
class SupportRules:
    """What counts as support: steepest face in degrees, share of the base that may overhang, largest gap under a
    supported point, and smallest distance of the base to the edge of the surface, both in metres."""

    max_slope: float
    max_overhang: float
    max_gap: float
    edge_margin: float


def find_ground(stage: Stage, names: Sequence[str], mask: str, max_slope: float, plugin_label: str) -> Ground:
    """The faces of surfaces that are flat enough; StageError, which names ``plugin_label``, where there are none."""
    surfaces = stage.surfaces(names, mask)
    corners = np.concatenate([s.corners for s in surfaces])
    normals = np.concatenate([s.normals for s in surfaces])
    areas = np.concatenate([s.areas for s in surfaces])
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
    cumulative_area = np.cumsum(areas * flat)
    return Ground(corners, normals, surface_index, cumulative_area / cumulative_area[-1], *extents(corners))


def ground_of_instance(instance: Instance, max_slope: float) -> Ground | None:
    """The faces of an instance as ground, of which those that face up and are flat enough count; None without any.

    Its meshes are taken to have outward normals, which undersides of table tops need.
    """
    vertices = instance.asset.mesh.vertices @ instance.matrix[:3, :3].T + instance.matrix[:3, 3]
    corners = vertices[instance.asset.mesh.triangles]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    double_area = np.linalg.norm(cross, axis=1)
    valid = double_area > _NO_AREA
    corners, normals = corners[valid], cross[valid] / double_area[valid, None]
    area = double_area[valid] * (normals[:, 2] >= np.cos(np.radians(max_slope)) - 1e-9)
    if not area.sum() > 0.0:
        return None
    share = np.cumsum(area) / area.sum()
    return Ground(corners, normals, np.zeros(len(corners), int), share, *extents(corners))


def points_on_ground(ground: Ground, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (count, 3) on the flat faces of the ground, uniform by area, and the index of each one's face (count,)."""
    face = np.searchsorted(ground.cumulative_area, rng.random(count), side="right")
    face = np.minimum(face, len(ground.cumulative_area) - 1)
    u, v = rng.random((2, count))
    root = np.sqrt(u)  # uniform on a triangle [Osada et al., "Shape distributions", 2002]
    weights = np.stack([1 - root, root * (1 - v), root * v], axis=1)
    return np.einsum("nk,nkd->nd", weights, ground.corners[face]), face


def nearest_ground_point(ground: Ground, point: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Where the vertical line through a point (3,) meets the ground nearest to it, within ``reach`` metres, and the
    upward normal there; None where it does not."""
    xy = point[None, :2]
    near = (ground.low[:, :2] <= xy).all(1) & (ground.high[:, :2] >= xy).all(1)
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    for face in np.flatnonzero(near):
        for z in vertical_intersections(xy, ground.corners[face : face + 1])[1]:
            away = abs(float(z) - point[2])
            if away <= reach and (best is None or away < best[0]):
                normal = ground.normals[face]
                best = away, np.array([*point[:2], z]), normal * (-1.0 if normal[2] < 0 else 1.0)
    return None if best is None else best[1:]


def supported_height(
    body: Body,
    asset: Asset,
    ground: Ground,
    point: np.ndarray,
    normal: np.ndarray,
    support: SupportRules,
    *,
    tilted: bool,
) -> float | str:
    """World height of the lowest point of a body that rests at ``point`` (3,), or the reason why it cannot.

    ``normal`` (3,) is that of the ground, upward; ``tilted`` bodies need no balance.
    """
    lowest = float(body.vertices[:, 2].min())
    vertices = body.vertices - (0.0, 0.0, lowest)
    vertices[:, :2] += point[:2]
    base = body.base - (0.0, 0.0, lowest)
    base[:, :2] += point[:2]
    radius = float(np.linalg.norm(body.vertices[:, :2], axis=1).max()) + support.edge_margin
    close, far = point[:2] - radius, point[:2] + radius
    near = (ground.low[:, 0] <= far[0]) & (ground.high[:, 0] >= close[0])
    near &= (ground.low[:, 1] <= far[1]) & (ground.high[:, 1] >= close[1])
    corners = ground.corners[near]
    ceiling = float(lowest_above(point[None, :2], point[2] + _FLOOR_TOLERANCE, corners)[0]) - 1e-3
    headroom = radius * np.tan(np.radians(support.max_slope)) + 0.05
    height = resting_height(
        vertices, asset.mesh.triangles, corners, level=float(point[2]), headroom=headroom, ceiling=ceiling
    )
    if not np.isfinite(height):
        return "no contact"

    # On a slope an upright base touches on one side; the other side is supported where the slope goes on.
    slope = -normal[:2] / normal[2]

    def supported(points: np.ndarray) -> np.ndarray:
        bottom = height + points[:, 2]
        expected = np.minimum(bottom, point[2] + (points[:, :2] - point[:2]) @ slope)
        top = highest_below(points[:, :2], np.minimum(bottom + support.max_gap, ceiling), corners)
        return top >= expected - support.max_gap - 1e-9

    is_supported = supported(base)
    if 1 - is_supported.mean() > support.max_overhang + 1e-9:
        return "overhang"
    # Some models would topple even on a level floor; those are accepted.
    center = body.center[:2] + point[:2]
    if not tilted and not inside_hull(center, base[is_supported, :2]) and inside_hull(center, base[:, :2]):
        return "unbalanced"
    if support.edge_margin > 0:
        base_center = base[:, :2].mean(0)
        away = base[:, :2] - base_center
        length = np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
        expanded = np.column_stack([base_center + away * (1 + support.edge_margin / length), base[:, 2]])
        if not supported(expanded).all():
            return "border"
    return height


@attrs.frozen(eq=False)
class Site:
    """Where and how a placement lets assets rest, for solvers that choose positions themselves.

    Attributes
    ----------
    ground : Ground
        The faces that support assets.
    support : Support
        What counts as support.
    classes : tuple of str
        The annotated classes that are placed here.
    expected_count : float
        Mean number of assets of each class placed here in a frame; weights the sites of a class.
    gap : float
        Smallest distance in metres to other instances.
    align_to_normal : bool
        Whether assets stand along the surface's normal instead of upright.
    yaw, tilt : (float, float)
        Rotation about the vertical, and tilt from it; degrees.
    """

    ground: Ground
    support: SupportRules
    classes: tuple[str, ...]
    expected_count: float
    gap: float
    align_to_normal: bool
    yaw: tuple[float, float]
    tilt: tuple[float, float]

    def draw_rotations(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Random rotations (n, 3, 3) within this site's limits, and which of them are tilted (n,)."""
        yaws = np.radians(rng.uniform(*self.yaw, size=n))
        tilts = np.radians(rng.uniform(*self.tilt, size=n))
        tilt_directions = rng.uniform(0, 2 * np.pi, size=n)
        return np.array(
            [yaw_tilt_rotation(*angles) for angles in zip(yaws, tilts, tilt_directions, strict=True)]
        ), tilts > _MIN_TILT

    def resting_pose(
        self,
        stage: Stage,
        asset: Asset,
        scale: float,
        rotation: np.ndarray,
        point: np.ndarray,
        normal: np.ndarray,
        *,
        tilted: bool,
        ignore: Collection[int] = (),
    ) -> np.ndarray | str:
        """The matrix (4, 4) of an asset lowered onto a point of the ground, or the reason why it cannot rest there.

        ``rotation`` (3, 3) is that of the asset, ``normal`` (3,) that of the ground, upward; ``ignore`` holds the ids
        of instances that it may intersect.
        """
        align = _rotation_to_normal(normal) if self.align_to_normal else np.eye(3)
        body = make_body(asset, scale, rotation, align, tilted=tilted)
        height = supported_height(body, asset, self.ground, point, normal, self.support, tilted=tilted)
        if isinstance(height, str):
            return height
        matrix = np.eye(4)
        matrix[:3, :3] = scale * (align @ rotation)
        matrix[:3, 3] = point[0], point[1], height - body.vertices[:, 2].min() + CONTACT_GAP
        other = stage.collides(asset, matrix, gap=self.gap, ignore=ignore)
        if other:
            close = self.gap > 0 and len(stage.instances) > 0 and not stage.collides(asset, matrix, ignore=ignore)
            return f"too close to '{other}'" if close else f"intersects '{other}'"
        return matrix


def yaw_tilt_rotation(yaw: float, tilt: float, tilt_direction: float) -> np.ndarray:
    """Rotation (3, 3) by ``yaw`` about the vertical, then by ``tilt`` in the direction ``tilt_direction``; radians."""
    upright = rotation_about((0.0, 0.0, 1.0), yaw)
    return (
        rotation_about((-np.sin(tilt_direction), np.cos(tilt_direction), 0.0), tilt) @ upright
        if tilt > _MIN_TILT
        else upright
    )


def _rotation_to_normal(normal: np.ndarray) -> np.ndarray:
    """The smallest rotation that takes z to ``normal``."""
    axis = np.array([-normal[1], normal[0], 0.0])
    length = float(np.linalg.norm(axis))
    if length < 1e-9:
        return np.eye(3)
    return rotation_about(axis / length, float(np.arctan2(length, normal[2])))


_base_cache: weakref.WeakKeyDictionary[Asset, tuple[np.ndarray, np.ndarray]] = weakref.WeakKeyDictionary()


def make_body(asset: Asset, scale: float, rotation: np.ndarray, align: np.ndarray, *, tilted: bool) -> Body:
    """An asset scaled, rotated by ``rotation`` (3, 3) and then by ``align`` (3, 3); the base of a ``tilted`` one is
    what is lowest after its rotation."""
    if asset not in _base_cache:
        mesh = asset.mesh
        _base_cache[asset] = (footprint(mesh.vertices, mesh.triangles), centroid(mesh.vertices, mesh.triangles))
    base, center = _base_cache[asset]
    matrix = scale * (align @ rotation)
    if tilted:  # a tilted asset rests on other points than its base
        leaning = asset.mesh.vertices @ rotation.T
        base = footprint(leaning, asset.mesh.triangles) @ rotation
    return Body(asset.mesh.vertices @ matrix.T, base @ matrix.T, center @ matrix.T)


def rotation_about(axis: Sequence[float] | np.ndarray, angle: float) -> np.ndarray:
    """Rotation (3, 3) about a unit axis by radians [Rodrigues]."""
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
