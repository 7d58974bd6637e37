# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether and how high a thing stands at a point of a surface: contact, support under its base, balance."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Sequence

import attrs
import numpy as np

from ..errors import StageError
from ..stage import Asset, Stage
from .contact import (
    centroid,
    extents,
    footprint,
    heights,
    highest_below,
    inside_hull,
    lowest_above,
    resting_height,
)

LIFT = 0.0005
"""Metres between a thing and what it rests on, so that faces do not flicker and resting is not intersecting."""
_SAME_STOREY = 0.02
_LEANS = 1e-6


@attrs.frozen(eq=False)
class Ground:
    """All faces of the chosen surfaces, and the chance of each to be stood on."""

    corners: np.ndarray
    normals: np.ndarray
    owner: np.ndarray
    weights: np.ndarray
    low: np.ndarray
    high: np.ndarray


@attrs.frozen(eq=False)
class Body:
    """An asset turned and scaled: its vertices around its origin, the points of its base, its centre of gravity."""

    vertices: np.ndarray
    base: np.ndarray
    center: np.ndarray


@attrs.frozen
class Support:
    """What counts as standing: steepest face in degrees, share of the base that may hang free, largest gap under a
    point that counts as support, and least distance of the base to the edge of the surface, both in metres."""

    max_slope: float
    max_overhang: float
    max_gap: float
    edge_margin: float


def ground_of(stage: Stage, names: Sequence[str], mask: str, max_slope: float, owner: str) -> Ground:
    """The faces of surfaces that are flat enough; StageError, in the name of ``owner``, where there are none."""
    surfaces = stage.surfaces(names, mask)
    corners = np.concatenate([s.corners for s in surfaces])
    normals = np.concatenate([s.normals for s in surfaces])
    areas = np.concatenate([s.areas for s in surfaces])
    of = np.repeat(np.arange(len(surfaces)), [len(s.corners) for s in surfaces])
    named = f"{', '.join(names)}" + (f" with mask '{mask}'" if mask else "")
    if not areas.sum() > 0:
        raise StageError(f"The surfaces {named} of {owner} have no area. Choose other surfaces.")
    # Wound the wrong way round, a floor looks down: which of those are undersides is seen point by point.
    flat = np.abs(normals[:, 2]) >= np.cos(np.radians(max_slope)) - 1e-9
    if not (areas * flat).sum() > 0:
        raise StageError(
            f"The surfaces {named} of {owner} are steeper than max_slope {max_slope:g} deg "
            "everywhere. Choose other surfaces or raise max_slope."
        )
    weights = np.cumsum(areas * flat)
    return Ground(corners, normals, of, weights / weights[-1], *extents(corners))


def surface_near(ground: Ground, point: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Where the vertical line through a point (3,) meets the ground nearest to it, within ``reach`` metres, and the
    upward normal there; None where it does not."""
    xy = point[None, :2]
    near = (ground.low[:, :2] <= xy).all(1) & (ground.high[:, :2] >= xy).all(1)
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    for face in np.flatnonzero(near):
        for z in heights(xy, ground.corners[face : face + 1])[1]:
            away = abs(float(z) - point[2])
            if away <= reach and (best is None or away < best[0]):
                normal = ground.normals[face]
                best = away, np.array([*point[:2], z]), normal * (-1.0 if normal[2] < 0 else 1.0)
    return None if best is None else best[1:]


def resting_place(
    body: Body, asset: Asset, ground: Ground, point: np.ndarray, normal: np.ndarray, support: Support, *, tilted: bool
) -> float | str:
    """World height of the lowest point of a body that rests at ``point`` (3,), or why it cannot.

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
    ceiling = float(lowest_above(point[None, :2], point[2] + _SAME_STOREY, corners)[0]) - 1e-3
    headroom = radius * np.tan(np.radians(support.max_slope)) + 0.05
    height = resting_height(
        vertices, asset.mesh.triangles, corners, level=float(point[2]), headroom=headroom, ceiling=ceiling
    )
    if not np.isfinite(height):
        return "no contact"

    # On a slope an upright base touches on one side; the other side is supported where the slope goes on.
    slope = -normal[:2] / normal[2]

    def supported(places: np.ndarray) -> np.ndarray:
        bottom = height + places[:, 2]
        expected = np.minimum(bottom, point[2] + (places[:, :2] - point[:2]) @ slope)
        top = highest_below(places[:, :2], np.minimum(bottom + support.max_gap, ceiling), corners)
        return top >= expected - support.max_gap - 1e-9

    held = supported(base)
    if 1 - held.mean() > support.max_overhang + 1e-9:
        return "overhang"
    # Some models would topple on a level floor: the place must not be worse than that.
    center = body.center[:2] + point[:2]
    if not tilted and not inside_hull(center, base[held, :2]) and inside_hull(center, base[:, :2]):
        return "unbalanced"
    if support.edge_margin > 0:
        middle = base[:, :2].mean(0)
        away = base[:, :2] - middle
        length = np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
        wide = np.column_stack([middle + away * (1 + support.edge_margin / length), base[:, 2]])
        if not supported(wide).all():
            return "border"
    return height


@attrs.frozen(eq=False)
class Site:
    """Where a placement lets things stand, and how: what a solver asks that looks for places itself.

    Attributes
    ----------
    ground : Ground
        What is stood on.
    support : Support
        What counts as standing.
    classes : tuple of str
        The annotated classes that are placed here.
    share : float
        How many things of each class are placed here in a frame, on average; weighs the sites of a class.
    gap : float
        Least distance in metres to other instances.
    align_to_normal : bool
        Along the surface's normal instead of upright.
    yaw, tilt : (float, float)
        Degrees: turn about the vertical, and lean.
    """

    ground: Ground
    support: Support
    classes: tuple[str, ...]
    share: float
    gap: float
    align_to_normal: bool
    yaw: tuple[float, float]
    tilt: tuple[float, float]

    def turns(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Random rotations (n, 3, 3) as this site has them, and which of them lean (n,)."""
        yaws = np.radians(rng.uniform(*self.yaw, size=n))
        tilts = np.radians(rng.uniform(*self.tilt, size=n))
        leans = rng.uniform(0, 2 * np.pi, size=n)
        return np.array([turned(*angles) for angles in zip(yaws, tilts, leans, strict=True)]), tilts > _LEANS

    def stand(
        self,
        stage: Stage,
        asset: Asset,
        scale: float,
        turn: np.ndarray,
        point: np.ndarray,
        normal: np.ndarray,
        *,
        tilted: bool,
        ignore: Collection[int] = (),
    ) -> np.ndarray | str:
        """Where an asset rests that is lowered onto a point of the ground: its matrix (4, 4), or why it may not.

        ``turn`` (3, 3) is that of the asset, ``normal`` (3,) that of the ground, upward; ``ignore`` holds the ids of
        instances that may be in its way.
        """
        align = _upright_to(normal) if self.align_to_normal else np.eye(3)
        body = body_of(asset, scale, turn, align, tilted=tilted)
        height = resting_place(body, asset, self.ground, point, normal, self.support, tilted=tilted)
        if isinstance(height, str):
            return height
        matrix = np.eye(4)
        matrix[:3, :3] = scale * (align @ turn)
        matrix[:3, 3] = point[0], point[1], height - body.vertices[:, 2].min() + LIFT
        other = stage.collides(asset, matrix, gap=self.gap, ignore=ignore)
        if other:
            close = self.gap > 0 and len(stage.instances) > 0 and not stage.collides(asset, matrix, ignore=ignore)
            return f"too close to '{other}'" if close else f"intersects '{other}'"
        return matrix


def turned(yaw: float, tilt: float, lean: float) -> np.ndarray:
    """Rotation (3, 3) by ``yaw`` about the vertical, then by ``tilt`` in the direction ``lean``; radians."""
    upright = rotation_about((0.0, 0.0, 1.0), yaw)
    return rotation_about((-np.sin(lean), np.cos(lean), 0.0), tilt) @ upright if tilt > _LEANS else upright


def _upright_to(normal: np.ndarray) -> np.ndarray:
    """The smallest rotation that takes z to ``normal``."""
    axis = np.array([-normal[1], normal[0], 0.0])
    length = float(np.linalg.norm(axis))
    if length < 1e-9:
        return np.eye(3)
    return rotation_about(axis / length, float(np.arctan2(length, normal[2])))


_bases: weakref.WeakKeyDictionary[Asset, tuple[np.ndarray, np.ndarray]] = weakref.WeakKeyDictionary()


def body_of(asset: Asset, scale: float, turn: np.ndarray, align: np.ndarray, *, tilted: bool) -> Body:
    """An asset scaled, turned by ``turn`` (3, 3) and then by ``align`` (3, 3); a ``tilted`` one stands on what is
    lowest after its turn."""
    if asset not in _bases:
        mesh = asset.mesh
        _bases[asset] = (footprint(mesh.vertices, mesh.triangles), centroid(mesh.vertices, mesh.triangles))
    base, center = _bases[asset]
    matrix = scale * (align @ turn)
    if tilted:  # a leaning thing stands on something else than its base
        leaning = asset.mesh.vertices @ turn.T
        base = footprint(leaning, asset.mesh.triangles) @ turn
    return Body(asset.mesh.vertices @ matrix.T, base @ matrix.T, center @ matrix.T)


def rotation_about(axis: Sequence[float] | np.ndarray, angle: float) -> np.ndarray:
    """Rotation (3, 3) about a unit axis by radians [Rodrigues]."""
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
