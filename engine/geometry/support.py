# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an asset can rest at a point of a surface, and at what height: contact, support under its base, balance."""

from __future__ import annotations

import weakref
from collections.abc import Collection

import attrs
import numpy as np

from ..scene.motion import rotation_about
from ..stage import Asset, Stage
from .contact import centroid, footprint, highest_below, inside_hull, lowest_above, resting_height
from .ground import (
    Ground,
    can_stand,
    find_ground,
    ground_of_instance,
    nearest_ground_point,
    points_on_ground,
    upward_normals,
)
from .settling import resting_plane

__all__ = [
    "CONTACT_GAP",
    "Body",
    "Ground",
    "Site",
    "SupportRules",
    "can_stand",
    "find_ground",
    "ground_of_instance",
    "is_standing",
    "make_body",
    "nearest_ground_point",
    "points_on_ground",
    "resting_matrix",
    "rotation_about",
    "supported_height",
    "upright_rotation",
    "upward_normals",
    "yaw_tilt_rotation",
]

CONTACT_GAP = 0.0005
"""Metres between an asset and what it rests on, so that faces do not flicker and contact is not intersection."""
_FLOOR_TOLERANCE = 0.02
_MIN_TILT = 1e-6
_CONTACT = 0.002
"""Largest gap in metres at a contact."""
_MAX_LEAN = 5.0
"""Degrees by which an asset leans at most to rest on its contacts, from its own axis or from the ground's normal."""
_ROUNDS = 3


@attrs.frozen(eq=False)
class Body:
    """An asset rotated and scaled: its vertices around its origin, the points of its base, its centre of gravity, the
    ``axis`` (3,) that its base is at right angles to, and whether it stands on a level floor by itself."""

    vertices: np.ndarray
    base: np.ndarray
    center: np.ndarray
    axis: np.ndarray = attrs.field(factory=lambda: np.array([0.0, 0.0, 1.0]))
    is_stable: bool = True


@attrs.frozen
class SupportRules:
    """What counts as support: steepest face in degrees, share of the base that may overhang, largest gap under a
    supported point, and smallest distance of the base to the edge of the surface, both in metres."""

    max_slope: float
    max_overhang: float
    max_gap: float
    edge_margin: float


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
    landing = _land(body, asset, ground, point, normal, support, tilted=tilted)
    return landing if isinstance(landing, str) else landing.height


@attrs.frozen(eq=False)
class _Landing:
    """A body lowered onto the ground.

    ``height`` is that of its lowest point, ``base`` (K, 3) are the points of its base in the world, and ``tops`` (K,)
    the heights of the ground below them. ``is_held`` says whether contacts hold its centre of gravity; ``corners``
    (N, 3, 3) are the faces of the ground around it.
    """

    height: float
    base: np.ndarray
    tops: np.ndarray
    is_held: bool
    corners: np.ndarray


def _land(
    body: Body,
    asset: Asset,
    ground: Ground,
    point: np.ndarray,
    normal: np.ndarray,
    support: SupportRules,
    *,
    tilted: bool,
) -> _Landing | str:
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

    # The base counts as flat: a foot that hangs above it in the model does so on a level floor, too.
    slope, sole_slope = -normal[:2] / normal[2], -body.axis[:2] / body.axis[2]
    sole = height + float((base[:, 2] - base[:, :2] @ sole_slope).min())

    def tops(points: np.ndarray, gap: float) -> tuple[np.ndarray, np.ndarray]:
        """Height of the ground below points of the base, and which of them are at most ``gap`` above it."""
        bottom = height + points[:, 2]
        level = np.maximum(sole + points[:, :2] @ sole_slope, point[2] + (points[:, :2] - point[:2]) @ slope)
        top = highest_below(points[:, :2], np.minimum(bottom + support.max_gap, ceiling), corners)
        return top, top >= np.minimum(bottom, level) - gap - 1e-9

    below, is_supported = tops(base, support.max_gap)
    if 1 - is_supported.mean() > support.max_overhang + 1e-9:
        return "overhang"
    # Some models would topple even on a level floor; those are accepted.
    center, needs_balance = body.center[:2] + point[:2], body.is_stable and not tilted
    if needs_balance and not inside_hull(center, base[is_supported, :2]):
        return "unbalanced"
    if support.edge_margin > 0:
        base_center = base[:, :2].mean(0)
        away = base[:, :2] - base_center
        length = np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
        expanded = np.column_stack([base_center + away * (1 + support.edge_margin / length), base[:, 2]])
        if not tops(expanded, support.max_gap)[1].all():
            return "border"
    is_held = not needs_balance or inside_hull(center, base[tops(base, _CONTACT)[1], :2])
    return _Landing(height, base + np.array([0.0, 0.0, height]), below, is_held, corners)


def resting_matrix(
    asset: Asset,
    scale: float,
    rotation: np.ndarray,
    ground: Ground,
    point: np.ndarray,
    normal: np.ndarray,
    support: SupportRules,
    *,
    align_to_normal: bool,
    tilted: bool,
) -> np.ndarray | str:
    """The matrix (4, 4) of an asset that rests on a point of the ground, or the reason why it cannot.

    It stands upright where its contacts then hold its centre of gravity. Otherwise it leans until they do: by a few
    degrees on rubble or over the edge of a rug, and along the ground on a slope. Collisions are not checked.

    Parameters
    ----------
    asset : Asset
    scale : float
    rotation : (3, 3) float
        Of the asset.
    ground : Ground
    point, normal : (3,) float
        Where it rests, and the upward normal of the ground there.
    support : SupportRules
    align_to_normal : bool
        Whether it leans along the ground in any case.
    tilted : bool
        Whether it needs no balance.
    """
    along = _rotation_to_normal(normal)
    frames = [along] if align_to_normal else [np.eye(3), along] if normal[2] < 1 - 1e-9 else [np.eye(3)]
    reason = ""
    for frame in frames:
        settled = _settle(asset, scale, rotation, frame, ground, point, normal, support, tilted=tilted)
        if not isinstance(settled, str):
            return settled
        reason = reason or settled
        if settled not in ("overhang", "unbalanced"):
            break
    return reason


def _settle(
    asset: Asset,
    scale: float,
    rotation: np.ndarray,
    frame: np.ndarray,
    ground: Ground,
    point: np.ndarray,
    normal: np.ndarray,
    support: SupportRules,
    *,
    tilted: bool,
) -> np.ndarray | str:
    """As :func:`resting_matrix`, near the orientation ``frame`` (3, 3) @ ``rotation``."""
    lean = np.eye(3)
    for _ in range(_ROUNDS):
        turn = lean @ frame
        body = make_body(asset, scale, rotation, turn, tilted=tilted)
        landing = _land(body, asset, ground, point, normal, support, tilted=tilted)
        if isinstance(landing, str):
            return landing
        center = body.center[:2] + point[:2]
        bumps = np.zeros((0, 4)) if landing.is_held else _bumps(body, asset, landing, point)
        xy = np.concatenate([landing.base[:, :2], bumps[:, :2]])
        gaps = np.concatenate([landing.base[:, 2] - landing.tops, bumps[:, 3] - bumps[:, 2]])
        if landing.is_held or inside_hull(center, xy[gaps <= _CONTACT]):
            matrix = np.eye(4)
            matrix[:3, :3] = scale * (turn @ rotation)
            matrix[:3, 3] = point[0], point[1], landing.height - body.vertices[:, 2].min() + CONTACT_GAP
            return matrix
        slope = resting_plane(xy, -gaps, center)
        if slope is None:
            return "unbalanced"
        lean = _rotation_to_normal(np.array([-slope[0], -slope[1], 1.0]) / np.sqrt(1 + slope @ slope)) @ lean
        if lean[2, 2] < np.cos(np.radians(_MAX_LEAN)):
            return "unbalanced"
    return "unbalanced"


def _bumps(body: Body, asset: Asset, landing: _Landing, point: np.ndarray) -> np.ndarray:
    """Vertices of the ground below the base of a body: x, y and z of each, and the height of the body there (N, 4)."""
    low, high = landing.base[:, :2].min(0), landing.base[:, :2].max(0)
    bumps = np.unique(landing.corners.reshape(-1, 3), axis=0)
    bumps = bumps[((bumps[:, :2] >= low) & (bumps[:, :2] <= high)).all(1)]
    vertices = body.vertices + np.array([point[0], point[1], landing.height - body.vertices[:, 2].min()])
    corners = vertices[asset.mesh.triangles]
    corners = corners[corners[:, :, 2].min(1) <= landing.base[:, 2].max() + 1e-6]
    height = lowest_above(bumps[:, :2], bumps[:, 2] - 1e-6, corners)
    found = np.isfinite(height)
    return np.column_stack([bumps[found], height[found]])


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
        matrix = resting_matrix(
            asset, scale, rotation, self.ground, point, normal, self.support,
            align_to_normal=self.align_to_normal, tilted=tilted,
        )  # fmt: skip
        if isinstance(matrix, str):
            return matrix
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


def is_standing(axis: np.ndarray, normal: np.ndarray) -> bool:
    """Whether an asset with its vertical along ``axis`` (3,) leans no more than ground with this normal (3,) makes it.

    Things that stand are within a few degrees of the vertical or of the normal.
    """
    return bool(max(axis[2], axis @ normal) >= np.cos(np.radians(_MAX_LEAN)) - 1e-9)


def upright_rotation(rotation: np.ndarray) -> np.ndarray:
    """A rotation (3, 3) without its lean: about the vertical alone."""
    return np.asarray(_rotation_to_normal(rotation[:, 2]).T @ rotation)


def _rotation_to_normal(normal: np.ndarray) -> np.ndarray:
    """The smallest rotation that takes z to ``normal``."""
    axis = np.array([-normal[1], normal[0], 0.0])
    length = float(np.linalg.norm(axis))
    if length < 1e-9:
        return np.eye(3)
    return rotation_about(axis / length, float(np.arctan2(length, normal[2])))


_base_cache: weakref.WeakKeyDictionary[Asset, tuple[np.ndarray, np.ndarray, bool]] = weakref.WeakKeyDictionary()


def make_body(asset: Asset, scale: float, rotation: np.ndarray, align: np.ndarray, *, tilted: bool) -> Body:
    """An asset scaled, rotated by ``rotation`` (3, 3) and then by ``align`` (3, 3); the base of a ``tilted`` one is
    what is lowest after its rotation."""
    if asset not in _base_cache:
        mesh = asset.mesh
        base, center = footprint(mesh.vertices, mesh.triangles), centroid(mesh.vertices, mesh.triangles)
        _base_cache[asset] = (base, center, inside_hull(center[:2], base[:, :2]))
    base, center, is_stable = _base_cache[asset]
    matrix = scale * (align @ rotation)
    if tilted:  # a tilted asset rests on other points than its base
        leaning = asset.mesh.vertices @ rotation.T
        base = footprint(leaning, asset.mesh.triangles) @ rotation
    return Body(asset.mesh.vertices @ matrix.T, base @ matrix.T, center @ matrix.T, align[:, 2], is_stable)
