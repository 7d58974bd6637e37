# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand things on surfaces: exact contact, support under the base, nothing intersected."""

from __future__ import annotations

import logging
import weakref
from collections import Counter
from collections.abc import Sequence

import attrs
import numpy as np

from ...engine.contact import centroid, extents, footprint, highest_below, inside_hull, lowest_above, resting_height
from ...engine.errors import StageError
from ...engine.goals import Goals
from ...engine.params import Range, param
from ...engine.plugin import Rejected, plugin
from ...engine.stage import Asset, Stage, Surface

log = logging.getLogger(__name__)

LIFT = 0.0005
"""Metres between a thing and what it rests on, so that faces do not flicker and resting is not intersecting."""
_SAME_STOREY = 0.02
_SOLID = 1.0
"""A face that looks down and has its own surface within so many metres above is the underside of a solid."""
_BATCH = 4096


class NoPlace(Rejected):
    """Nowhere to put an instance. ``reason`` is the commonest cause; ``details`` counts all of them."""

    def __init__(self, details: Counter[str]) -> None:
        self.details = dict(details)
        super().__init__(f"placement: {details.most_common(1)[0][0]}" if details else "placement: no room")


@attrs.frozen(eq=False)
class _Ground:
    """All faces of the chosen surfaces, and the chance of each to be stood on."""

    corners: np.ndarray
    normals: np.ndarray
    owner: np.ndarray
    weights: np.ndarray
    low: np.ndarray
    high: np.ndarray


@attrs.frozen(eq=False)
class _Body:
    """An asset turned and scaled: its vertices around its origin, the points of its base, its centre of gravity."""

    vertices: np.ndarray
    base: np.ndarray
    center: np.ndarray


@plugin("placement")
class OnSurface:
    """Stand instances on surfaces: by real contact, supported, turned about the vertical, intersecting nothing.

    Points are drawn on the evaluated triangles, each by its area, on faces that are not too steep. The asset is lowered
    onto the point until it first touches. It is refused where too much of its base hangs free, its centre of gravity
    has no support around it, it intersects anything of the scene, or comes too near another instance [Zhang2023, §4].
    """

    surfaces: list[str] = param(means="object", doc="Name patterns of the objects to place on, such as 'Floor*'")
    classes: list[str] = param([], means="class", doc="Classes to place; default is all annotated ones")
    distractors: bool = param(
        False, doc="Place distractors: alone where no classes are named, else besides these classes"
    )
    mask: str = param(
        "", means="zone", doc="Vertex group or material that bounds the zone; default is the whole surfaces"
    )
    count: tuple[int, int] = param((1, 3), min=0, soft_max=20, doc="Fewest and most instances per frame")
    others: tuple[int, int] | None = param(
        None, min=0, soft_max=20, doc="The same for frames whose main class is not placed here; default is count"
    )
    max_slope: float = param(15.0, min=0.0, max=89.0, unit="deg", doc="Steepest face that is placed on")
    overhang: float = param(0.1, min=0.0, max=1.0, doc="Share of the base that may have no support beneath")
    step: float = param(0.02, min=0.0, soft_max=0.1, unit="m", doc="Largest gap under a point that counts as support")
    gap: float = param(0.02, min=0.0, soft_max=1.0, unit="m", doc="Least distance to other instances")
    border: float = param(0.0, min=0.0, soft_max=1.0, unit="m", doc="Least distance of the base to the surface's edge")
    align: bool = param(False, doc="Stand along the surface's normal instead of upright")
    yaw: Range = param((0.0, 360.0), min=-360.0, max=360.0, unit="deg", doc="Turn about the vertical axis")
    tilt: Range = param(
        (0.0, 0.0),
        min=0.0,
        max=180.0,
        unit="deg",
        doc="Lean in a random direction; where tilted, balance is not asked for",
    )
    cluster: float = param(
        0.0, min=0.0, soft_max=5.0, unit="m", doc="Further instances come this near to the first; 0 is anywhere"
    )
    tries: int = param(50, min=1, max=10_000, doc="Places tried for each instance")

    def __attrs_post_init__(self) -> None:
        for name in ("count", "others"):
            span = getattr(self, name)
            if span is not None and span[0] > span[1]:
                raise ValueError(f"'{name}' must not have its fewest above its most. Got {list(span)} instead.")
        if not self.surfaces:
            raise ValueError("'surfaces' must name at least one object.")

    def place(self, stage: Stage, goals: Goals, rng: np.random.Generator) -> None:
        """Place this frame's instances, the main one first.

        Raises
        ------
        Rejected
            The main instance, or in a frame without a goal the first one, found no place. Others are left out silently.
        StageError
            No assets, or no surface that anything could stand on.
        """
        classes = self._classes(stage)
        main = goals.main.class_name if goals.main else None
        low, high = self.count if main is None or main in classes or self.others is None else self.others
        number = int(rng.integers(low, high + 1))
        if main in classes:
            number = max(number, 1)
        if number == 0:
            return
        ground = self._ground(stage)
        around: np.ndarray | None = None
        for k in range(number):
            needed = k == 0 and (main is None or main in classes)
            name = main if k == 0 and main in classes else classes[int(rng.integers(len(classes)))]
            options = stage.assets[str(name)]
            asset = options[int(rng.integers(len(options)))]
            failures: Counter[str] = Counter()
            spot = self._place_one(stage, asset, ground, around, rng, failures)
            if spot is None:
                causes = ", ".join(f"{n} {cause}" for cause, n in failures.most_common())
                log.debug("No place for %s: %s.", asset.name, causes or "no room")
                if needed:
                    raise NoPlace(_by_kind(failures))
            elif around is None:
                around = spot

    def _classes(self, stage: Stage) -> list[str]:
        known = [name for name, assets in stage.assets.items() if name and assets]
        for name in self.classes:
            if name not in known:
                raise StageError(
                    f"Placement 'on_surface' is to place '{name}', but no asset has that class. "
                    f"Classes with assets: {', '.join(known) or 'none'}."
                )
        chosen = list(self.classes) if self.classes or self.distractors else known
        if self.distractors and stage.assets.get(""):
            chosen.append("")
        if not chosen:
            what = "distractors" if self.distractors else "assets"
            raise StageError(f"Placement 'on_surface' finds no {what} to place. Add some to the recipe.")
        return chosen

    def _ground(self, stage: Stage) -> _Ground:
        surfaces: Sequence[Surface] = stage.surfaces(self.surfaces, self.mask)
        corners = np.concatenate([s.corners for s in surfaces])
        normals = np.concatenate([s.normals for s in surfaces])
        areas = np.concatenate([s.areas for s in surfaces])
        owner = np.repeat(np.arange(len(surfaces)), [len(s.corners) for s in surfaces])
        named = f"{', '.join(self.surfaces)}" + (f" with mask '{self.mask}'" if self.mask else "")
        if not areas.sum() > 0:
            raise StageError(f"The surfaces {named} of placement 'on_surface' have no area. Choose other surfaces.")
        # Wound the wrong way round, a floor looks down: which of those are undersides is seen point by point.
        flat = np.abs(normals[:, 2]) >= np.cos(np.radians(self.max_slope)) - 1e-9
        if not (areas * flat).sum() > 0:
            raise StageError(
                f"The surfaces {named} of placement 'on_surface' are steeper than max_slope {self.max_slope:g} deg "
                "everywhere. Choose other surfaces or raise max_slope."
            )
        weights = np.cumsum(areas * flat)
        return _Ground(corners, normals, owner, weights / weights[-1], *extents(corners))

    def _points(
        self, stage: Stage, ground: _Ground, around: np.ndarray | None, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Up to ``tries`` points (N, 3), uniform by area, and the upward normal at each."""
        low, high = stage.bounds
        points, normals, found = [], [], 0
        near = around is not None and self.cluster > 0
        for _ in range(8):
            n = _BATCH if near else 2 * self.tries
            face = np.minimum(np.searchsorted(ground.weights, rng.random(n), side="right"), len(ground.weights) - 1)
            u, v = rng.random((2, n))
            root = np.sqrt(u)  # uniform on a triangle [Osada et al., "Shape distributions", 2002]
            weights = np.stack([1 - root, root * (1 - v), root * v], axis=1)
            point = np.einsum("nk,nkd->nd", weights, ground.corners[face])
            keep = ((point >= low - 1e-6) & (point <= high + 1e-6)).all(1)  # strays far off are no place
            if near:
                keep &= np.linalg.norm(point - around, axis=1) <= self.cluster
            point, face = point[keep], face[keep]
            keep = ~self._undersides(ground, point, face)
            points.append(point[keep])
            normals.append(ground.normals[face[keep]])
            found += int(keep.sum())
            if found >= self.tries:
                break
        normal = np.concatenate(normals)[: self.tries]
        return np.concatenate(points)[: self.tries], normal * np.where(normal[:, 2:] < 0, -1.0, 1.0)

    @staticmethod
    def _undersides(ground: _Ground, points: np.ndarray, faces: np.ndarray) -> np.ndarray:
        out = np.zeros(len(points), dtype=bool)
        down = ground.normals[faces, 2] < 0
        for owner in np.unique(ground.owner[faces[down]]):
            mine = np.flatnonzero(down & (ground.owner[faces] == owner))
            z = points[mine, 2]
            above = lowest_above(points[mine, :2], z + 1e-4, ground.corners[ground.owner == owner])
            out[mine] = above - z < _SOLID
        return out

    def _place_one(
        self,
        stage: Stage,
        asset: Asset,
        ground: _Ground,
        around: np.ndarray | None,
        rng: np.random.Generator,
        failures: Counter[str],
    ) -> np.ndarray | None:
        scale = rng.uniform(*asset.scale_range)
        points, normals = self._points(stage, ground, around, rng)
        yaws = np.radians(rng.uniform(*self.yaw, size=self.tries))
        tilts = np.radians(rng.uniform(*self.tilt, size=self.tries))
        leans = rng.uniform(0, 2 * np.pi, size=self.tries)
        for point, normal, yaw, tilt, lean in zip(points, normals, yaws, tilts, leans, strict=False):
            turn = _about((-np.sin(lean), np.cos(lean), 0.0), tilt) @ _about((0.0, 0.0, 1.0), yaw)
            body = _pose(asset, scale, turn, _upright_to(normal) if self.align else np.eye(3), tilt > 1e-6)
            height = self._rest(body, asset, ground, point, normal, tilt > 1e-6)
            if isinstance(height, str):
                failures[height] += 1
                continue
            matrix = np.eye(4)
            matrix[:3, :3] = scale * ((_upright_to(normal) if self.align else np.eye(3)) @ turn)
            matrix[:3, 3] = point[0], point[1], height - body.vertices[:, 2].min() + LIFT
            other = stage.collides(asset, matrix, gap=self.gap)
            if other:
                close = self.gap > 0 and len(stage.instances) > 0 and not stage.collides(asset, matrix)
                failures[f"too close to '{other}'" if close else f"intersects '{other}'"] += 1
                continue
            stage.place(asset, matrix)
            return point
        return None

    def _rest(
        self, body: _Body, asset: Asset, ground: _Ground, point: np.ndarray, normal: np.ndarray, tilted: bool
    ) -> float | str:
        """World height of the lowest point when the body rests at ``point``, or why it cannot."""
        lowest = float(body.vertices[:, 2].min())
        vertices = body.vertices - (0.0, 0.0, lowest)
        vertices[:, :2] += point[:2]
        base = body.base - (0.0, 0.0, lowest)
        base[:, :2] += point[:2]
        radius = float(np.linalg.norm(body.vertices[:, :2], axis=1).max()) + self.border
        close, far = point[:2] - radius, point[:2] + radius
        near = (ground.low[:, 0] <= far[0]) & (ground.high[:, 0] >= close[0])
        near &= (ground.low[:, 1] <= far[1]) & (ground.high[:, 1] >= close[1])
        corners = ground.corners[near]
        ceiling = float(lowest_above(point[None, :2], point[2] + _SAME_STOREY, corners)[0]) - 1e-3
        headroom = radius * np.tan(np.radians(self.max_slope)) + 0.05
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
            top = highest_below(places[:, :2], np.minimum(bottom + self.step, ceiling), corners)
            return top >= expected - self.step - 1e-9

        held = supported(base)
        if 1 - held.mean() > self.overhang + 1e-9:
            return "overhang"
        # Some models would topple on a level floor: the place must not be worse than that.
        center = body.center[:2] + point[:2]
        if not tilted and not inside_hull(center, base[held, :2]) and inside_hull(center, base[:, :2]):
            return "unbalanced"
        if self.border > 0:
            middle = base[:, :2].mean(0)
            away = base[:, :2] - middle
            length = np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
            wide = np.column_stack([middle + away * (1 + self.border / length), base[:, 2]])
            if not supported(wide).all():
                return "border"
        return height


_bases: weakref.WeakKeyDictionary[Asset, tuple[np.ndarray, np.ndarray]] = weakref.WeakKeyDictionary()


def _pose(asset: Asset, scale: float, turn: np.ndarray, align: np.ndarray, tilted: bool) -> _Body:
    if asset not in _bases:
        mesh = asset.mesh
        _bases[asset] = (footprint(mesh.vertices, mesh.triangles), centroid(mesh.vertices, mesh.triangles))
    base, center = _bases[asset]
    matrix = scale * (align @ turn)
    if tilted:  # a leaning thing stands on something else than its base
        leaning = asset.mesh.vertices @ turn.T
        base = footprint(leaning, asset.mesh.triangles) @ turn
    return _Body(asset.mesh.vertices @ matrix.T, base @ matrix.T, center @ matrix.T)


def _by_kind(failures: Counter[str]) -> Counter[str]:
    kinds: Counter[str] = Counter()
    for cause, n in failures.items():
        kinds[cause.split(" '")[0]] += n
    return kinds


def _about(axis: Sequence[float] | np.ndarray, angle: float) -> np.ndarray:
    """Rotation (3, 3) about a unit axis [Rodrigues]."""
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def _upright_to(normal: np.ndarray) -> np.ndarray:
    """The smallest rotation that takes z to ``normal``."""
    axis = np.array([-normal[1], normal[0], 0.0])
    length = float(np.linalg.norm(axis))
    if length < 1e-9:
        return np.eye(3)
    return _about(axis / length, float(np.arctan2(length, normal[2])))
